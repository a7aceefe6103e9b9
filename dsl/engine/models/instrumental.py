"""Linear regression with instrumental variables: m = z (y - x'theta), by two-stage least squares (`dsl.engine.instruments`)."""

from dsl.engine.models.linear import LINEAR
from dsl.engine.models.model import Model

IV = Model(
    name="iv",
    title="linear regression with instrumental variables (two-stage least squares)",
    link=LINEAR,
    absorbs=True,
    instruments=True,
)
