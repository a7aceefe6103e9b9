"""The models: one file for each family, one line here for each model."""

from dsl.engine.models.cloglog import CLOGLOG
from dsl.engine.models.gamma import GAMMA
from dsl.engine.models.instrumental import IV
from dsl.engine.models.linear import FELM, LM
from dsl.engine.models.logistic import LOGIT
from dsl.engine.models.model import Model
from dsl.engine.models.poisson import POISSON
from dsl.engine.models.probit import PROBIT

__all__ = ["MODELS", "Model"]

MODELS: dict[str, Model] = {model.name: model for model in (LM, LOGIT, FELM, POISSON, PROBIT, CLOGLOG, GAMMA, IV)}
"""By the name in ``dsl.dsl(model=...)``."""
