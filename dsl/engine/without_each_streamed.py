"""The covariance that leaves each row out of the choice of Lambda, for rows that are not in memory: squares in one pass."""

from typing import cast

import numpy as np

from dsl._typing import FloatArray
from dsl.engine.covariance import BY_DESIGN_HC3, inverse
from dsl.engine.leverage import leverage_by_coefficient
from dsl.engine.moments import augmentation_weights
from dsl.engine.one_pass import one_pass
from dsl.engine.pilot import Pilot, label_parts
from dsl.engine.press import ALL
from dsl.engine.streamed import Rows, Streamed
from dsl.engine.sums import part_scores
from dsl.exceptions import NeedsAllRowsError


def meat_without_each(pilot: Pilot, rows: Streamed, tuning: FloatArray) -> FloatArray:
    """Sum of squares of the scores of `dsl.engine.without_each.without_each`, (k, k), where each coefficient has a Lambda.

    Parameters
    ----------
    pilot : Pilot
        Of one measure, without clusters, whose `Problem.leave_out` is ``"PRESS"`` or ``"design+HC3"``.
    rows : Streamed
        The pilot's.
    tuning : (k, k) array
        The Lambdas that are best for all rows.
    """
    if rows.n_measures > 1:
        raise NeedsAllRowsError(
            f"vcov='{pilot.problem.leave_out}' leaves each row out of the choice of {rows.n_measures} lambdas, which needs all "
            "rows in memory, and the data are read in blocks; use vcov='design', or one surrogate"
        )
    return _meat(rows, pilot, tuning)[0]


@one_pass
def _meat(block: Rows, pilot: Pilot, tuning: FloatArray) -> tuple[FloatArray]:
    rows = cast(Streamed, block)
    problem, at, bread, k = pilot.problem, pilot.fit.params, pilot.bread, len(tuning)
    parts, lost = part_scores(rows, problem, at, problem.weights, augmentation_weights), np.empty((0, 2 * k))
    if problem.draw is not None:
        centred = problem.draw.about(label_parts(rows, problem, at))
        parts, lost = centred.units(parts), centred.lost
    lambdas = np.diag(bread @ tuning @ inverse(bread))
    # sum over rows of b^2, b = (1 - w) m_hat's influence
    added = bread @ (pilot.second - lost.T @ lost)[k:, k:] @ bread.T
    square = np.where(np.diag(added) > 0.0, np.diag(added), 1.0)

    def pressed(some: FloatArray, influence: FloatArray) -> FloatArray:
        """Influences (., k) of rows, had Lambda been chosen without each of them (`dsl.engine.press.press`)."""
        left = np.maximum(1.0 - (some[:, k:] @ bread.T) ** 2 / square, ALL)
        return np.asarray(np.where(pilot.few, influence, influence / left))

    def plain(some: FloatArray) -> FloatArray:
        return pressed(some, some[:, :k] @ bread.T + lambdas * (some[:, k:] @ bread.T))

    meat, first, labels = np.zeros((k, k)), 0, list[FloatArray]()
    for piece in parts:
        low, high = np.searchsorted(rows.gold_rows, (first, first + len(piece)))
        labeled = np.zeros(len(piece), dtype=bool)
        labeled[rows.gold_rows[low:high] - first] = True
        labels.append(piece[labeled])
        own = plain(piece[~labeled])
        meat += own.T @ own
        first += len(piece)
    known = np.concatenate(labels)
    by_design = problem.leave_out == BY_DESIGN_HC3
    # effects that are absorbed have no leverage that is known
    if by_design and not rows.absorbs:
        corrected = leverage_by_coefficient(
            rows.own, problem, at, pilot.fit.jacobian, basis=pilot.basis, parts=known, lambdas=lambdas[None]
        )
        own = pressed(known, corrected)
    else:
        own = plain(known)
    lost = lost @ np.hstack([np.eye(k), tuning]).T if by_design else np.empty((0, k))
    # influences are J^-1 times scores
    back = inverse(bread)
    return (np.asarray(back @ (meat + own.T @ own) @ back.T + lost.T @ lost),)
