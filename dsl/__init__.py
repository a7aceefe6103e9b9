"""Design-based supervised learning: valid regressions on imperfect labels.

The names below are loaded on first use, so that ``import dsl`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dsl import exceptions
from dsl.exceptions import DSLError, DSLWarning

if TYPE_CHECKING:
    from dsl import datasets
    from dsl.api import dsl
    from dsl.learners import available_method
    from dsl.results import DSLResults
    from dsl.rfolds import folds_like_r

__version__ = "0.1.0"
__all__ = ["DSLError", "DSLResults", "DSLWarning", "available_method", "datasets", "dsl", "exceptions", "folds_like_r"]

_HOMES = {
    "dsl": "dsl.api",
    "DSLResults": "dsl.results",
    "available_method": "dsl.learners",
    "folds_like_r": "dsl.rfolds",
}


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return import_module("dsl.datasets")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dsl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
