"""R's values to Python, column by column, by memory copies where the types allow. `dsl.r.convert` has the table of types."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from dsl._typing import AnyArray, BoolArray, FloatArray
from dsl.exceptions import ColumnTypeError
from dsl.r.convert import NA_INTEGER, level_names
from dsl.r.labelled import CLASSES as LABELLED
from dsl.r.labelled import user_missing
from dsl.r.session import Sexp, call, session, support
from dsl.r.times import TEXT, as_dates, as_instants, as_spans


def from_sexp(value: Sexp, *, restore_levels: bool = False) -> Any:
    """An R object as a Python value. Functions, environments and the like stay R objects."""
    ri = session().interface
    if value is ri.NULL or isinstance(value, ri.NULLType):
        return None
    classes = _class(value)
    if "data.frame" in classes:
        return _frame_from_r(value, restore_levels)
    if "POSIXlt" in classes:
        return from_sexp(call("as.POSIXct", value))
    if isinstance(value, ri.ListSexpVector):
        items = [from_sexp(item, restore_levels=restore_levels) for item in value]
        names = attribute(value, "names")
        return items if names is None else dict(zip(list(names), items, strict=True))
    if not isinstance(value, ri.sexp.SexpVector) or isinstance(value, ri.LangSexpVector | ri.ExprSexpVector):
        return value
    column = column_from_r(value, restore_levels)
    shape = attribute(value, "dim")
    if shape is not None and isinstance(column, np.ndarray):
        return _table(column.reshape(tuple(shape), order="F"), attribute(value, "dimnames"))
    names = attribute(value, "names")
    return column if names is None else pd.Series(column, index=pd.Index(list(names)))


def _table(values: AnyArray, names: Sexp | None) -> AnyArray | pd.DataFrame:
    """A matrix with row or column names as a frame."""
    if names is None or values.ndim != 2:
        return values
    rows, columns = (None if len(part) == 0 else list(part) for part in names)
    return pd.DataFrame(values, index=rows, columns=columns)


def attribute(value: Sexp, name: str) -> Sexp | None:
    """An attribute of an R object, None where it has none."""
    try:
        found = value.do_slot(name)
    except LookupError:
        return None
    return None if found is session().interface.NULL else found


def _class(value: Sexp) -> tuple[str, ...]:
    found = attribute(value, "class")
    return () if found is None else tuple(found)


def _frame_from_r(frame: Sexp, restore_levels: bool) -> pd.DataFrame:
    names = attribute(frame, "names")
    columns: dict[str, object] = {}
    for name, column in zip(list(names) if names is not None else [], frame, strict=True):
        if name in columns:
            raise ColumnTypeError(f"the R data frame has two columns named '{name}'; rename one")
        columns[name] = _frame_column(column, name, restore_levels)
    given = support("given_row_names")(frame)
    count = len(attribute(frame, "row.names") or ())
    index = pd.RangeIndex(count) if given is session().interface.NULL else pd.Index(list(given))
    return pd.DataFrame(columns, index=index)


def _frame_column(column: Sexp, name: str, restore_levels: bool) -> object:
    out = from_sexp(column, restore_levels=restore_levels)
    if isinstance(out, dict | list):
        return pd.Series(list(out), dtype=object).array
    if isinstance(out, pd.DataFrame) or getattr(out, "ndim", 1) > 1:
        raise ColumnTypeError(f"column '{name}' of the R data frame is itself a table; split it into columns in R")
    return out.array if isinstance(out, pd.Series) else out


def column_from_r(vector: Sexp, restore_levels: bool = False) -> Any:
    """An R vector as an array."""
    ri = session().interface
    classes = _class(vector)
    if "factor" in classes:
        return _factor_from_r(vector, "ordered" in classes, restore_levels)
    if isinstance(vector, ri.StrSexpVector):
        texts = _texts_from_r(vector)
        texts[_declared_missing(vector, classes, texts)] = np.nan
        return texts
    if isinstance(vector, ri.ComplexSexpVector):
        real, imaginary, missing = (_memory(part) for part in support("complex_parts")(vector))
        out = np.full(len(real), np.nan, dtype=np.complex128)
        known = missing == 0
        out[known] = real[known] + 1j * imaginary[known]
        return out
    if isinstance(vector, ri.ByteSexpVector):
        return np.array(list(vector), dtype=np.uint8)
    values = _memory(vector)
    values[_declared_missing(vector, classes, values)] = NA_INTEGER if values.dtype.kind == "i" else np.nan
    for name, convert in _TIMES.items():
        if name in classes:
            whole = values.dtype.kind == "i"
            numbers = np.where(values == NA_INTEGER, np.nan, values) if whole else values
            return convert(vector, numbers.astype(float))
    # bit64 keeps 64-bit integers in the bits of doubles
    if "integer64" in classes:
        return _nullable_integers(values.view(np.int64), np.int64(np.iinfo(np.int64).min))
    if isinstance(vector, ri.BoolSexpVector):
        missing = values == NA_INTEGER
        return pd.arrays.BooleanArray(values != 0, missing) if missing.any() else values != 0
    if values.dtype.kind == "i":
        return _nullable_integers(values, np.int32(NA_INTEGER))
    return values


def _declared_missing(vector: Sexp, classes: tuple[str, ...], values: AnyArray | ExtensionArray) -> BoolArray:
    """Values of a column of SPSS that it declares missing (`dsl.r.labelled`)."""
    if not set(classes) & set(LABELLED):
        return np.zeros(len(values), dtype=bool)
    declared = (attribute(vector, name) for name in ("na_values", "na_range"))
    return user_missing(values, *(None if found is None else list(found) for found in declared))


def _memory(vector: Sexp) -> AnyArray:
    """Copy of the numbers of an R vector."""
    ri = session().interface
    if len(vector) == 0:
        return np.empty(0, dtype=np.float64 if isinstance(vector, ri.FloatSexpVector) else np.int32)
    return np.array(vector.memoryview())


def _nullable_integers(values: AnyArray, na: np.int32 | np.int64) -> AnyArray | ExtensionArray:
    missing = values == na
    wide = values.astype(np.int64)
    return pd.arrays.IntegerArray(np.where(missing, 1, wide), missing) if missing.any() else wide


def _texts_from_r(vector: Sexp) -> ExtensionArray:
    levels, codes = support("factorize")(vector)
    place = _memory(codes)
    known = np.empty(len(levels) + 1, dtype=object)
    known[:-1] = list(levels)
    # place -1 of the levels is the missing one
    known[-1] = np.nan
    return pd.array(known[np.where(place == NA_INTEGER, 0, place) - 1], dtype=TEXT)


def _factor_from_r(vector: Sexp, ordered: bool, restore_levels: bool) -> pd.Categorical:
    found = attribute(vector, "levels")
    levels = [] if found is None else list(found)
    codes = _memory(vector)
    codes = np.where(codes == NA_INTEGER, 0, codes) - 1
    named: list[Any] = restored(levels) if restore_levels else levels
    categories: pd.Index = pd.Index(named) if named else pd.Index([]).astype(TEXT)
    return pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)


def restored(levels: list[str]) -> list[Any]:
    """Levels as whole numbers, numbers or bools, where all of them are written as R writes such."""
    readers: list[Callable[[str], object]] = [int, float, {"TRUE": True, "FALSE": False}.__getitem__]
    for read in readers:
        try:
            values = [read(level) for level in levels]
        except (ValueError, KeyError):
            continue
        if level_names(values) == levels:
            return values
    return levels


def _first(vector: Sexp, name: str, default: str) -> str:
    found = attribute(vector, name)
    return default if found is None or not found[0] else str(found[0])


_TIMES: dict[str, Callable[[Sexp, FloatArray], AnyArray | ExtensionArray]] = {
    "Date": lambda _, days: as_dates(days),
    "POSIXct": lambda vector, seconds: as_instants(seconds, _first(vector, "tzone", "UTC")),
    "difftime": lambda vector, values: as_spans(values, _first(vector, "units", "secs")),
}
