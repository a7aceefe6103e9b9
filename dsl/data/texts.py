"""The column of texts that a learner reads."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dsl._typing import AnyArray, BoolArray, IntArray
from dsl.data.tables import first_rows
from dsl.exceptions import ColumnTypeError, TextError

WRITTEN = frozenset(("nan", "NaN", "None", "NA", "<NA>", "N/A", "null", "NULL"))
"""What programs write for a missing value where they make text of it."""
SHOWN = 40
"""Characters of a value that messages show."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Texts:
    """Texts of the rows of an analysis, and where these rows stand in the data."""

    values: AnyArray
    """(N,) objects, all ``str``."""
    rows: IntArray
    """(N,) the rows' positions in the data."""
    n_input: int
    """Rows of the data."""
    labels: pd.Index
    """(N,) the rows' labels in the data."""

    def __len__(self) -> int:
        """Number of rows N."""
        return len(self.values)

    @classmethod
    def of(cls, values: AnyArray) -> "Texts":
        """Texts that are a whole table's.

        Examples
        --------
        >>> len(Texts.of(np.array(["a", "b"], dtype=object)))
        2
        """
        rows = np.arange(len(values))
        return cls(values=values, rows=rows, n_input=len(values), labels=pd.RangeIndex(len(values)))


def check_texts(column: pd.Series) -> None:
    """Raise TextError if some are missing, and ColumnTypeError if some are no text."""
    name, missing = column.name, column.isna().to_numpy()
    if missing.any():
        raise TextError(
            f"column '{name}' (text) is missing in {first_rows(missing, column.index)}; a learner reads the text of every row. "
            f"If these texts are empty, say so: data['{name}'] = data['{name}'].fillna(''); if they were lost, get them, or "
            f"leave the rows out, data.dropna(subset=['{name}']), if they are no part of the population that you study"
        )
    values = _objects(column)
    other = np.array([not isinstance(value, str) for value in values], dtype=bool)
    if other.any():
        first = repr(values[other][0])[:SHOWN]
        raise ColumnTypeError(
            f"column '{name}' (text) holds something other than text in {first_rows(other, column.index)}, such as {first}; name "
            "the column with the texts, and numbers in feature="
        )


def texts_of(frame: pd.DataFrame, name: str | None, keep: BoolArray) -> Texts | None:
    """Texts of the rows of an analysis, which are those of the data that it keeps."""
    if name is None:
        return None
    return Texts(values=_objects(frame[name]), rows=np.flatnonzero(keep), n_input=len(keep), labels=frame.index)


def notes_on_texts(frame: pd.DataFrame, name: str | None) -> tuple[str, ...]:
    """A sentence where some texts are empty or blank, and one where they are what programs write for missing ones."""
    if name is None:
        return ()
    bare = [value.strip() for value in _objects(frame[name])]
    notes, of = [], f"of {len(frame):,} rows"
    if empty := bare.count(""):
        notes.append(f"'{name}' is empty in {empty:,} {of}: the learner reads nothing there")
    if written := sum(value in WRITTEN for value in bare):
        notes.append(
            f"'{name}' is a word for missing ('nan', 'None', ...) in {written:,} {of}: the learner reads that word"
        )
    return tuple(notes)


def _objects(column: pd.Series) -> AnyArray:
    return np.asarray(column.astype(object).to_numpy(), dtype=object)
