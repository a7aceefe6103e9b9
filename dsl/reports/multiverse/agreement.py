r"""Whether estimates of one analysis with different labels agree, on one gold sample.

To first order each estimate is the truth plus a sum over rows (or clusters) of J^-1 psi_i. The covariance of all of them is
therefore the sum of the products of these terms, stacked (Weesie, "Seemingly unrelated estimation and the cluster-adjusted
sandwich estimator", Stata Technical Bulletin 52, 1999). Estimates that gold labels correct have the same expectation, whatever
the models' labels. Wald's test that they agree,

.. math:: d' V_d^- d, \qquad d = C \theta, \quad V_d = C V C'

with C each estimate less their mean, takes a generalised inverse, as C has rank M - 1 and some of the estimates may be one.
Repeated splits are averaged, estimates and terms alike.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtri

from dsl._typing import FloatArray
from dsl.reports.comparison.difference import NO_DIFFERENCE, NO_VARIANCE, WaldTest, wald_test

POWER = 0.8
"""Probability with which a detectable difference is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stacked:
    """M estimates of the same k coefficients."""

    estimates: FloatArray
    """(M, k)"""
    vcov: FloatArray = field(repr=False)
    """(M, k, M, k) covariance of all of them."""

    @classmethod
    def of(
        cls,
        fits: Sequence[tuple[FloatArray, Iterable[FloatArray]]],
        squares: Callable[[FloatArray], FloatArray] | None = None,
    ) -> "Stacked":
        """From each fit's estimates in its splits, (S, k), and its units' influences in each of them, (units, k).

        `squares` makes the covariance (K, K) of influences (units, K), by default the sum of their products.
        """
        means = [np.mean([*influences], axis=0) for _, influences in fits]
        every = np.stack(means, axis=1)
        units, m, k = every.shape
        flat = every.reshape(units, m * k)
        estimates = np.stack([params.mean(axis=0) for params, _ in fits])
        vcov = flat.T @ flat if squares is None else squares(flat)
        return cls(estimates=estimates, vcov=vcov.reshape(m, k, m, k))

    @property
    def scale(self) -> FloatArray:
        """Standard errors, (M, k)."""
        m, k = self.estimates.shape
        return np.asarray(np.sqrt(np.diag(self.vcov.reshape(m * k, m * k)))).reshape(m, k)

    def of_term(self, place: int) -> "Stacked":
        """One coefficient."""
        part = slice(place, place + 1)
        return Stacked(estimates=self.estimates[:, part], vcov=self.vcov[:, part, :, part])

    def agreement(self) -> WaldTest:
        """Wald's test that the M estimates are the same, with as many degrees of freedom as directions in which they vary."""
        m, k = self.estimates.shape
        away = np.eye(m) - 1.0 / m
        gap = away @ self.estimates
        vcov = np.einsum("ab,bicj,dc->aidj", away, self.vcov, away).reshape(m * k, m * k)
        scale = np.tile(self.scale.max(axis=0), m)
        # estimates that are one but for rounding have no variance to be judged by
        same = (np.diag(vcov) <= NO_VARIANCE * scale**2) & (np.abs(gap.ravel()) <= NO_DIFFERENCE * scale)
        return wald_test(np.where(same, 0.0, gap.ravel()), vcov, scale)

    def pair_errors(self) -> FloatArray:
        """Standard errors of the differences of every pair, (M, M, k), zero where two are one."""
        own = np.einsum("aiai->ai", self.vcov)
        cross = np.einsum("aibi->abi", self.vcov)
        variance = own[:, None] + own[None] - 2.0 * cross
        floor = NO_VARIANCE * (own[:, None] + own[None])
        return np.asarray(np.sqrt(np.where(variance > floor, variance, 0.0)))

    def detectable(self, alpha: float, power: float = POWER) -> FloatArray:
        """Smallest difference that a test of any pair finds with probability `power`, (k,): of the pair that shows it worst."""
        factor = float(ndtri(1.0 - alpha / 2.0) + ndtri(power))
        return np.asarray(factor * self.pair_errors().max(axis=(0, 1)))
