"""Several equations over the same rows: their estimates side by side, with the covariance between them.

One equation for each category of a categorical outcome. Each has its own parameters, so that the Jacobian is block
diagonal. The meat is that of the equations' scores next to each other.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import scipy.linalg

from dsl._typing import FloatArray
from dsl.engine.covariance import sandwich
from dsl.engine.fit import SplitFit
from dsl.engine.labeling import finite_meat
from dsl.engine.streamed import Rows
from dsl.engine.sums import Problem, label_meat, row_sums
from dsl.engine.two_way import positive_part


def join(
    fits: Sequence[SplitFit],
    rows: Sequence[Iterable[FloatArray]],
    block: Rows,
    problem: Problem,
    corrected: Sequence[FloatArray] = (),
) -> SplitFit:
    """One fit with the parameters of all.

    Parameters
    ----------
    fits : sequence of SplitFit
        One for each equation.
    rows : sequence of iterables of (., k) arrays
        Scores of each equation at its estimate, row by row, in the same pieces.
    block : Block or Streamed
        Rows of any of them.
    problem : Problem
    corrected : sequence of (G, k) arrays
        The units' scores of each equation as a covariance that leaves one out has them (`dsl.engine.leave_out`). Empty for the
        plain covariance.
    """
    if len(fits) == 1:
        return fits[0]
    jacobian = scipy.linalg.block_diag(*(fit.jacobian for fit in fits))
    on_labels, staged = np.hstack([fit.label_scores for fit in fits]), fits[0].stage_scores is not None
    in_stages = np.hstack([fit.drawn_scores for fit in fits])
    if problem.labeling is not None:
        # finite population: only the labelled rows' parts of the scores vary
        meat = finite_meat(on_labels, problem.labeling)
    else:
        # scores (., k) of each equation become (., equations x k): off the diagonal blocks, B has their covariances
        side_by_side = (np.hstack(pieces) for pieces in zip(*rows, strict=True))
        if problem.draw is None:
            meat = row_sums(side_by_side, problem, len(jacobian))[1]
        else:
            meat = problem.draw.meat(side_by_side, in_stages if staged else on_labels)
    vcov = sandwich(jacobian, meat)
    if problem.across is not None and problem.labeling is None:
        vcov = positive_part(vcov)
    if corrected:
        every = np.hstack(corrected)
        vcov = sandwich(jacobian, every.T @ every)
    degrees = [fit.df for fit in fits if fit.df is not None]
    return SplitFit(
        params=np.concatenate([fit.params for fit in fits]),
        vcov=vcov,
        jacobian=jacobian,
        meat=meat,
        label_scores=on_labels,
        label_meat=label_meat(block, problem, on_labels),
        stage_scores=in_stages if staged else None,
        moment_norm=max(fit.moment_norm for fit in fits),
        iterations=max(fit.iterations for fit in fits),
        positive_definite=all(fit.positive_definite for fit in fits),
        df=np.concatenate(degrees) if degrees else None,
    )
