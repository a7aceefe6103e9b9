"""A pretrained model trained on gold labels: adapter, head, and the loop that stops early."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dsl._typing import AnyArray, BoolArray, FloatArray, IntArray
from dsl.learners.text.pretrained import Pretrained, quiet

if TYPE_CHECKING:
    import torch
    from torch.nn import Linear, Module

Stored: TypeAlias = dict[str, AnyArray]
"""Trained weights by name, as they are kept in memory and in files."""

ALPHA = 2.0
"""Scale of a LoRA adapter's update, times its rank."""
LORA_DROPOUT = 0.05
DECAY = 0.01
WARM = 0.1
"""Share of the steps in which the learning rate rises."""
LARGEST_GRADIENT = 1.0
HEAD_RATE = 1e-3
"""Learning rate of the head, which starts at a fit of its own."""
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge penalties of the head's start, for each row."""
HEAD_FOLDS = 5
START = 1.0
"""Penalty of the head from which training starts, at least: one that fits the labels closely leaves the rest nothing to learn."""
MARGIN = 0.97
"""Loss, over that of the head alone, below which an epoch is taken for better."""
LEAST_HELD_OUT = 10
"""Rows held out at least: the mean loss of fewer says too little."""
PREDICTED_AT_A_TIME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the trained weights, but for model, texts, numbers and labels."""

    kind: str
    epochs: int
    learning_rate: float
    r: int
    n_tokens: int
    batch_size: int
    validation: float
    patience: int
    seed: int
    classes: bool
    """Whether labels lie in [0, 1], and predictions are probabilities."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Rows as the network reads them."""

    tokens: AnyArray = field(repr=False)
    """(n,) objects, all tuples of token numbers."""
    numbers: FloatArray = field(repr=False)
    """(n, p)"""

    def __len__(self) -> int:
        """Number of rows n."""
        return len(self.tokens)

    def at(self, rows: IntArray | BoolArray) -> Encoded:
        """Some of the rows."""
        return Encoded(self.tokens[rows], self.numbers[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Fits of the head alone, before anything else is trained."""

    alone: Stored
    """On all rows."""
    judged: Stored
    """On the rows that are not held out."""
    loss: float
    """Mean loss of this one on them."""


@dataclass(slots=True, eq=False)
class Network:
    """The model with an adapter, and a linear head on its mean token beside the numbers."""

    body: Module
    head: Linear
    centre: torch.Tensor
    """(d + p,) means and standard deviations of what the head sees, in the training rows."""
    scale: torch.Tensor
    padding: int
    width: int
    """Columns from the text, d."""
    device: str

    def pooled(self, rows: Encoded) -> torch.Tensor:
        """Mean of the last layer over a text's tokens, and the numbers, (n, d + p)."""
        import torch

        longest = max(len(row) for row in rows.tokens)
        ids = np.full((len(rows), longest), self.padding, dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for i, row in enumerate(rows.tokens):
            ids[i, : len(row)], mask[i, : len(row)] = row, 1
        read = torch.as_tensor(mask, device=self.device)
        last = self.body(input_ids=torch.as_tensor(ids, device=self.device), attention_mask=read).last_hidden_state
        last = last[:, last.shape[1] - longest :]
        weight = read[:, :, None].to(last.dtype)
        mean = (last * weight).sum(dim=1) / weight.sum(dim=1)
        numbers = torch.as_tensor(rows.numbers, dtype=mean.dtype, device=self.device)
        return torch.cat([mean, numbers], dim=1)

    def raw(self, rows: Encoded) -> torch.Tensor:
        """The head's output, (n,)."""
        return self.scored(self.pooled(rows))

    def scored(self, pooled: torch.Tensor) -> torch.Tensor:
        """The head's output at what `pooled` made, (n,)."""
        return self.head((pooled - self.centre) / self.scale)[:, 0]

    def trained(self) -> dict[str, torch.Tensor]:
        """The weights that training changes, by name."""
        own = {f"body.{name}": each for name, each in self.body.named_parameters() if each.requires_grad}
        return {**own, "head.weight": self.head.weight, "head.bias": self.head.bias}

    def stored(self) -> Stored:
        """All that makes this network of the pretrained model."""
        tensors = {**self.trained(), "centre": self.centre, "scale": self.scale}
        return {name: each.detach().cpu().numpy().copy() for name, each in tensors.items()}

    def restore(self, stored: Stored) -> None:
        """Take weights that `stored` gave."""
        import torch

        with torch.no_grad():
            for name, each in {**self.trained(), "centre": self.centre, "scale": self.scale}.items():
                each.copy_(torch.as_tensor(stored[name]))


@contextmanager
def _alone(threads: int, seed: int) -> Iterator[None]:
    """With this many threads and torch's own draws seeded, and all as it was afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)


def _network(base: Pretrained, recipe: Recipe, numbers: int, device: str) -> Network:
    """An untrained network, which shares nothing with the pretrained model."""
    import torch
    from peft import LoraConfig, PromptTuningConfig, TaskType, get_peft_model

    body = copy.deepcopy(base.body)
    width, task = int(body.config.hidden_size), TaskType.FEATURE_EXTRACTION
    with quiet():
        if recipe.kind == "lora":
            config = LoraConfig(
                task_type=task,
                r=recipe.r,
                lora_alpha=ALPHA * recipe.r,
                lora_dropout=LORA_DROPOUT,
                target_modules=_linear_layers(body),
            )
            body = get_peft_model(body, config)
        elif recipe.kind == "prompt_tuning":
            words = body.get_input_embeddings().weight
            body = get_peft_model(body, PromptTuningConfig(task_type=task, num_virtual_tokens=recipe.n_tokens))
            # a soft prompt of words of the vocabulary disturbs the model less than noise
            drawn = torch.as_tensor(np.random.default_rng(recipe.seed).integers(len(words), size=recipe.n_tokens))
            with torch.no_grad():
                next(each for each in body.parameters() if each.requires_grad).copy_(words[drawn])
    size = width + numbers
    head = torch.nn.Linear(size, 1)
    return Network(
        body.to(device),
        head.to(device),
        torch.zeros(size, device=device),
        torch.ones(size, device=device),
        base.padding,
        width,
        device,
    )


def _linear_layers(body: Module) -> list[str]:
    """Names of the layers that LoRA updates: all linear ones, but for what follows the last layer, which is not used."""
    kinds = ("Linear", "Conv1D")
    return [name for name, each in body.named_modules() if type(each).__name__ in kinds and "pooler" not in name]


def _loss(raw: torch.Tensor, y: torch.Tensor, classes: bool) -> torch.Tensor:
    from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

    return binary_cross_entropy_with_logits(raw, y) if classes else mse_loss(raw, y)


def train(
    base: Pretrained, rows: Encoded, y: FloatArray, recipe: Recipe, device: str, threads: int, progress: bool
) -> tuple[Network, list[tuple[int, float, float]]]:
    """Train on labelled rows: first the head alone, by ridge, then everything, until the rows held out are predicted no better.

    The untuned model with the best ridge is one of the candidates among which the rows held out choose, and is fitted to all rows
    if it is chosen. Training starts at a stronger penalty: the head then says little that the numbers do not.

    Returns
    -------
    Network
    list of (int, float, float)
        Epoch, mean loss while training and on the rows held out (NaN where there are none); epoch 0 is the head alone.
    """
    import torch

    with _alone(threads, recipe.seed):
        network = _network(base, recipe, rows.numbers.shape[1], device)
        held = _held_out(y, recipe)
        target = torch.as_tensor(y, dtype=torch.float32, device=device)
        own, kept = np.flatnonzero(~held), np.flatnonzero(held)
        heads = _fit_heads(network, rows, target, own, recipe)
        best = (0, _judged(network, heads.judged, rows, target, kept, recipe))
        history, state = [(0, heads.loss, best[1])], heads.alone
        steps = _Steps(network, recipe, len(own))
        for epoch in _shown(range(1, recipe.epochs + 1), progress):
            loss = steps.epoch(rows, target, own, epoch)
            now = _loss_of(network, rows, target, kept, recipe.classes) if len(kept) else float("nan")
            history.append((epoch, loss, now))
            # the head alone is fitted to more rows in the end than it was judged on here
            if not len(kept) or now < best[1] * (MARGIN if best[0] == 0 else 1.0):
                best, state = (epoch, now), network.stored()
            elif epoch - best[0] >= recipe.patience:
                break
        network.restore(state)
    return network, history


def _judged(
    network: Network, state: Stored, rows: Encoded, target: torch.Tensor, kept: IntArray, recipe: Recipe
) -> float:
    """Loss of a state on the rows held out, NaN without any. The network stays what it is."""
    if not len(kept):
        return float("nan")
    before = network.stored()
    network.restore(state)
    loss = _loss_of(network, rows, target, kept, recipe.classes)
    network.restore(before)
    return loss


def _shown(epochs: range, progress: bool) -> Iterator[int]:
    if not progress:
        return iter(epochs)
    from tqdm.auto import tqdm

    return iter(tqdm(epochs, desc="fine-tuning", unit="epoch"))


def _held_out(y: FloatArray, recipe: Recipe) -> BoolArray:
    """Rows on which training is judged (n,): a share of them, of each class alike. None where these or the rest were too few."""
    out = np.zeros(len(y), dtype=bool)
    if recipe.validation == 0.0 or len(y) < 3 * LEAST_HELD_OUT:
        return out
    share = max(recipe.validation, LEAST_HELD_OUT / len(y))
    rng = np.random.default_rng(recipe.seed)
    # sorted by label, ties in random order: every so many rows are held out, so that all labels are among them
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    place = (np.arange(len(y)) + rng.random()) * share
    out[order] = np.floor(place) > np.floor(place - share)
    return out


def _fit_heads(network: Network, rows: Encoded, target: torch.Tensor, own: IntArray, recipe: Recipe) -> Heads:
    """Fit the head alone, with the penalty that cross-validation likes best, and leave it where training starts."""
    import torch

    with torch.no_grad():
        pooled = _pooled(network, rows)
        network.centre.copy_(pooled.mean(dim=0))
        spread = pooled.std(dim=0)
        # a column that does not vary here keeps its own scale
        network.scale.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))
    penalty = _best_penalty(network, pooled, target, recipe)
    _fit_head(network, pooled, target, penalty, recipe.classes)
    alone = network.stored()
    loss = _fit_head(network, pooled[own], target[own], penalty, recipe.classes)
    judged = network.stored()
    _fit_head(network, pooled[own], target[own], max(penalty, START), recipe.classes)
    return Heads(alone, judged, loss)


def _best_penalty(network: Network, pooled: torch.Tensor, target: torch.Tensor, recipe: Recipe) -> float:
    import torch

    n = len(target)
    if n < 2 * HEAD_FOLDS:
        return PENALTIES[len(PENALTIES) // 2]
    fold = np.random.default_rng(recipe.seed).permutation(np.arange(n) % HEAD_FOLDS)
    losses = []
    for penalty in PENALTIES:
        total = 0.0
        for k in range(HEAD_FOLDS):
            train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            _fit_head(network, pooled[train], target[train], penalty, recipe.classes)
            with torch.no_grad():
                total += len(test) * float(_loss(network.scored(pooled[test]), target[test], recipe.classes))
        losses.append(total)
    return PENALTIES[int(np.argmin(losses))]


def _fit_head(network: Network, pooled: torch.Tensor, target: torch.Tensor, penalty: float, classes: bool) -> float:
    """Ridge (or ridge logistic) regression of the labels on what the head sees. Its loss."""
    import torch

    weight, bias = network.head.weight, network.head.bias
    # numbers are few beside hundreds of columns from the text: either part may explain as much before it is shrunk
    charged = torch.ones_like(weight)
    charged[:, network.width :] = min(1.0, (weight.shape[1] - network.width) / network.width)
    with torch.no_grad():
        weight.zero_()
        bias.zero_()
    solver = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        solver.zero_grad()
        value = _loss(network.scored(pooled), target, classes) + penalty * (charged * weight**2).sum()
        value.backward()
        return value

    solver.step(closure)
    with torch.no_grad():
        return float(_loss(network.scored(pooled), target, classes))


class _Steps:
    """The optimizer, and the order of batches."""

    def __init__(self, network: Network, recipe: Recipe, n: int) -> None:
        import torch

        self.network, self.recipe = network, recipe
        weights = network.trained()
        head = [each for name, each in weights.items() if name.startswith("head.")]
        body = [each for name, each in weights.items() if name.startswith("body.")]
        self.optimizer = torch.optim.AdamW(
            [{"params": body, "lr": recipe.learning_rate}, {"params": head, "lr": HEAD_RATE}], weight_decay=DECAY
        )
        total = recipe.epochs * -(-n // recipe.batch_size)
        warm = max(1, round(WARM * total))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min((step + 1) / warm, max(total - step, 0) / max(total - warm, 1))
        )
        self.weights = [*body, *head]

    def epoch(self, rows: Encoded, target: torch.Tensor, own: IntArray, epoch: int) -> float:
        """One pass over the training rows in random order. Mean loss."""
        import torch

        network, losses = self.network, []
        network.body.train()
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(own)
        for start in range(0, len(order), self.recipe.batch_size):
            batch = order[start : start + self.recipe.batch_size]
            self.optimizer.zero_grad()
            loss = _loss(network.raw(rows.at(batch)), target[batch], self.recipe.classes)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.weights, LARGEST_GRADIENT)
            self.optimizer.step()
            self.schedule.step()
            losses.append(float(loss.detach()) * len(batch))
        network.body.eval()
        return sum(losses) / len(order)


def _pooled(network: Network, rows: Encoded) -> torch.Tensor:
    """`Network.pooled` of any number of rows, short texts with short ones."""
    import torch

    order = np.argsort([len(row) for row in rows.tokens], kind="stable")
    parts = [
        network.pooled(rows.at(order[start : start + PREDICTED_AT_A_TIME]))
        for start in range(0, len(order), PREDICTED_AT_A_TIME)
    ]
    out = torch.cat(parts)
    return out[torch.as_tensor(np.argsort(order), device=out.device)]


def _loss_of(network: Network, rows: Encoded, target: torch.Tensor, which: IntArray, classes: bool) -> float:
    import torch

    with torch.no_grad():
        return float(_loss(network.scored(_pooled(network, rows.at(which))), target[which], classes))


def predicted(network: Network, rows: Encoded, classes: bool, threads: int) -> FloatArray:
    """Predictions of any number of rows, (m,): probabilities where labels are classes."""
    import torch

    if not len(rows):
        return np.zeros(0)
    with torch.no_grad(), _alone(threads, 0):
        raw = network.scored(_pooled(network, rows))
        out = torch.sigmoid(raw) if classes else raw
    return np.asarray(out.cpu().numpy(), dtype=np.float64)


def restored(base: Pretrained, recipe: Recipe, numbers: int, device: str, stored: Stored) -> Network:
    """A trained network from what `Network.stored` gave."""
    network = _network(base, recipe, numbers, device)
    network.restore(stored)
    network.body.eval()
    return network
