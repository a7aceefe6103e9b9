"""What a model is to the engine, and to everything that names it."""

from collections.abc import Callable
from dataclasses import dataclass

from dsl._typing import FloatArray

Curve = Callable[[FloatArray], FloatArray]
Pair = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The moment m = x r(y, mu) of a model, with mu = mean(x'theta), and its derivative.

    All functions work elementwise on arrays of one shape. The residual must be linear in y, so that an outcome's
    out-of-fold mean can stand for it.
    """

    name: str
    mean: Curve
    """mu as a function of the linear predictor eta."""
    slope: Pair | None
    """-dr/d eta as a function of (y, mu), or None where it is one everywhere (linear models, solved in closed form)."""
    residual: Pair | None = None
    """r as a function of (y, mu), or None for y - mu."""
    probability: bool = False
    """Whether mu is a probability, which separation drives to 0 or 1."""
    pilot: "Link | None" = None
    """A link with the same mean whose moment has one root only, where this one may have others: Newton's method starts from
    that root."""
    degree: int = 1
    """Power of the outcome's size with which moments grow: what the solver's tolerance is relative to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One entry of the registry: a family with its names and checks.

    A new model is one file with a `Model` and one line in `dsl.engine.models`.
    """

    name: str
    """As in ``dsl.dsl(model=...)``."""
    title: str
    """As sentences name it."""
    link: Link
    absorbs: bool = False
    """Whether it has absorbed fixed effects."""
    outcomes: tuple[float, float] | None = None
    """Range of the outcome, or None for any number."""
    needs: str = ""
    """The same in words, for messages."""
    sources: tuple[str, ...] = ()
    """Literature that the report's methods paragraph cites, in full."""
