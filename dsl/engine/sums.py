"""Sums of a block, piece by piece: moments, Jacobians, scores, meat. Sums of two blocks are the sums of their union."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.engine.covariance import cluster_sums
from dsl.engine.effects import with_effects
from dsl.engine.fixed_size import Draw
from dsl.engine.labeling import Labeling
from dsl.engine.models.model import Link
from dsl.engine.moments import (
    Weights,
    augmentation_weights,
    correction_weights,
    design_weights,
    fitted_means,
    imputed_weights,
    jacobian_sum,
    moment_sum,
    removed_weights,
    scores,
    stage_weights,
)
from dsl.engine.one_pass import one_pass
from dsl.engine.several import Several
from dsl.engine.stages import added_by
from dsl.engine.streamed import Ask, Rows, Streamed, Sums, in_memory
from dsl.engine.two_way import two_way_meat

WeightRule = Callable[[Block], Weights]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is the same in every split."""

    link: Link | Several
    names: tuple[str, ...]
    """Names of the block's columns, for messages."""
    weights: WeightRule = design_weights
    label_weights: WeightRule = correction_weights
    """Weights of the part of the moments that more labels would make smaller."""
    cluster: IntArray | None = None
    """(n,) codes 0, 1, ..."""
    n_clusters: int | None = None
    across: IntArray | None = None
    """(n,) codes of clusters in a second way (`dsl.engine.two_way`), None without."""
    fixed_gram: FloatArray | None = None
    """(f, f) sum of x x' over the fixed columns, where the model is linear (`shared_gram`)."""
    tuning: FloatArray | None = None
    """(k, k) Lambda in psi = w m + Lambda (1 - w) m_hat, or None for the identity. With J measures (k, J k), one Lambda for each
    beside the other, where None is the identity over J."""
    leave_out: str | None = None
    """Covariance that leaves one unit out (`dsl.engine.leave_out.LEAVE_OUT`), or None for the plain one."""
    labeling: Labeling | None = None
    """How the labelled rows were drawn, if only that is random (finite population), or None for a superpopulation."""
    draw: Draw | None = None
    """The same for a superpopulation whose covariance is to allow for it (`dsl.engine.fixed_size`)."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """(k,) names of the parameters in the block's order: its columns, where there is one linear predictor."""
        return self.link.names if isinstance(self.link, Several) else self.names

    @property
    def slopes(self) -> BoolArray:
        """Which parameters keep their meaning where columns get another origin, (k,): not intercepts."""
        if isinstance(self.link, Several):
            return self.link.slopes
        return np.array([name != "Intercept" for name in self.names])

    def spread(self, values: FloatArray, constant: float = 1.0) -> FloatArray:
        """Values of the columns as values of the parameters, with `constant` for those of no column, (k,)."""
        return self.link.spread(values, constant) if isinstance(self.link, Several) else values


def shared_gram(fixed: FloatArray, row_weight: FloatArray | None = None) -> FloatArray:
    """Sum of x x' over the columns that no split changes, rows counted by their analysis weights, (f, f)."""
    if row_weight is None:
        return np.asarray(fixed.T @ fixed)
    # a square again, of which BLAS computes half. Weights are positive.
    root = fixed * np.sqrt(row_weight)[:, None]
    return np.asarray(root.T @ root)


def column_scale(block: Rows, fixed_gram: FloatArray | None = None) -> FloatArray:
    """1 / root mean square of each column, over predicted and gold versions, (k,)."""
    n, gold = block.shape[0], block.gold
    if isinstance(block, Streamed):
        f = block.shape[1] - gold.shape[1]
        own, others = block.facts.squares[:f], block.facts.squares[f:]
    else:
        own = column_squares(block.fixed) if fixed_gram is None else np.diag(fixed_gram)
        others = column_squares(block.predicted)
    fixed, predicted = own / n, (others + column_squares(gold)) / (n + len(gold))
    # (k,) mean squares. A column of zeros keeps scale one, and is found by the checks of columns.
    square = np.concatenate([fixed, predicted])
    return np.asarray(1.0 / np.sqrt(np.where(square > 0.0, square, 1.0)))


def parameter_scale(block: Rows, problem: Problem) -> FloatArray:
    """`column_scale` of each parameter's column, one where it has none, (k,)."""
    return problem.spread(column_scale(block, problem.fixed_gram))


def take_up(means: FloatArray, problem: Problem) -> FloatArray:
    """T in theta = T theta_c, where theta_c belongs to columns less their `means` (that of the intercept does not count).

    The identity but for minus the means in the intercept's row, where there is one linear predictor. (k, k) array.
    """
    place = problem.names.index("Intercept")
    means = means.copy()
    means[place] = 0.0
    if isinstance(problem.link, Several):
        return problem.link.back(means)
    out = np.eye(len(means))
    out[place] -= means
    return out


def column_squares(x: FloatArray) -> FloatArray:
    """Sum of squares of each column of an (n, k) array, (k,)."""
    return np.asarray(np.einsum("ij,ij->j", x, x))


@one_pass
def moment_sums(block: Rows, problem: Problem, params: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Moment sum (k,) and Jacobian sum (k, k) at `params`, piece by piece."""
    if isinstance(block, Streamed) and block.ask is not None and isinstance(problem.link, Link):
        return _moments_at_once(block, block.ask, problem, problem.link, params)
    k = len(params)
    moment, jacobian = np.zeros(k), np.zeros((k, k))
    # linear models: the weights (1 - w) + w of a row add up to one, so that the sum of x x' of fixed columns is known.
    # The pieces leave it out (zeros in its place), and it is added once.
    gram = None if problem.fixed_gram is None else np.zeros_like(problem.fixed_gram)
    changes = tuning_changes(problem, block)
    for piece in with_effects(block, problem.link, params, problem.weights).pieces():
        part, slope = _piece_sums(piece, problem.link, params, problem.weights, gram)
        moment += part
        jacobian += slope
        for change, scaled in zip(changes, piece.scaled if changes else (), strict=True):
            part, slope = _piece_sums(scaled, problem.link, params, augmentation_weights)
            moment += change @ part
            jacobian += change @ slope
    if problem.fixed_gram is not None:
        f = len(problem.fixed_gram)
        jacobian[:f, :f] += problem.fixed_gram
    return moment, jacobian


def _moments_at_once(
    rows: Streamed, ask: Callable[[Ask], Sums], problem: Problem, link: Link, params: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """`moment_sums` of predicted versions from `dsl.engine.stack`, and of what the labelled rows change."""
    moment, jacobian = np.zeros(len(params)), np.zeros((len(params), len(params)))
    rules = [(problem.weights, np.eye(len(params)))]
    rules += [(augmentation_weights, change) for change in tuning_changes(problem, rows)]
    every = None
    for rule, change in rules:
        stands = _unlabeled(rule)
        part, slope = _piece_sums(rows.own, link, params, _beyond(rule, stands))
        if stands:
            every = every or ask(Ask(what="moments", params=params, link=link, changes=rows.changes))
            part += stands * every[0]
            slope += stands * (rows.facts.counted if link.slope is None else every[1])
        moment += change @ part
        jacobian += change @ slope
    return moment, jacobian


def _unlabeled(rule: WeightRule) -> float:
    """What a rule counts the predicted version of a row without a label for."""
    none = np.empty((1, 0))
    row = Block(
        fixed=none,
        predicted=none,
        outcome=np.zeros(1),
        gold_rows=np.empty(0, dtype=np.int64),
        gold=none[:0],
        gold_outcome=np.empty(0),
        weight=np.empty(0),
    )
    return float(rule(row).predicted[0])


def _beyond(rule: WeightRule, stands: float) -> WeightRule:
    """Weights of a rule, less those of rows without a label."""

    def beyond(block: Block) -> Weights:
        own = rule(block)
        return Weights(predicted=own.predicted - stands * imputed_weights(block).predicted, gold=own.gold)

    return beyond


def _piece_sums(
    piece: Block, link: Link | Several, params: FloatArray, rule: WeightRule, gram: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    means, weights = fitted_means(piece, params, link), rule(piece)
    return moment_sum(piece, means, weights), jacobian_sum(piece, means, weights, gram)


def _piece_scores(piece: Block, link: Link | Several, params: FloatArray, rule: WeightRule) -> FloatArray:
    return scores(piece, fitted_means(piece, params, link), rule(piece))


def row_scores(
    block: Rows, problem: Problem, params: FloatArray, rule: WeightRule, tuned_rule: WeightRule
) -> Iterator[FloatArray]:
    """Scores at `params` row by row, in pieces. `tuned_rule` weighs the part that Lambda scales."""
    changes = tuning_changes(problem, block)
    for piece in with_effects(block, problem.link, params, problem.weights).pieces():
        part = _piece_scores(piece, problem.link, params, rule)
        for change, scaled in zip(changes, piece.scaled if changes else (), strict=True):
            part += _piece_scores(scaled, problem.link, params, tuned_rule) @ change.T
        yield part


def part_scores(
    block: Rows, problem: Problem, params: FloatArray, rule: WeightRule, tuned_rule: WeightRule
) -> Iterator[FloatArray]:
    """Parts (g, h_1, ..., h_J) of the scores g + sum_j Lambda_j h_j row by row, in pieces, (., (1 + J) k)."""
    for piece in with_effects(block, problem.link, params, problem.weights).pieces():
        scaled = [_piece_scores(each, problem.link, params, tuned_rule) for each in piece.scaled]
        # at Lambda_j = I / J all of them are in the plain score
        mean = scaled[0] if len(scaled) == 1 else sum(scaled) / len(scaled)
        rest = _piece_scores(piece, problem.link, params, rule) - mean
        yield np.hstack([rest, *scaled])


def tuning_changes(problem: Problem, block: Rows) -> list[FloatArray]:
    """What Lambda adds to each measure's part of the plain score, Lambda_j - I / J, (k, k) each. Empty without Lambda."""
    if problem.tuning is None:
        return []
    # psi = w m + Lambda (1 - w) m_hat is plain DSL's psi plus (Lambda - I) (1 - w) m_hat
    k, count = len(problem.tuning), block.n_measures
    return [part - np.eye(k) / count for part in np.split(problem.tuning, count, axis=1)]


def unit_scores(rows: Iterable[FloatArray], problem: Problem) -> Iterator[FloatArray]:
    """Scores of the independent units: the rows' as they come, or their sums over clusters, all at once."""
    if problem.cluster is None:
        yield from rows
        return
    total, first = None, 0
    for part in rows:
        # pieces come in the order of the rows, and a cluster's rows may lie in several of them
        cluster = problem.cluster[first : first + len(part)]
        count = problem.n_clusters or 0
        total = np.zeros((count, part.shape[1])) if total is None else total
        if count > 4 * len(part):
            # a piece has rows of a few of them
            here, own = np.unique(cluster, return_inverse=True)
            total[here] += cluster_sums(part, own, len(here))
        else:
            total += cluster_sums(part, cluster, count)
        first += len(part)
    if total is not None:
        yield total


def score_sums(units: Iterable[FloatArray], k: int) -> tuple[FloatArray, FloatArray]:
    """Sum of the units' scores (k,), and of score score' (k, k): moment and meat in one pass."""
    moment, meat = np.zeros(k), np.zeros((k, k))
    for part in units:
        moment += part.sum(axis=0)
        meat += part.T @ part
    return moment, meat


def row_sums(rows: Iterable[FloatArray], problem: Problem, k: int) -> tuple[FloatArray, FloatArray]:
    """Moment (k,) and meat (k, k) of rows' scores, whose independent units are rows, clusters, or clusters in two ways."""
    if problem.cluster is None or problem.across is None:
        return score_sums(unit_scores(rows, problem), k)
    every = np.concatenate([*rows])
    return every.sum(axis=0), two_way_meat(every, problem.cluster, problem.across)


@one_pass
def all_row_sums(
    block: Rows, problem: Problem, params: FloatArray, tuned_rule: WeightRule = augmentation_weights
) -> tuple[FloatArray, FloatArray]:
    """`row_sums` of the scores of all rows at `params`."""
    alone = problem.cluster is None and problem.across is None
    if alone and isinstance(block, Streamed) and block.ask is not None and isinstance(problem.link, Link):
        k = len(params)
        every = sum((change * _unlabeled(tuned_rule) for change in tuning_changes(problem, block)), np.zeros((k, k)))
        every += _unlabeled(problem.weights) * np.eye(k)
        labels = row_scores(block.own, problem, params, problem.weights, tuned_rule)
        return _squares_at_once(block, block.ask, problem.link, params, every, np.concatenate([*labels]))
    return row_sums(row_scores(block, problem, params, problem.weights, tuned_rule), problem, len(params))


def _squares_at_once(
    rows: Streamed, ask: Callable[[Ask], Sums], link: Link, params: FloatArray, every: FloatArray, labels: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Sum of scores, and of score score', from `dsl.engine.stack`.

    A row without a label has the score T m_hat, with T = `every` (j, k), and labelled rows have the scores `labels` (m, j).
    """
    total, square = labels.sum(axis=0), labels.T @ labels
    if every.any():
        hat, hats = ask(Ask(what="squares", params=params, link=link, changes=rows.changes))
        own = _piece_scores(rows.own, link, params, imputed_weights) @ every.T
        total += every @ hat - own.sum(axis=0)
        square += every @ hats @ every.T - own.T @ own
    return total, square


@one_pass
def all_part_sums(block: Rows, problem: Problem, params: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`row_sums` of the parts of all rows' scores (`part_scores`)."""
    parts = part_scores(block, problem, params, problem.weights, augmentation_weights)
    return row_sums(parts, problem, (1 + block.n_measures) * len(params))


@one_pass
def draw_sums(
    block: Rows, problem: Problem, draw: Draw, params: FloatArray, on_labels: FloatArray, *, parts: bool = False
) -> tuple[FloatArray, FloatArray]:
    """The same given a draw (`Draw.sums`), of scores or of their parts, with what the labelled rows add to them, (m, .)."""
    score = part_scores if parts else row_scores
    return draw.sums(score(block, problem, params, problem.weights, augmentation_weights), on_labels)


def label_scores(block: Rows, problem: Problem, params: FloatArray) -> FloatArray:
    """What each labelled row adds, w (m - Lambda m_hat), (m, k)."""
    whole = with_effects(block, problem.link, params, problem.weights)
    labels = row_scores(whole.labeled(), problem, params, problem.label_weights, removed_weights)
    return np.concatenate([*labels])


def drawn_parts(block: Rows, problem: Problem, params: FloatArray) -> Iterator[tuple[Block, WeightRule, WeightRule]]:
    """What each draw of labels adds: its rows, and the rules that weigh their versions, as in `row_scores`."""
    whole = with_effects(block, problem.link, params, problem.weights)
    if isinstance(block, Streamed) or block.staged is None:
        yield whole.labeled(), problem.label_weights, removed_weights
        return
    whole = in_memory(whole)
    for stage in range(1, len(block.staged.reached) + 2):
        yield added_by(whole, stage), stage_weights, imputed_weights


def drawn_scores(block: Rows, problem: Problem, params: FloatArray) -> FloatArray:
    """`label_scores`, where labels come in stages those of each stage one below the other, (m_1 + ... + m, k)."""
    parts = drawn_parts(block, problem, params)
    return np.concatenate([score for part, *rules in parts for score in row_scores(part, problem, params, *rules)])


def label_meat(block: Rows, problem: Problem, on_labels: FloatArray) -> FloatArray:
    """Part of the meat that shrinks in proportion as more rows are labelled: sum of c c', c = w (m - m_hat), (k, k)."""
    cluster, across = (None if codes is None else codes[block.gold_rows] for codes in (problem.cluster, problem.across))
    return row_sums([on_labels], replace(problem, cluster=cluster, across=across), on_labels.shape[1])[1]
