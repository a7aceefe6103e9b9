r"""Wild score bootstrap: tests and intervals from the units' scores with random signs (Kline and Santos 2012).

Under the hypothesis r'theta = q the scores of the units (rows, clusters) at the restricted estimate are
:math:`s_g + \delta t_g`, with :math:`\delta` the distance of r'theta from q. A draw gives each unit a weight :math:`\eta_g` with
mean zero and variance one. The estimate of the draw is :math:`Z = \sum \eta_g s_g` away, and the scores around it are
:math:`\eta_g s_g - J_g Z`, so that every draw has a standard error of its own. In linear models this is the wild (cluster)
bootstrap of the residuals, with the null hypothesis imposed (Cameron, Gelbach and Miller 2008), exactly.

References
----------
Kline and Santos, "A score based approach to wild bootstrap inference", Journal of Econometric Methods 1 (2012). Cameron, Gelbach
and Miller, "Bootstrap-based improvements for inference with clustered errors", Review of Economics and Statistics 90 (2008).
Webb, "Reworking wild bootstrap-based inference for clustered errors", Canadian Journal of Economics 56 (2023).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dsl._typing import FloatArray, IntArray

WEIGHTS = ("rademacher", "webb")
"""Signs, and Webb's six values for few clusters."""
SIX = np.sqrt([0.5, 1.0, 1.5])
CHUNK = 4_000_000
"""Weights drawn at a time."""
SINGLE = 100_000_000
"""Weights in all from which sums are taken in single precision, whose error is far below that of the draws."""
TIE = 1e-10
"""Relative difference of statistics that counts as none."""
MOST_ENUMERATED = 20
"""Units up to which all signs may be gone through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WildParts:
    """What a test of one combination r'theta takes of the units, in coefficients: everything times A^-1."""

    score: FloatArray
    """(G, k) s, at the estimate."""
    shift: FloatArray
    """(G, k) t: scores at the restricted estimate, delta away, are s + delta t."""
    row: FloatArray
    """(k,) r."""
    slope: FloatArray
    """(G, k) r' J_g."""

    def at(self, delta: float) -> tuple[FloatArray, ...]:
        """Scores at one restricted estimate."""
        return (self.score + delta * self.shift,)


@dataclass(frozen=True, slots=True, kw_only=True)
class WildDraws:
    """Sums over units of every draw, from which its statistic follows: for one delta (P = 1), or for any (P = 2)."""

    moved: FloatArray
    """(B, P, k) sums of eta times the scores s (and t)."""
    cross: FloatArray
    """(B, P, k) sums of eta r's (and eta r't) times the slope."""
    square: FloatArray
    """(B, P, P) sums of eta^2 times the products of r's (and r't)."""
    inner: FloatArray
    """(k, k) sum of slope slope'."""
    row: FloatArray
    """(k,)"""
    variance: float
    """Sum of (r's)^2 at the estimate."""
    exact: bool
    """Whether the draws are all sign vectors there are."""

    def statistics(self, delta: float) -> FloatArray:
        """The draws' t statistics at r'theta = q, delta away from the estimate, (B,)."""
        powers = np.array([1.0, delta])[: self.moved.shape[1]]
        z, cross = (np.einsum("bpk,p->bk", part, powers) for part in (self.moved, self.cross))
        variance = np.einsum("bpq,p,q->b", self.square, powers, powers)
        variance = variance - 2.0 * (cross * z).sum(axis=1) + np.einsum("bk,kl,bl->b", z, self.inner, z, optimize=True)
        return np.asarray((z @ self.row) / np.sqrt(np.maximum(variance, np.finfo(float).tiny)))

    def statistic(self, delta: float) -> float:
        """That of the sample."""
        return float(delta / np.sqrt(max(self.variance, np.finfo(float).tiny)))

    def p_value(self, delta: float, alternative: str = "two-sided") -> float:
        """Share of draws whose statistic is as far from zero as that of the sample.

        Sampled draws count the sample among them, (1 + number) / (1 + B), as a test must to keep its level.
        """
        found, drawn = self.statistic(delta), self.statistics(delta)
        near = TIE * abs(found)
        if alternative == "larger":
            as_far = drawn >= found - near
        elif alternative == "smaller":
            as_far = drawn <= found + near
        else:
            as_far = np.abs(drawn) >= abs(found) - near
        if self.exact:
            return float(as_far.mean())
        return float((1 + as_far.sum()) / (1 + len(drawn)))


def draw(
    parts: WildParts,
    rng: np.random.Generator,
    *,
    draws: int,
    weights: str = "rademacher",
    delta: float | None = None,
) -> WildDraws:
    """Sums of all draws.

    With signs, and at most as many sign vectors as `draws`, all of them are gone through instead.

    Parameters
    ----------
    parts : WildParts
    rng : numpy.random.Generator
    draws : int
    weights : {"rademacher", "webb"}
    delta : float, optional
        The only distance that will be asked for, which halves the work.

    Examples
    --------
    >>> score = np.array([[1.0], [2.0], [-0.5], [1.5]])
    >>> parts = WildParts(score=score - 1.0, shift=np.full((4, 1), 0.25), row=np.ones(1), slope=np.full((4, 1), 0.25))
    >>> draw(parts, np.random.default_rng(1), draws=99, delta=4.0).p_value(4.0)  # a mean of one, from four
    0.25
    """
    scores = (parts.score, parts.shift) if delta is None else parts.at(delta)
    along = np.stack([part @ parts.row for part in scores])  # (P, G)
    columns = np.hstack([*scores, *(part[:, None] * parts.slope for part in along)])
    units, k = parts.score.shape
    powers, exact = len(scores), weights == "rademacher" and units <= MOST_ENUMERATED and 2**units <= draws
    squares = np.einsum("pg,qg->gpq", along, along).reshape(units, -1)
    if weights == "webb":
        total, square = _webb(columns, squares, rng, draws)
    else:
        bits = _all_signs(units) if exact else _signs(units, rng, draws)
        total = _signed(bits, columns, single=not exact and units * draws > SINGLE)
        square = np.broadcast_to(squares.sum(axis=0), (len(total), powers**2))
    total = total.reshape(-1, 2 * powers, k)
    return WildDraws(
        moved=total[:, :powers],
        cross=total[:, powers:],
        square=square.reshape(-1, powers, powers),
        inner=parts.slope.T @ parts.slope,
        row=parts.row,
        variance=float(((parts.score @ parts.row) ** 2).sum()),
        exact=exact,
    )


def _all_signs(units: int) -> Iterator[IntArray]:
    yield (np.arange(2**units)[:, None] >> np.arange(units)) & 1


def _signs(units: int, rng: np.random.Generator, draws: int) -> Iterator[IntArray]:
    """Zeros and ones (., G) of some draws at a time, for minus and plus."""
    width = -(-units // 8)
    for count in _counts(units, draws):
        packed = np.frombuffer(rng.bytes(count * width), dtype=np.uint8).reshape(count, width)
        yield np.unpackbits(packed, axis=1, count=units)


def _signed(bits: Iterator[IntArray], columns: FloatArray, *, single: bool) -> FloatArray:
    """Sums of the columns with signs, (B, .)."""
    own = columns.astype(np.float32 if single else np.float64)
    parts = [(each.astype(own.dtype) @ own).astype(np.float64) for each in bits]
    # signs are 2 b - 1: the sum of all columns is taken off once
    return np.asarray(2.0 * np.concatenate(parts) - columns.sum(axis=0))


def _webb(
    columns: FloatArray, squares: FloatArray, rng: np.random.Generator, draws: int
) -> tuple[FloatArray, FloatArray]:
    six, sums, second = np.concatenate([-SIX, SIX]), [], []
    for count in _counts(len(columns), draws):
        eta = six[rng.integers(0, 6, (count, len(columns)), dtype=np.uint8)]
        sums.append(eta @ columns)
        second.append(eta**2 @ squares)
    return np.concatenate(sums), np.concatenate(second)


def _counts(units: int, draws: int) -> list[int]:
    step = max(CHUNK // units, 1)
    return [min(step, draws - first) for first in range(0, draws, step)]


def interval(drawn: WildDraws, se: float, alpha: float, alternative: str = "two-sided") -> tuple[float, float]:
    """Distances delta at which the test no longer rejects at `alpha`: ends of r'theta less these are those of the interval.

    The estimate less the lower end is the first, the estimate less the upper end the second. Found by bisection to a
    thousandth of a standard error.
    """
    lower = np.inf if alternative == "smaller" else _edge(drawn, se, alpha, alternative, sign=1.0)
    upper = -np.inf if alternative == "larger" else _edge(drawn, se, alpha, alternative, sign=-1.0)
    return lower, upper


def _edge(drawn: WildDraws, se: float, alpha: float, alternative: str, *, sign: float) -> float:
    near, far = 0.0, sign * 4.0 * se
    while drawn.p_value(far, alternative) > alpha:
        near, far = far, 2.0 * far
        if abs(far) > 1e6 * se:
            return sign * np.inf
    while abs(far - near) > 1e-3 * se:
        middle = (near + far) / 2.0
        if drawn.p_value(middle, alternative) > alpha:
            near = middle
        else:
            far = middle
    return near
