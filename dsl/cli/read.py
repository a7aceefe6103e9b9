"""Tables from files, or from stdin: text with separators, and the formats of `dsl.cli.formats`."""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pandas as pd

from dsl.cli import formats
from dsl.data.files import as_path, read_from
from dsl.data.tables import first_rows, rounded_hint
from dsl.exceptions import ArgumentError, DataError, DSLError, MissingColumnError

KINDS = (
    ".csv, .tsv, .jsonl (also .gz, .bz2, .xz), .xlsx, .parquet, .feather, .dta (Stata), .sav (SPSS), .rds, .RData, or - "
    "for stdin"
)
PACKED = (".gz", ".bz2", ".xz", ".zst")
STDIN = "-"
EXACT: Literal["round_trip"] | None = (
    None if tuple(map(int, version("pandas").split(".")[:2])) >= (3, 1) else "round_trip"
)
"""What makes pandas read numbers to the last digit. From 3.1 on it always does."""
LABELLED, SHEETS = (".dta", ".sav"), (".xlsx", ".xlsm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is to be read."""

    sep: str | None = None
    """Of text files. By default ``,`` in .csv and a tab in .tsv."""
    encoding: str = "utf-8-sig"
    decimal: str = "."
    na: tuple[str, ...] = ()
    """Codes for missing. In a text file empty cells are missing, and nothing else by itself."""
    value_labels: tuple[str, ...] = ()
    """Columns of Stata and SPSS files whose labelled numbers are categories (``"all"``: every one), not the numbers they are."""
    sheet: str | None = None
    """Of a workbook. By default its only one."""
    kind: str | None = None
    """What stdin holds, as a file's ending says it, without its dot."""
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
    """Read a file, whose ending says the format, or stdin.

    Parameters
    ----------
    path : str
        ``"-"`` for stdin.
    reading : Reading

    Raises
    ------
    DataError
        No such file, an unknown format, or a file that is damaged or of another kind than its ending says.
    MissingDependencyError
        A package is needed to read it.
    """
    if path != STDIN:
        if reading.kind is not None:
            raise ArgumentError("--data-format says what stdin ('-') holds; of a file its ending does")
        return _read_file(path, reading)
    # some formats are read from their end, hence a file
    with TemporaryDirectory() as folder:
        place = Path(folder) / f"stdin.{reading.kind or 'csv'}"
        with place.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            return replace(_read_file(str(place), reading), path=STDIN)
        except DSLError as error:
            raise type(error)(str(error).replace(f"'{place}'", "stdin")) from error


def _read_file(path: str, reading: Reading) -> Table:
    target = as_path(path, "the data")
    # the last two endings: posts.csv.gz is a .csv
    suffixes = [suffix.lower() for suffix in target.suffixes[-2:]]
    kind = suffixes[0] if len(suffixes) == 2 and suffixes[1] in PACKED else (suffixes or [""])[-1]
    _check_reading(kind, reading)
    # readers are called later, so that only the format's own package is imported
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        ".csv": lambda: _text(target, "," if reading.sep is None else reading.sep, reading),
        ".tsv": lambda: _text(target, "\t" if reading.sep is None else reading.sep, reading),
        ".jsonl": lambda: _coded(formats.json_lines(target, reading.encoding), reading.na),
        ".ndjson": lambda: _coded(formats.json_lines(target, reading.encoding), reading.na),
        **{each: lambda: _coded(formats.excel(target, reading.sheet), reading.na) for each in SHEETS},
        ".parquet": lambda: _coded(formats.parquet(target), reading.na),
        ".feather": lambda: _coded(formats.feather(target), reading.na),
        ".dta": lambda: _coded(formats.stata(target, reading.value_labels), reading.na),
        ".sav": lambda: _coded(formats.spss(target, reading.value_labels), reading.na),
        **{each: lambda: _coded(formats.r_data(target), reading.na) for each in (".rds", ".rdata", ".rda")},
    }
    with read_from(path, kind, DataError):
        if kind not in readers:
            raise DataError(f"'{path}' has an unknown ending; files must be {KINDS}. Export it, e.g. as CSV")
        data, digest = readers[kind](), _hash(target)
    return Table(data=_labelled_rows(data, reading.row_id), path=path, sha256=digest)


def _check_reading(kind: str, reading: Reading) -> None:
    """Raise ArgumentError for options that the format has nothing for."""
    if reading.value_labels and kind not in LABELLED:
        raise ArgumentError(f"--value-labels is for {', '.join(LABELLED)} (Stata, SPSS); other files have none")
    if reading.sheet is not None and kind not in SHEETS:
        raise ArgumentError(f"--sheet is for {', '.join(SHEETS)}; other files have none")


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
            float_precision=EXACT,
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
    """Raise DataError if two columns have one name."""
    first = pd.read_csv(
        path, sep=sep, encoding=encoding, header=None, nrows=1, dtype=str, keep_default_na=False, na_values=[]
    )
    formats.check_names([str(name) for name in first.iloc[0]], path)


def _plain(column: pd.Series) -> pd.Series:
    """The type that pandas gives a column by itself, but for whole numbers that a float would change."""
    kind, gaps = column.dtype, bool(column.isna().any())
    if pd.api.types.is_bool_dtype(kind) and not gaps:
        return column.astype(bool)
    if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        return column.astype(object).where(column.notna(), np.nan).infer_objects()
    if pd.api.types.is_float_dtype(kind):
        return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index, name=column.name)
    return formats.without_loss(column)


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
