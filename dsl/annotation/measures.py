"""Agreement of labels with gold labels, and calibration of probabilities, in a sample whose rows count 1 / probability.

Every measure is a function of weighted means. Its standard error is that of the mean of its influence values psi, which are its
linear part (Taylor linearisation: Sarndal, Swensson and Wretman 1992, section 5.5)::

    se^2 = G / (G - 1) * sum over clusters g of (sum over i in g of psi_i)^2

Rows are clusters of their own unless they were drawn together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.agreement import krippendorff, label_counts

ROUNDING = 1e-12
"""Standard errors below are zero: measures are of the order of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number about a sample of n rows.

    Parameters
    ----------
    name : str
    estimate : float
        NaN where it is not defined, such as the precision of a label that was never given.
    std_error : float
        NaN where it has none.
    n : int
        Rows behind it.
    psi : (n,) array, optional
        Influence values.
    """

    name: str
    estimate: float
    std_error: float
    n: int
    psi: FloatArray | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Weights of the rows of a sample, and what was drawn together.

    Parameters
    ----------
    weight : (n,) array
        One over the probability of being drawn.
    cluster : (n,) int array
        Codes 0, 1, ... of what was drawn together.
    """

    weight: FloatArray
    cluster: IntArray

    def of(self, rows: BoolArray) -> "Drawn":
        """Some of the rows."""
        return Drawn(weight=self.weight[rows], cluster=np.unique(self.cluster[rows], return_inverse=True)[1])

    def measure(self, name: str, estimate: float, psi: FloatArray) -> Measure:
        """A measure with the standard error that its influence values (n,) give."""
        sums = np.bincount(self.cluster, psi)
        count = len(sums)
        spread = float(np.sqrt(count / (count - 1) * (sums @ sums))) if count > 1 else np.nan
        # what rounding leaves where all rows are alike
        spread = 0.0 if spread < ROUNDING else spread
        known = not np.isnan(estimate)
        return Measure(
            name=name,
            estimate=float(estimate),
            std_error=spread if known else np.nan,
            n=len(psi),
            psi=psi if known else None,
        )

    def ratio(self, name: str, above: FloatArray | BoolArray, below: FloatArray | BoolArray) -> Measure:
        """A ratio of two weighted sums, sum w a / sum w b, with psi = w (a - ratio b) / sum w b.

        Parameters
        ----------
        name : str
        above, below : (n,) arrays
            a and b.

        Examples
        --------
        >>> even = Drawn(weight=np.ones(4), cluster=np.arange(4))
        >>> found = even.ratio("accuracy", np.array([1.0, 1.0, 1.0, 0.0]), np.ones(4))
        >>> found.estimate, found.std_error
        (0.75, 0.25)
        """
        a, b = above.astype(float), below.astype(float)
        total = float(self.weight @ b)
        if total <= 0.0:
            return Measure(name=name, estimate=np.nan, std_error=np.nan, n=len(a))
        value = float(self.weight @ a) / total
        return self.measure(name, value, self.weight * (a - value * b) / total)

    def mean(self, name: str, parts: Sequence[Measure]) -> Measure:
        """The mean of measures of the same n rows, those that are not defined left out."""
        known = [(each.estimate, each.psi) for each in parts if each.psi is not None]
        n = max((each.n for each in parts), default=0)
        if not known:
            return Measure(name=name, estimate=np.nan, std_error=np.nan, n=n)
        psi = np.mean([psi for _, psi in known], axis=0)
        return self.measure(name, float(np.mean([estimate for estimate, _ in known])), psi)


def accuracy(gold: IntArray, given: IntArray, drawn: Drawn) -> Measure:
    """Share of rows whose label is the gold label.

    Parameters
    ----------
    gold, given : (n,) int arrays
        Codes of the labels.
    drawn : Drawn
    """
    return drawn.ratio("accuracy", gold == given, np.ones(len(gold)))


def kappa(gold: IntArray, given: IntArray, k: int, drawn: Drawn) -> Measure:
    r"""Cohen's kappa, agreement beyond chance as a share of what chance leaves.

    :math:`\kappa = (p_o - p_e) / (1 - p_e)` with :math:`p_e = \sum_c r_c q_c`, shares of each label in gold (r) and given (q).
    Its influence values are :math:`(e_i - p_o) / (1 - p_e) - (1 - p_o)(q_{g_i} + r_{y_i} - 2 p_e) / (1 - p_e)^2`, e being 1 where
    both agree: unweighted, the variance of Fleiss, Cohen and Everitt (1969).

    Parameters
    ----------
    gold, given : (n,) int arrays
        Codes 0, ..., k - 1.
    k : int
    drawn : Drawn
    """
    weight = drawn.weight / drawn.weight.sum()
    agree = (gold == given).astype(float)
    r, q = np.bincount(gold, weight, k), np.bincount(given, weight, k)
    observed, chance = float(weight @ agree), float(r @ q)
    if chance >= 1.0:
        return Measure(name="kappa", estimate=np.nan, std_error=np.nan, n=len(gold))
    left = 1.0 - chance
    psi = (agree - observed) / left - (1.0 - observed) / left**2 * (q[gold] + r[given] - 2.0 * chance)
    return drawn.measure("kappa", (observed - chance) / left, weight * psi)


def krippendorff_alpha(
    gold: IntArray, given: IntArray, values: FloatArray, drawn: Drawn, metric: str = "nominal"
) -> Measure:
    """Krippendorff's alpha of gold and given labels as two coders (`dsl.engine.agreement.krippendorff`).

    Parameters
    ----------
    gold, given : (n,) int arrays
        Codes 0, ..., k - 1.
    values : (k,) array
        The labels as numbers, in increasing order.
    drawn : Drawn
    metric : {"nominal", "ordinal", "interval"}
    """
    counts = label_counts(np.column_stack([gold, given]), len(values))
    value, psi = krippendorff(counts, values, metric, drawn.weight)
    return drawn.measure("krippendorff_alpha", value, psi)


def of_label(gold: BoolArray, given: BoolArray, drawn: Drawn) -> tuple[Measure, Measure, Measure]:
    """Precision (share right of the rows given a label), recall (share found of those that have it), and F1.

    F1 = 2 TP / (rows given + rows that have it) is a ratio of sums as the others are.

    Parameters
    ----------
    gold, given : (n,) bool arrays
        Rows that have the label, and that were given it.
    drawn : Drawn
    """
    both = gold & given
    return (
        drawn.ratio("precision", both, given),
        drawn.ratio("recall", both, gold),
        drawn.ratio("f1", 2.0 * both.astype(float), gold.astype(float) + given),
    )


def brier(gold: IntArray, probabilities: FloatArray, drawn: Drawn) -> Measure:
    """Brier score: half the sum over labels of (probability - 1 for the gold label)^2. With two labels (p - y)^2.

    Parameters
    ----------
    gold : (n,) int array
    probabilities : (n, k) array
    drawn : Drawn
    """
    truth = np.eye(probabilities.shape[1])[gold]
    return drawn.ratio("brier", 0.5 * ((probabilities - truth) ** 2).sum(axis=1), np.ones(len(gold)))


def auc(gold: BoolArray, score: FloatArray, drawn: Drawn) -> Measure:
    """Probability that a row with the label has a larger score than one without it, ties counting half.

    Its influence values are those of DeLong, DeLong and Clarke-Pearson (1988): of a row with the label, the share of those
    without it that it exceeds, and the other way round, each less the AUC.

    Parameters
    ----------
    gold : (n,) bool array
        Rows that have the label.
    score : (n,) array
    drawn : Drawn
    """
    weight = drawn.weight
    one, zero = float(weight[gold].sum()), float(weight[~gold].sum())
    if one <= 0.0 or zero <= 0.0:
        return Measure(name="auc", estimate=np.nan, std_error=np.nan, n=len(gold))
    values, place = np.unique(score, return_inverse=True)
    psi = np.zeros(len(gold))
    share = np.zeros(len(gold))
    for mine, total in ((gold, zero), (~gold, one)):
        # weights of the other rows below each value, and half of those at it
        other = np.bincount(place[~mine], weight[~mine], len(values))
        below = np.cumsum(other) - 0.5 * other
        share[mine] = below[place[mine]] / total
    share[~gold] = 1.0 - share[~gold]
    value = float(weight[gold] @ share[gold]) / one
    for mine, total in ((gold, one), (~gold, zero)):
        count = int(mine.sum())
        scale = np.sqrt(count / (count - 1)) if count > 1 else np.nan
        psi[mine] = scale * weight[mine] * (share[mine] - value) / total
    n = len(np.unique(drawn.cluster))
    # each of the two samples has its own correction, in the place of that of `measure`
    return drawn.measure("auc", value, psi * np.sqrt((n - 1) / n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows whose probabilities lie in an interval.

    Parameters
    ----------
    low, high : float
        The interval, without its upper end but for the last.
    share : float
        Share of the population's rows in it, by the weights.
    predicted : float
        Mean probability.
    observed : Measure
        Share of rows that have the label.
    """

    low: float
    high: float
    share: float
    predicted: float
    observed: Measure


def calibration(gold: BoolArray, probability: FloatArray, drawn: Drawn, bins: int) -> list[Bin]:
    """Mean probability and share of rows with the label, in intervals of equal width that have rows.

    Parameters
    ----------
    gold : (n,) bool array
        Rows that have the label.
    probability : (n,) array
    drawn : Drawn
    bins : int
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, bins - 1)
    out = []
    for each in np.unique(place):
        rows = place == each
        part = drawn.of(rows)
        out.append(
            Bin(
                low=float(edges[each]),
                high=float(edges[each + 1]),
                share=float(part.weight.sum() / drawn.weight.sum()),
                predicted=float(np.average(probability[rows], weights=part.weight)),
                observed=part.ratio("observed", gold[rows], np.ones(int(rows.sum()))),
            )
        )
    return out


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: mean over rows of the gap in their bin between probability and share. Noise makes it larger."""
    return float(sum(each.share * abs(each.predicted - each.observed.estimate) for each in bins))
