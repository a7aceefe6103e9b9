"""Design-based supervised learning: valid regressions on imperfect labels.

The names below are loaded on first use, so that ``import dsl`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dsl import exceptions
from dsl._version import __version__
from dsl.exceptions import DSLError, DSLWarning

if TYPE_CHECKING:
    from dsl import annotation, datasets, r, sampling
    from dsl.analyses.aggregate import aggregate
    from dsl.analyses.compare import compare
    from dsl.analyses.multiverse import multiverse
    from dsl.analyses.proportions import proportions
    from dsl.analyses.quantile import ppi_quantile
    from dsl.analyses.regression import dsl
    from dsl.analyses.replicate import replicate
    from dsl.analyses.results import DSLResults
    from dsl.analyses.statistic import ppi_statistic
    from dsl.annotation.annotate import annotate
    from dsl.learners.names import available_method
    from dsl.learners.rfolds import folds_like_r
    from dsl.planning.evaluation.evaluate import evaluate
    from dsl.planning.power import learning_curve, plan_dsl, power_dsl
    from dsl.reports import plots as plotting
    from dsl.reports.diagnostics import diagnose
    from dsl.reports.page import write_report
    from dsl.reports.tables import table
    from dsl.sampling.adaptive import AdaptiveDesign

__all__ = [
    "AdaptiveDesign",
    "DSLError",
    "DSLResults",
    "DSLWarning",
    "__version__",
    "aggregate",
    "annotate",
    "annotation",
    "available_method",
    "compare",
    "datasets",
    "diagnose",
    "dsl",
    "evaluate",
    "exceptions",
    "folds_like_r",
    "learning_curve",
    "multiverse",
    "plan_dsl",
    "plotting",
    "power_dsl",
    "ppi_quantile",
    "ppi_statistic",
    "proportions",
    "r",
    "replicate",
    "sampling",
    "table",
    "write_report",
]

_HOMES = {
    "AdaptiveDesign": "dsl.sampling.adaptive",
    "DSLResults": "dsl.analyses.results",
    "aggregate": "dsl.analyses.aggregate",
    "annotate": "dsl.annotation.annotate",
    "available_method": "dsl.learners.names",
    "compare": "dsl.analyses.compare",
    "diagnose": "dsl.reports.diagnostics",
    "dsl": "dsl.analyses.regression",
    "evaluate": "dsl.planning.evaluation",
    "folds_like_r": "dsl.learners.rfolds",
    "learning_curve": "dsl.planning.power",
    "multiverse": "dsl.analyses.multiverse",
    "plan_dsl": "dsl.planning.power",
    "power_dsl": "dsl.planning.power",
    "ppi_quantile": "dsl.analyses.quantile",
    "ppi_statistic": "dsl.analyses.statistic",
    "proportions": "dsl.analyses.proportions",
    "replicate": "dsl.analyses.replicate",
    "table": "dsl.reports.tables",
    "write_report": "dsl.reports.page",
}
_MODULES = {
    "annotation": "dsl.annotation",
    "datasets": "dsl.datasets",
    "plotting": "dsl.reports.plots",
    "r": "dsl.r",
    "sampling": "dsl.sampling",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'dsl' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
