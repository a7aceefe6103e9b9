"""How messages say that a column of text should become numbers: in the direction that its words mean, or in none."""

import pandas as pd

from dsl._typing import AnyArray

OPPOSITES = {
    "no": "yes", "n": "y", "false": "true", "f": "t", "0": "1", "off": "on", "negative": "positive", "neg": "pos",
    "absent": "present", "unlabeled": "labeled", "unlabelled": "labelled", "unannotated": "annotated",
    "disagree": "agree", "fail": "pass", "failed": "passed", "failure": "success", "rejected": "accepted",
    "incorrect": "correct", "wrong": "right", "low": "high", "never": "ever", "ham": "spam", "control": "treated",
    "nein": "ja", "non": "oui",
}  # fmt: skip
"""Words for 0, and the words for 1 that go with them."""
APART = ("not", "no", "non", "without", "never")
"""What stands before a word, and a blank or a hyphen, to deny it."""
JOINED = ("un", "in", "im", "ir", "il", "dis", "non", "not", "no")
"""What stands before a word at once to deny it."""
SIGNS = str.maketrans("_-.", "   ")


def zero_and_one(values: AnyArray) -> tuple[str, str] | None:
    """Which of two texts means no (0) and which yes (1), or None if their words do not say.

    Examples
    --------
    >>> import numpy as np
    >>> zero_and_one(np.array(["labeled", "unlabeled"], dtype=object))
    ('unlabeled', 'labeled')
    >>> zero_and_one(np.array(["hate", "not hate"], dtype=object))
    ('not hate', 'hate')
    >>> zero_and_one(np.array(["left", "right"], dtype=object)) is None
    True
    """
    if len(values) != 2 or not all(isinstance(value, str) for value in values):
        return None
    first, second = values
    for zero, one in ((first, second), (second, first)):
        if _denies(" ".join(zero.translate(SIGNS).lower().split()), " ".join(one.translate(SIGNS).lower().split())):
            return zero, one
    return None


def _denies(zero: str, one: str) -> bool:
    """Whether one text says no to the other."""
    if OPPOSITES.get(zero) == one:
        return True
    # "none" beside "some" says nothing: the whole word must be left when the prefix is gone
    return any(zero == f"{prefix} {one}" for prefix in APART) or any(zero == prefix + one for prefix in JOINED)


def recode(name: str, values: AnyArray) -> str:
    """How to make numbers of a column with these values."""
    column = f"data['{name}']"
    if len(values) and pd.to_numeric(pd.Series(values, dtype=object).map(str), errors="coerce").notna().mean() >= 0.5:
        return f"Convert it: {column} = pd.to_numeric({column}, errors='coerce'), which makes anything else missing"
    if not 2 <= len(values) <= 10:
        return f"Convert it to numbers, as {column}.astype(float) does where it can"
    pair = zero_and_one(values)
    if pair is not None:
        codes = ", ".join(f"{value!r}: {j}" for j, value in enumerate(pair))
        return f"Recode it, e.g. {column}.map({{{codes}}}), keeping missing values missing"
    # which of them is 1 is for the user to say: an order of ours would turn some columns round
    found = ", ".join(repr(value) for value in values)
    which = "which of them is 1 and which 0" if len(values) == 2 else "a number for each of them"
    return f"Its values are {found}. Decide on {which}, and recode it with {column}.map({{...}}), keeping missing values missing"
