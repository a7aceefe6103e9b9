"""Linear regression, without and with absorbed fixed effects: m = x (y - x'theta)."""

from dsl._typing import FloatArray
from dsl.engine.models.model import Link, Model


def _identity(eta: FloatArray) -> FloatArray:
    return eta


LINEAR = Link(name="linear", mean=_identity, slope=None, canonical=True)
LM = Model(name="lm", title="linear regression", link=LINEAR)
FELM = Model(name="felm", title="linear regression with fixed effects", link=LINEAR, absorbs=True, needs_effects=True)
