"""The variables of a formula's right-hand side, and how each of them changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray
from dsl.data.columns import quoted
from dsl.data.formula.rlang.values import level_texts
from dsl.data.formula.sides import CovariateSpec
from dsl.data.kinds import Kind, kind_of
from dsl.data.tables import is_category
from dsl.engine.margins import derivative
from dsl.exceptions import ArgumentError, InfiniteValueError

MOST_LEVELS = 20
"""Values that a number which terms make categories of may have, to be changed from one to the other."""
LOOKED_AT = 200
"""Rows on which a step is looked for."""
ADVICE = "name other variables, variables=[...], compare fit.predict() at two values, or put what changes into a column"
FIRST_STEP = 0.1
"""First step of a derivative, in standard deviations of the variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One column of the data in the right-hand side."""

    name: str
    kind: str
    """"number" (has a derivative), "count" (goes up and down by one), "binary" (from 0 to 1), "category" (from the first level to
    each other), or "date"."""
    levels: tuple[str, ...] = ()
    """Of a category or 0/1 variable."""
    examples: pd.Series | None = field(default=None, repr=False)
    """A value of each level."""
    coded: bool = False
    """Whether there is nothing between its levels."""
    spread: float = 1.0
    """Standard deviation."""
    refusal: str = ""
    """Why it has no effect."""

    @property
    def discrete(self) -> bool:
        """Whether it goes from one value to another."""
        return self.kind in ("binary", "category")

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its effects."""
        if self.kind != "category":
            return (self.name,)
        return tuple(f"{self.name}[T.{level}]" for level in self.levels[1:])

    def examples_of(self, levels: IntArray) -> pd.Series:
        """A column with these levels, by position."""
        assert self.examples is not None
        return self.examples.iloc[levels].reset_index(drop=True)


def find_variables(spec: CovariateSpec, frame: pd.DataFrame, *, dummy: bool, count: bool) -> dict[str, Variable]:
    """All variables of the right-hand side, by name, in the formula's order. Those in offsets alone come last.

    Parameters
    ----------
    spec : CovariateSpec
    frame : DataFrame
        Rows of the analysis.
    dummy, count : bool
        Whether numbers that are 0 or 1, and other whole numbers from zero on, go from one value to another.
    """
    uses: dict[str, list[bool]] = {}
    for term in spec.term_columns:
        for names, category in term:
            for name in sorted(names):
                uses.setdefault(name, []).append(category)
    found = {name: _variable(spec, frame, name, any(coded), dummy, count) for name, coded in uses.items()}
    for name in spec.required:
        if name not in found:
            one = _variable(spec, frame, name, False, dummy, count)
            found[name] = replace(one, refusal=f"'{name}' is part of an offset alone, and has no coefficient")
    return found


def chosen_variables(every: Mapping[str, Variable], chosen: Sequence[str], method: str) -> list[Variable]:
    """Variables with coefficients, or those that were named.

    Raises
    ------
    ArgumentError
        One is not in the formula, or has no effect of this kind.
    """
    unknown = [name for name in chosen if name not in every]
    if unknown:
        raise ArgumentError(
            f"variables names '{unknown[0]}', which the right-hand side does not have; it has {quoted(every)}"
        )
    found = [every[name] for name in chosen] or [each for each in every.values() if "offset" not in each.refusal]
    for each in found:
        if each.refusal:
            raise ArgumentError(each.refusal)
        if "ex" in method and each.kind != "number":
            advice = "dummy=False takes its 0 and 1 for numbers; " if each.kind == "binary" and not each.coded else ""
            raise ArgumentError(
                f"method='{method}' is about proportional changes, and '{each.name}' goes from one value to another; {advice}"
                f"name other variables, variables=[...], or use 'dydx' or 'eydx'"
            )
    if not found:
        raise ArgumentError("the formula has no variables, and so no marginal effects")
    return found


def _variable(spec: CovariateSpec, frame: pd.DataFrame, name: str, coded: bool, dummy: bool, count: bool) -> Variable:
    column, kind = frame[name], kind_of(frame[name])
    if kind.dated and not coded:
        why = f"'{name}' holds dates, which have no unit to change by; {ADVICE}"
        return Variable(name=name, kind="date", refusal=why)
    if kind is not Kind.NUMBER or is_category(column):
        levels, examples = _levels(spec, column)
        known = "binary" if kind is Kind.TRUTH else "category"
        return Variable(name=name, kind=known, levels=levels, examples=examples, coded=True)
    values = column.to_numpy(dtype=float)
    different = np.unique(values)
    binary = different.tolist() == [0.0, 1.0]
    if (coded and len(different) <= MOST_LEVELS) or (binary and dummy):
        levels, examples = _levels(spec, column)
        known = "binary" if binary else "category"
        return Variable(name=name, kind=known, levels=levels, examples=examples, coded=coded)
    whole = bool((values == np.round(values)).all() and values.min() >= 0.0)
    found = Variable(name=name, kind="count" if count and whole and not binary else "number", spread=_spread(values))
    if found.kind == "count":
        return found
    step = f"a term makes categories of its {len(different):,} values" if coded else _step(spec, frame, found)
    return replace(found, refusal=f"'{name}' has no derivative: {step}; {ADVICE}" if step else "")


def _spread(values: FloatArray) -> float:
    return float(np.std(values)) or max(float(np.abs(values).max()), 1.0)


def _levels(spec: CovariateSpec, column: pd.Series) -> tuple[tuple[str, ...], pd.Series]:
    """Levels that occur, in the formula's order or their own, and a value of each."""
    texts = pd.Series(level_texts(column), dtype=object)
    first = texts.drop_duplicates()
    known = spec.kinds.get(str(column.name))
    if known is not None:
        names = dict(zip(known.levels, known.labels, strict=True))
        order = [level for level in known.levels if level in set(first)]
        places = pd.Series(first.index, index=first.to_numpy())[order].to_numpy()
        return tuple(names[level] for level in order), column.iloc[places]
    examples = column.iloc[first.index.to_numpy()].sort_values()
    return tuple(str(value) for value in examples), examples


def _step(spec: CovariateSpec, frame: pd.DataFrame, variable: Variable) -> str:
    """Names a column that is a step in a number, whose derivative is zero and says nothing about it. Empty if there is none."""
    order = np.argsort(frame[variable.name].to_numpy(dtype=float), kind="stable")
    rows = frame.iloc[order[np.linspace(0, len(order) - 1, min(LOOKED_AT, len(order))).astype(int)]]
    rows = rows.reset_index(drop=True)
    ends = rows[variable.name].to_numpy(dtype=float)[[0, -1]]
    low, high = (spec.columns(rows.assign(**{variable.name: np.full(len(rows), end)})) for end in ends)
    moves = (low != high).any(axis=0)
    flat = (column_slopes(spec, rows, variable)[0] == 0.0).all(axis=0)
    return f"'{spec.column_names[int((moves & flat).argmax())]}' is a step in it" if (moves & flat).any() else ""


def column_slopes(spec: CovariateSpec, frame: pd.DataFrame, variable: Variable) -> tuple[FloatArray, FloatArray | None]:
    """Derivatives in a number of the design matrix (n, p), and of the offset (n,) or None."""
    values = frame[variable.name].to_numpy(dtype=float)
    width = len(spec.column_names)

    def shifted(shift: FloatArray) -> FloatArray:
        moved = frame.assign(**{variable.name: values + shift})
        try:
            x, offset = spec.columns(moved), spec.offset(moved)
        except InfiniteValueError:  # beyond where a logarithm exists: a smaller step comes next
            return np.full((len(frame), width + 1), np.nan)
        return np.column_stack([x, np.zeros(len(frame)) if offset is None else offset])

    found = derivative(shifted, np.full(len(frame), FIRST_STEP * variable.spread))
    undefined = ~np.isfinite(found).all(axis=1)
    if undefined.any():
        value = values[int(undefined.argmax())]
        raise ArgumentError(f"'{variable.name}' has no derivative: the formula has none at {value:g}; {ADVICE}")
    return found[:, :width], found[:, width] if spec.offset(frame.iloc[:1]) is not None else None


def set_values(frame: pd.DataFrame, atexog: Mapping[str, object] | None, known: Sequence[str]) -> pd.DataFrame:
    """The rows with some variables at one value each."""
    if atexog is None:
        return frame
    if not isinstance(atexog, Mapping):
        raise ArgumentError(
            f"atexog must be a dict of variable to value, as {{'x': 1.0}}; found {type(atexog).__name__}"
        )
    for name, value in atexog.items():
        if name not in known:
            raise ArgumentError(
                f"atexog names {name!r}, which the right-hand side does not have; it has {quoted(known)}"
            )
        if not pd.api.types.is_scalar(value) or pd.Series([value]).isna().any():
            raise ArgumentError(f"atexog must give '{name}' one value; found {value!r}")
    given = {str(name): pd.Series([value] * len(frame), index=frame.index) for name, value in atexog.items()}
    return frame.assign(**given)
