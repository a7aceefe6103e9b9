"""Tables of each format but text with separators: what a file's own package makes of it."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from dsl._typing import Arguments, Record
from dsl.exceptions import ArgumentError, DataError, MissingColumnError, MissingDependencyError

EXACT = 2**53
"""Whole numbers beyond which a float cannot hold them all."""
EVERY = "all"
"""In the place of columns: value labels of every column."""
OPENERS: Mapping[str, Callable[..., IO[str]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def stata(path: Path, labelled: Sequence[str]) -> pd.DataFrame:
    """A Stata file, with the value labels of some columns. .a to .z, its extended missing values, are missing as "." is."""
    if EVERY in labelled:
        return pd.read_stata(path, convert_categoricals=True, order_categoricals=False)
    data = pd.read_stata(path, convert_categoricals=False)
    if not labelled:
        return data
    names = _known(labelled, data)
    # only these columns: others may have labels that are no categories
    return _labelled(data, pd.read_stata(path, columns=names, convert_categoricals=True, order_categoricals=False))


def spss(path: Path, labelled: Sequence[str]) -> pd.DataFrame:
    """An SPSS file, with the value labels of some columns. Values that it declares as missing, and ranges of them, are."""
    try:
        if EVERY in labelled:
            return pd.read_spss(path, convert_categoricals=True)
        data = pd.read_spss(path, convert_categoricals=False)
        if not labelled:
            return data
        return _labelled(data, pd.read_spss(path, usecols=_known(labelled, data), convert_categoricals=True))
    except ImportError as error:
        raise MissingDependencyError("reading SPSS files needs pyreadstat: pip install 'dsl[spss]'") from error


def _known(names: Sequence[str], data: pd.DataFrame) -> list[str]:
    """Columns that the options name, without repetitions."""
    unknown = next((name for name in names if name not in data.columns), None)
    if unknown is not None:
        raise MissingColumnError(f"--value-labels names '{unknown}', which the data do not have")
    return list(dict.fromkeys(names))


def _labelled(data: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The data with some columns as categories."""
    for name in chosen.columns:
        if not isinstance(chosen[name].dtype, pd.CategoricalDtype):
            raise ArgumentError(f"--value-labels names '{name}', whose values have no labels in the file")
    return data.assign(**{str(name): chosen[name] for name in chosen.columns})


def parquet(path: Path) -> pd.DataFrame:
    """A Parquet file."""
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise MissingDependencyError("reading Parquet needs pyarrow: pip install pyarrow") from error


def feather(path: Path) -> pd.DataFrame:
    """A Feather (Arrow) file."""
    try:
        return pd.read_feather(path)
    except ImportError as error:
        raise MissingDependencyError("reading Feather needs pyarrow: pip install pyarrow") from error


def excel(path: Path, sheet: str | None) -> pd.DataFrame:
    """A sheet of a workbook: its only one, or the one named. Empty cells are missing, and nothing else."""
    try:
        with pd.ExcelFile(path) as book:
            names = [str(name) for name in book.sheet_names]
            if sheet not in names and (sheet is not None or len(names) > 1):
                found = ", ".join(f"'{name}'" for name in names)
                raise ArgumentError(f"'{path}' has the sheets {found}: name one of them, --sheet {names[0]!r}")
            chosen = names[0] if sheet is None else sheet
            how: Arguments = {"keep_default_na": False, "na_values": [""]}
            first = pd.read_excel(book, sheet_name=chosen, header=None, nrows=1, dtype=str, **how)
            check_names([str(name) for name in first.iloc[0].dropna()] if len(first) else [], path)
            return pd.DataFrame(pd.read_excel(book, sheet_name=chosen, **how))
    except ImportError as error:
        raise MissingDependencyError("reading Excel files needs openpyxl: pip install 'dsl[excel]'") from error


def json_lines(path: Path, encoding: str) -> pd.DataFrame:
    """A file with an object on each line: null, and a name that is not there, are missing."""
    opener: Callable[..., IO[str]] = OPENERS.get(path.suffix.lower(), open)
    rows: list[Record] = []
    with opener(path, "rt", encoding=encoding) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(_object(line, number, path))
    if not rows:
        raise DataError(f"'{path}' is empty")
    names = dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame({name: _column([row.get(name) for row in rows]) for name in names})


def _object(line: str, number: int, path: Path) -> Record:
    def once(pairs: list[tuple[str, object]]) -> Record:
        check_names([name for name, _ in pairs], path)
        return dict(pairs)

    try:
        found = json.loads(line, object_pairs_hook=once)
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"line {number} of '{path}' is no JSON ({error}); each line must be an object") from None
    if not isinstance(found, dict):
        raise DataError(f"line {number} of '{path}' holds no object but {line.strip()[:40]!r}; each line must be one")
    return found


def _column(values: list[Any]) -> pd.Series:
    """Values of one name as a column: numbers as numbers, with all their digits."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool} and None not in values:
        return pd.Series(values, dtype=bool)
    if kinds == {int}:
        known = [value for value in values if value is not None]
        if max(map(abs, known)) < 2**63:
            return without_loss(pd.Series(pd.array(values, dtype="Int64")))
    if kinds and kinds <= {int, float}:
        return pd.Series([np.nan if value is None else value for value in values], dtype=float)
    return pd.Series([np.nan if value is None else value for value in values], dtype=object if kinds else float)


def without_loss(column: pd.Series) -> pd.Series:
    """Nullable whole numbers as numpy's: as floats where some are missing, unless that would change them."""
    if not column.isna().any():
        # Int64 and UInt64 to numpy's types of these names
        return pd.Series(column.to_numpy(dtype=str(column.dtype).lower()), index=column.index, name=column.name)
    known = column.dropna()
    if len(known) and (int(known.max()) > EXACT or int(known.min()) < -EXACT):
        return column
    return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index, name=column.name)


def check_names(names: Sequence[str], path: Path) -> None:
    """Raise DataError if two columns have one name: pandas would rename the second."""
    # R's row names have an empty heading
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        places = ", ".join(str(place) for place, name in enumerate(names, start=1) if name == twice)
        raise DataError(
            f"'{path}' has {names.count(twice)} columns named '{twice}' (columns {places}): which one is meant cannot be told; "
            "rename them in the file"
        )


def r_data(path: Path) -> pd.DataFrame:
    """The one data frame of an RDS or RData file."""
    from dsl.r.files import read_rdata, read_rds

    found = read_rds(path) if path.suffix.lower() == ".rds" else read_rdata(path)
    if isinstance(found, pd.DataFrame):
        return found
    if not isinstance(found, dict):
        raise DataError(f"'{path}' holds no data frame but a {type(found).__name__}; save one with saveRDS()")
    frames = {name: value for name, value in found.items() if isinstance(value, pd.DataFrame)}
    if len(frames) != 1:
        names = f" ({', '.join(frames)})" if frames else ""
        raise DataError(f"'{path}' holds {len(frames)} data frames{names}; save the one to use with saveRDS()")
    return next(iter(frames.values()))
