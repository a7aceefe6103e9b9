"""Tables from files: CSV, Parquet, Stata, SPSS and R."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from dsl.data.files import as_path, read_from
from dsl.data.tables import first_rows, rounded_hint
from dsl.exceptions import ArgumentError, DataError, MissingColumnError, MissingDependencyError

KINDS = ".csv, .tsv (also .gz, .bz2, .xz, .zst), .parquet, .dta (Stata), .sav (SPSS), .rds, .RData"
PACKED = (".gz", ".bz2", ".xz", ".zst")
EXACT = 2**53
"""Whole numbers beyond which a float cannot hold them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is to be read."""

    sep: str | None = None
    """Of text files. By default ``,`` in .csv and a tab in .tsv."""
    encoding: str = "utf-8-sig"
    decimal: str = "."
    na: tuple[str, ...] = ()
    """Codes for missing. In a text file empty cells are missing, and nothing else by itself."""
    value_labels: bool = False
    """Labelled numbers of Stata and SPSS as categories, otherwise as the numbers they are."""
    row_id: str | None = None
    """Column to take row labels from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table and the file it came from."""

    data: pd.DataFrame
    path: str
    sha256: str

    def facts(self) -> dict[str, object]:
        """What a pipeline needs to know about the file."""
        return {"path": self.path, "sha256": self.sha256, "rows": len(self.data), "columns": len(self.data.columns)}


def read_table(path: str, reading: Reading) -> Table:
    """Read a file, whose ending says the format.

    Parameters
    ----------
    path : str
    reading : Reading

    Raises
    ------
    DataError
        No such file, an unknown format, or a file that is damaged or of another kind than its ending says.
    MissingDependencyError
        A package is needed to read it.
    """
    target = as_path(path, "the data")
    # the last two endings: posts.csv.gz is a .csv
    suffixes = [suffix.lower() for suffix in target.suffixes[-2:]]
    kind = suffixes[0] if len(suffixes) == 2 and suffixes[1] in PACKED else (suffixes or [""])[-1]
    # readers are called later, so that only the format's own package is imported
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        ".csv": lambda: _text(target, "," if reading.sep is None else reading.sep, reading),
        ".tsv": lambda: _text(target, "\t" if reading.sep is None else reading.sep, reading),
        ".parquet": lambda: _coded(_parquet(target), reading.na),
        ".dta": lambda: _coded(_stata(target, reading.value_labels), reading.na),
        ".sav": lambda: _coded(_spss(target, reading.value_labels), reading.na),
        ".rds": lambda: _coded(_r(target), reading.na),
        ".rdata": lambda: _coded(_r(target), reading.na),
        ".rda": lambda: _coded(_r(target), reading.na),
    }
    with read_from(path, kind, DataError):
        if kind not in readers:
            raise DataError(f"'{path}' has an unknown ending; files must be {KINDS}. Export it, e.g. as CSV")
        data, digest = readers[kind](), _hash(target)
    return Table(data=_labelled_rows(data, reading.row_id), path=path, sha256=digest)


def _text(path: Path, sep: str, reading: Reading) -> pd.DataFrame:
    for option, sign in (("--sep", sep), ("--decimal", reading.decimal)):
        if len(sign) != 1:
            raise ArgumentError(f"{option} must be one character; found {sign!r}")
    if sep == reading.decimal:
        raise ArgumentError(f"--decimal and --sep are both {sep!r}: pass the separator of the columns, e.g. --sep ';'")
    try:
        _check_header(path, sep, reading.encoding)
        data = pd.read_csv(
            path,
            sep=sep,
            encoding=reading.encoding,
            decimal=reading.decimal,
            # pandas' own list would make the category "None" missing, and "NA", "null", "nan"
            keep_default_na=False,
            na_values=["", *reading.na],
            # nullable whole numbers do not pass through float where cells are empty
            dtype_backend="numpy_nullable",
            # low_memory would guess a column's type piece by piece, and mix types
            low_memory=False,
        )
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{path}' is not {reading.encoding} text ({error}); say what it is, e.g. --encoding latin-1"
        ) from error
    except LookupError:
        raise ArgumentError(f"unknown encoding '{reading.encoding}'; use utf-8, latin-1, cp1252, ...") from None
    except pd.errors.EmptyDataError:
        raise DataError(f"'{path}' is empty") from None
    # one column with another separator in its name: the file was cut at the wrong sign
    head = str(data.columns[0])
    other = next((sign for sign in (";", "\t", ",", "|") if sign in head), None)
    if len(data.columns) == 1 and other is not None:
        shown = "'\\t'" if other == "\t" else f"'{other}'"
        raise DataError(
            f"'{path}' has one column, '{head[:60]}'; its separator seems to be {shown}: pass --sep {shown}"
        )
    return pd.DataFrame({name: _plain(data[name]) for name in data.columns}, index=data.index)


def _check_header(path: Path, sep: str, encoding: str) -> None:
    """Raise DataError if two columns have one name: pandas would rename the second."""
    first = pd.read_csv(
        path, sep=sep, encoding=encoding, header=None, nrows=1, dtype=str, keep_default_na=False, na_values=[]
    )
    names = [str(name) for name in first.iloc[0]]
    # R's row names have an empty heading
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        places = ", ".join(str(place) for place, name in enumerate(names, start=1) if name == twice)
        raise DataError(
            f"'{path}' has {names.count(twice)} columns named '{twice}' (columns {places}): which one is meant cannot be told; "
            "rename them in the file"
        )


def _plain(column: pd.Series) -> pd.Series:
    """The type that pandas gives a column by itself, but for whole numbers that a float would change."""
    kind, gaps = column.dtype, bool(column.isna().any())
    if pd.api.types.is_bool_dtype(kind) and not gaps:
        return column.astype(bool)
    if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        return column.astype(object).where(column.notna(), np.nan).infer_objects()
    if pd.api.types.is_float_dtype(kind):
        return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index, name=column.name)
    if not gaps:
        # Int64 and UInt64 to numpy's types of these names
        return pd.Series(column.to_numpy(dtype=str(kind).lower()), index=column.index, name=column.name)
    known = column.dropna()
    if len(known) and (int(known.max()) > EXACT or int(known.min()) < -EXACT):
        return column
    return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index, name=column.name)


def _coded(data: pd.DataFrame, na: Sequence[str]) -> pd.DataFrame:
    """Codes for missing made missing, in text and in numbers."""
    if not na:
        return data
    numbers = [value for value in (_number(code) for code in na) if value is not None]
    # both at once: a column of text does not hold numbers, nor the other way round
    return data.mask(data.isin([*na, *numbers]))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _stata(path: Path, value_labels: bool) -> pd.DataFrame:
    # .a to .z, Stata's extended missing values, are missing as "." is
    return pd.read_stata(path, convert_categoricals=value_labels, order_categoricals=False)


def _spss(path: Path, value_labels: bool) -> pd.DataFrame:
    try:
        # values that the file declares as missing, and ranges of them, are missing
        return pd.read_spss(path, convert_categoricals=value_labels)
    except ImportError as error:
        raise MissingDependencyError("reading SPSS files needs pyreadstat: pip install 'dsl[spss]'") from error


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise MissingDependencyError("reading Parquet needs pyarrow: pip install pyarrow") from error


def _r(path: Path) -> pd.DataFrame:
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


def _labelled_rows(data: pd.DataFrame, row_id: str | None) -> pd.DataFrame:
    """Rows under the labels in a column, which stays a column too."""
    if row_id is None:
        return data
    if row_id not in data.columns:
        names = ", ".join(f"'{name}'" for name in data.columns[:10])
        raise MissingColumnError(f"--id names '{row_id}', which the data do not have; the columns are {names}")
    # in the data too, as formulas and outputs may name the column
    labels = pd.Index(data[row_id])
    bad = labels.isna() | labels.duplicated(keep=False)
    if bad.any():
        raise DataError(
            f"--id '{row_id}' is missing or repeated in {first_rows(bad, labels)}{rounded_hint(labels)}; it must tell rows apart"
        )
    return data.set_axis(labels, axis=0)


def _hash(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        # a mebibyte at a time: files may be larger than memory
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
