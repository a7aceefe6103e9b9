"""The models: one file for each family, one line here for each model."""

from dsl.engine.models.cloglog import CLOGLOG
from dsl.engine.models.gamma import GAMMA
from dsl.engine.models.instrumental import IV
from dsl.engine.models.linear import FELM, LM
from dsl.engine.models.logistic import LOGIT
from dsl.engine.models.model import Model
from dsl.engine.models.multinomial import MULTINOM
from dsl.engine.models.negbin import NEGBIN
from dsl.engine.models.ordered import OLOGIT, OPROBIT
from dsl.engine.models.poisson import POISSON
from dsl.engine.models.probit import PROBIT

__all__ = ["MODELS", "Model"]

_ALL = (LM, LOGIT, FELM, POISSON, PROBIT, CLOGLOG, GAMMA, MULTINOM, OLOGIT, OPROBIT, NEGBIN, IV)
MODELS: dict[str, Model] = {model.name: model for model in _ALL}
"""By the name in ``dsl.dsl(model=...)``."""
