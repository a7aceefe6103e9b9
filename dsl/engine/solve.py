"""Parameters from moment sums: Newton's method on the moment equation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dsl._typing import FloatArray

TOLERANCE = 1e-10
"""Largest mean moment accepted, columns scaled to root mean square one."""
SINGULAR = 1e-12
"""Ratio of the extreme singular values of the scaled Jacobian below which it counts as singular."""
MAX_HALVINGS = 30

Evaluate = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""params -> mean moment (k,) and mean Jacobian (k, k), in scaled columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """Where Newton's method stopped, everything in scaled columns."""

    params: FloatArray  # (k,)
    jacobian: FloatArray  # (k, k)
    norm: float  # largest mean moment
    iterations: int
    problem: str | None  # None, "singular" or "stalled"


def closed_form(evaluate: Evaluate, k: int) -> Root:
    """Root of a moment equation that is linear in its `k` parameters: the Newton step from zero, not yet refined."""
    moment, jacobian = evaluate(np.zeros(k))
    if is_singular(jacobian):
        return _stopped(np.zeros(k), jacobian, moment, 1, "singular")
    return _stopped(_step(jacobian, moment), jacobian, moment, 1, None)


def newton(evaluate: Evaluate, start: FloatArray, *, tolerance: float = TOLERANCE, max_iterations: int = 100) -> Root:
    """Root of a moment equation by Newton's method, steps halved until the moment shrinks.

    The Jacobian need not be positive definite: the merit function is the moment's norm, for which
    the Newton step is a descent direction whenever the Jacobian can be inverted.

    Parameters
    ----------
    evaluate : callable
        Mean moment and Jacobian (minus its derivative) at given parameters.
    start : (k,) array
    tolerance : float
        Largest mean moment at which to stop.
    max_iterations : int

    Returns
    -------
    Root
        ``problem`` says why it failed, if it did. Nothing is raised.
    """
    # where a mean overflows the moment is infinite or NaN, which no step is accepted at
    with np.errstate(over="ignore", invalid="ignore"):
        return _newton(evaluate, start, tolerance, max_iterations)


def _newton(evaluate: Evaluate, start: FloatArray, tolerance: float, max_iterations: int) -> Root:
    params = start
    moment, jacobian = evaluate(params)
    for iteration in range(max_iterations + 1):
        if is_singular(jacobian):
            return _stopped(params, jacobian, moment, iteration, "singular")
        if np.abs(moment).max(initial=0.0) <= tolerance:
            return _stopped(params, jacobian, moment, iteration, None)
        accepted = _halve(evaluate, params, _step(jacobian, moment), moment)
        if accepted is None:
            return _stopped(params, jacobian, moment, iteration, "stalled")
        params, moment, jacobian = accepted
    return _stopped(params, jacobian, moment, max_iterations, "stalled")


def is_singular(jacobian: FloatArray) -> bool:
    """Whether a scaled Jacobian cannot be inverted to any useful accuracy."""
    if not np.all(np.isfinite(jacobian)):
        return True
    size = np.linalg.svd(jacobian, compute_uv=False)
    return bool(size.min(initial=1.0) <= SINGULAR * size.max(initial=1.0))


def _step(jacobian: FloatArray, moment: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(jacobian, moment), dtype=np.float64)


def _stopped(params: FloatArray, jacobian: FloatArray, moment: FloatArray, n: int, problem: str | None) -> Root:
    norm = float(np.abs(moment).max(initial=0.0))
    return Root(params=params, jacobian=jacobian, norm=norm, iterations=n, problem=problem)


def _halve(
    evaluate: Evaluate, params: FloatArray, step: FloatArray, moment: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """First of the full, half, quarter... step that shrinks the moment, or None if there is none."""
    merit = float(moment @ moment)
    length = 1.0
    for _ in range(MAX_HALVINGS):
        candidate = params + length * step
        new_moment, new_jacobian = evaluate(candidate)
        # Armijo's condition on |moment|^2. A step to where the moment is NaN fails it, and is halved.
        if float(new_moment @ new_moment) <= (1.0 - 1e-4 * length) * merit:
            return candidate, new_moment, new_jacobian
        length /= 2.0
    return None
