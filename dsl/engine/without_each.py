"""Scores of the units of a tuned fit, as covariances that leave each out have them: of the data, and of the choice of Lambda."""

from dataclasses import replace

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.engine.covariance import BY_DESIGN_HC3, inverse, solve
from dsl.engine.lambdas import best_each, best_tuning
from dsl.engine.leave_out import (
    jackknifed,
    left_out_scores,
    leverage_of_labels,
    unit_jacobians,
)
from dsl.engine.leverage import leverage_by_coefficient, parted_jacobians, row_of_inverse
from dsl.engine.pilot import Pilot
from dsl.engine.press import press
from dsl.engine.sums import Problem

MOST_LEFT_OUT = 1_000
"""Labelled units up to which a jackknife chooses Lambda anew without each. Beyond, `dsl.engine.press` is close enough."""


def without_each(pilot: Pilot, tune: str, tuning: FloatArray) -> FloatArray:
    """Scores of the units as `Problem.leave_out` has them, with Lambda chosen without each, (G, k).

    Where each coefficient has a Lambda of its own, its influence is corrected at this Lambda alone
    (`dsl.engine.leverage`).

    Parameters
    ----------
    pilot : Pilot
        With its units.
    tune : {"scalar", "coef", "matrix"}
    tuning : (k, J k) array
        The Lambdas that are best for all units.
    """
    problem, kind, bread = pilot.problem, pilot.problem.leave_out, pilot.bread
    parts, k = pilot.units, len(bread)
    # influences of what Lambda scales on the reported coefficients, (G, J, k)
    added = (parts[:, k:].reshape(-1, k) @ bread.T).reshape(len(parts), -1, k)
    # effects that are absorbed have no leverage that is known
    if kind == "PRESS" or pilot.whole.absorbed is not None or pilot.whole.effects is not None:
        own = _pressed(pilot, tune, tuning, parts, added)
    elif tune == "coef":
        lambdas = _diagonals(bread, tuning)
        influence = parts @ np.hstack([bread, *(each[:, None] * bread for each in lambdas)]).T
        influence = leverage_by_coefficient(
            pilot.whole,
            problem,
            pilot.fit.params,
            pilot.fit.jacobian,
            basis=pilot.basis,
            parts=parts,
            lambdas=lambdas,
            influence=influence,
        )
        influence = press("coef", influence, added, pilot.few)
        if kind == "jackknife":
            influence = _each_anew(pilot, lambdas, parts, influence)
        own = influence @ inverse(bread).T
    else:
        own = _together(pilot, tune, tuning, parts, added)
    if kind == BY_DESIGN_HC3:
        return np.vstack([own, pilot.lost @ _both(tuning).T])
    return jackknifed(own) if kind == "jackknife" else own


def _both(tuning: FloatArray) -> FloatArray:
    return np.hstack([np.eye(len(tuning)), tuning])


def _diagonals(bread: FloatArray, tuning: FloatArray) -> FloatArray:
    """Lambdas of the reported coefficients, (J, k)."""
    back, k = inverse(bread), len(bread)
    return np.stack([np.diag(bread @ part @ back) for part in np.split(tuning, tuning.shape[1] // k, axis=1)])


def _pressed(pilot: Pilot, tune: str, tuning: FloatArray, parts: FloatArray, added: FloatArray) -> FloatArray:
    """Scores (G, k) of the units with Lambda chosen without each."""
    bread, turn = pilot.bread, pilot.centre
    influence = parts @ (bread @ _both(tuning)).T
    k, count = len(bread), pilot.whole.n_measures
    level = turn @ bread @ np.hstack([np.eye(k), *[np.eye(k) / count] * count])
    relative = np.einsum("ij,jl,il->i", level, pilot.second, level)
    return np.asarray(press(tune, influence, added, pilot.few, turn, relative) @ inverse(bread).T)


def _together(pilot: Pilot, tune: str, tuning: FloatArray, parts: FloatArray, added: FloatArray) -> FloatArray:
    """Scores (G, k) where one Lambda, or a matrix, serves all coefficients."""
    block, at, jacobian = pilot.whole, pilot.fit.params, pilot.fit.jacobian
    tuned = replace(pilot.problem, tuning=tuning)
    own = _pressed(pilot, tune, tuning, parts, added)
    if tuned.leave_out == BY_DESIGN_HC3:
        return leverage_of_labels(block, tuned, at, jacobian, own)
    plain = replace(tuned, leave_out="HC3") if tuned.leave_out == "jackknife" else tuned
    own = left_out_scores(block, plain, at, jacobian, own)
    return own if tuned.leave_out != "jackknife" else _anew(pilot, tune, tuned, parts, own)


def _labeled(pilot: Pilot) -> IntArray:
    """Units with labels, none where they are too many to be left out one by one."""
    rows, cluster = pilot.whole.gold_rows, pilot.problem.cluster
    labeled = rows if cluster is None else np.unique(cluster[rows])
    return labeled if len(labeled) <= MOST_LEFT_OUT else labeled[:0]


def _anew(pilot: Pilot, tune: str, tuned: Problem, parts: FloatArray, own: FloatArray) -> FloatArray:
    """Scores A (theta - theta without the unit) of labelled units, whose Lambda is chosen anew. Others' are `own`, (G, k)."""
    jacobian, out, first, labeled = pilot.fit.jacobian, own.copy(), 0, _labeled(pilot)
    assert tuned.tuning is not None
    step, centre = solve(jacobian, _both(tuned.tuning) @ pilot.total), pilot.centre
    for jacobians in unit_jacobians(pilot.whole, tuned, pilot.fit.params):
        for unit in labeled[(labeled >= first) & (labeled < first + len(jacobians))]:
            part, left = parts[unit], jacobian - jacobians[unit - first]
            second = pilot.second - part[:, None] * part
            again = best_tuning(tune, second, pilot.basis @ inverse(left), pilot.few, centre)
            out[unit] = jacobian @ (step - solve(left, _both(again) @ (pilot.total - part)))
        first += len(jacobians)
    return out


def _each_anew(pilot: Pilot, lambdas: FloatArray, parts: FloatArray, influence: FloatArray) -> FloatArray:
    """Influences theta - theta without the unit of labelled units, each coefficient's Lambda chosen anew, (G, k)."""
    jacobian, labeled, out, first = pilot.fit.jacobian, _labeled(pilot), influence.copy(), 0
    step, weights = _at(pilot.bread, pilot.total, lambdas), np.vstack([np.ones(len(pilot.few)), lambdas])
    for jacobians in parted_jacobians(pilot.whole, pilot.problem, pilot.fit.params):
        for unit in labeled[(labeled >= first) & (labeled < first + len(jacobians))]:
            part, own = parts[unit], np.einsum("jab,jc->cab", jacobians[unit - first], weights)
            # row c is that of coefficient c, with the Jacobian at its own Lambda
            bread = row_of_inverse(pilot.basis, jacobian, own)
            again = best_each(pilot.second - part[:, None] * part, bread, pilot.few)
            out[unit] = step - _at(bread, pilot.total - part, again)
        first += len(jacobians)
    return out


def _at(bread: FloatArray, total: FloatArray, lambdas: FloatArray) -> FloatArray:
    """Each coefficient at its own Lambdas, less the pilot's, (k,), from sums of the parts."""
    k = len(bread)
    each = total.reshape(-1, k)
    return np.asarray(np.einsum("ca,ca->c", bread, each[0] + lambdas.T @ each[1:]))
