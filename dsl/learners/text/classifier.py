"""A pretrained language model fine-tuned on the gold labels of the training folds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator

from dsl._typing import AnyArray, FloatArray
from dsl.data.arguments import check_choice, warn_caller
from dsl.data.files import as_path, read_from, write_arrays
from dsl.data.texts import Texts
from dsl.exceptions import ArgumentError, DataError, TextWarning
from dsl.learners.text.finetune import Encoded, Network, Recipe, Stored, predicted, restored, train
from dsl.learners.text.pretrained import Pretrained, check_installed, chosen_device, read_model
from dsl.learners.text.rows import TextRows, as_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = ("lora", "prompt_tuning", "full")
RATES = {"lora": 5e-4, "prompt_tuning": 1e-2, "full": 3e-5}
"""Learning rates where none is given."""
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


class TextClassifier(BaseEstimator):  # type: ignore[misc]
    r"""A pretrained language model fine-tuned on texts and their gold labels, for ``dsl.dsl(text=, sl_method=)``.

    The mean token of the model's last layer and the numbers of the call (surrogates, features) go into a linear head, which is
    fitted by ridge (logistic) regression. Then head and adapter are trained together, until the loss on rows held out of the
    training fold has not improved for some epochs. The best epoch counts, if it is 3% better there than the head alone, which
    else is fitted to all rows.

    Within `dsl.dsl` every fold of the rows trains a model of its own on the gold labels of the other folds, so that no label
    helps to predict itself (whole clusters are left out where there are clusters). As K models are dear, rows are split once
    unless `sample_split` is given.

    Parameters
    ----------
    kind : {"lora", "prompt_tuning", "full"}
        What is trained: low-rank updates of all linear layers (Hu et al. 2022); the soft prompt of `n_tokens` vectors before
        the text (Lester et al. 2021); or every weight.
    model : str
        Folder of a model as transformers saves it, file ``*.gguf`` (package ``gguf``), or name on the Hugging Face hub. Encoders
        (BERT's kind) and decoders (Llama's kind).
    epochs : int
        Passes over the training rows, at most.
    learning_rate : float, optional
        Of adapter, prompt or weights: 5e-4, 1e-2 or 3e-5 by kind.
    r : int
        Rank of the updates (``"lora"``).
    n_tokens : int
        Vectors of the soft prompt (``"prompt_tuning"``).
    batch_size : int
        Texts in a step.
    max_length : int
        Tokens read of a text. A warning counts texts that go on.
    validation : float
        Share of the training rows held out to stop early, 10 rows at least. With 0, and with fewer than 30 training rows, all
        `epochs` are trained.
    patience : int
        Epochs without improvement after which training ends.
    family : {None, "gaussian", "binomial"}
        None: as in the call. Labels that are 0 and 1, and with ``"binomial"`` all labels in [0, 1], have logistic loss and
        predictions in (0, 1); others have squared loss.
    random_state : int, optional
        Seeds the split, weights that start at random, order and dropout. None: the fold's seed within `dsl.dsl`, else 0. On a CPU
        the same seed gives the same numbers, on a GPU the same up to rounding.
    device : str, optional
        Device of torch, such as ``"cuda:1"``. None: a GPU if there is one.
    threads : int
        Threads of torch on the CPU. ``n_jobs`` of `dsl.dsl` trains several folds at a time.
    cache_dir : str or Path, optional
        Folder for trained weights (adapters of MiniLM take 1.4 MB). They are used again where model, texts, numbers, labels,
        settings and seed are the same. None: nothing is saved.
    download : bool
        Whether a model that is not on this machine may be downloaded.
    progress : bool
        Show a progress bar of the epochs.

    Attributes
    ----------
    history_ : list of (int, float, float)
        Epoch, loss while training, and loss on the rows held out (NaN without any); epoch 0 is the head alone.
    n_epochs_ : int
        Epoch whose weights count.
    reused_ : bool
        Whether they came from `cache_dir`.

    Raises
    ------
    MissingDependencyError
        The extra ``text`` (torch, transformers, peft) is not installed.
    ArgumentError
        A setting, or a model that cannot be read.
    DataError
        Labels outside [0, 1] with ``family="binomial"``, or all alike.

    Warns
    -----
    TextWarning
        Texts are longer than `max_length`.

    References
    ----------
    Hu et al., "LoRA: low-rank adaptation of large language models", ICLR 2022. Lester, Al-Rfou and Constant, "The power of
    scale for parameter-efficient prompt tuning", EMNLP 2021. Kumar et al., "Fine-tuning can distort pretrained features and
    underperform out-of-distribution", ICLR 2022: the head first.

    Examples
    --------
    >>> from dsl.learners.text import TextClassifier
    >>> TextClassifier("lora", r=16, cache_dir="adapters").get_params()["r"]
    16

    With the extra installed and a model on this machine, ``dsl.dsl("positive ~ negation", posts, predicted_var="positive",
    prediction="llm", text="body", sl_method=TextClassifier(model="all-MiniLM-L6-v2"))``.
    """

    costly: ClassVar[bool] = True
    """Whether rows are split once where `dsl.dsl` is not told how often."""

    def __init__(
        self,
        kind: Literal["lora", "prompt_tuning", "full"] = "lora",
        *,
        model: str = MINILM,
        epochs: int = 10,
        learning_rate: float | None = None,
        r: int = 8,
        n_tokens: int = 16,
        batch_size: int = 16,
        max_length: int = 128,
        validation: float = 0.15,
        patience: int = 3,
        family: Literal["gaussian", "binomial"] | None = None,
        random_state: int | None = None,
        device: str | None = None,
        threads: int = 1,
        cache_dir: str | Path | None = None,
        download: bool = False,
        progress: bool = False,
    ) -> None:
        # scikit-learn's rule: arguments are kept as they came, and checked in `fit`
        self.kind = kind
        self.model = model
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.r = r
        self.n_tokens = n_tokens
        self.batch_size = batch_size
        self.max_length = max_length
        self.validation = validation
        self.patience = patience
        self.family = family
        self.random_state = random_state
        self.device = device
        self.threads = threads
        self.cache_dir = cache_dir
        self.download = download
        self.progress = progress

    @property
    def words(self) -> str:
        """What it is called in a sentence of a paper."""
        how = {
            "lora": f"by low-rank updates of rank {self.r} (LoRA)",
            "prompt_tuning": f"by a soft prompt of {self.n_tokens} tokens",
            "full": "in all weights",
        }
        return f"the language model {Path(self.model).name}, fine-tuned on the other folds' labelled texts {how[self.kind]}"

    def represent(self, texts: Texts, /) -> AnyArray:
        """Token numbers of all texts, (N,) objects: what no label enters."""
        self._check()
        return self._tokens(texts.values)

    def fit(self, x: TextRows | Sequence[str], y: AnyArray, /) -> Self:
        """Train on texts (and numbers) x, n rows, and their gold labels y (n,)."""
        self._check()
        base, rows = self._base(), self._encoded(x)
        target = np.asarray(y, dtype=np.float64)
        recipe = self._recipe(self._classes(target, len(rows)))
        # numbers are learnt on a scale of their own, on which one learning rate suits
        self.centre_, self.scale_ = (0.0, 1.0) if recipe.classes else (float(target.mean()), float(target.std()))
        device = chosen_device(self.device)
        learnt = (target - self.centre_) / self.scale_
        path = None if self.cache_dir is None else self._path(base, rows, learnt, recipe)
        self.n_numbers_, self.reused_ = rows.numbers.shape[1], path is not None and path.exists()
        if path is not None and self.reused_:
            self.stored_, self.history_ = _read(path)
            self._network = restored(base, recipe, self.n_numbers_, device, self.stored_)
        else:
            self._network, self.history_ = train(base, rows, learnt, recipe, device, self.threads, self.progress)
            self.stored_ = self._network.stored()
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_arrays(path, {**self.stored_, "history": np.array(self.history_)})
        held = [each[2] for each in self.history_]
        self.n_epochs_ = self.history_[-1][0] if np.isnan(held[-1]) else self.history_[int(np.argmin(held))][0]
        self.recipe_ = recipe
        return self

    def predict(self, x: TextRows | Sequence[str], /) -> FloatArray:
        """Predict texts (and numbers) x, m rows: conditional means (m,), probabilities of 1 where labels are 0/1."""
        if not hasattr(self, "stored_"):
            raise ArgumentError("this TextClassifier has not been trained: call fit(texts, labels) first")
        rows = self._encoded(x)
        if rows.numbers.shape[1] != self.n_numbers_:
            raise ArgumentError(
                f"trained with {self.n_numbers_} columns of numbers beside the texts, and asked to predict with "
                f"{rows.numbers.shape[1]}; pass the same columns"
            )
        network: Network | None = getattr(self, "_network", None)
        if network is None:  # read from a pickle
            device = chosen_device(self.device)
            network = self._network = restored(self._base(), self.recipe_, self.n_numbers_, device, self.stored_)
        return predicted(network, rows, self.recipe_.classes, self.threads) * self.scale_ + self.centre_

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which the stored weights and the pretrained model make again."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_network"}

    def _base(self) -> Pretrained:
        base = read_model(self.model, download=self.download)
        used = self.max_length + (self.n_tokens if self.kind == "prompt_tuning" else 0)
        if base.positions is not None and used > base.positions:
            raise ArgumentError(
                f"max_length={self.max_length}{' and the soft prompt' if used > self.max_length else ''} take {used} tokens, and "
                f"model={self.model!r} reads {base.positions}; make max_length smaller"
            )
        return base

    def _tokens(self, texts: AnyArray) -> AnyArray:
        tokens, cut = self._base().tokens(texts.tolist(), self.max_length)
        if cut:
            warn_caller(
                TextWarning,
                f"{cut:,} of {len(texts):,} texts have more than max_length={self.max_length} tokens, and are read up to there; "
                "a larger max_length reads on, in more time",
            )
        return tokens

    def _encoded(self, x: TextRows | Sequence[str]) -> Encoded:
        rows = as_rows(x)
        tokens = self._tokens(rows.texts) if rows.represented is None else np.asarray(rows.represented)
        return Encoded(tokens, np.asarray(rows.numbers, dtype=np.float64))

    def _classes(self, y: FloatArray, n: int) -> bool:
        """Whether labels are classes, or shares, rather than numbers."""
        if y.shape != (n,):
            raise ArgumentError(f"{n} texts need as many labels, in one dimension; found an array of shape {y.shape}")
        if not np.isfinite(y).all():
            raise DataError(f"labels are missing or infinite in {int((~np.isfinite(y)).sum())} of {n} rows")
        if n < 2 or y.min() == y.max():
            raise DataError(f"all {n} labels are {y[0] if n else 'missing'}: there is nothing to learn")
        if self.family == "binomial" and (y.min() < 0.0 or y.max() > 1.0):
            raise DataError(f"family='binomial' needs labels between 0 and 1; found {y.min():g} to {y.max():g}")
        return self.family == "binomial" or bool(np.isin(y, (0.0, 1.0)).all())

    def _recipe(self, classes: bool) -> Recipe:
        return Recipe(
            kind=self.kind,
            epochs=self.epochs,
            learning_rate=RATES[self.kind] if self.learning_rate is None else float(self.learning_rate),
            r=self.r if self.kind == "lora" else 0,
            n_tokens=self.n_tokens if self.kind == "prompt_tuning" else 0,
            batch_size=self.batch_size,
            validation=float(self.validation),
            patience=self.patience,
            seed=0 if self.random_state is None else int(self.random_state),
            classes=classes,
        )

    def _check(self) -> None:
        """Raise ArgumentError for settings that make no sense, MissingDependencyError without the extra."""
        check_choice("kind", self.kind, KINDS)
        for name in ("epochs", "r", "n_tokens", "batch_size", "max_length", "patience", "threads"):
            value, least = getattr(self, name), 0 if name == "epochs" else 1
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise ArgumentError(f"{name} must be a whole number of at least {least}; found {value!r}")
        if not 0.0 <= self.validation <= 0.5:
            raise ArgumentError(f"validation must be a share between 0 and 0.5; found {self.validation!r}")
        if self.learning_rate is not None and not 0.0 < self.learning_rate < 1.0:
            raise ArgumentError(f"learning_rate must lie between 0 and 1; found {self.learning_rate!r}")
        check_installed()

    def _path(self, base: Pretrained, rows: Encoded, y: FloatArray, recipe: Recipe) -> Path:
        """Where weights trained on exactly this are kept."""
        key = hashlib.sha256(base.digest.encode())
        key.update(json.dumps([asdict(recipe), [list(map(int, row)) for row in rows.tokens]]).encode())
        for part in (rows.numbers, y):
            key.update(str(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        assert self.cache_dir is not None
        return as_path(self.cache_dir, "cache_dir") / f"{self.kind}-{key.hexdigest()[:32]}.npz"


def _read(path: Path) -> tuple[Stored, list[tuple[int, float, float]]]:
    """Weights and history that `TextClassifier` saved."""
    with (
        read_from(path, "weights trained by dsl") as file,
        file.open("rb") as stream,
        np.load(stream, allow_pickle=False) as archive,
    ):
        stored = {name: archive[name] for name in archive.files}
        history = stored.pop("history")
    return stored, [(int(epoch), float(own), float(held)) for epoch, own, held in history]
