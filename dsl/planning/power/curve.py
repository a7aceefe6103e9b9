"""Standard errors as a function of the number of labelled rows: arrays in, arrays out.

The variance of a design-adjusted estimate is J^-1 [ M1 / c + M23 ] J^-T / N with c the number of labels relative to that
of the fit. M1, the mean of w^2 d d' with d = m - m_hat, is what labelling costs and shrinks as labels are added. M23, the
mean of m_hat m_hat' + w (m_hat d' + d m_hat'), is what remains when every row is labelled (DSL-2024, power analysis).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.labeling import Labeling, finite_meat

ROUNDING = 1e-12
"""Share of the part that shrinks below which a variance is zero: every row of a finite population is labelled."""
GRID = 2_048
"""Label counts at which a curve is looked at before its crossings are refined."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VarianceCurve:
    """Variances of k coefficients in each of S splits, as V(c) = `shrinking` / c + `staying`."""

    shrinking: FloatArray
    """(S, k)"""
    staying: FloatArray
    """(S, k) may be negative in small samples: it is a difference."""
    n_labeled: int
    """Labelled rows at c = 1."""

    def of(self, columns: list[int]) -> "VarianceCurve":
        """The curve of some coefficients."""
        return replace(self, shrinking=self.shrinking[:, columns], staying=self.staying[:, columns])

    def variances(self, sizes: FloatArray) -> FloatArray:
        """Variances at `sizes` (m,) labelled rows, (m, S, k)."""
        # (m, 1, 1), against (S, k)
        c = np.asarray(sizes, dtype=float)[:, None, None] / self.n_labeled
        return np.asarray(self.shrinking / c + self.staying)

    def se(self, sizes: FloatArray) -> FloatArray:
        """Median over splits of the standard errors, splits of no positive variance left out, (m, k). NaN without any."""
        c = np.asarray(sizes, dtype=float)[:, None, None] / self.n_labeled
        variance = self.variances(sizes)
        # a variance that is zero but for rounding has no root of its own: sqrt(1e-18) would look like an estimate
        variance[np.abs(variance) < ROUNDING * self.shrinking / c] = 0.0
        root = np.sqrt(np.where(variance >= 0.0, variance, np.nan))
        # (m, S, k) to (m, k): the median over splits, where any split has a variance
        out = np.full(root.shape[::2], np.nan)
        known = np.isfinite(root).any(axis=1)
        out[known] = np.nanmedian(np.moveaxis(root, 1, 2)[known], axis=-1)
        return out


def variance_curve(
    *,
    jacobians: FloatArray,
    meats: FloatArray,
    label_meats: FloatArray,
    n_labeled: int,
    factor: FloatArray | float = 1.0,
) -> VarianceCurve:
    """The curve of a fit.

    Parameters
    ----------
    jacobians, meats, label_meats : (S, k, k) arrays
        Sums over rows (the powers of N cancel). `label_meats` (also (k, k), the same in all splits) is N M1, `meats`
        N (M1 + M23).
    n_labeled : int
    factor : (S, k) array or float
        Small-sample factors on the variances.
    """
    # (S, k, k)
    bread = np.asarray(np.linalg.inv(jacobians), dtype=float)
    return VarianceCurve(
        shrinking=factor * _variances(bread, label_meats),
        # M23 = (M1 + M23) - M1
        staying=factor * _variances(bread, meats - label_meats),
        n_labeled=n_labeled,
    )


def finite_curve(
    *,
    jacobians: FloatArray,
    meats: FloatArray,
    label_scores: FloatArray,
    labeling: Labeling,
    n_labeled: int,
    factor: FloatArray | float = 1.0,
) -> VarianceCurve:
    """The curve of a fit whose rows are the population, so that only the labelling is random.

    A labelled row's share in the variance, (1 - pi) c c' at the centred scores c = w (m - m_hat), is (1/r - pi) c c' with r
    times the labels. This is exact for independent draws and for equal probabilities. Other designs' variances, in `meats`,
    are taken to shrink in the same proportion.

    Parameters
    ----------
    jacobians, meats : (S, k, k) arrays
    label_scores : (n, k) array
    labeling : Labeling
        Taken for independent draws.
    n_labeled : int
    factor : (S, k) array or float
    """
    bread = np.asarray(np.linalg.inv(jacobians), dtype=float)
    # the fit's own variances now, whatever the design
    now = factor * _variances(bread, meats)
    labels = Labeling(prob=labeling.prob, drawn=labeling.drawn, fixed_size=False)
    few = replace(labels, prob=np.zeros(len(labels.prob)))  # as if so many rows were left that pi makes no difference
    gross, left = (_variances(bread, finite_meat(label_scores, each)) for each in (few, labels))
    # for independent draws V(c) = gross / c - spared, with V(1) = left
    spared = gross - left
    left = np.where(left > 0.0, left, 1.0)
    # the fit's variances in the same proportion: V(c) = now (gross / c - spared) / left
    return VarianceCurve(shrinking=now * gross / left, staying=-now * spared / left, n_labeled=n_labeled)


def _variances(bread: FloatArray, meat: FloatArray) -> FloatArray:
    """Diagonal of bread meat bread' in each split, (S, k)."""
    # diagonal of B M B', without the other entries
    return np.asarray(np.einsum("sij,sjl,sil->si", bread, np.broadcast_to(meat, bread.shape), bread))


def rescaled(curve: VarianceCurve, *, nobs: int, planned: int) -> VarianceCurve:
    """The curve for `planned` rows like the `nobs` of the fit: c is the share of rows labelled, relative to the fit's."""
    # what labelling costs goes with 1 / n and stays for as many labels, the rest goes with 1 / N
    scale = nobs / planned
    return replace(curve, staying=curve.staying * scale)


def fill_from_last(se: FloatArray, sizes: FloatArray, start: FloatArray, start_size: float) -> FloatArray:
    """Standard errors (m, k) at ascending `sizes`, gaps filled by se sqrt(size / new size) from the last size without one.

    `start` (k,) is the standard error at `start_size`, from which a gap at the beginning is filled.
    """
    out = se.copy()
    last, at = start.copy(), np.full(len(start), float(start_size))
    for row, size in zip(out, sizes, strict=True):
        gap = np.isnan(row)
        row[gap] = (last * np.sqrt(at / size))[gap]
        # the last size with a standard error of its own, coefficient by coefficient
        last, at = np.where(gap, last, row), np.where(gap, at, size)
    return out


def minimum_effect(se: FloatArray, *, power: float, alpha: float) -> FloatArray:
    """Smallest effect that a two-sided z test at level `alpha` finds with probability `power`, in the shape of `se`.

    The square of z is noncentral chi-squared with one degree of freedom and noncentrality (effect / se)^2.
    """
    critical = special.chdtri(1.0, alpha)
    # noncentrality at which the square of z exceeds the critical value with that probability: (effect / se)^2
    return np.asarray(se * np.sqrt(special.chndtrinc(critical, 1.0, 1.0 - power)))


def power_of(effect: FloatArray, se: FloatArray, *, alpha: float) -> FloatArray:
    """Probability that a two-sided z test at level `alpha` finds `effect`, in either tail."""
    with np.errstate(divide="ignore"):
        shift = np.abs(effect) / se
    z = stats.norm.isf(alpha / 2.0)
    # P(Z > z - shift) + P(Z < -z - shift)
    return np.asarray(stats.norm.sf(z - shift) + stats.norm.cdf(-z - shift))


def smallest_size(curve: VarianceCurve, target: FloatArray, most: int) -> IntArray:
    """Fewest labelled rows (k,), up to `most`, at which the standard errors are at most `target` (k,), or 0 where none."""
    low, high = np.zeros(len(target), dtype=np.int64), np.full(len(target), most, dtype=np.int64)
    coefficient = np.arange(len(target))

    def reached(sizes: IntArray) -> BoolArray:
        # size j for coefficient j: the diagonal of (k, k)
        return np.asarray(curve.se(sizes.astype(float))[coefficient, coefficient] <= target)

    # bisection: standard errors fall with the labels, so the sizes that suffice are those from some size on
    possible = reached(high)
    while np.any(high - low > 1):
        middle = (low + high) // 2
        enough = reached(np.maximum(middle, 1))
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(possible, high, 0)


def labels_saved(curve: VarianceCurve, gold_only: VarianceCurve, sizes: FloatArray) -> FloatArray:
    """Labels that a gold-only analysis would need for the same standard errors, less those used, (m, k).

    Solves shrinking / c + staying = V for the gold-only curve, medians over its splits (mostly one).
    """
    variance = curve.se(sizes) ** 2
    left = variance - np.median(gold_only.staying, axis=0)
    # n_gold = n shrinking / (V - staying), and no number of labels will do where V <= staying
    needed = gold_only.n_labeled * np.median(gold_only.shrinking, axis=0) / np.where(left > 0.0, left, np.nan)
    return np.asarray(needed - np.asarray(sizes, dtype=float)[:, None])


def stretch_above(values: Callable[[FloatArray], FloatArray], threshold: float, most: int) -> tuple[IntArray, IntArray]:
    """First and last whole number in 1, ..., `most` at which each of k functions is at least `threshold`, or 0 where never.

    `values` takes (m,) sizes to (m, k). Looks at `GRID` sizes and refines the two crossings by bisection.
    """
    grid = np.unique(np.linspace(1, most, min(GRID, most)).round().astype(np.int64))
    above = values(grid.astype(float)) >= threshold
    first, last = np.zeros(above.shape[1], dtype=np.int64), np.zeros(above.shape[1], dtype=np.int64)
    for j in np.flatnonzero(above.any(axis=0)):
        where = np.flatnonzero(above[:, j])
        # the grid's neighbours outside the stretch, or its ends
        outer = [grid[max(where[0] - 1, 0)], grid[min(where[-1] + 1, len(grid) - 1)]]
        first[j] = _crossing(values, threshold, int(j), outside=int(outer[0]), inside=int(grid[where[0]]))
        last[j] = _crossing(values, threshold, int(j), outside=int(outer[1]), inside=int(grid[where[-1]]))
    return first, last


def _crossing(
    values: Callable[[FloatArray], FloatArray], threshold: float, j: int, *, outside: int, inside: int
) -> int:
    """The size next to the crossing between `outside` and `inside`, on the side where function j is above."""
    while abs(outside - inside) > 1:
        middle = (outside + inside) // 2
        if values(np.array([float(middle)]))[0, j] >= threshold:
            inside = middle
        else:
            outside = middle
    return inside
