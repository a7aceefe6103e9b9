"""Bases of functions with a state: ``poly``, ``bs``, ``ns``, ``scale``, as in R's stats and splines packages.

Each takes its state (a dict) first: empty when fitted, and from then on what makes the same functions of new
values (R's ``predvars``).
"""

from collections.abc import Callable

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg import qr

from dsl._typing import FloatArray, Record
from dsl.data.formula.rlang.contrasts import orthogonal_polynomials, polynomials_at
from dsl.data.formula.rlang.values import Matrix, Value, Vector, numbers, one, whole
from dsl.exceptions import FormulaError

MOST_DEGREE = 100
"""Degree of splines, whose time goes with its square."""
MOST_COLUMNS, MOST_CELLS = 5_000, 2**31
MOST_WITHOUT_COUNTING = 20
"""Columns of one variable that need no look at its values."""
State = Record
"""What a function remembers of the rows on which the formula was fitted: means, knots, levels."""


def _numbered(values: FloatArray) -> Matrix:
    return Matrix(values=values, suffixes=tuple(str(j + 1) for j in range(values.shape[1])))


def poly(state: State, x: Value, degree: Value = None, raw: Value = None, simple: Value = None) -> Matrix:
    """Orthogonal polynomials, R's ``poly(x, degree)``, or powers with ``raw = TRUE``."""
    del simple
    values = numbers(x, "poly()")
    count = 1 if degree is None else whole(degree, "the degree of poly()")
    if count < 1:
        raise FormulaError("the degree of poly() must be at least 1")
    if raw is not None and one(raw, "raw in poly()"):
        if not state:
            check_columns(count, values, "poly()")
            state["degree"] = count
        return _numbered(values[:, None] ** np.arange(1, count + 1))
    if not state:
        check_columns(count, values, "poly()")
        # what R keeps as the attribute "coefs": enough to make the same polynomials of other values
        _, state["alpha"], state["norm2"] = orthogonal_polynomials(values, count)
    return _numbered(polynomials_at(values, state["alpha"], state["norm2"]))


def scale(state: State, x: Value, center: Value = None, scale: Value = None, ddof: int = 1) -> Vector | Matrix:
    """Columns centred and divided by their standard deviations, R's ``scale``."""
    values = x.values if isinstance(x, Matrix) else numbers(x, "scale()")[:, None]
    if not state:
        state["center"] = _chosen(center, lambda: values.mean(axis=0), 0.0)
        centred = values - state["center"]
        state["scale"] = _chosen(scale, lambda: np.sqrt((centred**2).sum(axis=0) / (len(values) - ddof)), 1.0)
    out: FloatArray = (values - state["center"]) / state["scale"]
    return Matrix(values=out, suffixes=x.suffixes) if isinstance(x, Matrix) else out[:, 0]


def _chosen(value: Value, computed: Callable[[], FloatArray], neutral: float) -> FloatArray | float:
    """An argument that is TRUE (compute it), FALSE (do nothing) or the numbers themselves."""
    if value is None or (isinstance(value, np.ndarray) and value.dtype.kind == "b" and value.all()):
        return computed()
    if isinstance(value, np.ndarray) and value.dtype.kind == "b":
        return neutral
    return numbers(value, "center and scale in scale()")


def center(state: State, x: Value) -> Vector | Matrix:
    """Columns minus their means."""
    return scale(state, x, scale=np.array([False]))


def standardize(
    state: State, x: Value, center: Value = None, rescale: Value = None, ddof: Value = None
) -> Vector | Matrix:
    """Columns centred and divided by their standard deviations with divisor n (patsy's)."""
    return scale(state, x, center, rescale, ddof=0 if ddof is None else whole(ddof, "ddof in standardize()"))


def check_columns(count: int, values: FloatArray, what: str) -> None:
    """Raise FormulaError for more columns than a variable has different values, before they are made."""
    # most variables have enough values, and need not be counted
    if count <= MOST_WITHOUT_COUNTING:
        return
    different = len(np.unique(values))
    if count > min(different, most_columns(len(values))):
        raise FormulaError(
            f"{what} is asked for {count:,} columns of a variable with {different:,} different values; ask for fewer"
        )


def most_columns(rows: int) -> int:
    """The most columns that a design matrix may have: what a computer's memory holds of them, and of their covariances."""
    return min(MOST_COLUMNS, MOST_CELLS // max(rows, 1))


def _knots(state: State, x: FloatArray, df: Value, given: Value, boundary: Value, spare: int, what: str) -> None:
    """Put boundary and inner knots into an empty state. `spare` parameters are not for inner knots."""
    if state:
        return
    limits = (
        np.array([x.min(), x.max()]) if boundary is None else np.sort(numbers(boundary, f"boundary knots of {what}"))
    )
    if given is not None:
        inner = np.sort(numbers(given, f"knots of {what}"))
    else:
        count = 0 if df is None else whole(df, f"df of {what}") - spare
        if count < 0:
            raise FormulaError(f"df of {what} is too small; it must be at least {spare}")
        check_columns(count + spare, x, what)
        # inner knots at equally spaced quantiles of what lies between the boundary knots, as in R
        within = x[(x >= limits[0]) & (x <= limits[1])]
        inner = np.quantile(within, np.linspace(0.0, 1.0, count + 2)[1:-1])
    if limits[0] >= limits[1]:
        raise FormulaError(f"{what} needs a variable with different values")
    state["inner"], state["limits"] = inner, limits


def _splines(x: FloatArray, state: State, degree: int, derivative: int = 0) -> FloatArray:
    """B-splines (or a derivative of them) at `x`, continued beyond the boundary knots as polynomials."""
    low, high = state["limits"]
    # boundary knots degree + 1 times: len(knots) - degree - 1 splines, which add up to one between them
    knots = np.concatenate([np.repeat(low, degree + 1), state["inner"], np.repeat(high, degree + 1)])
    splines = BSpline(knots, np.eye(len(knots) - degree - 1), degree, extrapolate=True)
    out: FloatArray = splines(x) if derivative == 0 else splines.derivative(derivative)(x)
    return out


def bs(
    state: State,
    x: Value,
    df: Value = None,
    knots: Value = None,
    degree: Value = None,
    intercept: Value = None,
    Boundary_knots: Value = None,
    include_intercept: Value = None,
    lower_bound: Value = None,
    upper_bound: Value = None,
) -> Matrix:
    """B-splines, R's ``bs``. `include_intercept` and bounds are formulaic's names of the same arguments."""
    values = numbers(x, "bs()")
    order = 3 if degree is None else whole(degree, "degree of bs()")
    if order > MOST_DEGREE:
        raise FormulaError(f"degree of bs() is {order:,}, and {MOST_DEGREE} is the most; 3 is usual")
    chosen = intercept if intercept is not None else include_intercept
    full = chosen is not None and bool(one(chosen, "intercept in bs()"))
    if lower_bound is not None or upper_bound is not None:
        low = values.min() if lower_bound is None else one(lower_bound, "lower_bound of bs()")
        high = values.max() if upper_bound is None else one(upper_bound, "upper_bound of bs()")
        Boundary_knots = np.array([low, high], dtype=float)
    _knots(state, values, df, knots, Boundary_knots, order + full, "bs()")
    return _numbered(_splines(values, state, order)[:, 0 if full else 1 :])


def ns(
    state: State,
    x: Value,
    df: Value = None,
    knots: Value = None,
    intercept: Value = None,
    Boundary_knots: Value = None,
) -> Matrix:
    """Natural cubic splines, R's ``ns``: linear beyond the boundary knots."""
    values = numbers(x, "ns()")
    full = intercept is not None and bool(one(intercept, "intercept in ns()"))
    _knots(state, values, df, knots, Boundary_knots, 1 + full, "ns()")
    limits = state["limits"]
    # beyond a boundary knot: value and slope there, continued as a line
    basis = _splines(np.clip(values, *limits), state, 3)
    for limit, outside in zip(limits, (values < limits[0], values > limits[1]), strict=True):
        if outside.any():
            slope = _splines(np.array([limit]), state, 3, derivative=1)
            basis[outside] += (values[outside] - limit)[:, None] * slope
    # natural: no curvature at the two boundary knots. (2, splines) constraints on the coefficients, whose null space is
    # the rest of the orthogonal matrix of a QR decomposition
    bend = _splines(limits, state, 3, derivative=2)
    first = 0 if full else 1
    rotation, _ = qr(bend[:, first:].T)
    return _numbered((basis[:, first:] @ rotation)[:, 2:])
