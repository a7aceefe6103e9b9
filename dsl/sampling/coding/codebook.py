"""Labels as coders type them, and what they may be."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import pandas as pd

from dsl._typing import AnyArray
from dsl.data.kinds import EXACT
from dsl.exceptions import ArgumentError, CoderFileError

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
LONG = re.compile(r"[+-]?0*[1-9]\d{15,}(\.0*)?")
"""Whole numbers of more digits than spreadsheets and floats keep, such as identifiers."""
GUARDED = re.compile(r"'+(?=\s*[=+\-@])")
"""Apostrophes that keep a spreadsheet from taking a text for a formula."""


def canonical(text: str, digits: int = 12) -> str:
    r"""A cell's text as it is compared: what spreadsheets change without changing its meaning is taken out.

    Examples
    --------
    >>> canonical("  1.0 "), canonical("so\r\n so"), canonical("'=SUM(1)")
    ('1', 'so so', '=SUM(1)')
    """
    # NFC: an accented letter typed as one character equals the same one typed as letter and accent
    plain = unguarded(" ".join(unicodedata.normalize("NFC", UNPRINTABLE.sub(" ", text)).split()))
    if LONG.fullmatch(plain):
        return str(int(plain.partition(".")[0]))
    if NUMBER.fullmatch(plain):
        # 1, 1.0 and 1e0 are one label, and 12 digits forgive a spreadsheet's rounding
        return f"{float(plain):.{digits}g}"
    return plain.casefold() if plain.casefold() in ("true", "false") else plain


def unguarded(text: str) -> str:
    """A text without the apostrophe that keeps spreadsheets from taking it for a formula.

    Examples
    --------
    >>> unguarded("'=SUM(1)"), unguarded("'quoted'")
    ('=SUM(1)', "'quoted'")
    """
    # at most once: other apostrophes belong to the text
    return GUARDED.sub("", text, count=1).lstrip() if GUARDED.match(text) else text


def is_number(text: str) -> bool:
    """Whether a cell's text is a number."""
    return bool(NUMBER.fullmatch(text.strip()))


Code: TypeAlias = str | int | float


@runtime_checkable
class HasLabels(Protocol):
    """A codebook made elsewhere, such as `dsl.annotation.Codebook`."""

    @property
    def labels(self) -> Mapping[str | int, str]:
        """Label to meaning."""
        ...


CodebookLike: TypeAlias = (
    Sequence[Code]
    | AnyArray
    | Mapping[str, str]
    | Mapping[int, str]
    | Mapping[float, str]
    | Mapping[str | int, str]
    | HasLabels
)
"""The labels allowed, label to meaning, or an object that has such labels."""


def quoted(label: Code) -> str:
    """A label for a message."""
    return f"{label:g}" if isinstance(label, float) else repr(label)


@dataclass(frozen=True, slots=True)
class Codebook:
    """Labels that may be given."""

    codes: tuple[Code, ...]
    meanings: tuple[str, ...]
    """Of each code, empty where the codebook has none."""
    lookup: Mapping[str, Code]
    """What a coder may type, in canonical form, to code."""

    @classmethod
    def of(cls, given: CodebookLike) -> "Codebook":
        """Read a list of codes, a mapping of code to meaning, or what has such a mapping as its labels."""
        if isinstance(given, HasLabels):
            return cls.of(given.labels)
        if isinstance(given, str) or not isinstance(given, Sequence | Mapping | np.ndarray) or not len(given):
            raise ArgumentError(
                f"codebook must be a list of the labels allowed, or a dict of label to meaning; found {given!r}"
            )
        codes = tuple(code.item() if isinstance(code, np.generic) else code for code in given)
        meanings = tuple(str(meaning) for meaning in given.values()) if isinstance(given, Mapping) else ()
        lookup: dict[str, Code] = {}
        for code in codes:
            if not isinstance(code, str | int | float) or not canonical(str(code)):
                raise ArgumentError(f"codebook has the label {code!r}; labels must be numbers or text")
            _add(lookup, canonical(str(code)).casefold(), code)
        # a coder may type a meaning ("war") for its code (3)
        for code, meaning in zip(codes, meanings, strict=False):
            if meaning.strip():
                _add(lookup, canonical(meaning).casefold(), code)
        return cls(codes, meanings, lookup)

    def read(self, texts: pd.Series, where: str) -> pd.Series:
        """Codes of what coders typed. Raises CoderFileError for anything else."""
        keys = texts.map(lambda text: canonical(text).casefold())
        unknown = ~keys.isin(list(self.lookup)).to_numpy()
        if unknown.any():
            counts = Counter(texts[unknown])
            listed = ", ".join(f"{text!r} ({count})" for text, count in counts.most_common(5))
            close = get_close_matches(next(iter(counts)).casefold(), list(self.lookup), n=1)
            hint = f" (did the coder mean {close[0]!r}?)" if close else _date_hint(counts)
            rows = ", ".join(map(str, texts.index[unknown][:3]))
            raise CoderFileError(
                f"{where}: {int(unknown.sum())} labels are not in the codebook: {listed}{hint}; first rows: {rows}. Allowed are "
                f"{', '.join(map(quoted, self.codes[:10]))}: correct the file, or extend the codebook"
            )
        # whole numbers beyond 2^53 stay whole
        exact = self.numeric and all(abs(code) <= EXACT for code in self.codes if not isinstance(code, str))
        return keys.map(dict(self.lookup)).astype(float if exact else object)

    @property
    def numeric(self) -> bool:
        """Whether all codes are numbers."""
        return all(not isinstance(code, str) for code in self.codes)


def _add(lookup: dict[str, Code], key: str, code: Code) -> None:
    # 1 == 1.0 == True in Python, but "1" and 1 are different labels
    if key in lookup and (lookup[key] != code or isinstance(lookup[key], str) != isinstance(code, str)):
        raise ArgumentError(
            f"codebook is ambiguous: {key!r} stands for both {lookup[key]!r} and {code!r}; make its entries differ by more than "
            "case or spelling of numbers"
        )
    lookup[key] = code


def _date_hint(counts: Counter[str]) -> str:
    dated = any(re.match(r"\d{4}-\d\d-\d\d", text) for text in counts)
    return " (a date: the spreadsheet made it of what was typed; format the column as text)" if dated else ""


def read_labels(texts: pd.Series, codebook: Codebook | None, where: str) -> pd.Series:
    """What coders typed as codes: those of the codebook, else numbers if all are, else text."""
    if codebook is not None:
        return codebook.read(texts, where)
    numeric = texts.map(is_number).to_numpy(dtype=bool)
    if numeric.all():
        long = any(LONG.fullmatch(text.strip()) for text in texts)
        # identifiers, which floats would not tell apart, stay text
        return texts.map(canonical).astype(object) if long else texts.map(float)
    # where most labels are numbers, the others are taken for slips
    if numeric.mean() > 0.5:
        odd = texts[~numeric]
        raise CoderFileError(
            f"{where}: {int(numeric.sum())} labels are numbers and {len(odd)} are not (first: {odd.iloc[0]!r} in row "
            f"{odd.index[0]}); correct the file, or pass codebook= with all labels allowed"
        )
    return texts.map(canonical).astype(object)
