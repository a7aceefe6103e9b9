"""The models: one file for each family, one line here for each model."""

from dsl.engine.models.linear import FELM, LM
from dsl.engine.models.logistic import LOGIT
from dsl.engine.models.model import Model

__all__ = ["MODELS", "Model"]

MODELS: dict[str, Model] = {model.name: model for model in (LM, LOGIT, FELM)}
"""By the name in ``dsl.dsl(model=...)``."""
