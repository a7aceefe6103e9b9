r"""Prediction-powered regressions in their two-sample form: labelled rows against unlabelled ones.

With lam = 1 this is prediction-powered inference, with lam chosen from the data PPI++ (Angelopoulos, Duchi and Zrnic
2023), lam = 0 is the regression of the labelled rows alone. Numbers are those of the Python package ppi-python 0.2.3.

Linear models whose covariates are all known add three regressions, as that package does,

    theta = OLS(X_L, y) + lam [OLS(X_U, f) - OLS(X_L, f)].

Others solve mean_L g + lam (mean_U h - mean_L h) = 0 (`dsl.engine.two_sample.sums`). This is the gradient of PPI's
rectified loss, and stays valid where predicted variables are among the covariates: h then holds their surrogates, g
their gold values.

The covariance is H^-1 Var(a + lam b) H^-1. Where all covariates are known and the Hessian depends on nothing else (`lm`,
`logit`, `poisson`), H is the Hessian over all rows (over the labelled ones at lam = 0). Elsewhere it is the derivative of the
moment equation, because the Hessian at the surrogates is not the one at the gold values. lam minimises the trace of the
covariance,

    lam = -tr(H^-1 Cov(a, b) H^-1) / tr(H^-1 Var(b) H^-1),

at the estimate for lam = 1, clipped to [0, 1]. With predicted covariates it is taken at the estimate for lam = 0, which
exists whenever the labelled rows suffice. Clusters enter through the covariance of a and b.

The covariance is that of the rectified loss's root, for the sum of regressions too, as in ppi-python. It takes the
surrogates' residuals at theta, where the sum of regressions has them at the surrogates' own coefficients. Intervals of a
linear model are therefore too wide, and lam too small, where these differ much from theta (tests/simulation/test_ppi.py).
"""

from dataclasses import dataclass, replace

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.centre import shared_columns
from dsl.engine.covariance import sandwich
from dsl.engine.fit import SplitFit
from dsl.engine.lambdas import best_lambda, best_weights
from dsl.engine.models.model import Link
from dsl.engine.several import Several
from dsl.engine.streamed import Rows, Streamed
from dsl.engine.sums import Problem
from dsl.engine.two_sample.solve import Root, hessian, solve
from dsl.engine.two_sample.sums import Samples, Spread, measures_spread
from dsl.exceptions import ArgumentError, EstimationError, LabelError

SAME_WEIGHT = 1e-9
"""Relative difference of weights that rounding can make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoSampleFit(SplitFit):
    """Two-sample estimate. What `SplitFit` sums over rows is here N times the means over the two samples."""

    lam: float
    """How much the surrogates count for: 0 the labelled rows alone, 1 in full."""
    tuned: bool
    """Whether `lam` was chosen from the data."""
    weights: FloatArray | None = None
    """(J,) how much each of several measures counts for, `lam` in sum. None for one."""


def two_sample(
    block: Rows,
    names: tuple[str, ...],
    link: Link | Several,
    *,
    lam: float | None,
    cluster: IntArray | None = None,
    n_clusters: int | None = None,
    gram: FloatArray | None = None,
) -> TwoSampleFit:
    """Prediction-powered estimate from equally likely labels.

    Parameters
    ----------
    block : Block or Streamed
        All N rows: surrogates in the outcome and the predicted columns, gold values on the labelled rows.
    names : tuple of str
        Names of the block's columns. A column named Intercept takes up the means of columns far from zero.
    link : Link or Several
    lam : float or None
        How much the surrogates count for. None chooses it from the data.
    cluster : (N,) array, optional
        Cluster codes 0, 1, .... Rows of a cluster may be labelled, unlabelled, or both.
    n_clusters : int, optional
    gram : (f, f) array, optional
        `dsl.engine.sums.shared_gram` of the fixed columns, where the caller has it.

    Returns
    -------
    TwoSampleFit

    Raises
    ------
    ArgumentError
        Unequal sampling probabilities, absorbed fixed effects, or `lam` not a finite number.
    LabelError
        Fewer than two labelled or two unlabelled rows.
    SeparationError, SingularJacobianError, ConvergenceError

    References
    ----------
    Angelopoulos, Duchi and Zrnic, "PPI++: efficient prediction-powered inference" (2023), algorithms 1 to 3.
    """
    _check(block, lam)
    problem = Problem(link=link, names=names, cluster=cluster, n_clusters=n_clusters)
    gram, centring = shared_columns(block, problem, gram)
    centred = block if centring is None else centring.apply(block)
    samples = Samples(
        block=centred,
        labeled=centred.labeled(),
        problem=problem,
        gram=gram,
        ddof=0 if _is_mean(block) else 1,  # as ppi_mean and ppi_ols
    )
    k = len(problem.parameters)
    basis = np.eye(k) if centring is None else centring.back(k)
    fit = _fit_measures(samples, lam, basis) if samples.labeled.measures else _fit(samples, lam, basis)
    return fit if centring is None else centring.undo(fit)  # type: ignore[return-value]  # replace() keeps the class


def _check(block: Rows, lam: float | None) -> None:
    if lam is not None and not np.isfinite(lam):
        raise ArgumentError(f"lam must be a finite number, or None to choose it from the data; found {lam!r}")
    if not isinstance(block, Streamed) and block.absorbed is not None:
        raise ArgumentError(
            "prediction-powered inference does not absorb fixed effects; write them as dummies, 'y ~ x + factor(unit)' with "
            "model='lm', or use estimator='dsl'"
        )
    n, weight = len(block.gold_rows), block.weight
    for count, what, advice in (
        (n, "labelled", "label more rows"),
        (block.shape[0] - n, "unlabelled", "with every row labelled use estimator='gold_only'"),
    ):
        if count < 2:
            raise LabelError(f"prediction-powered inference needs two {what} rows at least; found {count}: {advice}")
    if np.ptp(weight) > SAME_WEIGHT * weight.max():
        raise ArgumentError(
            f"prediction-powered inference takes all rows to be labelled with equal probability, but the weights of the {n} "
            f"labelled rows vary from {weight.min():.3g} to {weight.max():.3g}; use estimator='cdi' (the surrogate as it "
            "is, these probabilities) or estimator='dsl'"
        )


def _is_mean(block: Rows) -> bool:
    """Whether there is but one constant column."""
    if block.shape[1] != 1 or block.gold.shape[1]:
        return False
    spread = block.facts.most[0] - block.facts.least[0] if isinstance(block, Streamed) else np.ptp(block.fixed)
    return bool(spread == 0.0)


def _fit(samples: Samples, lam: float | None, basis: FloatArray) -> TwoSampleFit:
    tuned = lam is None
    root: Root | None = None
    if lam is None:
        root, lam = _tuned(samples, basis)
    root = solve(samples, lam, near=root)
    sums, bread = root.sums, hessian(samples, root.sums.jacobians, lam)
    n_rows, n = samples.block.shape[0], samples.n
    # (n, k) a row's g - lam h, whose mean over the labelled rows is what more labels make more precise
    label = sums.gold - lam * sums.hat
    left = label - label.mean(axis=0)
    # N^2 Var(a + lam b) goes with N H as summed Jacobian: the powers of N cancel in the sandwich
    meat = n_rows**2 * sums.spread.at(lam)
    return TwoSampleFit(
        params=root.params,
        vcov=sandwich(n_rows * bread, meat),
        jacobian=n_rows * bread,
        meat=meat,
        label_scores=label * (n_rows / n),
        label_meat=left.T @ left / (n - samples.ddof) * n_rows**2 / n,
        moment_norm=root.norm,
        iterations=root.iterations,
        positive_definite=bool(np.linalg.eigvalsh(bread + bread.T)[0] > 0.0),
        lam=lam,
        tuned=tuned,
    )


def _fit_measures(samples: Samples, lam: float | None, basis: FloatArray) -> TwoSampleFit:
    """The fit with a lambda for each measure, or with `lam` for their mean."""
    count = samples.block.n_measures
    mean = np.full(count, 1.0 / count)
    weights = best_lams(samples, basis) if lam is None else lam * mean
    fit = _fit(samples.weighted(weights), 1.0, basis)
    return replace(fit, lam=float(weights.sum()), tuned=lam is None, weights=weights)


def best_lams(samples: Samples, basis: FloatArray) -> FloatArray:
    """One lambda for each of J measures, which minimise the trace of the covariance of the coefficients together, (J,).

    As `best_lam`, but not held in [0, 1]: Cov(a, b) and Var(b) of the vector b of the measures' differences.
    """
    count, k = samples.block.n_measures, samples.k
    # the block's own moments are those of the mean over the measures
    try:
        root = solve(samples, 1.0 if samples.known else 0.0)
    except EstimationError:  # poor surrogates may leave no root at lam = 1 where others have one
        root = solve(samples, 0.0)
    bread = hessian(samples, root.sums.jacobians, 1.0 if samples.known else 0.0)
    half = np.linalg.solve(bread.T, basis.T).T  # basis H^-1
    spread = measures_spread(samples, root.params)
    shrink = 1.0 if samples.problem.cluster is not None else (samples.n - samples.ddof) / samples.n
    # (J,) and (J, J): traces of the measures' parts, each (k, k)
    weigh = half.T @ half
    cross = shrink * np.einsum("ab,ajb->j", weigh, spread.cross.reshape(k, count, k))
    added = np.einsum("ab,iajb->ij", weigh, spread.hat_pooled.reshape(count, k, count, k))
    return best_weights(float(np.einsum("ab,ab->", weigh, spread.gold)), cross, added)


def _tuned(samples: Samples, basis: FloatArray) -> tuple[Root, float]:
    """The estimate at which lam is chosen, and that lam."""
    try:
        root = solve(samples, 1.0 if samples.known else 0.0)
    except EstimationError:  # poor surrogates may leave no root at lam = 1 where others have one
        root = solve(samples, 0.0)
    bread = hessian(samples, root.sums.jacobians, 1.0 if samples.known else 0.0)
    return root, best_lam(root.sums.spread, bread, basis, samples)


def best_lam(spread: Spread, bread: FloatArray, basis: FloatArray, samples: Samples) -> float:
    """Value in [0, 1] that minimises the trace of the covariance of the coefficients, 0 for useless surrogates.

    As in ppi-python, Cov(a, b) divides by n, and Var(b) takes h to vary alike in labelled and unlabelled rows. The rest is
    `dsl.engine.lambdas.best_lambda`.
    """
    # Cov(a, b) in `Spread` divides by n - ddof: back to n
    shrink = 1.0 if samples.problem.cluster is not None else (samples.n - samples.ddof) / samples.n
    half = np.linalg.solve(bread.T, basis.T).T  # basis H^-1
    own, cross, square = (
        float(np.trace(half @ part @ half.T)) for part in (spread.gold, spread.cross, spread.hat_pooled)
    )
    return float(best_lambda(own, shrink * cross, square, bounds=(0.0, 1.0)))
