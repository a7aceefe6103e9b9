r"""Sums over labelled and unlabelled rows that two-sample estimates are made of.

Write g for a labelled row's score x (y - mu) at the gold values, h for any row's score at the surrogates. The
estimating equation of prediction-powered inference is

    mean_L g + lam (mean_U h - mean_L h) = 0,

with L the n labelled and U the N' unlabelled rows. To first order the estimate is off by the bread times

    a + lam b,   a = mean_L g,   b = mean_U h - mean_L h,

so that everything needed is the covariance of (a, b). Rows that are independent of each other give

    Var a = cov_L(g)/n,   Cov(a, b) = -cov_L(g, h)/n,   Var b = cov_L(h)/n + cov_U(h)/N'.

A cluster has rows on both sides, so that its parts of a and b are correlated. Deviations are then summed within the
clusters first, (g - mean_L g)/n over its labelled rows and (h - mean_U h)/N' - (h - mean_L h)/n over its rows. The
covariance is the sum over clusters of the products of these sums. Clusters of one row give the formulas above.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.engine.covariance import cluster_sums
from dsl.engine.models.model import Link
from dsl.engine.moments import Weights, counted, fitted_means, imputed_weights, jacobian_sum, moment_sum, scores
from dsl.engine.one_pass import one_pass
from dsl.engine.several import Several
from dsl.engine.streamed import Rows, Streamed
from dsl.engine.sums import Problem, shared_gram


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Labelled and unlabelled rows of one analysis."""

    block: Rows
    """All N rows."""
    labeled: Block
    """The n labelled ones."""
    problem: Problem
    """Link, names and clusters."""
    gram: FloatArray
    """(f, f) sum of x x' over all rows, for the columns that are not predicted."""
    ddof: int
    """What variances over rows subtract from their number of rows."""
    total: float = 1.0
    """Sum of the weights of several measures."""

    def weighted(self, weights: FloatArray) -> "Samples":
        """The same with a weighted sum of the measures' moments, (J,) `weights`."""
        if isinstance(self.block, Streamed):
            block: Rows = self.block.changed(lambda some: some.weighted(weights)).with_facts()
        else:
            block = self.block.weighted(weights)
        return replace(self, block=block, labeled=block.labeled(), total=float(weights.sum()))

    @property
    def n(self) -> int:
        """Labelled rows."""
        return len(self.block.gold_rows)

    @property
    def n_unlabeled(self) -> int:
        """Unlabelled rows, N'."""
        return self.block.shape[0] - self.n

    @property
    def k(self) -> int:
        """Parameters."""
        return len(self.problem.parameters)

    @property
    def known(self) -> bool:
        """Whether all covariates are known for all rows."""
        return not self.block.gold.shape[1]

    @property
    def closed_form(self) -> bool:
        """Whether the estimate is a sum of least-squares regressions."""
        return self.known and self.problem.link.slope is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Mean scores (k,) or Jacobians (k, k) at one value of the parameters."""

    gold: FloatArray
    """Gold version of the labelled rows."""
    hat: FloatArray
    """Surrogate version of the labelled rows."""
    unlabeled: FloatArray
    """Surrogate version of the unlabelled rows."""

    def at(self, lam: float) -> FloatArray:
        """Gold + lam (unlabelled - surrogate of the labelled)."""
        return self.gold + lam * (self.unlabeled - self.hat)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Covariance of a and b, (k, k) each."""

    gold: FloatArray
    """Var a"""
    cross: FloatArray
    """Cov(a, b)"""
    hat: FloatArray
    """Var b"""
    hat_pooled: FloatArray
    """Var b with one covariance of h for all rows, labelled or not. With clusters it is Var b itself."""

    def at(self, lam: float) -> FloatArray:
        """Var(a + lam b)."""
        return np.asarray(self.gold + lam * (self.cross + self.cross.T) + lam**2 * self.hat)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Everything at one value of the parameters."""

    params: FloatArray
    """(k,)"""
    scores: Means
    """(k,) each"""
    jacobians: Means
    """(k, k) each"""
    spread: Spread
    gold: FloatArray
    """(n, k) scores of the labelled rows, gold version"""
    hat: FloatArray
    """(n, k) scores of the labelled rows, surrogate version"""


def mean_scores(samples: Samples, params: FloatArray) -> Means:
    """Mean scores at `params`, and nothing else."""
    link, labeled = samples.problem.link, samples.labeled
    (every,), (hat,) = (_total(rows, link, params, gold=False) for rows in (samples.block, labeled))
    return _means(samples, every, hat, _total(labeled, link, params, gold=True)[0])


@one_pass
def _total(block: Rows, link: Link | Several, params: FloatArray, *, gold: bool) -> tuple[FloatArray]:
    """Summed scores of one version, (k,)."""
    parts = [moment_sum(p, fitted_means(p, params, link), _version(p, gold)) for p in block.pieces()]
    return (np.asarray(np.sum(parts, axis=0)),)


def gram_means(samples: Samples) -> Means:
    """Mean Jacobians of a linear model whose covariates are all known: the Gram matrices of its columns."""
    labeled = shared_gram(samples.labeled.fixed, samples.labeled.row_weight)
    return _means(samples, samples.gram, labeled, labeled)


def sums_at(samples: Samples, params: FloatArray) -> Sums:
    """Means and covariances of the scores at `params`, and mean Jacobians, in one pass over the rows."""
    gold_scores, gold_jacobian = _labeled(samples, params, True)
    hat_scores, hat_jacobian = _labeled(samples, params, False)
    score, jacobian, *spread = _every(samples.block, samples, params, gold_scores, hat_scores)
    jacobians = _means(samples, jacobian, hat_jacobian, gold_jacobian)
    scores = _means(samples, score, hat_scores.sum(axis=0), gold_scores.sum(axis=0))
    return Sums(
        params=params,
        scores=scores,
        jacobians=gram_means(samples) if samples.closed_form else jacobians,
        spread=_of_parts(spread),
        gold=gold_scores,
        hat=hat_scores,
    )


@one_pass
def _every(
    block: Rows, samples: Samples, params: FloatArray, gold: FloatArray, hat: FloatArray
) -> tuple[FloatArray, ...]:
    """Summed scores (k,) and Jacobian (k, k) of the surrogate versions, and the four parts of `Spread`."""
    every = _Every(samples)
    for piece in block.pieces():
        every.add(piece, params)
    means = _means(samples, every.score, hat.sum(axis=0), gold.sum(axis=0))
    return every.score, every.jacobian, *_parts(_spread(samples, means, gold, hat, every.second))


def _of_parts(parts: Sequence[FloatArray]) -> Spread:
    gold, cross, hat, hat_pooled = parts
    return Spread(gold=gold, cross=cross, hat=hat, hat_pooled=hat_pooled)


def _parts(spread: Spread) -> tuple[FloatArray, ...]:
    return spread.gold, spread.cross, spread.hat, spread.hat_pooled


def measures_spread(samples: Samples, params: FloatArray) -> Spread:
    """Covariances of a and of each measure's b, one beside the other, in one pass: (k, J k) of both, (J k, J k) of b."""
    return _of_parts(_of_measures(samples.block, samples, params))


@one_pass
def _of_measures(block: Rows, samples: Samples, params: FloatArray) -> tuple[FloatArray, ...]:
    problem, k, count, first = samples.problem, samples.k, block.n_measures, 0
    total = np.zeros(count * k)
    second = np.zeros((count * k if problem.cluster is None else problem.n_clusters or 0, count * k))
    for piece in block.pieces():
        part = np.hstack([_scores(each, params, problem) for each in piece.scaled])
        total += np.ones(len(part)) @ part
        second += _products(part, problem, first)
        first += len(part)
    gold, _ = _labeled(samples, params, True)
    hat = np.hstack([_scores(each, params, problem) for each in samples.labeled.scaled])
    means = _means(samples, total, hat.sum(axis=0), gold.sum(axis=0))
    return _parts(_spread(samples, means, gold, hat, second))


def _scores(block: Block, params: FloatArray, problem: Problem) -> FloatArray:
    """Scores of the surrogate version, (rows, k)."""
    return scores(block, fitted_means(block, params, problem.link), imputed_weights(block))


def _products(part: FloatArray, problem: Problem, first: int) -> FloatArray:
    """Sum of h h' over some rows (k, k), or their sums over clusters (G, k). `first` is the place of the first row."""
    if problem.cluster is None:
        return np.asarray(part.T @ part)
    return cluster_sums(part, problem.cluster[first : first + len(part)], problem.n_clusters or 0)


class _Every:
    """Running sums over all rows' surrogate versions."""

    def __init__(self, samples: Samples) -> None:
        problem, k = samples.problem, samples.k
        self._samples, self._first = samples, 0
        self.score, self.jacobian = np.zeros(k), np.zeros((k, k))
        self.second = np.zeros((k if problem.cluster is None else problem.n_clusters or 0, k))
        """Sum of h h' over the rows (k, k), or sums of h over the clusters' rows (G, k)."""

    def add(self, piece: Block, params: FloatArray) -> None:
        """Count in the next rows."""
        problem, weights = self._samples.problem, imputed_weights(piece)
        means = fitted_means(piece, params, problem.link)
        part = scores(piece, means, weights)
        self.score += np.ones(len(part)) @ part
        if not self._samples.closed_form:
            self.jacobian += jacobian_sum(piece, means, weights)
        self.second += _products(part, problem, self._first)
        self._first += len(part)


def _labeled(samples: Samples, params: FloatArray, gold: bool) -> tuple[FloatArray, FloatArray]:
    """Scores (n, k) and summed Jacobian (k, k) of one version of the labelled rows."""
    link, parts, jacobian = samples.problem.link, [], np.zeros((samples.k, samples.k))
    for piece in samples.labeled.pieces():
        means, weights = fitted_means(piece, params, link), _version(piece, gold)
        parts.append(scores(piece, means, weights))
        if not samples.closed_form:
            jacobian += jacobian_sum(piece, means, weights)
    return np.concatenate(parts), jacobian


def _version(block: Block, gold: bool) -> Weights:
    """One for each row's gold version, or for each row's surrogate version."""
    return gold_version(block) if gold else imputed_weights(block)


def gold_version(block: Block) -> Weights:
    """Each labelled row once, at the gold values."""
    return counted(block, np.zeros(len(block.outcome)), np.ones(len(block.weight)))


def _means(samples: Samples, every: FloatArray, hat: FloatArray, gold: FloatArray) -> Means:
    """From sums over all rows, and over both versions of the labelled ones."""
    n = samples.n
    return Means(gold=gold / n, hat=hat / n, unlabeled=(every - hat) / samples.n_unlabeled)


def _spread(samples: Samples, means: Means, gold: FloatArray, hat: FloatArray, second: FloatArray) -> Spread:
    summarise = _row_spread if samples.problem.cluster is None else _cluster_spread
    return summarise(samples, means, gold, hat, second)


def _row_spread(samples: Samples, means: Means, gold: FloatArray, hat: FloatArray, second: FloatArray) -> Spread:
    """Rows independent. `second` (k, k) is the sum of h h' over all of them."""
    n, n_unlabeled, ddof = samples.n, samples.n_unlabeled, samples.ddof
    g, h = gold - means.gold, hat - means.hat
    # sum over U of (h - mean)(h - mean)': the sum over all rows less that over L, less N' mean mean'
    unlabeled = second - hat.T @ hat - n_unlabeled * np.outer(means.unlabeled, means.unlabeled)
    every = (n * means.hat + n_unlabeled * means.unlabeled) / (n + n_unlabeled)
    pooled = (second - (n + n_unlabeled) * np.outer(every, every)) / (n + n_unlabeled - 1)
    return Spread(
        gold=g.T @ g / (n - ddof) / n,
        cross=-g.T @ h / (n - ddof) / n,
        hat=h.T @ h / (n - ddof) / n + unlabeled / (n_unlabeled - ddof) / n_unlabeled,
        hat_pooled=pooled * (1.0 / n + 1.0 / n_unlabeled),
    )


def _cluster_spread(samples: Samples, means: Means, gold: FloatArray, hat: FloatArray, units: FloatArray) -> Spread:
    """Rows of a cluster correlated. `units` (G, k) are the sums of h over the clusters' rows.

    The factors n/(n - ddof) make clusters of one row give what `_row_spread` does.
    """
    cluster, n_clusters = _clusters(samples.problem)
    n, n_unlabeled, ddof = samples.n, samples.n_unlabeled, samples.ddof
    mine = cluster[samples.block.gold_rows]
    count = np.bincount(mine, minlength=n_clusters)[:, None]
    others = np.bincount(cluster, minlength=n_clusters)[:, None] - count
    labeled = 1.0 / np.sqrt(n * (n - ddof))
    unlabeled = 1.0 / np.sqrt(n_unlabeled * (n_unlabeled - ddof))
    hat_units = cluster_sums(hat, mine, n_clusters)
    # (G, k) the clusters' parts of a and b, as in the module's docstring
    a = labeled * (cluster_sums(gold, mine, n_clusters) - count * means.gold)
    b = unlabeled * (units - hat_units - others * means.unlabeled) - labeled * (hat_units - count * means.hat)
    return Spread(gold=a.T @ a, cross=a.T @ b, hat=b.T @ b, hat_pooled=b.T @ b)


def _clusters(problem: Problem) -> tuple[IntArray, int]:
    assert problem.cluster is not None
    assert problem.n_clusters is not None
    return problem.cluster, problem.n_clusters
