"""What a table's columns hold, written down, so that a CSV file of them can be read as the table was.

A CSV file has no types: a category of the levels 2, 0, 1 comes back as numbers, an ordered one without its order, the text
"01" as a number, a date as text.
"""

from collections.abc import Callable, Collection, Hashable, Mapping
from numbers import Real

import numpy as np
import pandas as pd

from dsl._typing import Record
from dsl.data.kinds import Kind, kind_of, plain

READ = (Kind.TEXT, Kind.NUMBER, Kind.TRUTH)
"""What columns of a CSV file are."""


def column_types(table: pd.DataFrame, shown: Collection[str] = ()) -> dict[str, Record]:
    """What each column holds, where a CSV file would not say.

    Parameters
    ----------
    table : DataFrame
        As `dsl.data.tables.to_pandas` makes it.
    shown : collection of str
        Categories whose levels may be told. Of others only that they are categories.

    Examples
    --------
    >>> table = pd.DataFrame({"x": [1.5, 2], "g": ["01", "02"], "day": pd.to_datetime(["2020-01-01", "2020-01-02"])})
    >>> column_types(table)
    {'g': {'kind': 'text', 'digits': 2}, 'day': {'kind': 'dates'}}
    """
    out: dict[str, Record] = {}
    for name, column in table.items():
        kind = kind_of(column)
        if kind is Kind.CATEGORY and isinstance(column.dtype, pd.CategoricalDtype):
            out[str(name)] = {"kind": kind.value, **_levels(column.dtype, name in shown)}
        elif kind is Kind.TEXT:
            out[str(name)] = {"kind": kind.value, **_width(column)}
        elif kind.dated:
            zone = getattr(column.dtype, "tz", None)
            out[str(name)] = {"kind": kind.value, **({} if zone is None else {"zone": str(zone)})}
    return out


def as_typed(table: pd.DataFrame, types: Mapping[str, Record]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table with the columns that are of another type made what they were, and what was made of them.

    A column that cannot be what it was stays as it is.

    Examples
    --------
    >>> read = pd.DataFrame({"x": [1.5, 2], "day": ["2020-01-01", "2020-01-02"]})
    >>> made, changed = as_typed(read, {"day": {"kind": "dates"}})
    >>> changed, made["day"].dt.day.tolist()
    ({'day': 'dates'}, [1, 2])
    """
    made: dict[str, pd.Series] = {}
    for name, facts in types.items():
        if name in table.columns and kind_of(table[name]) in READ:
            found = _READERS[facts["kind"]](table[name], facts) if facts["kind"] in _READERS else None
            if found is not None:
                made[name] = plain(found)
    changed = {name: types[name]["kind"] for name in made}
    return (table.assign(**made) if made else table), changed


def _levels(kind: pd.CategoricalDtype, shown: bool) -> Record:
    levels = kind.categories.tolist()
    text = all(isinstance(level, str) for level in levels)
    if not shown or not (text or all(isinstance(level, bool | int | float) for level in levels)):
        return {"text": text}
    return {"text": text, "levels": levels, "ordered": bool(kind.ordered)}


def _width(column: pd.Series) -> Record:
    """Number of digits, where all texts are so many: a county is 06037, and a CSV file's reader makes 6037 of it."""
    found = column.dropna().unique()
    widths = {len(each) if each.isascii() and each.isdigit() else 0 for each in map(str, found)}
    return {"digits": widths.pop()} if len(widths) == 1 and 0 not in widths else {}


def _written(value: Hashable) -> str:
    """A value as a CSV file writes it, 1.0 as 1."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        return str(value)
    number = float(value)
    return str(int(value)) if number.is_integer() else repr(number)


def _number(level: str | float) -> str | float:
    return int(level) if isinstance(level, str) and level.isascii() and level.isdigit() else level


def _text(column: pd.Series, facts: Record) -> pd.Series | None:
    if kind_of(column) is Kind.TEXT:
        return None
    there = column.notna()
    width = facts.get("digits", 0)
    texts = [_written(value).zfill(width) if known else np.nan for value, known in zip(column, there, strict=True)]
    return pd.Series(texts, index=column.index, name=column.name, dtype=object)


def _category(column: pd.Series, facts: Record) -> pd.Series | None:
    if "levels" not in facts:
        changed = _text(column, facts) if facts["text"] else None
        return (column if changed is None else changed).astype("category")
    levels = facts["levels"]
    text = facts["text"] and kind_of(column) is Kind.TEXT
    # text stays text: "01" and "1" are two levels. Of numbers they are one
    places = {level if text else _written(_number(level)): place for place, level in enumerate(levels)}
    codes = [-1 if pd.isna(value) else places.get(_written(value)) for value in column]
    if None in codes or len(places) < len(levels):
        return None
    values = pd.Categorical.from_codes(np.array(codes, dtype=np.int64), levels, ordered=facts["ordered"])
    return pd.Series(values, index=column.index, name=column.name)


def _dates(column: pd.Series, facts: Record) -> pd.Series | None:
    if kind_of(column) is not Kind.TEXT:
        return None
    zone = facts.get("zone")
    try:
        found = pd.to_datetime(column, format="ISO8601", utc=zone is not None)
    except (ValueError, TypeError):
        return None
    return found if zone is None else found.dt.tz_convert(zone)


_READERS: Mapping[str, Callable[[pd.Series, Record], pd.Series | None]] = {
    Kind.TEXT.value: _text,
    Kind.CATEGORY.value: _category,
    Kind.DATE.value: _dates,
    Kind.TIME.value: _dates,
}
