"""What a model is to the engine, and to everything that names it."""

from collections.abc import Callable
from dataclasses import dataclass

from dsl._typing import FloatArray
from dsl.engine.models.family import Family

Curve = Callable[[FloatArray], FloatArray]
Part = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The moment m = x r(y, eta) of a model, with eta = x'theta (plus offset), and its derivative.

    All functions work elementwise on arrays of one shape. The residual must be linear in y, so that an outcome's
    out-of-fold mean can stand for it. Residual and slope are given eta and mu = mean(eta): mu costs nothing there, and
    eta keeps digits that mu has lost where it is all but 0 or 1.
    """

    name: str
    mean: Curve
    """mu as a function of the linear predictor eta."""
    slope: Part | None
    """-dr/d eta as a function of (y, eta, mu), or None where it is one everywhere (linear models, solved in closed form)."""
    residual: Part | None = None
    """r as a function of (y, eta, mu), or None for y - mu."""
    start: Callable[[FloatArray, float], FloatArray] | None = None
    """A rough eta from outcomes (n,) and the mean outcome, to whose regression on x Newton's method goes first. None starts
    at theta = 0."""
    probability: bool = False
    """Whether mu is a probability, which separation drives to 0 or 1."""
    positive: bool = False
    """Whether mu is exp(eta), which outcomes that are zero throughout a group drive to 0."""
    canonical: bool = False
    """Whether the slope does not depend on y, and the Jacobian thus on covariates alone."""
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
    link: Link | Family
    """One linear predictor, or several."""
    absorbs: bool = False
    """Whether it can have absorbed fixed effects: linear models, and those with mean exp(eta) whose slope is the mean."""
    needs_effects: bool = False
    """Whether it must have them."""
    instruments: bool = False
    """Whether covariates have instruments."""
    outcomes: tuple[float, float] | None = None
    """Range of the outcome, or None for any number."""
    needs: str = ""
    """The same in words, for messages."""
    sources: tuple[str, ...] = ()
    """Literature that the report's methods paragraph cites, in full."""
    ratio: str | None = None
    """What exp(coefficient) is called ("odds ratio"), empty where it has no name, None where it says nothing of its own."""

    @property
    def linear(self) -> bool:
        """Whether the mean is the linear predictor."""
        return isinstance(self.link, Link) and self.link.slope is None
