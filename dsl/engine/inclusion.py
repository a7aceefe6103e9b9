"""How many rows of a unit are labelled: probabilities under the labeling that drew them, from arrays.

Rows are drawn in *groups* (`dsl.engine.labeling.Groups`): strata, or primary units that are drawn as a whole before rows are
drawn in them. Within a group either a fixed number of rows was drawn, all with the same probability, or each row on its own.
The *units* here are the analysis's (candidates, users), whose rows may lie in several groups.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import gammaln

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.engine.labeling import WHOLE, Groups, Labeling, groups_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Where units and the groups of a labeling cross."""

    unit: IntArray = field(repr=False)
    """(C,) unit of each crossing, ascending."""
    group: IntArray = field(repr=False)
    """(C,) its group."""
    of_row: IntArray = field(repr=False)
    """(N,) crossing of each row."""

    @classmethod
    def of(cls, unit: IntArray, group: IntArray) -> "Cells":
        """The crossings that have rows."""
        n_groups = int(group.max()) + 1
        pairs, of_row = np.unique(unit * n_groups + group, return_inverse=True)
        return cls(unit=pairs // n_groups, group=pairs % n_groups, of_row=of_row)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sums (C,) of one value per row."""
        return np.asarray(np.bincount(self.of_row, values, minlength=len(self.unit)), dtype=np.float64)


def prob_at_least(labeling: Labeling, unit: IntArray, least: IntArray) -> FloatArray:
    """Probability that at least so many rows of each unit are labelled.

    Exact for independent draws, simple random and stratified samples, and for primary units that hold whole units. Primary
    units between which a unit is divided are taken to be drawn independently of each other.

    Parameters
    ----------
    labeling : Labeling
    unit : (N,) int array
        Codes 0, 1, ... of the units, each of which occurs.
    least : (U,) int array
        Number of rows of each unit, from 1 to all of them.

    Returns
    -------
    (U,) array

    Examples
    --------
    Two of four rows drawn at random, from units of three rows and of one:

    >>> import numpy as np
    >>> four = Labeling(prob=np.full(4, 0.5), drawn=np.array([True, False, True, False]), fixed_size=True)
    >>> prob_at_least(four, np.array([0, 0, 0, 1]), np.array([1, 1])).round(3)
    array([1. , 0.5])
    """
    groups = groups_of(labeling)
    given = np.minimum(labeling.prob / groups.reached[groups.code], 1.0)  # of a row once its group is reached
    cells = Cells.of(unit, groups.code)
    rows = np.bincount(unit)
    out = np.empty(len(rows))
    # two cases have closed forms for all units at once: P(at least one) = 1 - P(none), and P(all of them)
    one, every = least == 1, (least == rows) & (least > 1)
    none = _reached(groups, cells, _none_in(groups, given, cells), missed=1.0)
    full = _reached(groups, cells, _all_in(groups, given, cells), missed=0.0)
    out[one] = 1.0 - _products(none, cells.unit, len(rows))[one]
    out[every] = _products(full, cells.unit, len(rows))[every]
    order = np.argsort(cells.of_row, kind="stable")
    ends = np.append(0, np.cumsum(np.bincount(cells.of_row)))
    bounds = np.searchsorted(cells.unit, np.arange(len(rows) + 1))
    for u in np.flatnonzero(~one & ~every):
        # distribution of the number labelled: convolved over the groups that the unit crosses, cut where it is enough
        below = np.ones(1)
        for cell in range(bounds[u], bounds[u + 1]):
            members = order[ends[cell] : ends[cell + 1]]
            below = np.convolve(below, _counts(groups, given, members, int(least[u])))[: least[u]]
        out[u] = 1.0 - below.sum()
    return np.clip(out, 0.0, 1.0)


def prob_reached(labeling: Labeling, unit: IntArray) -> FloatArray:
    """Probability that the first stage reached at least one group of each unit, (U,). It is one if there was one stage only."""
    groups = groups_of(labeling)
    cells = Cells.of(unit, groups.code)
    return 1.0 - _products(1.0 - groups.reached[cells.group], cells.unit, int(unit.max()) + 1)


def unequal_within(labeling: Labeling, unit: IntArray) -> BoolArray:
    """Whether rows of a unit had different probabilities, (U,)."""
    n_units = int(unit.max()) + 1
    low, high = np.full(n_units, np.inf), np.zeros(n_units)
    np.minimum.at(low, unit, labeling.prob)
    np.maximum.at(high, unit, labeling.prob)
    return np.asarray(high - low > WHOLE * high)


def _products(values: FloatArray, unit: IntArray, n: int) -> FloatArray:
    """Product (U,) of the crossings' values in each unit."""
    out = np.ones(n)
    np.multiply.at(out, unit, values)
    return out


def _reached(groups: Groups, cells: Cells, values: FloatArray, *, missed: float) -> FloatArray:
    """From probabilities (C,) given that the group is reached to unconditional ones. `missed` is the one if it is not."""
    reached = groups.reached[cells.group]
    return reached * values + (1.0 - reached) * missed


def _none_in(groups: Groups, given: FloatArray, cells: Cells) -> FloatArray:
    """Probability that no row of a crossing is labelled, once its group is reached, (C,)."""
    n, m, k = groups.rows[cells.group], groups.size[cells.group], cells.sums(np.ones(len(given)))
    with np.errstate(divide="ignore"):
        # independent draws: the product of 1 - q as a sum of logarithms, where log(0) = -inf is right
        alone = np.exp(cells.sums(np.log1p(-given)))
    return np.where(np.isnan(m), alone, _ratio(n - k, m, n, m))


def _all_in(groups: Groups, given: FloatArray, cells: Cells) -> FloatArray:
    """Probability that all rows of a crossing are labelled, once its group is reached, (C,)."""
    n, m, k = groups.rows[cells.group], groups.size[cells.group], cells.sums(np.ones(len(given)))
    with np.errstate(divide="ignore"):
        alone = np.exp(cells.sums(np.log(given)))
    return np.where(np.isnan(m), alone, _ratio(m, k, n, k))


def _ratio(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    """binom(a, b) / binom(c, d), zero where b > a, elementwise and NaN where an argument is."""
    possible = ~(b > a)
    top = np.where(possible, a, b)
    logs = _log_binomial(top, b) - _log_binomial(c, d)
    return np.where(possible, np.exp(logs), 0.0)


def _log_binomial(n: FloatArray | float, k: FloatArray | float) -> FloatArray:
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))


def _counts(groups: Groups, given: FloatArray, members: IntArray, least: int) -> FloatArray:
    """Probabilities of 0, ..., least - 1 labelled rows among `members` of one group, (least,)."""
    group = groups.code[members[0]]
    m, n, k = groups.size[group], groups.rows[group], float(len(members))
    if np.isnan(m):
        out = np.zeros(least)
        out[0] = 1.0
        for q in given[members]:
            # independent draws: the Poisson binomial distribution, one row at a time
            out = out * (1.0 - q) + np.append(0.0, out[:-1]) * q
    else:
        # a fixed number m of n: j of the k members is hypergeometric
        j = np.arange(least, dtype=float)
        possible = (j <= min(k, m)) & (m - j <= n - k)
        # impossible counts get a possible one for the logarithms, and probability zero below
        inside = np.where(possible, j, max(0.0, m - n + k))
        logs = _log_binomial(k, inside) + _log_binomial(n - k, m - inside) - _log_binomial(n, m)
        out = np.where(possible, np.exp(logs), 0.0)
    out = np.asarray(groups.reached[group] * out)
    out[0] += 1.0 - groups.reached[group]
    return out


def adjusted_means(
    labeling: Labeling, unit: IntArray, guess: FloatArray, gold: FloatArray
) -> tuple[FloatArray, FloatArray]:
    r"""Design-adjusted means of units, and the variance that the choice of the labelled rows gives them.

    The means of :math:`g_i + (R_i / \pi_i)(y_i - g_i)` are unbiased for the units' means of y over repeated labelling,
    whatever g, also in units without labelled rows. With e = y - g and joint probabilities :math:`\pi_{ij}`, which are
    :math:`\pi_i \pi_j` between groups, the variance of each is estimated without bias by

    .. math:: \frac{1}{n_u^2} \Big[ \big(\sum_i R_i e_i / \pi_i\big)^2 - \sum_i R_i e_i^2 / \pi_i
              - \sum_{i \ne j} R_i R_j e_i e_j / \pi_{ij} \Big],

    that is, the squared correction less what it would be without the labels' luck (Horvitz and Thompson, JASA 1952).

    Parameters
    ----------
    labeling : Labeling
    unit : (N,) int array
        Codes 0, 1, ...
    guess : (N,) array
        g: any prediction that does not depend on the row's own label.
    gold : (n,) array
        y of the labelled rows.

    Returns
    -------
    mean : (U,) array
    noise : (U,) array
        Unbiased, hence meaningful on average over units only: zero in units without labels, negative in some. NaN where one
        row was drawn in a group, which shows no spread.
    """
    rows = np.bincount(unit).astype(float)
    drawn, groups = labeling.drawn, groups_of(labeling)
    # (N,) R e / pi
    gap = np.zeros(len(drawn))
    gap[drawn] = (gold - guess[drawn]) / labeling.prob[drawn]
    mean = (np.bincount(unit, guess) + np.bincount(unit, gap)) / rows
    cells = Cells.of(unit, groups.code)
    total, square, once = (cells.sums(values) for values in (gap, gap**2, gap**2 * labeling.prob))
    reached, joint = groups.reached[cells.group], _joint(groups)[cells.group]
    with np.errstate(divide="ignore", invalid="ignore"):
        # total^2 - square is the sum over i != j of R_i R_j e_i e_j / (pi_i pi_j). For 1 / pi_ij it takes the factor
        # pi_i pi_j / pi_ij, which is reached / joint: reaching the group counts twice in pi_i pi_j, and once in pi_ij.
        pairs = (total**2 - square) / joint
    noise = total**2 - reached * pairs - once
    return mean, np.bincount(cells.unit, noise, minlength=len(rows)) / rows**2


def _joint(groups: Groups) -> FloatArray:
    """Probability that two rows of a group are both drawn once it is reached, relative to independent draws, (G,)."""
    n, m = groups.rows, groups.size
    with np.errstate(divide="ignore", invalid="ignore"):
        # m of n: pi_ij = m (m - 1) / (n (n - 1)) against pi_i pi_j = m^2 / n^2
        ratio = (m - 1.0) * n / (m * (n - 1.0))
    return np.where(np.isnan(m) | (n == 1.0), 1.0, ratio)
