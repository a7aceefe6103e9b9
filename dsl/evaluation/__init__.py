"""Evaluation of designs and estimators on data whose gold labels are all known. The names below are loaded on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsl.evaluation.api import evaluate
    from dsl.evaluation.results import EvaluationResults
    from dsl.evaluation.strategies import Adaptive

__all__ = ["Adaptive", "EvaluationResults", "evaluate"]

_HOMES = {
    "Adaptive": "dsl.evaluation.strategies",
    "EvaluationResults": "dsl.evaluation.results",
    "evaluate": "dsl.evaluation.api",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dsl.evaluation' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
