"""Tables from files: CSV, Parquet, Stata and R."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pandas as pd

from dsl.data.tables import first_rows
from dsl.exceptions import ArgumentError, DataError, MissingColumnError, MissingDependencyError

KINDS = ".csv, .tsv (also .gz, .bz2, .xz, .zst), .parquet, .dta (Stata), .rds, .RData"
PACKED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table and the file it came from."""

    data: pd.DataFrame
    path: str
    sha256: str

    def facts(self) -> dict[str, object]:
        """What a pipeline needs to know about the file."""
        return {"path": self.path, "sha256": self.sha256, "rows": len(self.data), "columns": len(self.data.columns)}


def read_table(path: str, *, sep: str | None, encoding: str, value_labels: bool, row_id: str | None) -> Table:
    """Read a file, whose ending says the format.

    Parameters
    ----------
    path : str
    sep, encoding : str
        Of text files. Without `sep`, ``,`` in .csv and a tab in .tsv.
    value_labels : bool
        Stata's labelled numbers as categories, otherwise as the numbers they are.
    row_id : str, optional
        Column to take row labels from.

    Raises
    ------
    DataError
        No such file, an unknown format, or a file that is damaged or of another kind than its ending says.
    MissingDependencyError
        A package is needed to read it.
    """
    target = Path(path)
    if not target.is_file():
        raise DataError(f"no file '{path}'" + (" (it is a folder)" if target.is_dir() else ""))
    # the last two endings: posts.csv.gz is a .csv
    suffixes = [suffix.lower() for suffix in target.suffixes[-2:]]
    kind = suffixes[0] if len(suffixes) == 2 and suffixes[1] in PACKED else (suffixes or [""])[-1]
    # readers are called later, so that only the format's own package is imported
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        ".csv": lambda: _text(target, sep or ",", encoding),
        ".tsv": lambda: _text(target, sep or "\t", encoding),
        ".parquet": lambda: _parquet(target),
        ".dta": lambda: pd.read_stata(target, convert_categoricals=value_labels, order_categoricals=False),
        ".rds": lambda: _r(target),
        ".rdata": lambda: _r(target),
        ".rda": lambda: _r(target),
    }
    if kind not in readers:
        raise DataError(f"'{path}' has an unknown ending; files must be {KINDS}. Export it, e.g. as CSV")
    try:
        data = readers[kind]()
    except (ValueError, OSError) as error:
        # a DataError says what is wrong already
        if isinstance(error, DataError):
            raise
        raise DataError(f"'{path}' cannot be read as {kind}: {str(error).strip() or type(error).__name__}") from error
    return Table(data=_labelled_rows(data, row_id), path=path, sha256=_hash(target))


def _text(path: Path, sep: str, encoding: str) -> pd.DataFrame:
    try:
        # low_memory would guess a column's type piece by piece, and mix types
        data = pd.read_csv(path, sep=sep, encoding=encoding, low_memory=False)
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{path}' is not {encoding} text ({error}); say what it is, e.g. --encoding latin-1"
        ) from error
    except LookupError:
        raise ArgumentError(f"unknown encoding '{encoding}'; use utf-8, latin-1, cp1252, ...") from None
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
    return data


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
        raise DataError(f"--id '{row_id}' is missing or repeated in {first_rows(bad, labels)}; it must tell rows apart")
    return data.set_axis(labels, axis=0)


def _hash(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        # a mebibyte at a time: files may be larger than memory
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
