"""Why two solutions of one moment equation differ: whether the reference stopped early, or solves another equation.

The reference minimises the sum of squared moments and stops at its optimiser's tolerance, which ``help(optim)`` in R gives as
about 1e-8. A mean moment of up to 1e-4 or so is left, and how many standard errors that is depends on the data: the
distance alone cannot tell an early stop from another equation. Three things do, in every split.

- At R's parameters our covariance is R's, to rounding error. It is made of all rows' moments and their Jacobian, so that the
  two packages have the same equation there. Neither has to be at the root for that.
- At our parameters the moment is smaller than at R's.
- Newton's step from R's parameters, with the Jacobian's mean over both ends, leads to ours: the moment that R left is the
  difference.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.engine.centre import shared_columns
from dsl.engine.covariance import sandwich
from dsl.engine.moments import augmentation_weights
from dsl.engine.sums import Problem, column_scale, moment_sums, row_scores, score_sums, unit_scores

SAME_EQUATION = 1e-9
"""Covariances at the same parameters, relative to the standard errors: the same sums in another order."""
LOST = 100.0 * np.finfo(float).eps
"""The same for each unit of the Jacobian's condition number: what two ways of solving may lose."""
ROUNDING = 1e-7
"""Differences below this, in standard errors or relative, need no reason."""
UNEXPLAINED = 1e-3
"""Share of a difference that Newton's step may leave open: its error is of third order."""
FAR = 0.05
"""Standard errors. An optimiser that stops farther from the root than this has not arrived."""

AGREES = "agrees"
EARLY = "agrees (reference stopped early)"
KNOWN = "known difference"
DIFFERS = "differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCheck:
    """The reference's parameters in our moment equation, one split."""

    moment: FloatArray
    """(k,) mean moment at our parameters, in centred and scaled columns."""
    their_moment: FloatArray
    """(k,) the same at R's."""
    unexplained: FloatArray
    """(k,) part of the difference that R's moment does not explain, in R's standard errors."""
    covariance_gap: float
    """Largest difference of our covariance at R's parameters from R's, relative to its standard errors."""
    rounding: float
    """What rounding may make of it."""

    def at(self, places: IntArray) -> "SplitCheck":
        """The check with the terms at `places`."""
        return replace(
            self,
            moment=self.moment[places],
            their_moment=self.their_moment[places],
            unexplained=self.unexplained[places],
        )


def check_split(
    block: Block, problem: Problem, params: FloatArray, their_params: FloatArray, their_vcov: FloatArray
) -> SplitCheck:
    """Hold the reference's parameters against our moment equation.

    Parameters
    ----------
    block : Block
        Rows of one split, at the reference's predictions.
    problem : Problem
        With all rows random (``labeling=None``), as in the reference.
    params, their_params : (k,) arrays
        Ours and R's, in the block's order.
    their_vcov : (k, k) array
        R's covariance.
    """
    n, bse = len(block.outcome), np.sqrt(np.diag(their_vcov))
    # in centred columns of root mean square one, in which products and solutions lose least
    _, centring = shared_columns(block, problem)
    block = block if centring is None else centring.apply(block)
    scale = column_scale(block)
    back = (np.eye(len(bse)) if centring is None else centring.back(len(bse))) * scale
    ours, theirs = np.linalg.solve(back, params), np.linalg.solve(back, their_params)
    moment, jacobian = _scaled(moment_sums(block, problem, ours * scale), scale, n)
    their_moment, their_jacobian = _scaled(moment_sums(block, problem, theirs * scale), scale, n)
    rows = row_scores(block, problem, theirs * scale, problem.weights, augmentation_weights)
    _, meat = score_sums(unit_scores(rows, problem), len(params))
    # J^-1 Omega J^-T / N, as means
    vcov = sandwich(their_jacobian, meat * np.outer(scale, scale) / n) / n
    # exact where the moment is linear in the parameters, or quadratic
    step = np.linalg.solve((jacobian + their_jacobian) / 2.0, their_moment)
    return SplitCheck(
        moment=moment,
        their_moment=their_moment,
        unexplained=back @ (ours - theirs - step) / bse,
        rounding=SAME_EQUATION + LOST * float(np.linalg.cond(their_jacobian)),
        covariance_gap=float(np.abs((back @ vcov @ back.T - their_vcov) / np.outer(bse, bse)).max()),
    )


def _scaled(sums: tuple[FloatArray, FloatArray], scale: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Moment and Jacobian of the scaled columns, as means over the rows."""
    moment, jacobian = sums
    return moment * scale / n, jacobian * np.outer(scale, scale) / n


def judge(
    size: ArrayLike,
    se_size: ArrayLike,
    checks: list[SplitCheck],
    *,
    combination_gap: float,
    known: str = "",
    combined: str = "",
) -> pd.DataFrame:
    """Verdict and reason of every term.

    Parameters
    ----------
    size, se_size : (k,) arrays or Series
        Largest differences over the splits and the combination: of estimates in standard errors, of standard errors
        relative to R's.
    checks : list of SplitCheck
        Of every split, terms in the order of `size`.
    combination_gap : float
        How far R's results are from those that our combination makes of R's splits, in standard errors.
    known, combined : str
        Why the reference solves another equation on these data, and why it combines its splits otherwise, if it is known
        to.

    Returns
    -------
    DataFrame with columns ``moment_ours`` and ``moment_r`` (largest over splits), ``verdict``, ``reason``
    """
    size, se_size = np.asarray(size, dtype=float), np.asarray(se_size, dtype=float)
    ours = np.abs([check.moment for check in checks])
    theirs = np.abs([check.their_moment for check in checks])
    left = np.abs([check.unexplained for check in checks]).max(axis=0)
    # of all terms together
    whole = _of_equations(checks, known)
    if not combination_gap <= ROUNDING and not combined:
        why = f"R combines its splits otherwise, by {combination_gap:.1e} standard errors: please report it"
        whole = whole or (DIFFERS, why)
    early = (
        f"R's optimiser stopped at a mean moment of {theirs.max():.1e}, ours is {ours.max():.1e}, which explains the "
        "difference"
    )
    found = []
    for j in range(len(size)):
        if size[j] <= ROUNDING and se_size[j] <= ROUNDING:
            found.append((AGREES, ""))
        elif whole:
            found.append(whole)
        elif left[j] > UNEXPLAINED * size[j] + ROUNDING:
            why = f"R's remaining moment explains all but {left[j]:.1e} standard errors: please report it"
            found.append((DIFFERS, why))
        elif combination_gap > ROUNDING:
            found.append((KNOWN, f"{combined}; {early}"))
        else:
            found.append((EARLY if size[j] <= FAR else KNOWN, early))
    verdict, reason = zip(*found, strict=True)
    moments = {"moment_ours": ours.max(axis=0), "moment_r": theirs.max(axis=0)}
    return pd.DataFrame({**moments, "verdict": verdict, "reason": reason})


def _of_equations(checks: list[SplitCheck], known: str) -> tuple[str, str] | None:
    """Verdict and reason where the packages solve different equations, or ours is solved worse."""
    # NaN included, hence not "above"
    if not all(check.covariance_gap <= check.rounding for check in checks):
        gap = max(check.covariance_gap for check in checks)
        why = (
            f"at R's parameters our covariance is off R's by {gap:.1e} of its standard errors, so that the two packages solve "
            "different equations: please report it"
        )
        return (KNOWN, known) if known else (DIFFERS, why)
    for check in checks:
        ours, theirs = np.abs(check.moment).max(), np.abs(check.their_moment).max()
        if ours > theirs:
            return DIFFERS, f"our mean moment {ours:.1e} is larger than R's {theirs:.1e}: please report it"
    return None
