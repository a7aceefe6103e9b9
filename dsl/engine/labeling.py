"""How rows were drawn for labelling, and the variance that only this draw makes (finite population)."""

from dataclasses import dataclass, field

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.covariance import cluster_sums

WHOLE = 1e-9
"""Relative difference of probabilities that rounding makes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labeling:
    """How rows were drawn for labelling: arrays over the N rows of a table, m of which were drawn.

    Rows were drawn in one stage, perhaps within strata, or in two: primary units, then rows in the units drawn. In each
    stage either a fixed number was drawn or every row (unit) on its own, independently of the others.
    """

    prob: FloatArray = field(repr=False)
    """(N,) probability of each row of being drawn, in (0, 1], over both stages if there are two."""
    drawn: BoolArray = field(repr=False)
    """(N,) rows drawn, which are the labelled ones."""
    fixed_size: bool
    """Whether the number drawn was fixed in advance, within each stratum if there are any. With two stages: the number of units,
    and of rows in each unit."""
    stratum: IntArray | None = field(default=None, repr=False)
    """(N,) codes of the strata within which the number was fixed."""
    unit: IntArray | None = field(default=None, repr=False)
    """(N,) codes of the primary units, where whole clusters, or rows within drawn clusters, were drawn."""
    unit_prob: FloatArray | None = field(default=None, repr=False)
    """(N,) probability that the row's primary unit was drawn."""
    kept: FloatArray | None = field(default=None, repr=False)
    """(N,) share of the rows drawn in the row's stratum (or unit) that are among these N, where some are not."""

    def at(self, rows: BoolArray | IntArray) -> "Labeling":
        r"""The same for some rows, given as a mask (N,) or as positions in any order: a domain, in the words of sampling.

        Probabilities, strata and units stay what they were. What changes is that the number drawn is no longer fixed where a
        stratum (or unit) is cut: of its n drawn rows m are among these by chance. A sum of scores c over them has the variance
        of :math:`\frac{n}{n-1}(\sum c^2 - (\sum c)^2 / n)`, times 1 - pi, as if the others had scores of zero
        (Sarndal, Swensson and Wretman 1992, section 10.3). `kept` is m / n. Without strata and units the number drawn is taken
        for what it is in the domain, as weights are scaled to it: given m, the domain is a simple random sample of m rows.
        """
        return Labeling(
            prob=self.prob[rows],
            drawn=self.drawn[rows],
            fixed_size=self.fixed_size,
            stratum=None if self.stratum is None else self.stratum[rows],
            unit=None if self.unit is None else self.unit[rows],
            unit_prob=None if self.unit_prob is None else self.unit_prob[rows],
            kept=self._kept(rows),
        )

    def _kept(self, rows: BoolArray | IntArray) -> FloatArray | None:
        """Shares of the drawn rows of strata, or units, among some rows, (rows,)."""
        codes = self.unit if self.unit is not None else self.stratum
        if codes is None or not self.fixed_size:
            return None
        size = int(codes.max(initial=0)) + 1
        before = np.bincount(codes[self.drawn], minlength=size)
        after = np.bincount(codes[rows][self.drawn[rows]], minlength=size)
        share = (after / np.maximum(before, 1))[codes[rows]]
        # groups without a drawn row among these have no part in any variance
        share[share == 0.0] = 1.0
        share = share if self.kept is None else share * self.kept[rows]
        return share if (share < 1.0).any() else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """The groups within which rows were drawn: primary units, else strata, else all rows as one."""

    code: IntArray = field(repr=False)
    """(N,) group of each row, 0, 1, ..., each of which occurs."""
    rows: FloatArray = field(repr=False)
    """(G,) number of rows."""
    reached: FloatArray = field(repr=False)
    """(G,) probability that rows of the group could be drawn at all: of the primary unit, else one."""
    size: FloatArray = field(repr=False)
    """(G,) rows drawn in the group (once it is reached), where that number was fixed. NaN where it was not."""


def groups_of(labeling: Labeling) -> Groups:
    """The groups of a labeling.

    A fixed size with probabilities that differ within a group is taken for independent draws, to which such draws come
    close where many rows are drawn.
    """
    prob, unit_prob = labeling.prob, labeling.unit_prob
    codes = labeling.unit if labeling.unit is not None else labeling.stratum
    code = np.zeros(len(prob), dtype=np.int64) if codes is None else np.unique(codes, return_inverse=True)[1]
    rows = np.bincount(code).astype(float)
    reached = np.ones(len(rows))
    size = np.bincount(code, labeling.drawn.astype(float))
    if unit_prob is not None:
        reached[code] = unit_prob
        size = np.rint(np.bincount(code, prob) / reached)  # of the groups that were not reached, too
    # one probability for a whole group is what draws of a fixed number have
    low, high = np.full(len(rows), np.inf), np.zeros(len(rows))
    np.minimum.at(low, code, prob)
    np.maximum.at(high, code, prob)
    equal = high - low <= 1e-12 * high
    return Groups(code=code, rows=rows, reached=reached, size=np.where(equal & labeling.fixed_size, size, np.nan))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FirstStage:
    """What was drawn first: the primary units of the labelled rows, or the labelled rows themselves."""

    unit: IntArray = field(repr=False)
    """(m,) unit of each labelled row, 0, 1, ..."""
    prob: FloatArray = field(repr=False)
    """(U,) probability of each unit."""
    stratum: IntArray = field(repr=False)
    """(U,) codes 0, 1, ... of the strata within which the number of units was fixed, zero where there are none."""
    kept: FloatArray = field(repr=False)
    """(U,) share of the rows drawn in the stratum that are labelled rows of the analysis, one for units of several rows."""
    whole: bool
    """Whether units were labelled in full, so that there was no second stage."""

    @property
    def count(self) -> FloatArray:
        """Units drawn in each stratum, those that are not among the rows too, (strata,)."""
        return np.asarray(np.bincount(self.stratum, 1.0 / self.kept), dtype=float)

    @property
    def left(self) -> FloatArray:
        """1 - pi of the units, (U,). It is one before a second stage, which leaves their totals uncertain too."""
        return np.asarray(np.maximum(1.0 - self.prob, 0.0)) if self.whole else np.ones(len(self.prob))


def first_stage(labeling: Labeling) -> FirstStage:
    """The first stage of a labeling, or its only one."""
    labels = labeling.at(labeling.drawn)
    first = unit = np.arange(len(labels.prob))
    prob, whole = labels.prob, True
    if labels.unit is not None and labels.unit_prob is not None:
        _, first, unit = np.unique(labels.unit, return_index=True, return_inverse=True)
        # no second stage if a row of a unit that was drawn was labelled for certain: pi of the row is that of its unit
        prob, whole = labels.unit_prob[first], bool((labels.prob >= labels.unit_prob * (1.0 - WHOLE)).all())
    strata = labels.stratum if labels.fixed_size else None
    codes = np.zeros(len(first), dtype=np.int64) if strata is None else strata[first]
    kept = labels.kept if labels.unit is None and labels.kept is not None else np.ones(len(first))
    return FirstStage(unit=unit, prob=prob, stratum=np.unique(codes, return_inverse=True)[1], kept=kept, whole=whole)


def finite_meat(label_scores: FloatArray, labeling: Labeling) -> FloatArray:
    r"""Variance of the sum of the labelled rows' scores over repeated labelling of the same rows.

    Independent draws: sum of (1 - pi) c c' with c = w (m - Lambda m_hat), that is R (1 - pi) / pi^2 d d'. Draws of a fixed
    size: c less its mean in the stratum, weighted by 1 - pi, times n/(n - 1) (Hajek 1964), which is exact for simple random and
    stratified sampling. Two stages: the units' sums by the same rule, plus the rows' within each unit.

    Parameters
    ----------
    label_scores : (m, k) array
    labeling : Labeling
        Of N rows, m of which were drawn.

    Returns
    -------
    (k, k) array
    """
    return np.asarray(sum(part.T @ part for part in finite_deviations(label_scores, labeling)))


def finite_deviations(label_scores: FloatArray, labeling: Labeling) -> list[FloatArray]:
    """Deviations whose squares add up to `finite_meat`: of primary units if there are any, (U, k), and of rows, (m, k)."""
    label_scores = label_scores - label_scores.mean(axis=0)  # a ratio estimator: weights are scaled to the number drawn
    stage = first_stage(labeling)
    strata = stage.stratum if labeling.fixed_size else None
    if labeling.unit is None or labeling.unit_prob is None:
        return [_one_stage(label_scores, stage.prob, strata, stage.kept)]
    totals = cluster_sums(label_scores, stage.unit, len(stage.prob))
    reached = stage.prob[stage.unit]
    given = np.minimum(labeling.prob[labeling.drawn] / reached, 1.0)  # probability of the row once its unit is drawn
    # a unit's own variance V_i enters as V_i / pi_i. Squares of c hold 1 / pi_i^2 already.
    inner = label_scores * np.sqrt(reached)[:, None]
    within = np.ones(len(inner)) if labeling.kept is None else labeling.kept[labeling.drawn]
    return [
        _one_stage(totals, stage.prob, strata, stage.kept),
        _one_stage(inner, given, stage.unit if labeling.fixed_size else None, within),
    ]


def _one_stage(scores: FloatArray, prob: FloatArray, stratum: IntArray | None, kept: FloatArray) -> FloatArray:
    """sqrt(1 - pi) c. With strata of fixed size, c is taken less its mean there (`centre_of`) and times sqrt(n/(n - 1))."""
    left = np.maximum(1.0 - prob, 0.0)
    if stratum is None:
        return np.asarray(scores * np.sqrt(left)[:, None])
    _, code = np.unique(stratum, return_inverse=True)
    centre, count = centre_of(scores, prob, code, kept)
    factor = np.where(count > 1.5, count / np.maximum(count - 1.0, 1.0), 1.0)
    return np.asarray((scores - centre[code]) * np.sqrt(left * factor[code])[:, None])


def centre_of(scores: FloatArray, prob: FloatArray, code: IntArray, kept: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The strata's means of scores weighted by 1 - pi, (S, k), and the numbers drawn in them, (S,).

    Where only m = n `kept` of a stratum's n drawn rows are among these, the mean counts 1 - sqrt(1 - m/n) times: the squares of
    what is left add up to sum c^2 - (sum c)^2 / n. One row shows no spread, and has a mean of zero.

    Parameters
    ----------
    scores : (m, k) array
    prob : (m,) array
    code : (m,) int array
        Stratum of each, 0, 1, ..., each of which occurs.
    kept : (m,) array
    """
    left = np.maximum(1.0 - prob, 0.0)
    share = np.ones(int(code.max()) + 1)
    share[code] = kept
    count = np.bincount(code) / share
    total = np.maximum(np.bincount(code, left), np.finfo(float).tiny)
    # Hajek's regression on nothing but a constant
    centre = cluster_sums(scores * left[:, None], code, len(count)) / total[:, None]
    centre *= (1.0 - np.sqrt(np.maximum(1.0 - share, 0.0)))[:, None]
    centre[count < 1.5] = 0.0  # keep all of it, which errs on the wide side
    return centre, np.asarray(count, dtype=float)


def finite_shares(label_scores: FloatArray, labeling: Labeling) -> FloatArray:
    """Part of each labelled row in the diagonal of `finite_meat`, to which the parts add up.

    What a primary unit adds is shared among its rows in proportion to their squared scores.

    Parameters
    ----------
    label_scores : (m, k) array
    labeling : Labeling

    Returns
    -------
    (m, k) array, not negative
    """
    parts = finite_deviations(label_scores, labeling)
    out = parts[-1] ** 2
    if len(parts) == 1:
        return np.asarray(out)
    unit, n_units = first_stage(labeling).unit, len(parts[0])
    square = (label_scores - label_scores.mean(axis=0)) ** 2
    square = np.where(cluster_sums(square, unit, n_units)[unit] > 0.0, square, 1.0)  # zeros share alike
    return np.asarray(out + square * (parts[0] ** 2 / cluster_sums(square, unit, n_units))[unit])


def bootstrap_weights(labeling: Labeling, rng: np.random.Generator) -> FloatArray:
    """How often each labelled row counts in a bootstrap draw of the labelling, one on average.

    Of m units (rows, or primary units) of a stratum m - 1 are drawn with replacement, t times each. They count
    1 + sqrt(1 - pi) (t m / (m - 1) - 1), as Rao, Wu and Yue (1992) rescale them. The variance of a weighted sum is then that
    of `finite_meat` for equal probabilities, and close to it for others. With a second stage pi counts as zero, which errs on
    the wide side.

    Parameters
    ----------
    labeling : Labeling
    rng : numpy.random.Generator

    Returns
    -------
    (m,) array, not negative

    References
    ----------
    Rao, Wu and Yue, "Some recent work on resampling methods for complex surveys", Survey Methodology 18, 1992.
    """
    stage = first_stage(labeling)
    times = np.zeros(len(stage.prob))
    for code, count in enumerate(stage.count):
        mine = np.flatnonzero(stage.stratum == code)
        m = round(count)
        # rows drawn that are not among these may be drawn in the bootstrap too, and then count for nothing
        chance = np.append(np.full(len(mine), 1.0 / m), 1.0 - len(mine) / m) if m > len(mine) else np.full(m, 1.0 / m)
        times[mine] = rng.multinomial(m - 1, chance)[: len(mine)] * (m / (m - 1.0)) if m > 1 else 1.0
    return np.asarray((1.0 + np.sqrt(stage.left) * (times - 1.0))[stage.unit])


def strata_of_one(labeling: Labeling) -> tuple[int, int]:
    """Strata from which one unit was drawn that stands for others, and all strata: `bootstrap_weights` cannot vary these."""
    stage = first_stage(labeling)
    alone = (stage.count < 1.5) & (np.bincount(stage.stratum, stage.left) > 0.0)
    return int(alone.sum()), len(alone)
