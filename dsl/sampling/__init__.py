"""Which rows to label: designs with known probabilities, drawn, saved, sent to coders and read back.

Every function here returns a `LabelDesign`, which carries each row's probability of being drawn, the rows drawn,
and how: all that ``dsl.dsl(design=...)`` needs. The names below are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsl.sampling.aimed import targeted
    from dsl.sampling.design import LabelDesign
    from dsl.sampling.schemes import bernoulli, proportional_to_size, simple_random, stratified
    from dsl.sampling.units import clustered, two_stage

__all__ = [
    "LabelDesign",
    "bernoulli",
    "clustered",
    "proportional_to_size",
    "simple_random",
    "stratified",
    "targeted",
    "two_stage",
]

_HOMES = {
    "LabelDesign": "design",
    "bernoulli": "schemes",
    "clustered": "units",
    "proportional_to_size": "schemes",
    "simple_random": "schemes",
    "stratified": "schemes",
    "targeted": "aimed",
    "two_stage": "units",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"dsl.sampling.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dsl.sampling' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
