"""Two estimates from the same rows: their difference, and the covariance that takes the shared rows into account.

Each estimate is, to first order, the truth plus a sum over rows of J^-1 psi_i. The variance of a difference is therefore
the sum over rows (or clusters) of the squared difference of these terms. This is the sandwich of the stacked moment equations
(Weesie, "Seemingly unrelated estimation and the cluster-adjusted sandwich estimator", Stata Technical Bulletin 52, 1999). The
test that all differences are zero is Hausman's ("Specification tests in econometrics", Econometrica 1978), without his
assumption that one of the two estimators is efficient.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import chi2

from dsl._typing import BoolArray, FloatArray
from dsl.data.tables import TableLike
from dsl.engine.blocks import Block
from dsl.engine.combine import combine_splits
from dsl.engine.covariance import BY_DESIGN, BY_DESIGN_HC3, cluster_sums
from dsl.engine.moments import Weights, augmentation_weights
from dsl.engine.sums import Problem, drawn_scores, row_scores
from dsl.engine.two_way import positive_part, two_way_meat
from dsl.estimators.again import analysis_of, split_blocks
from dsl.estimators.analysis import Analysis
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError
from dsl.reports.text import p_text

REPRODUCED = 1e-3
"""Relative error of a standard error, or distance in standard errors, up to which a fit counts as made again: ours differ
by rounding and the solver's tolerance, other data by chance."""
NO_VARIANCE = 1e-10
"""Variance of a difference, relative to those of the two estimates, below which it is rounding error."""
NO_DIFFERENCE = 1e-4
"""Difference without variance, in standard errors of the estimates, below which it is rounding error too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One estimate less another."""

    estimate: FloatArray  # (k,)
    vcov: FloatArray  # (k, k)
    scale: FloatArray = field(repr=False)
    """(k,) root of the sum of the two estimates' variances: what counts as small is relative to it."""

    @property
    def constant(self) -> BoolArray:
        """Where the two estimates always agree, up to rounding, (k,) bool array."""
        none = np.diag(self.vcov) <= NO_VARIANCE * self.scale**2
        return np.asarray(none & (np.abs(self.estimate) <= NO_DIFFERENCE * self.scale))

    @property
    def se(self) -> FloatArray:
        """Standard errors (k,), zero where the estimates always agree."""
        return np.where(self.constant, 0.0, np.sqrt(np.maximum(np.diag(self.vcov), 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class WaldTest:
    """Chi-squared test that several numbers are zero."""

    statistic: float
    df: int
    p_value: float

    def __str__(self) -> str:
        """The test in one phrase."""
        return f"chi2({self.df}) = {self.statistic:.2f}, {p_text(self.p_value)}"


def wald_test(estimate: FloatArray, vcov: FloatArray, scale: FloatArray) -> WaldTest:
    """Test that `estimate` is zero. Directions without variance, relative to `scale`, do not count.

    Parameters
    ----------
    estimate : (k,) array
    vcov : (k, k) array
    scale : (k,) array
        Sizes of the numbers' errors, to tell small from zero.

    Returns
    -------
    WaldTest
        With zero degrees of freedom, statistic 0 and p value 1 if nothing varies.

    Examples
    --------
    >>> import numpy as np
    >>> print(wald_test(np.array([2.0, 0.0]), np.diag([1.0, 4.0]), np.array([1.0, 2.0])))
    chi2(2) = 4.00, p = 0.135
    """
    # each number in units of its own error: one that is large by its scale does not hide the others
    size = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(vcov / size[:, None] / size)
    kept = values > NO_VARIANCE
    # Wald's statistic b' V^- b, as the sum over eigenvectors with variance of (v' b)^2 / eigenvalue
    along = vectors[:, kept].T @ (estimate / size)
    statistic, df = float((along**2 / values[kept]).sum()), int(kept.sum())
    return WaldTest(statistic=statistic, df=df, p_value=float(chi2.sf(statistic, df)) if df else 1.0)


def difference(fit: Fit, other: Fit, data: TableLike) -> Difference:
    """Estimates of `fit` less those of `other`, both on the same rows.

    Parameters
    ----------
    fit : Fit
        Without repeated splits (``"naive"``, ``"gold_only"``, ...).
    other : Fit
        Of any estimator. With ``target="finite"`` its standard errors are taken for those of the difference, because only the
        labelling is random and `fit` does not depend on it.
    data : data frame

    Raises
    ------
    ArgumentError
        `data` are not those of the fits.
    """

    def squared() -> FloatArray:
        analysis = analysis_of(fit, data)
        first, sample = next(influences(fit, analysis)), analysis.sample
        units = len(sample.data) if sample.across is not None else sample.n_clusters or len(sample.data)
        # sum over units of (J^-1 psi - J^-1 psi')^2: the covariance from shared rows is in it
        gaps = (
            np.vstack([first[:units] - each[:units], first[units:], each[units:]])
            for each in influences(other, analysis_of(other, data))
        )
        return np.stack([squares(gap, analysis) for gap in gaps])

    return over_splits(fit, other, squared)


def over_splits(fit: Fit, other: Fit, squared: Callable[[], FloatArray]) -> Difference:
    """The difference, given what makes its covariance (S, k, k) with each split of `other` from sums over rows."""
    # (S, k): the fit without splits less each split of the other
    estimates = fit.params - other.splits.params
    # (S, k) variances
    own = np.diagonal(other.splits.vcovs, axis1=1, axis2=2)
    # over repeated labelling alone `fit` does not move
    if other.call.target == "finite":
        vcovs, scale = other.splits.vcovs, np.median(own, axis=0)
    else:
        vcovs = squared()
        # without that covariance, so that "small" is judged by the two estimates' own errors
        scale = np.median(own, axis=0) + np.diag(fit.splits.vcovs[0])
    estimate, vcov = combine_splits(estimates, vcovs)
    return Difference(estimate=estimate, vcov=vcov, scale=np.sqrt(scale))


def influences(fit: Fit, analysis: Analysis) -> Iterator[FloatArray]:
    """What every independent unit adds to the estimate in each split. Their squares sum to the split's covariance.

    Parameters
    ----------
    fit : Fit
    analysis : Analysis
        The fit's (`dsl.estimators.again.analysis_of`).

    Yields
    ------
    (units, k) array
        Units are the rows of the analysis, or the clusters (of clusters in two ways the rows), with coefficients in the formula's
        order, with the root of the small-sample factor. Where the covariance leaves units out, each coefficient has a factor of
        its own. With ``vcov="design"`` there are more rows, for what estimating the strata's centres takes from the variance
        (`dsl.engine.fixed_size`).

    Raises
    ------
    ArgumentError
        They do not make the fit's standard errors: a learner does not give the same predictions again.
    """
    splits, order = fit.splits, analysis.order
    for split, blocks in enumerate(split_blocks(fit, analysis)):
        # equations side by side, (rows, k) each, back from the solver's order to the formula's
        points = [point_of(fit, analysis, split, equation) for equation in range(len(blocks))]
        parts = [
            np.concatenate([*_scores(fit, block, point)])[:, order] for block, point in zip(blocks, points, strict=True)
        ]
        if fit.call.vcov in (BY_DESIGN, BY_DESIGN_HC3):
            labels = [
                drawn_scores(block, point.problem, point.params)[:, order]
                for block, point in zip(blocks, points, strict=True)
            ]
            centred = analysis.draw.about(np.hstack(labels))
            units = np.vstack([*centred.units([np.hstack(parts)]), centred.lost])
        else:
            units = _units(np.hstack(parts), analysis)
        # rows J^-1 psi_i of all units at once, (units, K)
        own = np.sqrt(fit.correction(split)) * np.linalg.solve(splits.jacobians[split], units.T).T
        check_reproduced(own.sum(axis=0), squares(own, analysis), splits.vcovs[split], fit)
        yield own


@dataclass(frozen=True, slots=True)
class Point:
    """Where a fit took the scores of one equation: parameters in the block's order, and the problem with its Lambda."""

    params: FloatArray
    problem: Problem


def point_of(fit: Fit, analysis: Analysis, split: int, equation: int) -> Point:
    """The point that the fit keeps for an equation of a split."""
    k = len(analysis.places)
    own = np.arange(equation * k, (equation + 1) * k)[analysis.places]
    entry, tuning = fit.estimator, fit.splits.tuning
    # row scores without a design's labelling: the variance here is over rows or clusters
    problem = replace(analysis.problem(), labeling=None, weights=entry.weights)
    if not entry.uses_surrogates:
        problem = replace(problem, label_weights=entry.weights)
    if tuning is None or tuning.matrices is None or tuning.at is None:
        return Point(fit.splits.params[split][own], problem)
    # Lambda may mix equations: this equation's own block of it, at the parameters where it was chosen
    # of several surrogates one Lambda stands beside the other
    count, every = (1 if tuning.each is None else tuning.each.shape[1]), tuning.matrices.shape[1]
    columns = np.concatenate([own + j * every for j in range(count)])
    return Point(tuning.at[split][own], replace(problem, tuning=tuning.matrices[split][np.ix_(own, columns)]))


def _scores(fit: Fit, block: Block, point: Point) -> Iterator[FloatArray]:
    """Scores of one equation, in the block's order."""
    tuning = fit.splits.tuning
    if fit.estimator.two_sample and tuning is not None:
        # several surrogates' lambdas are in the block
        lam = float(tuning.lambdas[0, 0]) if tuning.each is None else 1.0
        yield _two_sample_scores(block, point.problem, point.params, lam=lam)
        return
    yield from row_scores(block, point.problem, point.params, point.problem.weights, augmentation_weights)


def _two_sample_scores(block: Block, problem: Problem, params: FloatArray, *, lam: float) -> FloatArray:
    """N times each row's part in mean_L g + lam (mean_U h - mean_L h), less its mean over the labelled or the other rows."""
    n, rows = len(block.gold_rows), len(block.outcome)

    def weights(piece: Block) -> Weights:
        # 1 / n for the gold values, -lam / n and lam / (N - n) for the predictions of labelled and other rows
        predicted = np.full(len(piece.outcome), lam / (rows - n))
        predicted[piece.gold_rows] = -lam / n
        return Weights(predicted=predicted, gold=np.full(len(piece.gold_rows), 1.0 / n))

    out = rows * np.concatenate([*row_scores(block, problem, params, weights, augmentation_weights)])
    ddof = 0 if block.shape[1] == 1 and not np.ptp(block.fixed) else 1  # as `dsl.engine.two_sample`
    labeled = np.zeros(rows, dtype=bool)
    labeled[block.gold_rows] = True
    # centred in each sample, with the sample's own n - 1: variances of two means, not of one sum
    for sample in (labeled, ~labeled):
        count = int(sample.sum())
        out[sample] = (out[sample] - out[sample].mean(axis=0)) * np.sqrt(count / (count - ddof))
    return out


def _units(scores: FloatArray, analysis: Analysis) -> FloatArray:
    """Scores (rows, K) of all rows or clusters, in their order. Rows that a gold-only fit leaves out count nothing."""
    sample = analysis.sample
    if len(scores) < len(sample.data):
        every = np.zeros((len(sample.data), scores.shape[1]))
        every[sample.labeled] = scores
        scores = every
    if sample.cluster is None or sample.across is not None:
        return scores
    # cluster codes run from 0 to n_clusters - 1
    return cluster_sums(scores, sample.cluster, sample.n_clusters or 0)


def squares(units: FloatArray, analysis: Analysis) -> FloatArray:
    """Covariance (K, K) of sums of the units' influences."""
    sample = analysis.sample
    if sample.cluster is None or sample.across is None:
        return np.asarray(units.T @ units)
    return positive_part(two_way_meat(units, sample.cluster, sample.across))


def check_reproduced(total: FloatArray, squares: FloatArray, vcov: FloatArray, fit: Fit) -> None:
    """Raise ArgumentError unless the units' influences have a `total` of zero (k,), and squares that are the fit's variances."""
    if fit.call.target == "finite":
        return
    se = np.sqrt(np.diag(vcov))
    made = np.sqrt(np.diag(squares))
    # a tuned fit took its scores where Lambda was chosen (`point_of`): they need not sum to zero, nor do those about centres
    zero = fit.call.tune is None and fit.call.vcov not in (BY_DESIGN, BY_DESIGN_HC3)
    shift = np.abs(total) if zero else np.zeros(len(se))
    worst = float(np.max(np.maximum(np.abs(made - se), shift) / np.maximum(se, np.finfo(float).tiny), initial=0.0))
    if worst > REPRODUCED:
        raise ArgumentError(
            f"the fit's numbers cannot be made again (standard errors differ by {worst:.1%}): its learner, "
            f"{', '.join(fit.splits.learners) or 'none'}, does not give the same predictions twice; give it a seed, and fit again"
        )
