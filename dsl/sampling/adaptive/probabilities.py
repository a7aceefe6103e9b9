"""Probabilities of the next batch: arrays in, arrays out."""

from dataclasses import dataclass

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.sampling.draw import draw_fixed_size
from dsl.sampling.further import FurtherDraw
from dsl.sampling.probability import MIXTURES, relative_variance

LEAST_ERROR = 0.05
"""Share of the mean to which expected errors are raised: an estimated error of zero is never believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probabilities:
    """Probabilities of being drawn now, and by now."""

    now: FloatArray  # (N,) in this batch, for a row not drawn before
    total: FloatArray  # (N,) in this batch or an earlier one: 1 - (1 - before) (1 - now)


def combined(before: FloatArray, now: FloatArray) -> FloatArray:
    """Probability of having been drawn by the end of a batch, 1 - (1 - before) (1 - now), (N,)."""
    return np.asarray(1.0 - (1.0 - before) * (1.0 - now))


def shrunk_errors(
    errors: FloatArray, *, past: IntArray, observed: FloatArray, weight: FloatArray, robust: bool
) -> tuple[FloatArray, float]:
    r"""Expected squared errors, drawn towards their mean as far as the labelled rows advise.

    :math:`e_i(\rho) \propto \hat e_i^{1 - \rho}`, with the mean of the labelled rows' own squared errors. :math:`\rho` in
    [0, 1] minimises :math:`\sum_{past} w_i (\log e_i + r_i^2 / e_i)`, a proper score for a variance. Errors that nothing
    known predicts end at :math:`\rho` near 1. There all rows count alike, and only their leverage :math:`x_i'h`, which is
    known, tells them apart.

    Parameters
    ----------
    errors : (N,) array
        Estimated squared errors. On the past rows they must not have seen these rows' labels.
    past : (n,) int array
        Positions of the labelled rows.
    observed : (n,) array
        Their squared errors r^2.
    weight : (n,) array
        One over their probability of having been labelled.
    robust : bool
        False leaves rho at 0.

    Returns
    -------
    (N,) array, float
        Errors, all positive, and rho.

    Examples
    --------
    >>> errors, common = np.array([1.0, 1.0, 4.0, 4.0]), {"past": np.arange(4), "weight": np.ones(4), "robust": True}
    >>> shrunk_errors(errors, observed=np.array([1.0, 1.0, 4.0, 4.0]), **common)
    (array([1., 1., 4., 4.]), 0.0)
    >>> shrunk_errors(errors, observed=np.array([4.0, 1.0, 4.0, 1.0]), **common)
    (array([2.5, 2.5, 2.5, 2.5]), 1.0)
    """
    mean = float(np.average(observed, weights=weight))
    if mean == 0.0:  # no error seen: nothing to tell rows apart by
        return np.ones_like(errors), 1.0
    # an estimated error of zero would claim that a row needs no label
    kept = np.maximum(errors, LEAST_ERROR * mean)
    logs = np.log(kept)
    best, rho, scale = np.inf, 0.0, 1.0
    for share in MIXTURES if robust else MIXTURES[:1]:
        own = np.exp((1.0 - share) * logs[past])
        # for each rho the errors keep the labelled rows' mean, so that rho moves their spread alone
        factor = mean / float(np.average(own, weights=weight))
        # sum of w (log e + r^2 / e): minus twice the Gaussian log likelihood of r with variance e
        score = float(weight @ (np.log(factor * own) + observed / (factor * own)))
        # strictly less: of equal scores the smaller rho
        if score < best:
            best, rho, scale = score, float(share), factor
    return scale * np.exp((1.0 - rho) * logs), rho


def even_probabilities(*, size: int, before: FloatArray, labeled: BoolArray) -> Probabilities:
    """The same probability for every row not yet drawn."""
    now = np.full(len(before), size / float((~labeled).sum()))
    return Probabilities(now=now, total=combined(before, now))


def aimed_probabilities(
    variance: FloatArray,
    *,
    size: int,
    before: FloatArray,
    labeled: BoolArray,
    tau: float,
    floor: float,
    criterion: str,
) -> Probabilities:
    """Probabilities of the next batch, with which all batches together come closest to the best design.

    Parameters
    ----------
    variance : (N, c) array
        Expected squared influence of row i's error on coefficient j.
    size : int
        Rows to draw.
    before : (N,) array
        Probability of having been drawn in an earlier batch.
    labeled : (N,) bool array
        Rows drawn before.
    tau : float
        Share of the design that is even.
    floor : float
        Smallest probability after this batch, as a share of the mean one.
    criterion : {"worst", "mean"}
        For several coefficients.

    Returns
    -------
    Probabilities
        Of `dsl.sampling.further.FurtherDraw`.
    """
    # `floor` times the mean probability after this batch
    least = floor * (int(labeled.sum()) + size) / len(before)
    further = FurtherDraw(size=size, before=before, labeled=labeled, floor=least)
    now = further.now(further.aimed(variance, tau=tau, criterion=criterion))
    return Probabilities(now=now, total=combined(before, now))


def draw(now: FloatArray, labeled: BoolArray, rng: np.random.Generator) -> IntArray:
    """Positions of the rows drawn from those not yet labelled, a fixed number with probabilities `now`, ascending."""
    # probabilities of rows drawn before are defined too, but play no part in this draw
    candidates = np.flatnonzero(~labeled)
    return np.asarray(candidates[draw_fixed_size(now[candidates], rng)])


def gains(variance: FloatArray, total: FloatArray) -> FloatArray:
    """Expected labelling variance of each coefficient against as many labels spread evenly, (c,)."""
    return relative_variance(variance, total)
