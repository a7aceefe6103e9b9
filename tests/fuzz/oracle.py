"""Estimates by the formulas of the papers, with dense matrices, one row version after the other, and scipy's solvers.

Nothing of the package is used. Slow and plain on purpose: what the package sums in pieces, absorbs, centres and caches is written
out here once. Sources: Egami et al. (2024), eq. 8 (dsl); Robins, Rotnitzky and Zhao (1994) (score imputation, Lambda);
Angelopoulos, Duchi and Zrnic (2023) (ppi, ppi++); Gligoric et al. (2025) (cdi); Hajek (1964) (finite populations).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
FAR = 1.0
"""Distance of tuned slopes from their pilot, in standard errors, from which the labelled rows alone are the pilot."""


class NoAnswerError(Exception):
    """The equations have no root, or none that rounding leaves alone."""


@dataclass(frozen=True)
class Version:
    """Every row at one set of values of the predicted variables."""

    x: Array
    y: Array
    share: Array


@dataclass(frozen=True)
class Problem:
    """Rows of an analysis. (N, k) covariates of the labelled rows' gold version are zero elsewhere."""

    logit: bool
    versions: list[Version]
    gold_x: Array
    gold_y: Array
    weight: Array
    """(N,) R / pi."""
    prob: Array
    """(N,) pi as stated."""
    cluster: Array | None
    dummies: Array | None
    """(N, L) of the absorbed factor."""
    finite: bool

    @property
    def labeled(self) -> NDArray[np.bool_]:
        return self.weight > 0.0


@dataclass(frozen=True)
class Answer:
    params: Array
    vcov: Array
    condition: float
    lam: Array | None = None


def mean_of(problem: Problem, eta: Array) -> Array:
    return expit(eta) if problem.logit else eta


def slope_of(problem: Problem, eta: Array) -> Array:
    return expit(eta) * (1.0 - expit(eta)) if problem.logit else np.ones(len(eta))


def hats(problem: Problem, theta: Array) -> tuple[Array, Array]:
    """m_hat (N, k) and the derivative's per-row matrices (N, k, k)."""
    score = sum(v.share[:, None] * v.x * (v.y - mean_of(problem, v.x @ theta))[:, None] for v in problem.versions)
    slope = sum(
        (v.share * slope_of(problem, v.x @ theta))[:, None, None] * v.x[:, :, None] * v.x[:, None, :]
        for v in problem.versions
    )
    return np.asarray(score), np.asarray(slope)


def golds(problem: Problem, theta: Array) -> tuple[Array, Array]:
    x, y = problem.gold_x, problem.gold_y
    score = x * (y - mean_of(problem, x @ theta))[:, None]
    return score, slope_of(problem, x @ theta)[:, None, None] * x[:, :, None] * x[:, None, :]


def parts(problem: Problem, theta: Array, lam: Array) -> tuple[Array, Array]:
    """psi_i = w m + Lambda (1 - w) m_hat (N, k), and the summed Jacobian."""
    w = problem.weight
    hat, hat_slope = hats(problem, theta)
    own, own_slope = golds(problem, theta)
    psi = w[:, None] * own + ((1.0 - w)[:, None] * hat) @ lam.T
    jacobian = np.tensordot(w, own_slope, 1) + lam @ np.tensordot(1.0 - w, hat_slope, 1)
    return psi, jacobian


def solve(problem: Problem, lam: Array) -> tuple[Array, Array]:
    """Root of the summed psi, and the Jacobian there."""
    k = problem.gold_x.shape[1]
    zero = np.zeros(k)
    if not problem.logit:
        psi, jacobian = parts(problem, zero, lam)
        bread = inverse(jacobian)
        theta = bread @ psi.sum(axis=0)
        for _ in range(2):
            theta = theta + bread @ parts(problem, theta, lam)[0].sum(axis=0)
        return theta, jacobian
    n, size = len(problem.weight), 1.0 / np.sqrt(np.mean([(v.x**2).mean(axis=0) for v in problem.versions], axis=0))

    def equation(scaled: Array) -> tuple[Array, Array]:
        psi, jacobian = parts(problem, scaled * size, lam)
        return psi.sum(axis=0) * size / n, -jacobian * size[:, None] * size / n

    theta = size * _root(equation, k)
    return theta, parts(problem, theta, lam)[1]


def _root(equation: Callable[[Array], tuple[Array, Array]], k: int) -> Array:
    """Root of an equation (value, derivative) in scaled parameters, from several starts."""
    for start in (np.zeros(k), 0.3 * np.ones(k), -0.3 * np.ones(k)):
        theta = np.asarray(scipy.optimize.root(equation, start, jac=True, method="hybr", tol=1e-12).x)
        for _ in range(3):
            moment, slope = equation(theta)
            theta = theta - np.linalg.solve(slope, moment)
        if np.abs(equation(theta)[0]).max() < 1e-10 and np.abs(theta).max() < 1e4:
            return theta
    raise NoAnswerError("no root")


def unit_sums(scores: Array, cluster: Array | None) -> Array:
    if cluster is None:
        return scores
    return np.array([scores[cluster == code].sum(axis=0) for code in np.unique(cluster)])


def second_moment(scores: Array, cluster: Array | None) -> Array:
    units = unit_sums(scores, cluster)
    return units.T @ units


def finite_meat(c: Array, prob: Array) -> Array:
    """Variance of the sum of the labelled rows' c over repeated labelling: a fixed number if all probabilities are equal."""
    n = len(c)
    c = c - c.mean(axis=0)
    factor = n / (n - 1.0) if np.ptp(prob) == 0.0 else 1.0
    scaled = c * np.sqrt((1.0 - prob) * factor)[:, None]
    return scaled.T @ scaled


def sandwich(jacobian: Array, meat: Array) -> Array:
    bread = inverse(jacobian)
    return bread @ meat @ bread.T


def inverse(jacobian: Array) -> Array:
    """Of columns of one size: pivots chosen among columns of very different units would lose digits."""
    size = 1.0 / np.sqrt(np.abs(np.diag(jacobian)))
    return size[:, None] * np.linalg.inv(jacobian * size[:, None] * size) * size


def condition(jacobian: Array) -> float:
    size = np.sqrt(np.abs(np.diag(jacobian)))
    return float(np.linalg.cond(jacobian / size[:, None] / size))


def fixed_lambda(problem: Problem, lam: float) -> Answer:
    """dsl (lam = 1), gold-only (lam = 0), or any number."""
    k = problem.gold_x.shape[1]
    matrix = lam * np.eye(k)
    theta, jacobian = solve(problem, matrix)
    psi, _ = parts(problem, theta, matrix)
    meat = second_moment(psi, problem.cluster)
    if problem.finite:
        meat = finite_meat(label_parts(problem, theta, matrix), problem.prob[problem.labeled])
    return Answer(theta, sandwich(jacobian, meat), condition(jacobian))


def label_parts(problem: Problem, theta: Array, lam: Array) -> Array:
    """w (m - Lambda m_hat) of the labelled rows."""
    rows, w = problem.labeled, problem.weight[:, None]
    return (w * golds(problem, theta)[0] - w * hats(problem, theta)[0] @ lam.T)[rows]


def naive(problem: Problem) -> Answer:
    """All rows at the surrogates."""
    nobody = replace(problem, weight=np.zeros(len(problem.weight)), gold_x=np.zeros_like(problem.gold_x))
    theta, jacobian = solve(nobody, np.eye(problem.gold_x.shape[1]))
    return Answer(
        theta, sandwich(jacobian, second_moment(hats(nobody, theta)[0], problem.cluster)), condition(jacobian)
    )


def best(tune: str, second: Array, bread: Array, centre: Array) -> Array:
    """Lambda - I from the second moments of (s, h), s the scores at Lambda = I and h = (1 - w) m_hat.

    "scalar" adds up the variances of the coefficients of columns less their means (`centre` times the coefficients).
    """
    k = len(bread)
    ss, sh, hh = second[:k, :k], second[:k, k:], second[k:, k:]
    if tune == "matrix":
        return -np.linalg.solve(hh, sh.T).T
    turn = centre @ bread if tune == "scalar" else bread
    a, ab, b = (np.diag(turn @ part @ turn.T) for part in (ss, sh, hh))
    if tune == "scalar":
        return -float((ab / a).sum() / (b / a).sum()) * np.eye(k)
    return np.linalg.inv(bread) @ np.diag(-ab / b) @ bread


def tuned(problem: Problem, tune: str) -> Answer:
    """One step from a pilot, at the Lambda that makes the variance smallest there."""
    k = problem.gold_x.shape[1]
    found = None
    try:
        found, far = _from_pilot(problem, tune, *solve(problem, np.eye(k)))
        if far <= FAR:
            return found
    except (NoAnswerError, np.linalg.LinAlgError):
        pass
    try:
        return _from_pilot(problem, tune, *solve(problem, np.zeros((k, k))))[0]
    except NoAnswerError:
        if found is None:
            raise
        return found


def _from_pilot(problem: Problem, tune: str, theta: Array, jacobian: Array) -> tuple[Answer, float]:
    """The estimate one step from a pilot, and how far the step goes."""
    k = len(theta)
    s = parts(problem, theta, np.eye(k))[0]
    h = (1.0 - problem.weight)[:, None] * hats(problem, theta)[0]
    second = second_moment(np.hstack([s, h]), problem.cluster)
    if problem.finite:
        own, gold = label_parts(problem, theta, np.eye(k)), label_parts(problem, theta, np.zeros((k, k)))
        second = finite_meat(np.hstack([own, own - gold]), problem.prob[problem.labeled])
    # the first column is the intercept's: at the columns' means it is the sum of means times coefficients
    centre = np.eye(k)
    centre[0] = np.asarray(sum(v.share[:, None] * v.x for v in problem.versions)).mean(axis=0)
    return _stepped(tune, second, np.hstack([s, h]).sum(axis=0), theta, jacobian, centre, slopes=slice(1, None))


def _stepped(
    tune: str, second: Array, total: Array, theta: Array, jacobian: Array, centre: Array, slopes: slice
) -> tuple[Answer, float]:
    k = len(theta)
    bread = inverse(jacobian)
    change = best(tune, second, bread, centre)
    both = np.hstack([np.eye(k), change])
    step = bread @ (both @ total)
    vcov = sandwich(jacobian, both @ second @ both.T)
    size = np.sqrt(np.diag(vcov))[slopes]
    scaled = step[slopes] / size
    square = float(scaled @ np.linalg.solve(vcov[slopes, slopes] / size[:, None] / size, scaled))
    lam = np.diag(bread @ (np.eye(k) + change) @ jacobian)
    return Answer(theta + step, vcov, condition(jacobian), lam), float(np.sqrt(max(square, 0.0) / len(scaled)))


def two_sample(problem: Problem, lam: float | None) -> Answer:
    """mean_L g + lam (mean_U h - mean_L h) = 0. None chooses lam in [0, 1]."""
    known = all(np.array_equal(v.x[problem.labeled], problem.gold_x[problem.labeled]) for v in problem.versions)
    if lam is None:
        pilot = 1.0 if known else 0.0
        theta = _two_sample_root(problem, pilot)
        _, cross, _, pooled, bread = _two_sample_parts(problem, theta, pilot, known)
        half = inverse(bread)
        n = problem.labeled.sum()
        ddof = 0 if problem.gold_x.shape[1] == 1 else 1
        shrink = 1.0 if problem.cluster is not None else (n - ddof) / n
        ab, b = (float(np.trace(half @ part @ half.T)) for part in (shrink * cross, pooled))
        lam = float(np.clip(-ab / b, 0.0, 1.0))
    theta = _two_sample_root(problem, lam)
    own, cross, hat, _, bread = _two_sample_parts(problem, theta, lam, known)
    vcov = sandwich(bread, own + lam * (cross + cross.T) + lam**2 * hat)
    if problem.finite:
        share = problem.labeled.mean()
        matrix = lam / (1.0 - share) * np.eye(len(theta))
        meat = finite_meat(label_parts(problem, theta, matrix), problem.prob[problem.labeled])
        vcov = sandwich(len(problem.weight) * bread, meat)
    return Answer(theta, vcov, condition(bread), np.full(len(theta), lam))


def _two_sample_moment(problem: Problem, theta: Array, lam: float) -> tuple[Array, Array, tuple[Array, Array, Array]]:
    labeled = problem.labeled
    g, g_slope = golds(problem, theta)
    h, h_slope = hats(problem, theta)
    moment = g[labeled].mean(axis=0) + lam * (h[~labeled].mean(axis=0) - h[labeled].mean(axis=0))
    slopes = (g_slope[labeled].mean(axis=0), h_slope[labeled].mean(axis=0), h_slope[~labeled].mean(axis=0))
    return moment, slopes[0] + lam * (slopes[2] - slopes[1]), slopes


def _two_sample_root(problem: Problem, lam: float) -> Array:
    k, labeled = problem.gold_x.shape[1], problem.labeled
    hat = problem.versions[0]
    if not problem.logit and np.array_equal(hat.x[labeled], problem.gold_x[labeled]):
        # three least squares, which is not the root of the pooled equation but has the same limit

        def ols(x: Array, y: Array) -> Array:
            return np.linalg.lstsq(x, y, rcond=None)[0]

        own, other = ols(hat.x[labeled], problem.gold_y[labeled]), ols(hat.x[labeled], hat.y[labeled])
        return own + lam * (ols(hat.x[~labeled], hat.y[~labeled]) - other)

    size = 1.0 / np.sqrt((hat.x**2).mean(axis=0))

    def equation(scaled: Array) -> tuple[Array, Array]:
        moment, jacobian, _ = _two_sample_moment(problem, scaled * size, lam)
        return moment * size, -jacobian * size[:, None] * size

    return size * _root(equation, k)


def _two_sample_parts(
    problem: Problem, theta: Array, lam: float, known: bool
) -> tuple[Array, Array, Array, Array, Array]:
    """Var a, Cov(a, b), Var b, Var b with one covariance for all rows, and H."""
    labeled, cluster = problem.labeled, problem.cluster
    n, other = int(labeled.sum()), int((~labeled).sum())
    ddof = 0 if problem.gold_x.shape[1] == 1 else 1
    g, h = golds(problem, theta)[0][labeled], hats(problem, theta)[0]
    _, derivative, (own_slope, hat_slope, rest_slope) = _two_sample_moment(problem, theta, lam)
    if known:
        derivative = own_slope if lam == 0.0 else (n * hat_slope + other * rest_slope) / (n + other)
    if cluster is None:
        a = (g - g.mean(axis=0)) / np.sqrt(n * (n - ddof))
        b = (h[labeled] - h[labeled].mean(axis=0)) / np.sqrt(n * (n - ddof))
        rest = (h[~labeled] - h[~labeled].mean(axis=0)) / np.sqrt(other * (other - ddof))
        pooled = np.atleast_2d(np.cov(h.T, ddof=1)) * (1.0 / n + 1.0 / other)
        return a.T @ a, -a.T @ b, b.T @ b + rest.T @ rest, pooled, derivative
    every = np.zeros((len(labeled), 2 * g.shape[1]))
    k = g.shape[1]
    every[labeled, :k] = (g - g.mean(axis=0)) / np.sqrt(n * (n - ddof))
    every[labeled, k:] = -(h[labeled] - h[labeled].mean(axis=0)) / np.sqrt(n * (n - ddof))
    every[~labeled, k:] = (h[~labeled] - h[~labeled].mean(axis=0)) / np.sqrt(other * (other - ddof))
    second = second_moment(every, cluster)
    return second[:k, :k], second[:k, k:], second[k:, k:], second[k:, k:], derivative


def absorbed(problem: Problem, tune: str | None) -> Answer:
    """Least squares within a factor (Frisch, Waugh and Lovell on pseudo-values), with a chosen Lambda or none."""
    dummies, w = problem.dummies, problem.weight[:, None]
    assert dummies is not None

    def project(values: Array) -> Array:
        return dummies @ np.linalg.lstsq(dummies, values, rcond=None)[0]

    mean_x = np.asarray(sum(v.share[:, None] * v.x for v in problem.versions))
    mean_y = np.asarray(sum(v.share * v.y for v in problem.versions))
    x = mean_x + w * (problem.gold_x - mean_x)
    y = mean_y + problem.weight * (problem.gold_y - mean_y)
    px, py = project(x), project(y)
    k = x.shape[1]
    within = replace(
        problem, versions=[Version(v.x - project(mean_x), v.y - project(mean_y), v.share) for v in problem.versions]
    )

    def scores(theta: Array) -> tuple[Array, Array]:
        """(N, k) scores at Lambda = I, and (1 - w) m_hat of the predictions within the effects."""
        effect = py - px @ theta
        shifted = replace(
            problem,
            versions=[replace(v, y=v.y - effect) for v in problem.versions],
            gold_y=problem.gold_y - effect,
        )
        s = parts(shifted, theta, np.eye(k))[0] - px * (y - x @ theta - effect)[:, None]
        return s, (1.0 - w) * hats(within, theta)[0]

    own, hat = scores(np.zeros(k))
    jacobian = parts(problem, np.zeros(k), np.eye(k))[1] - x.T @ px
    theta = np.linalg.solve(jacobian, own.sum(axis=0))
    if tune is None:
        s, _ = scores(theta)
        return Answer(theta, sandwich(jacobian, second_moment(s, problem.cluster)), condition(jacobian))

    def stepped(theta: Array, jacobian: Array) -> tuple[Answer, float]:
        both = np.hstack(scores(theta))
        second = second_moment(both, problem.cluster)
        return _stepped(tune, second, both.sum(axis=0), theta, jacobian, np.eye(k), slopes=slice(None))

    answer, far = stepped(theta, jacobian)
    if far <= FAR:
        return answer
    # the pilot says nothing: the moment at Lambda = 0 gives another
    _, hat_slope = hats(within, np.zeros(k))
    alone = jacobian - np.tensordot(1.0 - problem.weight, hat_slope, 1)
    return stepped(np.linalg.solve(alone, (own - hat).sum(axis=0)), alone)[0]


def with_dummies(problem: Problem) -> Problem:
    """The absorbed factor's dummies as columns behind the others."""
    extra = problem.dummies
    assert extra is not None
    gold = np.where(problem.labeled[:, None], extra, 0.0)
    return replace(
        problem,
        versions=[replace(v, x=np.hstack([v.x, extra])) for v in problem.versions],
        gold_x=np.hstack([problem.gold_x, gold]),
        dummies=None,
    )


def out_of_fold(features: Array, gold: Array, labeled: NDArray[np.bool_], folds: Array, *, clip: bool) -> Array:
    """Least squares of each gold column (n, q) on the features, trained on the labelled rows of other folds. (N, q)."""
    out = np.empty((len(features), gold.shape[1]))
    # of one size and around zero, so that least squares keeps its digits
    x = np.column_stack([np.ones(len(features)), (features - features.mean(axis=0)) / features.std(axis=0)])
    for fold in np.unique(folds):
        train = labeled & (folds != fold)
        coefficients = np.linalg.lstsq(x[train], gold[(folds != fold)[labeled]], rcond=None)[0]
        out[folds == fold] = x[folds == fold] @ coefficients
    return np.clip(out, 0.0, 1.0) if clip else out


def joint_shares(
    evidence: Array, gold: Array, labeled: NDArray[np.bool_], folds: Array
) -> tuple[list[tuple[float, ...]], Array]:
    """Values of 0/1 variables (n, q) together, and out-of-fold probabilities (N, C)."""
    cells = [cell for cell in product((0.0, 1.0), repeat=gold.shape[1]) if (gold == cell).all(axis=1).any()]
    member = np.column_stack([(gold == cell).all(axis=1) for cell in cells]).astype(float)
    if len(cells) == 2:
        second = out_of_fold(evidence, member[:, 1:], labeled, folds, clip=True)
        return cells, np.hstack([1.0 - second, second])
    raw = out_of_fold(evidence, member, labeled, folds, clip=True)
    total = raw.sum(axis=1, keepdims=True)
    return cells, np.where(total > 0.0, raw / np.where(total > 0.0, total, 1.0), 1.0 / len(cells))


def combine(answers: list[Answer], factor: float) -> tuple[Array, Array]:
    """Medians over splits, and standard errors with the spread between them."""
    params = np.array([answer.params for answer in answers])
    centre = np.median(params, axis=0)
    variance = np.array([factor * np.diag(answer.vcov) for answer in answers]) + (params - centre) ** 2
    return centre, np.sqrt(np.median(variance, axis=0))
