"""Analyses of calls that differ by the estimator alone: prepared once, where somebody asks for it."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from dsl.data.design import SamplingDesign
from dsl.data.drawn import Tested, how_looked_at
from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.tables import TableLike
from dsl.estimators.analysis import Analysis, look, prepare_analysis
from dsl.estimators.call import Call

T = TypeVar("T")

LATER = frozenset(
    ("estimator", "sl_method", "family", "cross_fit", "sample_split", "seed", "folds", "tune", "vcov", "use_t")
)
"""Arguments that come in after the analysis is prepared."""


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What a look at the labels found."""

    how: tuple[object, ...]
    found: tuple[Tested, ...]
    said: list[warnings.WarningMessage]


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    call: Call
    data: TableLike
    functions: Functions
    analysis: Analysis
    said: list[warnings.WarningMessage]
    looks: list["_Look"] = field(default_factory=list)

    def serves(self, call: Call, data: TableLike, functions: Functions) -> bool:
        """Whether the analysis is that of another call."""
        if data is not self.data or functions is not self.functions:
            return False
        names = [each.name for each in fields(Call) if each.name not in LATER]
        return all(_same(getattr(call, name), getattr(self.call, name)) for name in names)


_KEPT: ContextVar[list[_Prepared] | None] = ContextVar("analyses prepared before", default=None)


@contextmanager
def analyses_kept() -> Iterator[None]:
    """Calls within on the same table, which nobody changes meanwhile, share what they prepare. Warnings are given each time."""
    token = _KEPT.set([])
    try:
        yield
    finally:
        _KEPT.reset(token)


def analysis_for(call: Call, data: TableLike, functions: Functions) -> Analysis:
    """`dsl.estimators.analysis.prepare_analysis`, or what it made before within `analyses_kept`."""
    kept = _KEPT.get()
    if kept is None:
        return prepare_analysis(call, data, functions)
    found = next((each for each in kept if each.serves(call, data, functions)), None)
    if found is not None:
        _give(found.said)
        return found.analysis
    analysis, said = _recorded(lambda: prepare_analysis(call, data, functions))
    kept.append(_Prepared(call, data, functions, analysis, said))
    return analysis


def look_for(analysis: Analysis, data: TableLike, design: SamplingDesign | None) -> Analysis:
    """The analysis with what `dsl.estimators.analysis.look` finds, or found before within `analyses_kept`."""
    before = next((each for each in _KEPT.get() or () if each.analysis is analysis), None)
    if before is None:
        return replace(analysis, looked=look(analysis.sample, analysis.columns, data, design))
    how = how_looked_at()
    for each in before.looks:
        if all(one is other for one, other in zip(each.how, how, strict=True)):
            _give(each.said)
            return replace(analysis, looked=each.found)
    found, said = _recorded(lambda: look(analysis.sample, analysis.columns, data, design))
    before.looks.append(_Look(how, found, said))
    return replace(analysis, looked=found)


def _recorded(make: Callable[[], T]) -> tuple[T, list[warnings.WarningMessage]]:
    """What is made, and the warnings that were given."""
    said: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            made = make()
    finally:
        _give(said)
    return made, said


def _give(said: list[warnings.WarningMessage]) -> None:
    """Warnings once more, at the lines that they were about."""
    for each in said:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _same(one: object, other: object) -> bool:
    """Whether two arguments are the same. Arrays and tables are if they are one object."""
    plain = (str, bytes, int, float, tuple, dict, type(None))
    return one is other or (isinstance(one, plain) and type(one) is type(other) and one == other)
