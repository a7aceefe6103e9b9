"""The order of text in R's usual locales, where it is not that of the code points.

R sorts text by the locale: builds with ICU (the usual ones) by Unicode's root order in C.UTF-8, en_US and most
others. Only with ``LC_COLLATE=C`` does R sort by code points, as Python does. Here: the root order for Latin
letters, digits and ASCII signs. Other characters come after, by code point.
"""

import unicodedata
from collections.abc import Iterable

SIGNS = "\t\n\x0b\x0c\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"
"""ASCII signs in root order. Digits and letters follow."""
RANK = {character: rank for rank, character in enumerate([*SIGNS, *"0123456789", *"abcdefghijklmnopqrstuvwxyz"])}
SPELT = {
    "ß": "ss",
    "æ": "ae",
    "Æ": "AE",
    "œ": "oe",
    "Œ": "OE",
    "ø": "o\u0338",
    "Ø": "O\u0338",
    "ł": "l\u0335",
    "Ł": "L\u0335",
}

ACCENTS = {
    mark: rank
    for rank, mark in enumerate(
        "\u0301\u0300\u0306\u0302\u030c\u030a\u0308\u030b\u0303\u0307\u0338\u0327\u0328\u0304", 1
    )
}
"""Acute, grave, breve, circumflex, caron, ring, diaeresis, ... in root order."""

Key = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], str]


def collation_key(text: str) -> Key:
    """Key that sorts text as R does in its usual locales: letters first, then accents, then lower before upper case.

    Examples
    --------
    >>> sorted(["Zeta", "alpha", "_x", "beta", "Beta", "é", "e2", "a b", "a-b", "10"], key=collation_key)
    ['_x', '10', 'a b', 'a-b', 'alpha', 'beta', 'Beta', 'é', 'e2', 'Zeta']
    """
    primary: list[int] = []
    accents: list[int] = []
    cases: list[int] = []
    # NFD takes letters and their accents apart: each accent belongs to the letter before it
    for character in unicodedata.normalize("NFD", "".join(SPELT.get(c, c) for c in text)):
        if unicodedata.combining(character):
            if accents:
                # several accents on one letter, in the order in which NFD puts them
                accents[-1] = accents[-1] * 1000 + ACCENTS.get(character, 100 + ord(character) % 800)
            continue
        lower = character.lower()
        rank = RANK.get(lower)
        if rank is None and unicodedata.category(character) in ("Cc", "Cf"):
            continue
        primary.append(len(RANK) + ord(lower[0]) if rank is None else rank)
        accents.append(0)
        cases.append(int(character != lower))
    # compared in turn: letters, accents, case, and the text itself so that no two are equal
    return tuple(primary), tuple(accents), tuple(cases), text


def in_order(texts: Iterable[str]) -> list[str]:
    """Text sorted as R does in its usual locales."""
    return sorted(texts, key=collation_key)
