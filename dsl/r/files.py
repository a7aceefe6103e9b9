"""R's data files, read without R (package rdata)."""

import os
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from dsl._typing import AnyArray, Arguments, FloatArray
from dsl.data.files import read_from
from dsl.exceptions import DataError, MissingDependencyError
from dsl.r.labelled import CLASSES as LABELLED
from dsl.r.labelled import user_missing
from dsl.r.times import TEXT, as_dates, as_instants, as_spans

FilePath = str | os.PathLike[str]


def read_rdata(path: FilePath) -> dict[str, object]:
    """Objects of an ``.RData`` (``.rda``) file by name.

    Parameters
    ----------
    path : path
        A file written by R's ``save()``.

    Returns
    -------
    dict
        Values as `dsl.r.from_r` gives them: data frames with their factors, dates and missing values. Values that a file
        of SPSS declares missing (haven's ``labelled_spss``) are missing, as R's ``is.na`` says.

    Raises
    ------
    MissingDependencyError
        The package rdata is missing.
    DataError
        The file is not one of R's, or is damaged.

    Examples
    --------
    >>> from dsl.r import read_rdata
    >>> tables = read_rdata("PanChen.RData")  # doctest: +SKIP
    >>> tables["PanChen"].shape  # doctest: +SKIP
    (1412, 8)
    """
    found = _read(path)
    if not isinstance(found, dict):
        raise DataError(f"'{path}' holds one object without a name; use read_rds")
    return {str(name): _plain(value) for name, value in found.items()}


def read_rds(path: FilePath) -> object:
    """The object of an ``.rds`` file, written by R's ``saveRDS()``.

    Parameters
    ----------
    path : path

    Returns
    -------
    object
        As the values of `read_rdata`.
    """
    return _plain(_read(path))


def _read(path: FilePath) -> object:
    try:
        import rdata
    except ImportError as error:
        raise MissingDependencyError(
            "reading R's data files needs the package rdata: pip install 'dsl[r]', or pip install rdata"
        ) from error
    constructors = dict(rdata.conversion.DEFAULT_CLASS_MAP) | _CONSTRUCTORS
    with read_from(path, "a data file of R", DataError) as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes and encodings that it passes through unchanged
        parsed = rdata.parser.parse_file(target)
        return rdata.conversion.convert(parsed, constructors, default_encoding="utf8")


def _frame(values: object, attributes: Arguments) -> pd.DataFrame:
    row_names = attributes["row.names"]
    automatic = len(row_names) == 2 and np.ma.is_masked(row_names)  # stored as (NA, -rows)
    index = pd.RangeIndex(abs(int(row_names[1]))) if automatic else pd.Index(list(row_names))
    columns = values if isinstance(values, dict) else {}
    return pd.DataFrame({name: _plain(column) for name, column in columns.items()}, index=index)


def _factor(values: AnyArray, attributes: Arguments, *, ordered: bool = False) -> pd.Categorical:
    # R's codes start at 1. A missing one becomes 0, and -1 in pandas.
    codes = np.ma.filled(values, 0).astype(np.int64) - 1
    return pd.Categorical.from_codes(codes, categories=pd.Index(list(attributes.get("levels", ()))), ordered=ordered)


def _numbers(values: AnyArray) -> FloatArray:
    return np.asarray(np.ma.filled(np.ma.asarray(values).astype(float), np.nan))


def _labelled(values: AnyArray, attributes: Arguments) -> AnyArray:
    """A column of SPSS without the values that it declares missing."""
    gone = user_missing(np.ma.getdata(values), attributes.get("na_values"), attributes.get("na_range"))
    if values.dtype.kind in "fOU":
        return np.where(gone, np.nan if values.dtype.kind == "f" else None, values)  # type: ignore[arg-type]
    return np.ma.array(np.ma.getdata(values), mask=np.ma.getmaskarray(values) | gone)


def _attribute(attributes: Arguments, name: str, default: str) -> str:
    found = attributes.get(name)
    return default if found is None or not len(found) or not found[0] else str(found[0])


_CONSTRUCTORS: dict[str, Callable[..., object]] = {
    **dict.fromkeys(("data.frame", "tbl_df", "tbl", "data.table"), _frame),
    "factor": _factor,
    **dict.fromkeys(LABELLED, _labelled),
    "ordered": lambda values, attributes: _factor(values, attributes, ordered=True),
    "Date": lambda values, _: as_dates(_numbers(values)),
    "POSIXct": lambda values, attributes: as_instants(_numbers(values), _attribute(attributes, "tzone", "UTC")),
    "difftime": lambda values, attributes: as_spans(_numbers(values), _attribute(attributes, "units", "secs")),
}


def _plain(value: object) -> object:
    """Integers, logicals, texts and names as `from_r` gives them, everywhere inside."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "to_pandas"):  # vectors and matrices with names come as xarray
        return value.to_pandas().rename_axis(None)
    if not isinstance(value, np.ndarray) or value.ndim > 1:
        return value
    if value.dtype.kind == "U" or (value.dtype.kind == "O" and all(v is None or isinstance(v, str) for v in value)):
        return pd.array(value.astype(object), dtype=TEXT)  # type: ignore[arg-type]  # the stubs want a dtype spelled out
    mask, plain = np.ma.getmaskarray(value), np.ma.getdata(value)
    if plain.dtype.kind == "b":
        return pd.arrays.BooleanArray(plain, mask) if mask.any() else plain
    if plain.dtype.kind == "i":
        wide = np.where(mask, 1, plain).astype(np.int64)
        return pd.arrays.IntegerArray(wide, mask) if mask.any() else wide
    return plain
