"""Effects of variables on fitted means, with what the delta method needs. Derivatives of means are taken numerically.

A prediction is a function of linear predictors eta = x'theta, one or several. Its derivatives are taken from the function
alone, so that every model that can predict has marginal effects.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.covariance import unit_sums

Mean = Callable[[FloatArray], FloatArray]
"""Fitted means (n, m) of linear predictors (n, e)."""
STEP = 0.01
"""Distance of the points between which a mean is differenced, in units of the linear predictor."""
STENCIL = {1: 3.0 / 4.0, 2: -3.0 / 20.0, 3: 1.0 / 60.0}
"""Weights of f(t h) - f(-t h) in h f'(0), exact for polynomials of degree six (Fornberg 1988, table 1)."""
LEVELS, CLOSE = 14, 1e-11
"""Halvings of the step in `derivative`, and the relative error at which it is content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEffects:
    """Effects on each row, and their derivatives in the linear predictors."""

    effect: FloatArray = field(repr=False)
    """(n, m) of each of m outcomes."""
    parts: tuple[FloatArray, ...] = field(repr=False)
    """(n, m, e) each: sum over parts j of parts[j][:, l] times the columns of design matrix j is the gradient of effect l."""


def along(function: Mean, eta: FloatArray, direction: FloatArray) -> FloatArray:
    r"""Derivative of function(eta + t direction) in t at zero.

    Central differences with an error of order `STEP`^6: 1e-12 or less for the smooth means of regression models.

    Parameters
    ----------
    function : callable
        From (n, e) to (n, ...).
    eta, direction : (n, e) arrays

    Returns
    -------
    (n, ...) array

    References
    ----------
    Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", Mathematics of Computation 51 (1988).

    Examples
    --------
    >>> along(np.exp, np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])).ravel().round(10)
    array([1.        , 5.43656366])
    """
    size = np.abs(direction).max(axis=1, keepdims=True)
    # steps of one length, whatever the direction's: rows that do not move have none
    unit = STEP * direction / np.where(size > 0.0, size, 1.0)
    total = sum(c * (function(eta + t * unit) - function(eta - t * unit)) for t, c in STENCIL.items())
    return np.asarray(total * (size / STEP).reshape(-1, *[1] * (np.ndim(total) - 1)))


def slopes(mean: Mean | None, eta: FloatArray) -> FloatArray:
    """Derivatives of m means in e linear predictors, (n, m, e). Without `mean` the predictors are the means.

    Examples
    --------
    >>> slopes(None, np.zeros((1, 2))).tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    n, e = eta.shape
    if mean is None:
        return np.broadcast_to(np.eye(e), (n, e, e))
    return np.stack([along(mean, eta, np.broadcast_to(np.eye(e)[j], eta.shape)) for j in range(e)], axis=-1)


def slope_effects(mean: Mean | None, eta: FloatArray, rise: FloatArray, *, log: bool = False) -> RowEffects:
    r"""Derivatives of fitted means in a variable.

    With f the mean, the effect of a variable v is :math:`\sum_e f_e \, \partial \eta_e / \partial v`. Its gradient in theta has
    two parts: the second derivatives of f times the design matrix, and the first ones times the matrix' derivative in v.

    Parameters
    ----------
    mean : callable, optional
        None for the identity.
    eta : (n, e) array
    rise : (n, e) array
        Derivatives of the linear predictors in the variable.
    log : bool
        Of the logarithms of the means, NaN where these are not above zero.

    Returns
    -------
    RowEffects
        Parts for the design matrix and for its derivative.

    Examples
    --------
    >>> slope_effects(np.exp, np.zeros((1, 1)), np.array([[2.0]])).effect.round(10)
    array([[2.]])
    """
    first = slopes(mean, eta)
    effect = np.einsum("nme,ne->nm", first, rise)
    bend = np.zeros_like(first) if mean is None else along(lambda at: slopes(mean, at), eta, rise)
    if not log:
        return RowEffects(effect=effect, parts=(bend, first))
    value = _positive(eta if mean is None else mean(eta))[:, :, None]
    ratio = effect / value[:, :, 0]
    # (f' r / f)' = f'' r / f - f' (f' r) / f^2
    return RowEffects(effect=ratio, parts=((bend - first * ratio[:, :, None]) / value, first / value))


def change_effects(mean: Mean | None, above: FloatArray, below: FloatArray, *, log: bool = False) -> RowEffects:
    """Differences of fitted means between linear predictors `above` and `below`, (n, e) each.

    Returns
    -------
    RowEffects
        Parts for the design matrices of `above` and of `below`.

    Examples
    --------
    >>> change_effects(np.exp, np.ones((1, 1)), np.zeros((1, 1)), log=True).effect.round(10)
    array([[1.]])
    """
    values, parts = [], []
    for eta, sign in ((above, 1.0), (below, -1.0)):
        value, first = eta if mean is None else mean(eta), slopes(mean, eta)
        if log:
            value = _positive(value)
            first = first / value[:, :, None]
        values.append(np.log(value) if log else value)
        parts.append(sign * first)
    return RowEffects(effect=values[0] - values[1], parts=tuple(parts))


def _positive(value: FloatArray) -> FloatArray:
    """The values that have logarithms, NaN for the others."""
    return np.where(value > 0.0, value, np.nan)


def derivative(function: Callable[[FloatArray], FloatArray], step: FloatArray) -> FloatArray:
    """Derivatives at zero of functions of one number for each row, by Ridders' extrapolation.

    Central differences at halved steps are extrapolated to a step of zero. For each entry the value with the smallest
    estimated error counts, so that a first step beyond where a function exists (a logarithm) or is smooth does no harm.

    Parameters
    ----------
    function : callable
        From shifts (n,) to values (n, p), not finite where there are none.
    step : (n,) array
        First steps, not zero.

    Returns
    -------
    (n, p) array
        NaN where no two steps gave a finite value.

    References
    ----------
    Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering Software 4 (1982).

    Examples
    --------
    >>> x = np.array([0.01, 4.0])
    >>> derivative(lambda shift: np.log(np.maximum(x + shift, 0.0))[:, None], np.ones(2)).ravel().round(9)
    array([100.  ,   0.25])
    """
    best, error, before = np.empty(0), np.empty(0), list[FloatArray]()
    with np.errstate(all="ignore"):
        for level in range(LEVELS):
            h = step / 2.0**level
            row = [np.asarray((function(h) - function(-h)) / (2.0 * h[:, None]))]
            if not level:
                best, error = np.full(row[0].shape, np.nan), np.full(row[0].shape, np.inf)
            for j, coarse in enumerate(before, start=1):
                row.append(row[-1] + (row[-1] - coarse) / (4.0**j - 1.0))
                apart = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - coarse))
                better = apart < error
                best, error = np.where(better, row[-1], best), np.where(better, apart, error)
            before = row
            if (error <= CLOSE * np.abs(best)).all() or (level > 1 and (error == 0.0).all()):
                break
    return best


def drawn_average(
    weight: FloatArray, prob: FloatArray, values: FloatArray, unit: IntArray | None = None
) -> tuple[FloatArray, FloatArray]:
    r"""Averages over all rows that are taken from the labelled ones, and what each of these adds to their errors.

    The average :math:`\bar h = \sum w h / \sum w`, weighted by 1 / pi, estimates that of all rows (Hajek). Given the rows, what
    is random in it is who was drawn: a row adds :math:`\sqrt{1 - \pi_i}\, w_i (h_i - \bar h) / \sum w`, and the squares of the
    units' sums add up to the variance (Sarndal, Swensson and Wretman 1992, section 5.7).

    Parameters
    ----------
    weight : (n,) array
        Of the labelled rows.
    prob : (n,) array
        Their probabilities of being drawn.
    values : (n, q) array
    unit : (n,) int array, optional
        Clusters of rows.

    Returns
    -------
    (q,) array
        The averages.
    (units, q) array
        The units' parts in their errors.

    Examples
    --------
    >>> mean, parts = drawn_average(np.full(2, 4.0), np.full(2, 0.25), np.array([[1.0], [3.0]]))
    >>> mean.tolist(), (parts**2).sum().round(6).item()
    ([2.0], 0.375)
    """
    share = weight / weight.sum()
    mean = share @ values
    return mean, unit_sums((_left_out(prob) * share)[:, None] * (values - mean), unit)


def delta_covariance(
    gradient: FloatArray,
    vcov: FloatArray,
    parts: FloatArray | None = None,
    prob: FloatArray | None = None,
    contributions: FloatArray | None = None,
    unit: IntArray | None = None,
) -> FloatArray:
    """Covariance of functions of the estimates by the delta method, and of averages in them.

    With s the units' parts in the averages' errors and c those in the estimates', both over who was drawn, it is
    G V G' + s's + G c's + s'c G'. A product of two units' parts stands for its expectation: what one row adds to both.

    Parameters
    ----------
    gradient : (q, k) array
        Derivatives G of the functions in the estimates.
    vcov : (k, k) array
        Covariance V of the estimates.
    parts : (units, q) array, optional
        As `drawn_average` has them.
    prob : (n,) array, optional
        Probabilities of the labelled rows of being drawn.
    contributions : (n, k) array, optional
        What they add to the estimates' errors.
    unit : (n,) int array, optional
        Clusters of rows.

    Returns
    -------
    (q, q) array

    Examples
    --------
    >>> delta_covariance(np.array([[2.0]]), np.array([[0.25]])).tolist()
    [[1.0]]
    """
    out = gradient @ vcov @ gradient.T
    if parts is None:
        return np.asarray(out)
    out = out + parts.T @ parts
    if prob is None or contributions is None:
        return np.asarray(out)
    both = gradient @ unit_sums(_left_out(prob)[:, None] * contributions, unit).T @ parts
    return np.asarray(out + both + both.T)


def _left_out(prob: FloatArray) -> FloatArray:
    """Root of the probability of not being drawn."""
    return np.asarray(np.sqrt(np.maximum(1.0 - prob, 0.0)))
