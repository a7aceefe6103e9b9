"""Python values to R, column by column, by memory copies where the types allow. The way back is in `dsl.r.restore`.

=======================================  =======================  ==========================================
pandas / numpy                           R                        back in Python
=======================================  =======================  ==========================================
float, NaN missing                       numeric, NA              float64, NaN
integer                                  integer, numeric where   int64, or nullable Int64 where values are
                                         beyond 32 bits           missing
bool                                     logical                  bool, or nullable boolean
str, object of str                       character                str, missing kept
category (levels of any scalar type)     factor, ordered factor   Categorical with levels of str (R has no
                                                                  others), unless ``restore_levels``
datetime.date, datetime64[D]             Date                     datetime.date objects, NaT missing
datetime64, naive or with a time zone    POSIXct (naive: UTC)     datetime64[us] with time zone
timedelta64                              difftime, seconds        timedelta64[us]
complex                                  complex                  complex128
data frame                               data.frame               DataFrame
dict                                     named list               dict
=======================================  =======================  ==========================================

Values that a file of SPSS declares missing (haven's ``labelled_spss``) come as missing, as R's ``is.na`` says.
R vectors with names come back as Series, matrices with names as frames, others as arrays, also those of length one.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import narwhals as nw
import numpy as np
import pandas as pd

from dsl._typing import AnyArray, BoolArray
from dsl.exceptions import ArgumentError, ColumnTypeError
from dsl.r.session import Sexp, call, session, support

Column: TypeAlias = Any
"""A Series, an Index or an array, of numpy, pandas or pyarrow, which have no type in common."""
NA_INTEGER = -(2**31)
NA_REAL = np.uint64(0x7FF00000000007A2)
"""Bits of R's NA: the NaN with payload 1954."""
EXACT = 2**53
"""Whole numbers up to this size are exact in double precision."""


def to_sexp(value: object) -> Sexp:
    """Any supported Python value as an R object.

    Raises
    ------
    ColumnTypeError
        A value has no counterpart in R. The message names the column.
    """
    ri = session().interface
    if value is None:
        return ri.NULL
    if isinstance(value, ri.sexp.Sexp):
        return value
    if isinstance(value, pd.DataFrame):
        return _frame_to_r(value)
    if isinstance(value, Mapping):
        return _list_to_r(list(value.values()), [str(name) for name in value])
    if isinstance(value, list | tuple):
        return _sequence_to_r(value)
    if isinstance(value, pd.Series):
        return _series_to_r(value)
    # R stores matrices column by column
    if isinstance(value, np.ndarray) and value.ndim > 1:
        flat = column_to_r(value.ravel(order="F"), "array")
        return _with(flat, dim=_integers(np.array(value.shape)))
    if isinstance(value, np.ndarray | pd.api.extensions.ExtensionArray | pd.Index):
        return column_to_r(value, "array")
    return _other_to_r(value)


def _series_to_r(series: pd.Series) -> Sexp:
    """A vector, with names where the index has any to give."""
    vector = column_to_r(series, str(series.name))
    if isinstance(series.index, pd.RangeIndex):
        return vector
    return _with(vector, names=text_to_r(pd.Series(series.index.astype(str))))


def _other_to_r(value: object) -> Sexp:
    """Frames and columns of polars and pyarrow, and scalars."""
    other = nw.from_native(value, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(other, nw.DataFrame):
        return _frame_to_r(other.to_arrow().to_pandas(types_mapper=pd.ArrowDtype))
    if isinstance(other, nw.Series):
        return column_to_r(other.to_arrow().to_pandas(types_mapper=pd.ArrowDtype), other.name)
    return column_to_r(_scalar(value), type(value).__name__)


def _scalar(value: object) -> Column:
    """A vector of length one."""
    if isinstance(value, str):
        return pd.Series([value], dtype=object)
    if value is pd.NA:
        return pd.array([None], dtype="boolean")
    if isinstance(value, bool | int | float | complex | np.generic):
        return np.array([value])
    return pd.Series([value])


def _sequence_to_r(values: Sequence[object]) -> Sexp:
    """A vector where all items are scalars of one kind, else a list."""
    kinds = {
        str if isinstance(v, str) else "number" if isinstance(v, bool | int | float | np.number) else None
        for v in values
    }
    if len(kinds) == 1 and None not in kinds:
        return column_to_r(pd.Series(list(values), dtype=object) if str in kinds else np.asarray(values), "list")
    return _list_to_r(values, None)


def _list_to_r(values: Sequence[object], names: list[str] | None) -> Sexp:
    out = session().interface.ListSexpVector([to_sexp(v) for v in values])
    return out if names is None else _with(out, names=session().interface.StrSexpVector(names))


def _frame_to_r(frame: pd.DataFrame) -> Sexp:
    names = [str(name) for name in frame.columns]
    if frame.columns.nlevels > 1 or len(set(names)) < len(names):
        raise ArgumentError("an R data frame needs one distinct name per column; rename the columns")
    columns = [column_to_r(frame.iloc[:, j], name) for j, name in enumerate(names)]
    ri = session().interface
    return support("make_frame")(ri.ListSexpVector(columns), ri.StrSexpVector(names), _row_names(frame.index))


def _row_names(index: pd.Index) -> Sexp:
    """Row names where the index has any to give, else R's automatic ones."""
    if isinstance(index, pd.RangeIndex) or index.nlevels > 1 or not index.is_unique or index.hasnans:
        automatic = True
    else:
        automatic = index.dtype.kind not in "iuOT" and not isinstance(index.dtype, pd.StringDtype)
    if automatic:
        # R's compact form of row names 1, ..., n: c(NA, -n)
        return _integers(np.array([NA_INTEGER, -len(index)] if len(index) else []))
    if index.dtype.kind in "iu" and (np.abs(index.to_numpy()) < 2**31).all():
        return _integers(index.to_numpy())
    return text_to_r(pd.Series(index.astype(str)))


def column_to_r(column: Column, name: str) -> Sexp:
    """One column (Series, array, Index) as an R vector. `name` is for messages."""
    column = column.array if isinstance(column, pd.Series | pd.Index) else column
    if isinstance(column, pd.arrays.NumpyExtensionArray):
        column = column.to_numpy()
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _factor_to_r(column)
    if isinstance(dtype, pd.StringDtype):
        return text_to_r(column)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _instants_to_r(column, str(dtype.tz))
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_to_r(column, name)
    if isinstance(dtype, pd.SparseDtype):
        return column_to_r(np.asarray(column), name)
    if isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype):
        raise ColumnTypeError(f"column '{name}' of {dtype} has no counterpart in R; convert it to text or dates first")
    missing = np.asarray(pd.isna(column))
    if hasattr(dtype, "numpy_dtype"):  # nullable Int64, Float64, boolean
        plain = column.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        return _plain_to_r(plain, missing, name)
    return _plain_to_r(np.asarray(column), missing, name)


def _arrow_to_r(column: Column, name: str) -> Sexp:
    """A column backed by pyarrow, by way of pandas' own types."""
    import pyarrow as pa

    kind = column.dtype.pyarrow_dtype
    if pa.types.is_dictionary(kind):
        return column_to_r(pa.chunked_array(pa.array(column)).combine_chunks().to_pandas(), name)
    if pa.types.is_boolean(kind):
        return column_to_r(column.astype("boolean"), name)
    if pa.types.is_integer(kind):
        return column_to_r(column.astype("UInt64" if pa.types.is_unsigned_integer(kind) else "Int64"), name)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column_to_r(column.to_numpy(dtype=float, na_value=np.nan), name)
    if pa.types.is_timestamp(kind):
        return column_to_r(pd.Series(column).astype(pd.DatetimeTZDtype("us", kind.tz) if kind.tz else "M8[us]"), name)
    if pa.types.is_duration(kind):
        return column_to_r(pd.Series(column).astype("m8[us]"), name)
    values = column.to_numpy(dtype=object, na_value=None)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return text_to_r(values)
    return column_to_r(values.astype("datetime64[D]") if pa.types.is_date(kind) else values, name)


def _plain_to_r(values: AnyArray, missing: BoolArray, name: str) -> Sexp:
    kind = values.dtype.kind
    if kind == "f":
        return _reals(values, missing)
    if kind in "iu":
        return _whole_to_r(values, missing, name)
    if kind == "b":
        codes = np.where(missing, NA_INTEGER, values.astype(np.int32))
        return support("as_flags")(_integers(codes))
    if kind == "M":
        if np.datetime_data(values.dtype)[0] == "D":
            return _dates_to_r(values, missing)
        return _instants_to_r(values, "UTC")
    if kind == "m":
        seconds = values.astype("timedelta64[us]").astype(np.int64) / 1e6
        return _with(_reals(seconds, missing), **{"class": _texts("difftime"), "units": _texts("secs")})
    if kind == "c":
        ri = session().interface
        return ri.ComplexSexpVector(
            [ri.NA_Complex if gone else complex(v) for v, gone in zip(values, missing, strict=True)]
        )
    if kind in "UT":
        return text_to_r(values.astype(object))
    return _objects_to_r(values, missing, name)


def _objects_to_r(values: AnyArray, missing: BoolArray, name: str) -> Sexp:
    """An object column by the type of its elements."""
    kinds = {type(v) for v in values[~missing]} if values.dtype.kind == "O" else {bytes}
    if not kinds:
        return support("as_flags")(_integers(np.full(len(values), NA_INTEGER)))
    if all(issubclass(kind, str) for kind in kinds):
        return text_to_r(values)
    if all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return _plain_to_r(np.where(missing, False, values).astype(bool), missing, name)
    if all(issubclass(kind, int | np.integer) and not issubclass(kind, bool) for kind in kinds):
        return _plain_to_r(np.where(missing, 0, values).astype(np.int64), missing, name)
    if all(issubclass(kind, float | int | np.number) and not issubclass(kind, bool) for kind in kinds):
        return _reals(np.where(missing, np.nan, values).astype(float), missing)
    if all(issubclass(kind, datetime.date) and not issubclass(kind, datetime.datetime) for kind in kinds):
        days = np.where(missing, np.datetime64("NaT", "D"), values).astype("datetime64[D]")
        return _dates_to_r(days, missing)
    if all(issubclass(kind, datetime.datetime) for kind in kinds):
        return column_to_r(pd.to_datetime(pd.Series(values)), name)
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise ColumnTypeError(f"column '{name}' holds {found}, which R has no vector for; convert it to one type first")


def _whole_to_r(values: AnyArray, missing: BoolArray, name: str) -> Sexp:
    known = values[~missing] if missing.any() else values
    low, high = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    # the smallest 32-bit integer is R's NA, hence strictly above it
    if low > NA_INTEGER and high < 2**31:
        codes = values.astype(np.int32)
        if missing.any():
            codes[missing] = NA_INTEGER
        return _integers(codes)
    if low < -EXACT or high > EXACT:
        raise ColumnTypeError(
            f"column '{name}' has whole numbers beyond 2^53, which R cannot hold exactly; convert it to text first"
        )
    return _reals(values.astype(float), missing)


def _reals(values: AnyArray, missing: BoolArray) -> Sexp:
    ri = session().interface
    if len(values) == 0:
        return ri.FloatSexpVector([])
    out = np.array(values, dtype=np.float64)
    if missing.any():
        # as bits, so that the payload that tells NA from NaN survives
        out.view(np.uint64)[missing] = NA_REAL
    return ri.FloatSexpVector.from_memoryview(out.data)


def _integers(values: AnyArray) -> Sexp:
    ri = session().interface
    if len(values) == 0:
        return ri.IntSexpVector([])
    return ri.IntSexpVector.from_memoryview(np.ascontiguousarray(values, dtype=np.int32).data)


def _texts(*values: str) -> Sexp:
    return session().interface.StrSexpVector(values)


def text_to_r(values: Column) -> Sexp:
    """Texts: distinct ones are built once, the rest are references to them."""
    codes, levels = pd.factorize(values)
    return support("strings")(_levels([str(v) for v in levels]), _codes(codes))


def _codes(codes: AnyArray) -> Sexp:
    wide = codes.astype(np.int32)
    return _integers(np.where(wide < 0, NA_INTEGER, wide + 1))


def _levels(levels: list[str]) -> Sexp:
    if any("\0" in level for level in levels):
        raise ColumnTypeError("a text has a NUL character, which R cannot hold; remove it first")
    return _texts(*levels)


def _factor_to_r(column: pd.Categorical) -> Sexp:
    levels = level_names(list(column.categories))
    if len(set(levels)) < len(levels):
        raise ColumnTypeError(f"different categories have the same name in R: {', '.join(levels[:10])}; rename them")
    kind = ("ordered", "factor") if column.ordered else ("factor",)
    return _with(_codes(np.asarray(column.codes)), **{"levels": _levels(levels), "class": _texts(*kind)})


def level_names(levels: Sequence[object]) -> list[str]:
    """Categories as R's ``as.character`` writes them: 1, 2.5, 1e+06, TRUE, 2020-01-31."""
    if any(isinstance(level, float | np.floating) for level in levels):
        return list(call("as.character", to_sexp(np.asarray(levels, dtype=float).tolist())))
    return [_level_name(level) for level in levels]


def _level_name(level: object) -> str:
    if isinstance(level, bool | np.bool_):
        return "TRUE" if level else "FALSE"
    if isinstance(level, pd.Timestamp) and level == level.normalize():
        return str(level.date())
    return str(level)


def _dates_to_r(days: AnyArray, missing: BoolArray) -> Sexp:
    return _with(_reals(days.astype("datetime64[D]").astype(np.int64), missing), **{"class": _texts("Date")})


def _instants_to_r(column: Column, zone: str) -> Sexp:
    missing = np.asarray(pd.isna(column))
    utc = np.asarray(column.tz_convert("UTC").tz_localize(None) if hasattr(column, "tz_convert") else column)
    seconds = utc.astype("datetime64[us]").astype(np.int64) / 1e6
    return _with(_reals(seconds, missing), **{"class": _texts("POSIXct", "POSIXt"), "tzone": _texts(zone)})


def _with(vector: Sexp, **attributes: Sexp) -> Sexp:
    ri = session().interface
    new = support("with_attributes")
    values = ri.ListSexpVector(list(attributes.values()))
    values.do_slot_assign("names", _texts(*attributes))
    return new(vector, values)
