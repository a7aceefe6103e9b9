r"""Prediction-powered regressions in their two-sample form: labelled rows against unlabelled ones.

With lam = 1 this is prediction-powered inference, with lam chosen from the data PPI++ (Angelopoulos, Duchi and Zrnic
2023), lam = 0 is the regression of the labelled rows alone. Numbers are those of the Python package ppi-python 0.2.3.

Linear models whose covariates are all known add three regressions, as that package does,

    theta = OLS(X_L, y) + lam [OLS(X_U, f) - OLS(X_L, f)];

others solve mean_L g + lam (mean_U h - mean_L h) = 0 (`dsl.ppi.sums`). This is the gradient of PPI's rectified loss,
and stays valid where predicted variables are among the covariates: h then holds their surrogates, g their gold values.

The covariance is H^-1 Var(a + lam b) H^-1. Where all covariates are known, H is the Hessian over all rows (over the
labelled ones at lam = 0), else the derivative of the moment equation, because the Hessian at the surrogates is not the
one at the gold values. lam minimises the trace of the covariance,

    lam = -tr(H^-1 Cov(a, b) H^-1) / tr(H^-1 Var(b) H^-1),

at the estimate for lam = 1, clipped to [0, 1]. With predicted covariates it is taken at the estimate for lam = 0, which
exists whenever the labelled rows suffice. Clusters enter through the covariance of a and b.
"""

from dataclasses import dataclass

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.centre import shared_columns
from dsl.covariance import sandwich
from dsl.engine import Problem, SplitFit, column_scale, fit_split, moment_sums
from dsl.exceptions import ArgumentError, EstimationError, LabelError, SingularJacobianError
from dsl.moments import Block, Link, Weights
from dsl.ppi.sums import Means, Samples, Scores, Spread, labeled_jacobians, mean_jacobians, mean_moments, scores_at
from dsl.solve import is_singular, newton

NEWTON = 1e-8
"""Largest mean moment, columns scaled, from which the step that comes with the scores finishes the work."""
NEGLIGIBLE = 1e-6
"""A step of Newton's method, in standard errors, that leaves an error of its square, and the scores as they are."""
MAX_STEPS = 8
WEAK = 1e-4
"""Singular value of a scaled Jacobian below which the engine looks for what is wrong."""
PLAIN = 1e-2
"""Value of lam below which the unlabelled rows' Jacobian is summed by itself, to lose no digits."""
SAME_WEIGHT = 1e-9
"""Relative difference of weights that rounding can make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoSampleFit(SplitFit):
    """Two-sample estimate; what `SplitFit` sums over rows is here N times the means over the two samples."""

    lam: float
    """How much the surrogates count for: 0 the labelled rows alone, 1 in full."""
    tuned: bool
    """Whether `lam` was chosen from the data."""


def two_sample(
    block: Block,
    names: tuple[str, ...],
    link: Link,
    *,
    lam: float | None,
    cluster: IntArray | None = None,
    n_clusters: int | None = None,
) -> TwoSampleFit:
    """Prediction-powered estimate from equally likely labels.

    Parameters
    ----------
    block : Block
        All N rows: surrogates in the outcome and the predicted columns, gold values on the labelled rows.
    names : tuple of str
        (k,) names of the block's columns. A column named Intercept takes up the means of columns far from zero.
    link : Link
    lam : float or None
        How much the surrogates count for; None chooses it from the data.
    cluster : (N,) array, optional
        Cluster codes 0, 1, ...; rows of a cluster may be labelled, unlabelled, or both.
    n_clusters : int, optional

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
    intercept = names.index("Intercept") if "Intercept" in names else None
    gram, centring = shared_columns(block.fixed, intercept)
    centred = block if centring is None else centring.apply(block)
    samples = Samples(
        block=centred,
        labeled=centred.labeled(),
        problem=Problem(link=link, names=names, cluster=cluster, n_clusters=n_clusters),
        gram=gram,
        ddof=0 if _is_mean(block) else 1,  # as ppi_mean and ppi_ols
    )
    basis = np.eye(len(names)) if centring is None else centring.back(len(names))
    fit = _fit(samples, lam, basis)
    return fit if centring is None else centring.undo(fit)  # type: ignore[return-value]  # replace() keeps the class


def _check(block: Block, lam: float | None) -> None:
    if lam is not None and not np.isfinite(lam):
        raise ArgumentError(f"lam must be a finite number, or None to choose it from the data; found {lam!r}")
    if block.absorbed is not None:
        raise ArgumentError(
            "prediction-powered inference does not absorb fixed effects; write them as dummies, 'y ~ x + factor(unit)' with "
            "model='lm', or use estimator='dsl'"
        )
    n, weight = len(block.gold_rows), block.weight
    for count, what, advice in (
        (n, "labelled", "label more rows"),
        (len(block.outcome) - n, "unlabelled", "with every row labelled use estimator='gold_only'"),
    ):
        if count < 2:
            raise LabelError(f"prediction-powered inference needs two {what} rows at least; found {count}: {advice}")
    if np.ptp(weight) > SAME_WEIGHT * weight.max():
        raise ArgumentError(
            f"prediction-powered inference takes all rows to be labelled with equal probability, but the weights of the {n} "
            f"labelled rows vary from {weight.min():.3g} to {weight.max():.3g}; use estimator='cdi' (the surrogate as it "
            "is, these probabilities) or estimator='dsl'"
        )


def _is_mean(block: Block) -> bool:
    """Whether there is but one constant column."""
    return block.shape[1] == 1 and block.fixed.shape[1] == 1 and bool(np.ptp(block.fixed) == 0.0)


def _fit(samples: Samples, lam: float | None, basis: FloatArray) -> TwoSampleFit:
    tuned, start = lam is None, np.zeros(samples.k)
    if samples.problem.link.slope is not None:
        start = _start(samples)
    if lam is None:
        start, lam = _tuned(samples, start, basis)
    root = _solve(samples, lam, start)
    scores, bread = root.scores, _bread(samples, root.jacobians, lam)
    n_rows, n = len(samples.block.outcome), samples.n
    label = scores.gold - lam * scores.hat
    left = label - label.mean(axis=0)
    meat = n_rows**2 * scores.spread.at(lam)
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


def _tuned(samples: Samples, start: FloatArray, basis: FloatArray) -> tuple[FloatArray, float]:
    """Where to start solving for the best lam, and that lam."""
    try:
        root = _solve(samples, 1.0 if samples.known else 0.0, start)
    except EstimationError:  # poor surrogates may leave no root at lam = 1 where others have one
        root = _solve(samples, 0.0, start)
    bread = _bread(samples, root.jacobians, 1.0) if samples.known else root.jacobians.gold
    lam = best_lam(root.scores.spread, bread, basis, samples)
    return root.scored_at + _step(samples, root.jacobians, root.scores.means, lam), lam


def best_lam(spread: Spread, bread: FloatArray, basis: FloatArray, samples: Samples) -> float:
    """Value in [0, 1] that minimises the trace of the covariance of the coefficients; 0 for useless surrogates.

    As in ppi-python, Cov(a, b) divides by n, and Var(b) takes h to vary alike in labelled and unlabelled rows.
    """
    shrink = 1.0 if samples.problem.cluster is not None else (samples.n - samples.ddof) / samples.n
    half = np.linalg.solve(bread.T, basis.T).T  # basis H^-1
    covariance = -shrink * float(np.trace(half @ spread.cross @ half.T))
    variance = float(np.trace(half @ spread.hat_pooled @ half.T))
    return min(max(covariance / variance, 0.0), 1.0) if variance > 0.0 else 0.0


def _bread(samples: Samples, jacobians: Means, lam: float) -> FloatArray:
    """H: the Hessian over all rows where all covariates are known, else the derivative of the moment equation."""
    if not samples.known:
        return jacobians.at(lam)
    if lam == 0.0:
        return jacobians.gold
    n, n_unlabeled = samples.n, samples.n_unlabeled
    return np.asarray((n * jacobians.hat + n_unlabeled * jacobians.unlabeled) / (n + n_unlabeled))


def _step(samples: Samples, jacobians: Means, means: Means, lam: float) -> FloatArray:
    """From parameters with these mean scores to the estimate: exactly in linear models, else Newton's step."""
    if not samples.closed_form:
        return np.asarray(np.linalg.solve(jacobians.at(lam), means.at(lam)))
    labeled = np.linalg.solve(jacobians.gold, np.column_stack([means.gold, means.hat]))
    if lam == 0.0:
        return np.asarray(labeled[:, 0])
    return np.asarray(labeled[:, 0] + lam * (np.linalg.solve(jacobians.unlabeled, means.unlabeled) - labeled[:, 1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Root:
    """An estimate, and the sums at the last parameters before it, from which it differs negligibly."""

    params: FloatArray  # (k,)
    scored_at: FloatArray  # (k,)
    scores: Scores
    jacobians: Means
    norm: float  # largest mean moment there, columns scaled to root mean square one
    iterations: int


def _solve(samples: Samples, lam: float, start: FloatArray) -> _Root:
    """Estimate at `lam`; the last step comes with the pass that sums the scores."""
    if samples.closed_form:
        jacobians, iterations = mean_jacobians(samples, start), 1
        _check_each(samples, jacobians, lam)
        params = start + _step(samples, jacobians, mean_moments(samples, start), lam)
    else:
        params, jacobian, iterations = _newton(samples, lam, start)
        jacobians = _split_jacobian(samples, params, jacobian, lam)
    for _ in range(MAX_STEPS):
        scores = scores_at(samples, params)
        step = _step(samples, jacobians, scores.means, lam)
        bread = _bread(samples, jacobians, lam)
        size = np.sqrt(np.maximum(np.diag(sandwich(bread, scores.spread.at(lam))), 0.0))
        if samples.closed_form or np.all(np.abs(step) <= NEGLIGIBLE * size):
            break
        params, iterations = params + step, iterations + 1
        jacobians = mean_jacobians(samples, params)
    norm = float(np.abs(column_scale(samples.block, samples.gram) * (bread @ step)).max())
    return _Root(
        params=params + step, scored_at=params, scores=scores, jacobians=jacobians, norm=norm, iterations=iterations
    )


def _split_jacobian(samples: Samples, params: FloatArray, jacobian: FloatArray, lam: float) -> Means:
    """Parts of the Jacobian at `params`: only those of the labelled rows need a look at rows again."""
    if lam < PLAIN:
        return mean_jacobians(samples, params)
    gold, hat = labeled_jacobians(samples, params)
    return Means(gold=gold, hat=hat, unlabeled=hat + (jacobian - gold) / lam)


def _check_each(samples: Samples, jacobians: Means, lam: float) -> None:
    """Raise SingularJacobianError unless both samples have a regression of their own."""
    parts = [("labelled", samples.n, jacobians.gold)]
    if lam != 0.0:
        parts.append(("unlabelled", samples.n_unlabeled, jacobians.unlabeled))
    for what, count, gram in parts:
        size = np.sqrt(np.diag(gram))
        names = [name for name, s in zip(samples.problem.names, size, strict=True) if s <= 0.0]
        if not names and not is_singular(gram / size[:, None] / size):
            continue
        zero = f": {', '.join(repr(name) for name in names)} zero in all of them" if names else ""
        raise SingularJacobianError(
            f"the {count} {what} rows alone do not determine {samples.k} coefficients{zero}; merge rare categories, take columns "
            f"out of the formula, or {'label more rows' if what == 'labelled' else 'leave more rows unlabelled'}"
        )


def _start(samples: Samples) -> FloatArray:
    """Where Newton's method begins: the labelled rows' estimate, or zero where they have none."""
    problem = Problem(link=samples.problem.link, names=samples.problem.names, weights=_gold_alone)
    try:
        return _newton_on(samples.labeled, problem, column_scale(samples.labeled), np.zeros(samples.k))[0]
    except EstimationError:
        return np.zeros(samples.k)


def _gold_alone(block: Block) -> Weights:
    return Weights(predicted=np.zeros(len(block.outcome)), gold=np.ones(len(block.weight)))


def _newton(samples: Samples, lam: float, start: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Root of mean_L g + lam (mean_U h - mean_L h), Jacobian there, number of steps."""
    n, n_unlabeled = samples.n, samples.n_unlabeled
    rows = n + n_unlabeled

    def weights(block: Block) -> Weights:
        predicted = np.full(len(block.outcome), lam * rows / n_unlabeled)
        predicted[block.gold_rows] = -lam * rows / n
        return Weights(predicted=predicted, gold=np.full(len(block.weight), rows / n))

    problem = Problem(link=samples.problem.link, names=samples.problem.names, weights=weights)
    return _newton_on(samples.block, problem, column_scale(samples.block, samples.gram), start)


def _newton_on(
    block: Block, problem: Problem, scale: FloatArray, start: FloatArray
) -> tuple[FloatArray, FloatArray, int]:
    """Root by Newton's method; what it cannot solve, the engine tries in more ways, and names what is wrong."""
    n = len(block.outcome)

    def evaluate(params: FloatArray) -> tuple[FloatArray, FloatArray]:
        moment, jacobian = moment_sums(block, problem, params * scale)
        return moment * scale / n, jacobian * scale[:, None] * scale / n

    root = newton(evaluate, start / scale, tolerance=NEWTON)
    if root.problem is None and np.linalg.svd(root.jacobian, compute_uv=False)[-1] > WEAK:
        return root.params * scale, root.jacobian / scale[:, None] / scale, root.iterations
    fit = fit_split(block, problem, start=start)
    return fit.params, fit.jacobian / n, root.iterations + fit.iterations
