"""Inclusion probabilities: arrays in, arrays out.

The labelling variance of an estimate with moments m and predicted moments m_hat is sum_i v_i / pi_i with
v_i = E (h' (m_i - m_hat_i))^2, h the coefficient's row of the inverse Jacobian. It is smallest, for a given number of
labels, at pi_i proportional to sqrt(v_i) (Neyman 1934, and for regressions Zrnic and Candes, "Active statistical inference",
2024). What is here finds such probabilities under the rules that keep them usable: an exact budget, a floor, none above
one, several coefficients at once, and doubt about v.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.exceptions import ArgumentError

NEGLIGIBLE = 1e-150
"""Share of the largest size measure below which one counts as zero."""
EXACT = 1e-13
"""Relative error of the budget at which the multiplier is final: rounding of a sum."""
MIXTURES = np.linspace(0.0, 1.0, 21)
"""Weights of the uniform design that `robust_mixture` compares."""


def scale_probabilities(
    measure: FloatArray,
    budget: float,
    *,
    floor: FloatArray | float = 0.0,
    cap: float = 1.0,
    weight: FloatArray | None = None,
) -> FloatArray:
    r"""Probabilities proportional to `measure` between `floor` and `cap`, with the budget met exactly.

    :math:`\pi_i = \min(\max(\lambda s_i, f_i), c)` with :math:`\lambda` such that :math:`\sum_i w_i \pi_i` is the budget.
    This also minimises :math:`\sum_i s_i^2 / \pi_i` under the same bounds (where the weights are one).

    Parameters
    ----------
    measure : (N,) array
        Size measure s, not negative. If it is zero everywhere, all rows count alike.
    budget : float
        What the probabilities sum to: the (expected) number of labels.
    floor : float or (N,) array
        Smallest probabilities allowed.
    cap : float
        Largest probability allowed.
    weight : (N,) array, optional
        What each row counts for in the budget, not negative, one by default.

    Returns
    -------
    (N,) array

    Raises
    ------
    ArgumentError
        No probabilities between floor and cap meet the budget, or a size measure is negative or missing.

    Examples
    --------
    >>> scale_probabilities(np.array([1.0, 2.0, 10.0]), 2.0).round(6)
    array([0.333333, 0.666667, 1.      ])
    >>> scale_probabilities(np.array([0.0, 1.0, 3.0, 6.0]), 1.0, floor=0.15).round(6)
    array([0.15    , 0.15    , 0.233333, 0.466667])
    """
    size = _checked_measure(measure)
    count = np.ones(len(size)) if weight is None else weight
    low = np.broadcast_to(np.asarray(floor, dtype=float), size.shape)
    least = float(count @ low)
    # a row of size zero stays at its floor whatever lambda is, so it cannot take up budget
    most = float(count @ np.where(size > 0.0, cap, low))
    slack = 1e-9 * max(1.0, abs(budget))
    if not least - slack <= budget <= most + slack or np.any(low > cap):
        raise ArgumentError(
            f"no probabilities sum to {budget:g} labels: with floor {_range(low)} and cap {cap:g} they sum to "
            f"{least:g} at least and {most:g} at most ({int((size == 0.0).sum())} of {len(size)} rows have size measure "
            "zero and stay at the floor); change n_labels, or the floor"
        )
    # budget put within its bounds, which it may miss by rounding
    value = _multiplier(size, min(max(budget, least), most), low, cap, count) * size
    prob = np.clip(value, low, cap)
    # rows strictly between their bounds share what rounding left, in proportion
    free = (value > low) & (value < cap)
    gap, part = budget - float((count * prob).sum()), float((count * prob)[free].sum())
    if abs(gap) < EXACT * len(size) * budget and part > 0.0:  # rounding of the sums
        prob[free] = np.clip(prob[free] * (1.0 + gap / part), low[free], cap)
    return prob


def _checked_measure(measure: FloatArray) -> FloatArray:
    """Size measure over its largest value, or ones if it is zero everywhere."""
    size = np.asarray(measure, dtype=float)
    bad = ~(np.isfinite(size) & (size >= 0.0))
    if bad.any():
        raise ArgumentError(
            f"{int(bad.sum())} of {len(size)} size measures are negative, missing or infinite (first: position "
            f"{int(bad.argmax())}, {size[bad][0]:g}); they must be zero or more"
        )
    largest = float(size.max(initial=0.0))
    if largest == 0.0:
        return np.ones_like(size)
    size = size / largest
    return np.where(size < NEGLIGIBLE, 0.0, size)


def _range(values: FloatArray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _multiplier(size: FloatArray, budget: float, floor: FloatArray, cap: float, weight: FloatArray) -> float:
    """Root of sum weight clip(lambda size, floor, cap) = budget: linear between kinks, so Newton's method in a bracket."""
    below, above = 0.0, 2.0 * cap / float(size[size > 0.0].min())  # all rows at the floor, all at the cap
    multiplier = min(budget / max(float(weight @ size), NEGLIGIBLE), above)
    for _ in range(1000):
        value = multiplier * size
        # the derivative in lambda is sum w s over the rows between their bounds
        free = (value > floor) & (value < cap)
        excess = float((weight * np.clip(value, floor, cap)).sum()) - budget
        if abs(excess) <= EXACT * budget:
            break
        below, above = (below, multiplier) if excess > 0.0 else (multiplier, above)
        slope = float(weight[free] @ size[free])
        step = multiplier - excess / slope if slope > 0.0 else below
        # Newton left the bracket: the geometric mean, as lambda may span many orders of magnitude
        if not below < step < above:
            step = float(np.sqrt(below * above)) if below > 0.0 else above / 2.0**20
        if step in (below, above):  # neighbours among floating-point numbers
            break
        multiplier = step
    return multiplier


def allocate(n_labels: int, strata: IntArray, spread: FloatArray, *, least: int = 1) -> IntArray:
    r"""Whole numbers of labels per stratum that minimise the variance of the stratified total.

    Minimises :math:`\sum_h (N_h S_h)^2 / n_h` over whole :math:`n_h` between `least` and :math:`N_h` with
    :math:`\sum_h n_h` the number of labels. The minimum is exact. The labels are given one after the other to the stratum
    with the largest :math:`N_h S_h / \sqrt{n_h (n_h + 1)}` (Wright, "The equivalence of Neyman optimum allocation for
    sampling and equal proportions for apportioning the U.S. House of Representatives", American Statistician 66, 2012). With
    equal spread this is proportional allocation.

    Parameters
    ----------
    n_labels : int
        Number of labels.
    strata : (H,) int array
        Rows N_h of each stratum.
    spread : (H,) array
        Standard deviation S_h, not negative.
    least : int
        Smallest number in each stratum (all of its rows, if it has fewer).

    Returns
    -------
    (H,) int array

    Raises
    ------
    ArgumentError
        `n_labels` is below the minima's sum, or above the number of rows.

    Examples
    --------
    >>> allocate(10, np.array([50, 30, 20]), np.array([1.0, 1.0, 4.0]))
    array([3, 2, 5])
    """
    minimum = np.minimum(least, strata)
    if not minimum.sum() <= n_labels <= strata.sum():
        raise ArgumentError(
            f"n_labels={n_labels} cannot be spread over {len(strata)} strata with at least {least} in each (all rows of smaller "
            f"strata): that takes {int(minimum.sum())}, and there are {int(strata.sum())} rows; change n_labels or least"
        )
    room = np.minimum(strata, n_labels) - minimum
    # one candidate for each label that a stratum may get beyond its minimum: (stratum, n) for the step n to n + 1
    stratum = np.repeat(np.arange(len(strata)), room)
    first = np.cumsum(room) - room
    n = np.arange(len(stratum)) - np.repeat(first, room) + minimum[stratum]
    weight = (strata * spread)[stratum]
    with np.errstate(divide="ignore"):
        # gain of the step: (N S)^2 (1 / n - 1 / (n + 1)) = (N S)^2 / (n (n + 1)), here its root
        priority = np.where(n > 0, weight / np.sqrt(n * (n + 1.0)), np.where(weight > 0.0, np.inf, 0.0))
    # the largest gains first. Among equals the stratum with the larger N S
    taken = np.lexsort((-weight, -priority))[: n_labels - int(minimum.sum())]
    return np.asarray(minimum + np.bincount(stratum[taken], minlength=len(strata)))


def targeted_probabilities(
    measure: FloatArray,
    budget: float,
    *,
    tau: float = 0.1,
    floor: FloatArray | float = 0.0,
    weight: FloatArray | None = None,
) -> FloatArray:
    r"""Probabilities for a size measure, a share `tau` of the budget spread evenly.

    :math:`\pi_i = \mathrm{clip}(\lambda ((1 - \tau) u_i / \bar u + \tau), f_i, 1)` with the budget met exactly.

    Parameters
    ----------
    measure : (N,) array
        u: sqrt(v) of one coefficient, or what `compromise` makes of several.
    budget : float
        Number of labels.
    tau : float
        Share spread evenly, in [0, 1]: insurance against a wrong measure.
    floor, weight
        As in `scale_probabilities`.

    Returns
    -------
    (N,) array

    Examples
    --------
    >>> targeted_probabilities(np.array([0.0, 1.0, 2.0, 3.0]), 2.0, tau=0.2).round(6)
    array([0.1     , 0.366667, 0.633333, 0.9     ])
    """
    mean = float(np.mean(measure))
    # (1 - tau) u / mean(u) + tau has mean 1, so that a share tau of the labels is spread evenly
    even = np.ones_like(measure) if mean == 0.0 else (1.0 - tau) * measure / mean + tau
    return scale_probabilities(even, budget, floor=floor, weight=weight)


def relative_variance(variance: FloatArray, prob: FloatArray) -> FloatArray:
    """Labelling variance of each coefficient against the same number of labels spread evenly, (k,).

    Parameters
    ----------
    variance : (N, k) array
        v_ij = E (h_j'(m_i - m_hat_i))^2.
    prob : (N,) array

    Returns
    -------
    (k,) array
        sum_i v_ij / pi_i over sum_i v_ij / b, with b the mean probability, or 1 for a coefficient without variance.
    """
    even = variance.sum(axis=0) / float(np.mean(prob))
    targeted = (variance / prob[:, None]).sum(axis=0)
    return np.asarray(np.divide(targeted, even, out=np.ones_like(even), where=even > 0.0))


def compromise(
    variance: FloatArray,
    budget: float,
    *,
    floor: FloatArray | float = 0.0,
    criterion: str = "mean",
    tolerance: float = 1e-3,
    most: int = 500,
) -> FloatArray:
    r"""Probabilities that serve several coefficients, none worse off than with even ones.

    With :math:`r_j = V_j(\pi) / V_j(\text{even})`, :math:`V_j(\pi) = \sum_i v_{ij} / \pi_i`, minimises the mean of the
    :math:`r_j` subject to all :math:`r_j \le 1`, or the largest of them. For weights a on the coefficients (the multipliers
    of these constraints) the best probabilities are :math:`\pi_i \propto \sqrt{\sum_j a_j v_{ij} / V_j(\text{even})}`. The
    weights of coefficients that gain too little grow until nothing changes.

    Parameters
    ----------
    variance : (N, k) array
        v_ij = E (h_j'(m_i - m_hat_i))^2.
    budget : float
        Number of labels.
    floor : float or (N,) array
        Smallest probabilities allowed, which must leave room for the budget.
    criterion : {"mean", "worst"}
        What is minimised: mean or largest ratio. Coefficients that hang on few rows gain much under the first, all gain
        alike under the second.
    tolerance : float
        Distance from the optimum, as a ratio of variances.
    most : int
        Rounds after which the best probabilities found so far are returned.

    Returns
    -------
    (N,) array

    Examples
    --------
    >>> v = np.array([[4.0, 0.0], [4.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    >>> prob = compromise(v, 2.0, floor=0.01)
    >>> bool((relative_variance(v, prob) <= 1.0).all()), round(float(prob.sum()), 9)
    (True, 2.0)
    """
    if criterion not in ("mean", "worst"):
        raise ArgumentError(f"unknown criterion {criterion!r}: use 'mean' or 'worst'")
    total = variance.sum(axis=0)
    # v_ij / sum_i v_ij (N, k): ratios to the even design need no more, since V_j(even) is proportional to the sum
    share = variance[:, total > 0.0] / total[total > 0.0]

    def probabilities(weight: FloatArray) -> FloatArray:
        # pi proportional to sqrt(sum_j a_j v_ij / V_j(even))
        prob = scale_probabilities(np.sqrt(share @ weight), budget, floor=floor)
        if prob.min() > 0.0:
            return prob
        return 0.999 * prob + 0.001 * budget / len(prob)  # rows that matter to no coefficient, and no floor

    if share.shape[1] == 0:
        return scale_probabilities(np.ones(len(variance)), budget, floor=floor)
    if criterion == "mean":
        found = _smallest_mean(share, probabilities, tolerance, most)
        if found is not None:
            return found
    return _smallest_largest(share, probabilities, tolerance, most)


def _smallest_mean(
    share: FloatArray, probabilities: Callable[[FloatArray], FloatArray], tolerance: float, most: int
) -> FloatArray | None:
    """Probabilities with the smallest mean ratio among those with no ratio above 1, or None if none were found.

    The weights are 1 / k + mu with multipliers mu >= 0. A multiplier grows while its ratio is above 1 and shrinks while it is
    below, until the ratio is 1 or the multiplier 0 (the conditions of Karush, Kuhn and Tucker).
    """
    least = 1.0 / share.shape[1]
    weight = np.full(share.shape[1], least)
    # aims a little below 1, so that the ratios found are within it
    best, smallest, limit = None, np.inf, 1.0 - tolerance / 2.0
    for _ in range(most):
        prob = probabilities(weight)
        ratio = relative_variance(share, prob)
        if ratio.max() <= 1.0 and ratio.mean() < smallest:
            best, smallest = prob, float(ratio.mean())
        # complementary slackness: sum of mu_j times the slack of constraint j, zero at the optimum
        slack = float((weight - least) @ np.maximum(limit - ratio, 0.0))
        if ratio.max() <= 1.0 and slack <= tolerance:
            break
        # multiplicative steps. The square makes them bolder, the maximum keeps mu >= 0
        weight = np.maximum(least, weight * (ratio / limit) ** 2)
    return best


def _smallest_largest(
    share: FloatArray, probabilities: Callable[[FloatArray], FloatArray], tolerance: float, most: int
) -> FloatArray:
    """Probabilities whose largest ratio is within `tolerance` of its lower bound, the dual sum of weight x ratio."""
    weight = np.full(share.shape[1], 1.0 / share.shape[1])
    best = probabilities(np.zeros_like(weight))  # even ones
    smallest = float(relative_variance(share, best).max())
    for _ in range(most):
        prob = probabilities(weight)
        ratio = relative_variance(share, prob)
        if ratio.max() < smallest:
            best, smallest = prob, float(ratio.max())
        # weak duality: no probabilities have a largest ratio below the weighted mean of the best ones' ratios
        bound = float(weight @ ratio)
        if smallest - bound <= tolerance * smallest:
            break
        # weights go to the coefficients with the largest ratios and sum to one: sum a_j r_j / bound = 1
        weight = weight * ratio / bound
    return best


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Targeted probabilities drawn back towards even ones."""

    prob: FloatArray  # (N,)
    rho: float  # weight of the even design
    relative: FloatArray  # (rounds,) estimated variance of each of MIXTURES against the even design


def robust_mixture(
    prob: FloatArray,
    budget: float,
    *,
    past: IntArray | BoolArray,
    past_variance: FloatArray,
    past_weight: FloatArray,
    floor: FloatArray | float = 0.0,
    weight: FloatArray | None = None,
) -> Mixture:
    r"""Draw probabilities towards even ones as far as past labels advise.

    :math:`\pi_i(\rho) \propto \pi_i^{1 - \rho} b^\rho`, rescaled to the budget, with :math:`\rho` in [0, 1] minimising the
    variance that the labelled rows estimate, :math:`\sum_{past} w_i d_{ij}^2 / \pi_i(\rho)`, relative to the even design.
    This is averaged over the coefficients, as the largest of several noisy ratios would always advise the even design. (Li,
    Zrnic and Candes, "Robust sampling for active statistical inference", 2025, use such a path.)

    Parameters
    ----------
    prob : (N,) array
        Targeted probabilities. On the past rows they must not have seen these rows' labels.
    budget : float
        Number of labels.
    past : (n,) positions or (N,) mask
        Rows labelled before.
    past_variance : (n, k) array
        Their squared influences (h_j'(m_i - m_hat_i))^2, from gold labels.
    past_weight : (n,) array
        One over the probability with which they were labelled.
    floor, weight
        As in `scale_probabilities`.

    Returns
    -------
    Mixture

    Examples
    --------
    >>> prob = np.array([0.1, 0.1, 0.4, 0.4])
    >>> past, even = np.array([0, 3]), np.ones(2)
    >>> robust_mixture(prob, 1.0, past=past, past_variance=np.array([[1.0], [1.0]]), past_weight=even).rho
    1.0
    >>> robust_mixture(prob, 1.0, past=past, past_variance=np.array([[1.0], [16.0]]), past_weight=even).rho
    0.0
    """
    log = np.log(prob)
    paths = [
        # pi^(1 - rho), over its maximum so that no power underflows
        scale_probabilities(np.exp((1.0 - rho) * (log - log.max())), budget, floor=floor, weight=weight)
        for rho in MIXTURES
    ]
    estimated = np.stack([(past_weight / path[past]) @ past_variance for path in paths])  # (rounds, k)
    # rho = 1, the last of MIXTURES, is the even design
    even = estimated[-1]
    ratio = np.divide(estimated, even, out=np.ones_like(estimated), where=even > 0.0).mean(axis=1)
    chosen = int(ratio.argmin())
    return Mixture(prob=paths[chosen], rho=float(MIXTURES[chosen]), relative=ratio)
