"""Design-based supervised learning: valid regressions on imperfect labels.

The names below are loaded on first use, so that ``import dsl`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dsl import exceptions
from dsl.exceptions import DSLError, DSLWarning

if TYPE_CHECKING:
    from dsl import datasets, plotting, sampling
    from dsl.adaptive import AdaptiveDesign
    from dsl.api import dsl
    from dsl.comparison import compare
    from dsl.evaluation import evaluate
    from dsl.learners import available_method
    from dsl.power import plan_dsl, power_dsl
    from dsl.quantile import ppi_quantile
    from dsl.results import DSLResults
    from dsl.rfolds import folds_like_r
    from dsl.shares import proportions
    from dsl.statistic import ppi_statistic
    from dsl.tables_out import table
    from dsl.units import aggregate

__version__ = "0.1.0"
__all__ = [
    "AdaptiveDesign",
    "DSLError",
    "DSLResults",
    "DSLWarning",
    "aggregate",
    "available_method",
    "compare",
    "datasets",
    "dsl",
    "evaluate",
    "exceptions",
    "folds_like_r",
    "plan_dsl",
    "plotting",
    "power_dsl",
    "ppi_quantile",
    "ppi_statistic",
    "proportions",
    "sampling",
    "table",
]

_HOMES = {
    "AdaptiveDesign": "dsl.adaptive",
    "DSLResults": "dsl.results",
    "aggregate": "dsl.units",
    "available_method": "dsl.learners",
    "compare": "dsl.comparison",
    "dsl": "dsl.api",
    "evaluate": "dsl.evaluation",
    "folds_like_r": "dsl.rfolds",
    "plan_dsl": "dsl.power",
    "power_dsl": "dsl.power",
    "ppi_quantile": "dsl.quantile",
    "ppi_statistic": "dsl.statistic",
    "proportions": "dsl.shares",
    "table": "dsl.tables_out",
}
_MODULES = ("datasets", "plotting", "sampling")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"dsl.{name}")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dsl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
