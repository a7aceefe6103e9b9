"""Analyses of calls that differ by the estimator alone: prepared once, where somebody asks for it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields

from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.tables import TableLike
from dsl.estimators.analysis import Analysis, prepare_analysis
from dsl.estimators.call import Call

LATER = frozenset(
    ("estimator", "sl_method", "family", "cross_fit", "sample_split", "seed", "folds", "tune", "vcov", "use_t")
)
"""Arguments that come in after the analysis is prepared."""


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    call: Call
    data: TableLike
    functions: Functions
    analysis: Analysis
    said: list[warnings.WarningMessage]

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
    said: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            analysis = prepare_analysis(call, data, functions)
    finally:
        _give(said)
    kept.append(_Prepared(call, data, functions, analysis, said))
    return analysis


def _give(said: list[warnings.WarningMessage]) -> None:
    """Warnings once more, at the lines that they were about."""
    for each in said:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _same(one: object, other: object) -> bool:
    """Whether two arguments are the same. Arrays and tables are if they are one object."""
    plain = (str, bytes, int, float, tuple, dict, type(None))
    return one is other or (isinstance(one, plain) and type(one) is type(other) and one == other)
