r"""Whether labelled rows look drawn as stated: their number in parts of a table, against the stated probabilities.

A part is a set of rows that was known before the draw: those with one value of a column, those up to a quantile, a stretch of
the table. How many labelled rows it has is, under the stated draw, a sum S of independent 0/1 variables, whether rows are
drawn one by one (by definition), at random without replacement (the hypergeometric distribution is such a sum: Vatutin
and Mikhailov 1982), within strata (sums of these), or with unequal probabilities and a fixed size (conditional Poisson
sampling, to which the draws of `dsl.sampling` come close). So tails have bounds that hold for any sample size:

* one group with equal probabilities: the hypergeometric tail itself (`hypergeometric_tail`),
* otherwise the smaller of the binomial tail with the same mean (Hoeffding 1956) and of Bennett's bound with the same
  variance, :math:`\exp\{-v\,h(t/v)\}`, :math:`h(u) = (1 + u)\log(1 + u) - u` (`bounded_tail`).

Where primary units were drawn, they are the independent pieces, and each counts for the share of its rows that lie in
the part, a number in [0, 1], for which Bennett's bound holds too (for draws without replacement: Hoeffding 1963, theorem 4).

References
----------
Hoeffding, "On the distribution of the number of successes in independent trials", Annals of Mathematical Statistics 27, 1956.
Hoeffding, "Probability inequalities for sums of bounded random variables", JASA 58, 1963. Bennett, "Probability inequalities
for the sum of independent random variables", JASA 57, 1962. Vatutin and Mikhailov, "Limit theorems for the number of empty
cells in an equiprobable scheme for group allocation of particles", Theory of Probability and its Applications 27, 1982.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from scipy.special import betainc, gammaln

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.labeling import WHOLE, Labeling, groups_of

TERMS = 64
"""Terms of a hypergeometric tail that are summed. The rest is bounded by a geometric series."""
GATHERED = 1e-3
"""P value below which labelled rows are taken to be gathered in clusters."""
EXACT = 1e-6
"""Distance between the number drawn and the sum of the probabilities up to which the number was fixed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """One stage of a draw: pieces (rows, or primary units), some of which were drawn."""

    prob: FloatArray = field(repr=False)
    """(P,) probability of each piece."""
    drawn: BoolArray = field(repr=False)
    """(P,)"""
    group: IntArray | None = field(repr=False)
    """(P,) codes 0, 1, ... of the groups within which a fixed number was drawn with equal probabilities, else None."""
    fixed: bool
    """Whether the number drawn in all was fixed, where `group` is None."""
    piece: IntArray | None = field(default=None, repr=False)
    """(N,) piece of each row of the table, -1 for rows that this stage did not draw from. None if rows are the pieces."""
    whole: bool = False
    """Whether pieces are primary units, which hold several rows."""
    other: "Stage | None" = field(default=None, repr=False)
    """The same stage under other probabilities, where these are not known: what is likely under either is no finding."""

    def given_their_number(self) -> "Stage":
        """The same once the number drawn is known, where it was not fixed: only the ratios of probabilities count.

        Rows drawn one by one, given how many, are a draw of fixed size with probabilities whose odds are all multiplied alike
        (conditional Poisson sampling). If the number is none that the stated probabilities explain, they are taken for
        relative ones.
        """
        if self.group is not None or self.fixed or self.whole:
            return self
        prob = self.prob.copy()
        certain = prob >= 1.0 - WHOLE
        # a row that is not labelled was not certain, so that one stands for the largest of relative probabilities
        open_ = ~certain if self.drawn[certain].all() else np.ones(len(prob), dtype=bool)
        mine, number = prob[open_], int((self.drawn & open_).sum())
        if 0 < number < len(mine):
            spread = float((mine * (1.0 - mine)).sum())
            likely = abs(number - float(mine.sum())) <= 5.0 * np.sqrt(spread) + 1.0
            prob[open_] = np.minimum((_odds_to if likely else _proportional)(mine, number), 1.0 - 2.0 * WHOLE)
        return replace(self, prob=prob, fixed=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartTests:
    """Tests of all parts that one column makes."""

    rows: FloatArray
    """(T,) rows of the table in the part."""
    labeled: FloatArray
    """(T,) labelled rows in it."""
    expected: FloatArray
    """(T,) labelled rows expected."""
    p_value: FloatArray
    """(T,) two-sided, an upper bound where it is not exact."""


def stages_of(labeling: Labeling, cluster: IntArray | None = None) -> list[Stage]:
    """The stages of a draw: rows, or primary units and then rows within those drawn.

    Parameters
    ----------
    labeling : Labeling
    cluster : (N,) int array, optional
        Clusters 0, 1, ... of the analysis. Without primary units of a design these are taken for such, if labelled rows are
        gathered in fewer of them than rows drawn one by one would be.
    """
    if labeling.unit is None or labeling.unit_prob is None:
        gathered = cluster is not None and reach_test(labeling.prob, labeling.drawn, cluster)[2] < GATHERED
        if cluster is not None and gathered:
            return _gathered_stages(labeling, cluster)
        return [_rows_stage(labeling)]
    _, first, unit = np.unique(labeling.unit, return_index=True, return_inverse=True)
    drawn = np.bincount(unit, labeling.drawn) > 0
    prob = labeling.unit_prob[first]
    equal = labeling.fixed_size and float(np.ptp(prob)) <= WHOLE
    units = Stage(
        prob=prob,
        drawn=drawn,
        group=np.zeros(len(first), dtype=np.int64) if equal else None,
        fixed=labeling.fixed_size and _adds_up(prob, drawn),
        piece=unit,
        whole=True,
    )
    given = np.minimum(labeling.prob / labeling.unit_prob, 1.0)
    reached = drawn[unit]
    if (given[reached] >= 1.0 - WHOLE).all():
        return [units]
    rows = _within(labeling, given, unit, reached, fixed_size=labeling.fixed_size)
    # where rows of units are left out, some of the units drawn may have no labelled row any more: nobody can tell which
    return [rows] if labeling.kept is not None else [units, rows]


def nested_stages(draws: Sequence[Labeling], cluster: IntArray | None = None) -> list[Stage]:
    """The stages of draws one after the other, each among the rows of the one before.

    Parameters
    ----------
    draws : sequence of Labeling
        After the first, rows that the draw before did not draw have a probability of one.
    cluster
        As in `stages_of`.
    """
    out = stages_of(draws[0], cluster)
    for before, draw in pairwise(draws):
        piece = np.full(len(draw.drawn), -1)
        piece[before.drawn] = np.arange(int(before.drawn.sum()))
        out.append(replace(_rows_stage(draw.at(before.drawn)), piece=piece))
    return out


def comes_whole(labeling: Labeling, cluster: IntArray) -> bool:
    """Whether clusters (N,) codes 0, 1, ... were labelled as a whole: gathered labels, and none of their rows without one."""
    rows, labels = np.bincount(cluster), np.bincount(cluster, labeling.drawn)
    whole = bool((labels == rows)[labels > 0].all())
    return whole and reach_test(labeling.prob, labeling.drawn, cluster)[2] < GATHERED


def _within(labeling: Labeling, prob: FloatArray, unit: IntArray, reached: BoolArray, *, fixed_size: bool) -> Stage:
    """Rows drawn within the units that were reached."""
    piece = np.full(len(unit), -1)
    piece[reached] = np.arange(int(reached.sum()))
    inner = Labeling(prob=prob[reached], drawn=labeling.drawn[reached], fixed_size=fixed_size, stratum=unit[reached])
    return replace(_rows_stage(inner), piece=piece)


def _gathered_stages(labeling: Labeling, cluster: IntArray) -> list[Stage]:
    """Whole clusters, or rows within some of them, where no design says which clusters were drawn with what probability."""
    rows = np.bincount(cluster).astype(float)
    labels = np.bincount(cluster, labeling.drawn)
    drawn = labels > 0
    prob = np.bincount(cluster, labeling.prob) / rows
    n_drawn, whole = int(drawn.sum()), bool((labels == rows)[drawn].all())
    even = np.full(len(rows), n_drawn / len(rows))
    if whole and not labeling.fixed_size:
        # probabilities of rows were stated, and are those of the clusters that came whole
        return [Stage(prob=prob, drawn=drawn, group=None, fixed=False, piece=cluster, whole=True)]
    units = Stage(
        prob=even, drawn=drawn, group=np.zeros(len(rows), dtype=np.int64), fixed=True, piece=cluster, whole=True
    )
    if whole:
        return [units]
    # some rows of some clusters: drawn evenly, or by their number of rows as two-stage samples are
    size = _proportional(rows if labeling.fixed_size else np.asarray(rows * prob, dtype=np.float64), n_drawn)
    by_size = Stage(prob=size, drawn=drawn, group=None, fixed=True, piece=cluster, whole=True)
    inner = _within(labeling, labeling.prob, cluster, drawn[cluster], fixed_size=True)
    return [replace(units, other=by_size), inner]


def _odds_to(prob: FloatArray, total: int) -> FloatArray:
    """Probabilities that sum to `total`, with the same ratios of odds."""
    prob, factor = np.minimum(prob, 1.0 - WHOLE), 1.0
    out = prob
    for _ in range(50):
        short = total / float(out.sum())
        if abs(short - 1.0) < EXACT:
            break
        factor *= short
        out = factor * prob / (1.0 - prob + factor * prob)
    return np.asarray(out)


def _proportional(measure: FloatArray, total: int) -> FloatArray:
    """Probabilities proportional to a measure, at most one, that sum to `total` at least nearly."""
    prob = np.minimum(measure * (total / measure.sum()), 1.0)
    for _ in range(20):
        open_ = prob < 1.0
        short = total - float(prob.sum())
        if short < EXACT or not open_.any():
            break
        prob[open_] = np.minimum(prob[open_] * (1.0 + short / float(prob[open_].sum())), 1.0)
    return np.asarray(prob)


def _rows_stage(labeling: Labeling) -> Stage:
    """Rows drawn one by one, or a fixed number of them within groups."""
    groups = groups_of(labeling)
    if not np.isnan(groups.size).any():
        return Stage(prob=labeling.prob, drawn=labeling.drawn, group=groups.code, fixed=True)
    fixed = labeling.fixed_size and _adds_up(labeling.prob, labeling.drawn)
    return Stage(prob=labeling.prob, drawn=labeling.drawn, group=None, fixed=fixed).given_their_number()


def _adds_up(prob: FloatArray, drawn: BoolArray) -> bool:
    """Whether as many were drawn as the probabilities say: not so once rows are left out of a sample of fixed size."""
    return bool(abs(float(prob.sum()) - float(drawn.sum())) <= EXACT * max(1.0, float(drawn.sum())))


def part_tests(stage: Stage, code: IntArray, n_codes: int, *, ordered: bool) -> PartTests:
    """Test each value of a column and, if they are ordered, all values up to each.

    Parameters
    ----------
    stage : Stage
    code : (N,) int array
        Value of each row of the table as a code 0, 1, ..., `n_codes` - 1, or -1 for rows that are left out.
    n_codes : int
    ordered : bool
        Whether "up to this value" makes a part besides each value: the parts are then the values, in order, followed by
        the first two values, the first three, ..., all but the last two.

    Returns
    -------
    PartTests

    Examples
    --------
    Ten labels, all of them among the hundred rows with value 1 of two hundred:

    >>> drawn = np.arange(200) < 10
    >>> stage = stages_of(Labeling(prob=np.full(200, 0.05), drawn=drawn, fixed_size=True))[0]
    >>> found = part_tests(stage, np.repeat([1, 0], 100), 2, ordered=False)
    >>> found.labeled, found.expected, found.p_value.round(5)
    (array([ 0., 10.]), array([5., 5.]), array([0.00154, 0.00154]))
    """
    if stage.other is not None:
        found, other = (
            part_tests(each, code, n_codes, ordered=ordered) for each in (replace(stage, other=None), stage.other)
        )
        return replace(found, p_value=np.maximum(found.p_value, other.p_value))
    if stage.whole:
        return _unit_tests(stage, code, n_codes, ordered)
    if stage.piece is None:
        values = code
    else:
        values = np.empty(len(stage.prob), dtype=np.int64)
        inside = stage.piece >= 0
        values[stage.piece[inside]] = code[inside]
    known = values >= 0
    if not known.all():
        stage = _some(stage, known)
        values = values[known]
    return (_grouped if stage.group is not None else _independent)(stage, values, n_codes, ordered)


def _some(stage: Stage, kept: BoolArray) -> Stage:
    """Some rows of a stage. Given how many were drawn of each group, these are as good as drawn by themselves."""
    group = None if stage.group is None else np.unique(stage.group[kept], return_inverse=True)[1]
    return Stage(prob=stage.prob[kept], drawn=stage.drawn[kept], group=group, fixed=False)


def _parts(table: FloatArray, ordered: bool) -> FloatArray:
    """Sums by value (..., C) and, where ordered, by all values up to each, which no value or its complement makes."""
    if not ordered or table.shape[-1] < 4:
        return table
    return np.concatenate([table, np.cumsum(table, axis=-1)[..., 1:-2]], axis=-1)


def _grouped(stage: Stage, values: IntArray, n_codes: int, ordered: bool) -> PartTests:
    """A fixed number of rows in each group, with equal probabilities."""
    group = stage.group
    assert group is not None
    n_groups = int(group.max()) + 1
    cell = values if n_groups == 1 else group * n_codes + values
    size = n_groups * n_codes
    # (G, C) rows and labelled rows of each value in each group
    rows = np.bincount(cell, minlength=size).reshape(n_groups, n_codes).astype(float)
    labeled = np.bincount(cell[stage.drawn], minlength=size).reshape(n_groups, n_codes).astype(float)
    total, drawn = rows.sum(axis=1, keepdims=True), labeled.sum(axis=1, keepdims=True)
    part, count = _parts(rows, ordered), _parts(labeled, ordered)
    mean = drawn * part / total
    sums = count.sum(axis=0)
    if n_groups == 1:
        p_value = hypergeometric_tail(sums, total[0], part[0], drawn[0])
    else:
        share = part / total
        variance = drawn * share * (1.0 - share) * (total - drawn) / np.maximum(total - 1.0, 1.0)
        # between the least and the most labelled rows that a part can have, it is a sum of so many 0/1 variables
        least = np.maximum(drawn + part - total, 0.0)
        trials = np.minimum(np.minimum(drawn, part), np.minimum(total - drawn, total - part))
        p_value = bounded_tail(
            sums - least.sum(axis=0), (mean - least).sum(axis=0), variance.sum(axis=0), trials.sum(axis=0)
        )
    return PartTests(rows=part.sum(axis=0), labeled=sums, expected=mean.sum(axis=0), p_value=p_value)


def _independent(stage: Stage, values: IntArray, n_codes: int, ordered: bool) -> PartTests:
    """Rows drawn one by one, or a fixed number of them with unequal probabilities."""
    prob, drawn = stage.prob, stage.drawn
    spread = prob * (1.0 - prob)
    # rows drawn for certain tell nothing, unless one of them is missing
    open_ = prob < 1.0 - WHOLE

    def by_part(weights: FloatArray | BoolArray) -> FloatArray:
        sums = np.bincount(values, weights, minlength=n_codes)
        return _parts(np.asarray(sums, dtype=float), ordered)

    rows, labeled = by_part(np.ones(len(values))), by_part(drawn)
    expected, variance = by_part(prob), by_part(spread)
    certain, trials = by_part(np.where(open_, 0.0, prob)), by_part(open_)
    count = by_part(drawn & open_)
    if stage.fixed:
        # Hajek's variance of a draw of fixed size (1964), and no more trials than rows drawn
        variance = np.maximum(variance - variance**2 / max(float(spread.sum()), np.finfo(float).tiny), 0.0)
        trials = np.minimum(trials, float((drawn & open_).sum()))
    p_value = np.where(by_part(~open_ & ~drawn) > 0.0, 0.0, bounded_tail(count, expected - certain, variance, trials))
    return PartTests(rows=rows, labeled=labeled, expected=expected, p_value=p_value)


def _unit_tests(stage: Stage, code: IntArray, n_codes: int, ordered: bool) -> PartTests:
    """Primary units, each of which counts for the share of its rows in the part."""
    unit = stage.piece
    assert unit is not None
    known = code >= 0
    cell = unit[known] * n_codes + code[known]
    rows = np.bincount(cell, minlength=len(stage.prob) * n_codes).reshape(-1, n_codes).astype(float)
    size = rows.sum(axis=1, keepdims=True)
    part = _parts(rows, ordered)
    share = part / np.maximum(size, 1.0)
    labeled, expected = part[stage.drawn].sum(axis=0), stage.prob @ part
    score = share[stage.drawn].sum(axis=0)
    whole = np.isin(share, (0.0, 1.0)).all(axis=0)
    if stage.group is not None:
        n_units, n_drawn = float(len(size)), float(stage.drawn.sum())
        mean, variance = n_drawn * share.mean(axis=0), n_drawn * share.var(axis=0)
        bound = bounded_tail(score, mean, variance, None)
        exact = hypergeometric_tail(score, np.array([n_units]), share.sum(axis=0), np.array([n_drawn]))
        p_value = np.where(whole, exact, bound)
        expected = n_drawn / n_units * part.sum(axis=0)
    else:
        spread = stage.prob * (1.0 - stage.prob)
        variance = spread @ share**2
        if stage.fixed:
            fitted = (spread @ share) ** 2 / max(float(spread.sum()), np.finfo(float).tiny)
            variance = np.maximum(variance - fitted, 0.0)
        p_value = bounded_tail(score, stage.prob @ share, variance, None)
    return PartTests(rows=part.sum(axis=0), labeled=labeled, expected=expected, p_value=p_value)


def hypergeometric_tail(count: FloatArray, total: FloatArray, part: FloatArray, drawn: FloatArray) -> FloatArray:
    """Twice the smaller tail of the number of rows of a part among those drawn at random without replacement.

    Parameters
    ----------
    count : (T,) array
        Rows of the part that were drawn.
    total, drawn : (1,) or (T,) array
        Rows in all, and rows drawn.
    part : (T,) array
        Rows of the part.

    Returns
    -------
    (T,) array, at most one

    Notes
    -----
    Terms fall faster the farther they lie from the mode (the distribution is log-concave). So after `TERMS` of them the rest
    is at most a geometric series, and the result is exact to rounding in the tails, and an upper bound elsewhere.

    Examples
    --------
    No row of a part of 100 among 10 drawn of 200: twice C(100, 10) / C(200, 10).

    >>> hypergeometric_tail(np.zeros(1), np.array([200.0]), np.array([100.0]), np.array([10.0])).round(6)
    array([0.001542])
    """
    count, total, part, drawn = np.broadcast_arrays(count, total, part, drawn)
    # the upper tail of the part's count is the lower one of the other rows' count
    above = count * total > part * drawn
    tail = _lower_tail(np.where(above, drawn - count, count), total, np.where(above, total - part, part), drawn)
    return np.asarray(np.minimum(2.0 * tail, 1.0))


def _lower_tail(count: FloatArray, total: FloatArray, part: FloatArray, drawn: FloatArray) -> FloatArray:
    """P(X <= count), (T,)."""
    first = _log_choose(part, count) + _log_choose(total - part, drawn - count) - _log_choose(total, drawn)
    k = count[:, None] - np.arange(TERMS)
    rest = (total - part - drawn)[:, None]
    # f(k - 1) / f(k)
    above, below = k * (rest + k), (part[:, None] - k + 1.0) * (drawn[:, None] - k + 1.0)
    ratio = np.divide(np.maximum(above, 0.0), below, out=np.zeros_like(above), where=(k > 0.0) & (below > 0.0))
    with np.errstate(over="ignore", invalid="ignore"):
        terms = np.cumprod(ratio[:, :-1], axis=1)
        last, left = terms[:, -1], ratio[:, -1]
        tail = np.where(left < 1.0, last * left / np.where(left < 1.0, 1.0 - left, 1.0), np.inf)
        series = 1.0 + terms.sum(axis=1) + np.where(last > 0.0, tail, 0.0)
        # where terms grow beyond all bounds this is not a tail
        bound = np.exp(np.minimum(first + np.log(np.where(np.isfinite(series), series, 1.0)), 0.0))
    return np.asarray(np.where(np.isfinite(series), bound, 1.0))


def _log_choose(n: FloatArray, k: FloatArray) -> FloatArray:
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))


def bounded_tail(count: FloatArray, mean: FloatArray, variance: FloatArray, trials: FloatArray | None) -> FloatArray:
    """Bound of twice the smaller tail of a sum of independent variables in [0, 1].

    Parameters
    ----------
    count, mean, variance : (T,) arrays
        The sum found, its mean and its variance.
    trials : (T,) array, optional
        Number of variables, where these are 0 or 1.

    Returns
    -------
    (T,) array, at most one

    Notes
    -----
    Hoeffding (1956, theorem 4): with m the mean and p = m / trials, P(S >= c) is at most the binomial's for c >= m + 1, and
    P(S <= c) for c <= m - 1. Bennett (1962): P(S - m >= t) <= exp(-v h(t / v)), and the same below.

    Examples
    --------
    >>> bounded_tail(np.array([0.0]), np.array([5.0]), np.array([2.5]), np.array([10.0])).round(6)
    array([0.001953])
    """
    gap = np.abs(count - mean)
    slack = 1e-9 * np.maximum(1.0, np.abs(mean))
    v = np.maximum(variance, np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        ratio = gap / v
        # v h(gap / v), written so that v near zero does no harm
        bennett = np.exp(-((gap + v) * np.log1p(ratio) - gap))
    tail = np.where(gap <= slack, 1.0, bennett)
    if trials is not None:
        chance = np.clip(np.divide(mean, trials, out=np.zeros_like(mean), where=trials > 0.0), 0.0, 1.0)
        below, high = count < mean, np.maximum(trials, count)
        # P(B <= c) = I(1 - p; n - c, c + 1) and P(B >= c) = I(p; c, n - c + 1)
        a = np.where(below, high - count, count)
        b = np.where(below, count + 1.0, high - count + 1.0)
        binomial = betainc(np.maximum(a, 1e-300), b, np.where(below, 1.0 - chance, chance))
        binomial = np.where((gap >= 1.0 - slack) & (trials > 0.0), binomial, 1.0)
        tail = np.minimum(tail, binomial)
    return np.asarray(np.minimum(2.0 * tail, 1.0))


def reach_test(prob: FloatArray, drawn: BoolArray, code: IntArray) -> tuple[int, float, float]:
    """Test that labelled rows are not gathered in few levels of a column: levels that have any, how many expected, p value.

    The levels without labelled rows are negatively associated under any draw considered here, so that bounds for sums of
    independent variables hold for the upper tail of their number. Probabilities of a level without labelled rows are those of
    independent draws, which are the larger ones.

    Parameters
    ----------
    prob : (N,) array
    drawn : (N,) bool array
    code : (N,) int array
        Levels 0, 1, ..., each of which occurs.
    """
    none = np.exp(np.bincount(code, np.log1p(-np.minimum(prob, 1.0 - 1e-15))))
    found = np.bincount(code, drawn) > 0
    missed, mean = float((~found).sum()), float(none.sum())
    if missed <= mean:
        return int(found.sum()), len(none) - mean, 1.0
    p_value = bounded_tail(
        np.array([missed]), np.array([mean]), np.array([(none * (1.0 - none)).sum()]), np.array([float(len(none))])
    )
    return int(found.sum()), len(none) - mean, float(p_value[0])
