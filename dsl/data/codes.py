"""Codes for "missing" that would be taken for values, and categories that differ by case or blanks only.

A code on the rows without a label is an error: it would be a category of its own, and every row would count as labelled.
Elsewhere it is a warning, as nobody but the user knows. A value counts as a code of the gold column if it is

- a word that is no label ("", "nan", "n/a", ".", "not coded", ...), on any row,
- on at least half of the rows that are known to be unlabelled (`labeled`, a design), and on no labelled row,
- on more rows than are missing, and either a word for missing that may be a label too ("NA", "none"), or a number such as -9, 99
  or 999 far from the others, or on half of all rows a value that the surrogates never have, while they have the others.

Numbers are compared by distance: a code lies farther from the other values than these from each other. Thus 999 is a code
among ages, and 99 is none. `tests/simulation/test_codes.py` has the false alarms on clean data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.columns import Columns
from dsl.data.tables import first_rows
from dsl.exceptions import MissingCodeError

UNCODED = ("not coded", "not labelled", "not labeled", "uncoded", "unlabelled", "unlabeled")
NEVER = frozenset(("", "nan", "nat", "n/a", "n.a.", "n.a", "#n/a", "<na>", "null", ".", "-", "--", *UNCODED))
"""Words that are no label, in lower case."""
WORDS = frozenset(("na", "none", "missing", "not available"))
"""Words that say missing, or are labels: Namibia, no topic."""
DIGITS = tuple(float(digit * times) for digit in "789" for times in range(1, 6))
_OFTEN = frozenset(sign * n for n in (*DIGITS, 97.0, 98.0, 997.0, 998.0) for sign in (-1.0, 1.0))
NUMBERS = np.array(sorted(_OFTEN))
"""Numbers that are often codes."""
FEWEST = 3
"""Rows with a number from which it may be a code."""
SHARE, LEAST = 0.1, 10
"""Share and number of rows of a number that may be a code for unlabelled rows."""
HALF = 0.5
"""Share of rows of a value that is taken for a code because the surrogates lack it."""
FEW_VALUES = 20
"""Distinct numbers up to which a surrogate's are taken one by one."""
RARELY = 0.2
"""A word is a label if surrogates use it at least this share as often."""
NEARLY = 0.99
"""Share of the other labels that surrogates must know for one that they lack to be a code."""
UNKNOWN = "a value that the predictions never have"
MANY = 200
"""Distinct texts beyond which a column holds no categories."""


@dataclass(frozen=True, slots=True)
class Gold:
    """A gold column as it came, and what is known about its rows."""

    column: pd.Series
    role: str
    labeled: BoolArray | None
    """(N,) the labelled rows, if a column or design says so."""
    surrogates: Sequence[pd.Series]
    """(N,) each: those that stand for it, or all where nobody says which."""


def check_gold(gold: Gold) -> None:
    """Raise MissingCodeError if a value of the gold column is a code for missing.

    Parameters
    ----------
    gold : Gold
        Its column before numbers or categories are made of it.
    """
    counts = _counts(gold.column)
    for value in counts.index if _is_text(gold.column) else ():
        word = folded(value)
        # a rare "+" may be among the surrogates only
        if (
            word in NEVER
            and not _is_sign(word, counts)
            and not (word == "-" and "+" in (_surrogate_shares(gold) or ()))
        ):
            raise MissingCodeError(_message(gold, value, "a word for missing"))
    found = _among_all(gold, counts) if gold.labeled is None else _on_unlabeled(gold, gold.labeled)
    if found is not None:
        raise MissingCodeError(_message(gold, *found))


def _counts(column: pd.Series) -> pd.Series:
    """Rows of each value that occurs, the most frequent first, of a column of text or numbers."""
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        kind = kind.categories.dtype
    if not (_is_text(column) or pd.api.types.is_numeric_dtype(kind)) or pd.api.types.is_bool_dtype(kind):
        return pd.Series(dtype=int)
    counts = column.value_counts()
    counts = counts[(counts > 0).to_numpy()]
    # an index of categories compares to nothing else
    return counts.set_axis(counts.index.astype(object)) if kind is not column.dtype or _is_text(column) else counts


def _is_text(column: pd.Series) -> bool:
    """Whether cells may be text, in a column of any kind."""
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        kind = kind.categories.dtype
    return bool(pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind))


def _rows(column: pd.Series, value: object) -> BoolArray:
    """Rows with this value."""
    return np.asarray((column == value).fillna(False), dtype=bool)


def _on_unlabeled(gold: Gold, labeled: BoolArray) -> tuple[object, str] | None:
    """A value of most of the unlabelled rows, or a word for missing, that no labelled row has."""
    counts = _counts(gold.column[~labeled])
    for value, count in counts.items():
        often = 2 * int(count) >= int((~labeled).sum())
        if (often or folded(value) in WORDS) and not _rows(gold.column[labeled], value).any():
            return value, "all of them unlabelled"
    return None


def _among_all(gold: Gold, counts: pd.Series) -> tuple[object, str] | None:
    """A value of more rows than are missing that is a code by its looks, or by what the surrogates have."""
    missing = int(gold.column.isna().sum())
    # at most a few are that frequent
    for value, count in counts[(counts > missing).to_numpy()].items():
        word = folded(value)
        if word not in WORDS and count < max(LEAST, SHARE * len(gold.column)):
            continue
        shares = None if word is None else _surrogate_shares(gold)
        why, often = "", count >= HALF * len(gold.column)
        if word in WORDS:
            used = shares is not None and shares.get(str(word), 0.0) >= RARELY * count / len(gold.column)
            why = "" if used else "a word for missing"
        elif shares is not None:
            others = counts.drop(index=value)
            known = [folded(other) in shares for other in others.index]
            why = UNKNOWN if often and word not in shares and _mostly(others, np.array(known)) else ""
        else:
            why = _why_number(value, counts, gold, often=often)
        if why:
            return value, why
    return None


def _mostly(counts: pd.Series, known: BoolArray) -> bool:
    """Whether nearly all rows have known values. Single values that the surrogates lack do not count."""
    return bool(len(counts) and counts.to_numpy()[known].sum() >= NEARLY * counts.sum())


def _is_sign(word: str, counts: pd.Series) -> bool:
    """Whether a "-" is the other sign of a "+"."""
    return word == "-" and "+" in set(map(folded, counts.index))


def folded(value: object) -> str | None:
    """Text without case and outer blanks, inner ones single, or None for anything else."""
    return " ".join(value.split()).casefold() if isinstance(value, str) else None


def _surrogate_shares(gold: Gold) -> dict[str, float] | None:
    """Share of rows of each text, folded, among the surrogates that are text, or None if none is."""
    texts = [column for column in gold.surrogates if _is_text(column) and column.map(folded).notna().any()]
    if not texts:
        return None
    every = pd.concat([column.astype(object).map(folded) for column in texts], ignore_index=True)
    return {str(word): float(share) for word, share in every.value_counts(normalize=True).items()}


def _why_number(value: object, counts: pd.Series, gold: Gold, *, often: bool) -> str:
    """Why a number, or text that is one, is a code, or nothing."""
    # numbers written as text too
    numbers = pd.to_numeric(pd.Series(counts.index), errors="coerce").to_numpy(dtype=float)
    mine = np.asarray(counts.index == value)
    if np.isnan(numbers).any() or mine.all():
        return ""
    number, found, others = float(numbers[mine][0]), numbers[~mine], counts[~mine]
    known = _surrogate_numbers(gold)
    lacking = known is not None and len(known) <= FEW_VALUES and number not in known
    if often and lacking and _mostly(others, np.isin(found, known or ())):
        return UNKNOWN
    return "far from the other values" if is_far(number, found) else ""


def _surrogate_numbers(gold: Gold) -> list[float] | None:
    """Distinct values (sorted) of the surrogates if all are numbers, else None."""
    if not gold.surrogates or any(not pd.api.types.is_numeric_dtype(column.dtype) for column in gold.surrogates):
        return None
    every = np.concatenate([column.to_numpy(dtype=float, na_value=np.nan) for column in gold.surrogates])
    return [float(value) for value in np.unique(every[~np.isnan(every)])]


def is_far(code: float, others: FloatArray) -> bool:
    """Whether a number that is often a code lies far beyond the others.

    Parameters
    ----------
    code : float
    others : array
        Values without it.

    Examples
    --------
    >>> is_far(999.0, np.arange(18.0, 96.0)), is_far(99.0, np.arange(18.0, 96.0)), is_far(-9.0, np.array([0.0, 1.0]))
    (True, False, True)
    """
    low, high = float(others.min()), float(others.max())
    if not np.isin(code, NUMBERS) or low <= code <= high or low == high:
        return False
    if code < 0.0 <= low:
        return True  # the only negative number
    gap = low - code if code < low else code - high
    # scales of five and seven points have a 9 close by
    return gap >= (2.0 if abs(code) < 10.0 else 1.0) * (high - low)


def _message(gold: Gold, value: object, why: str) -> str:
    name = str(gold.column.name)
    rows = _rows(gold.column, value)
    return (
        f"column '{name}' ({gold.role}) is {_shown(value)} in {first_rows(rows, gold.column.index)}, {why}: it looks like a code "
        f"for rows without a label, and would be taken for a label. {_make_missing(name, value)}. If it is a label, "
        + ("rename it" if folded(value) in NEVER else "say which rows are labelled (labeled=, or a design)")
    )


def _make_missing(name: str, value: object) -> str:
    blank = folded(value) == ""
    found = f"data['{name}'].str.strip() == ''" if blank else f"data['{name}'] == {_shown(value)}"
    return f"Make it missing: data['{name}'] = data['{name}'].mask({found})"


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float | np.number) else repr(value)


def doubts(frame: pd.DataFrame, columns: Columns) -> tuple[str, ...]:
    """What looks miscoded, a sentence each: codes for missing among the values, categories that differ by case or blanks only.

    Parameters
    ----------
    frame : DataFrame
        The columns as they came, all rows.
    columns : Columns
    """
    out: list[str] = []
    for name, role in columns.roles().items():
        if role in ("labeled", "sample_prob", "text"):
            continue
        column = frame[name]
        where = f"column '{name}' ({role})"
        if _is_text(column):
            counts = _counts(column)
            out += [f"{where} {said}" for said in _doubtful_texts(counts, column)]
            if len(counts) <= MANY and role not in ("cluster", "index"):
                out += [f"{where} {said}" for said in _near_copies(counts, name)]
        elif role not in ("cluster", "index", "by", "time"):
            out += [f"{where} {said}" for said in _doubtful_numbers(column)]
    return tuple(out)


def _doubtful_texts(counts: pd.Series, column: pd.Series) -> Iterator[str]:
    words: dict[object, str] = {value: word for value in counts.index if (word := folded(value)) is not None}
    for value, word in words.items():
        if (word not in NEVER and word != "na") or _is_sign(word, counts) or (word == "na" and _are_codes(counts)):
            continue
        rows = _rows(column, value)
        yield (
            f"is {_shown(value)} in {first_rows(rows, column.index)}: if this is a code for missing, it is taken for a category. "
            f"{_make_missing(str(column.name), value)}"
        )


def _are_codes(counts: pd.Series) -> bool:
    """Whether most values are two capital letters, as countries' codes are, NA among them."""
    two = [isinstance(value, str) and len(value) == 2 and value.isupper() for value in counts.index]
    return len(two) > 2 and sum(two) >= 0.8 * len(two)


def _near_copies(counts: pd.Series, name: str) -> Iterator[str]:
    same: dict[str, list[str]] = {}
    for value in counts.index:
        word = folded(value)
        if word:
            same.setdefault(word, []).append(str(value))
    for values in same.values():
        if len(values) > 1:
            each = ", ".join(f"{value!r} ({int(counts[value])})" for value in values)
            yield (
                f"has categories that differ by case or blanks only: {each} rows. Each is a category of its own. If they are the "
                f"same, data['{name}'] = data['{name}'].str.strip().str.lower()"
            )


def _doubtful_numbers(column: pd.Series) -> Iterator[str]:
    if pd.api.types.is_bool_dtype(column.dtype) or not pd.api.types.is_numeric_dtype(column.dtype):
        return
    values = column.to_numpy(dtype=float, na_value=np.nan)
    for code in far_codes(values):
        rows = values == code
        yield (
            f"is {code:g} in {first_rows(rows, column.index)}, far from the other values: if this is a code for missing, it is "
            f"taken for a number. {_make_missing(str(column.name), code)}"
        )


def far_codes(values: FloatArray) -> list[float]:
    """Numbers that are often codes, in three rows at least and far from all others, which codes nearer to them are no part of.

    Parameters
    ----------
    values : (N,) array
        Missing values are left out.

    Examples
    --------
    >>> far_codes(np.r_[np.arange(18.0, 90.0), [-99.0] * 4, [999.0] * 3])
    [-99.0, 999.0]
    """
    # a code that lies beyond all others is the least or the greatest value. NaN: some are missing
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    known = values
    if np.isnan(low) or np.isnan(high):
        known = values[~np.isnan(values)]
        low, high = known.min(initial=np.inf), known.max(initial=-np.inf)
    if float(low) not in _OFTEN and float(high) not in _OFTEN:
        return []
    found, counts = np.unique(known[np.isin(known, NUMBERS)], return_counts=True)
    out: list[float] = []
    # the nearest to zero first: 88 is not hidden by 99, nor 99 by 88
    for code in sorted(found[counts >= FEWEST], key=abs):
        beyond = known >= code if code > 0.0 else known <= code
        others = known[~beyond & ~np.isin(known, out)]
        if len(np.unique(others)) > 1 and is_far(float(code), others):
            out.append(float(code))
    # of what lies beyond a code, all must be codes
    most = known[~np.isin(known, out)]
    return sorted(code for code in out if is_far(code, most))


def check_codes(frame: pd.DataFrame, columns: Columns, labeled: BoolArray | None) -> tuple[str, ...]:
    """Raise MissingCodeError for codes in gold columns, and say what else looks miscoded.

    Parameters
    ----------
    frame : DataFrame
        The columns as they came, all rows.
    columns : Columns
    labeled : (N,) bool array or None
        The labelled rows, if a column or design says so.

    Returns
    -------
    tuple of str
        As `doubts`.
    """
    roles = columns.roles()
    for name in columns.predicted:
        surrogates = [frame[each] for each in (columns.pairs.get(name) or columns.prediction)]
        check_gold(Gold(frame[name], roles[name], labeled, surrogates))
    return doubts(frame, columns)
