"""Whether gold labels and surrogates are on one scale, where surrogates are used as they are.

A learner brings any scale to that of the gold labels. Without one, a score from 0 to 100 that stands for a 0/1 label makes shares
of 52 and differences of 12. Scales differ here if

- half of the surrogates lie well beyond all gold labels on one side, or half of the gold labels (other than 0 and 1) well beyond
  all surrogates (and none on the other side),
- the two ranges touch at most (1 and 2 for 0 and 1),
- the middle nine tenths of the surrogates (less, with few labels) spread over `WIDER` times the range of the gold labels,
- gold labels are 0 and 1, and too many surrogates are beyond by half: whole numbers other than 0 and 1, scores from 0 up, scores
  between -1 and 1,
- gold labels are the points 1 to k of a scale, and too many surrogates lie beyond by half the range (0 to 10 for 1 to 5).

"Too many" is more than chance puts there: 2%, and 14 over the number n of labelled rows. Where 7/n of all rows lie beyond, no
labelled one does with a chance of one in a thousand, and a biased surrogate may go there twice as often. A surrogate that is
biased, shrunk to the mean or noisy is on the same scale.
`tests/simulation/test_scales.py` has the false alarms on clean data.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.codes import folded
from dsl.data.tables import first_rows

WIDER = 5.0
"""Spread of surrogates, relative to the range of the gold labels, from which they are on another scale."""
MARGIN = 0.25
"""Share of the gold labels' range by which more than half of the ones must lie beyond the others."""
ENOUGH = 20
"""Labelled rows from which their range says something about the range of all."""
UNSEEN = 7.0
"""Rows beyond all labels, as a share times the number n of labels, that n labels miss once in a thousand: exp(-7)."""
BEYOND, BY_CHANCE = 0.02, 2.0 * UNSEEN
"""Share of surrogates beyond the gold labels, and the same times the number of labelled rows, that chance can explain."""
EDGE = 0.05
"""Share of the surrogates at either end that the comparison of ranges leaves out."""
POINTS = 11
"""Most points of a scale."""


def scale_problem(gold: FloatArray, surrogate: FloatArray) -> str:
    """How the scales of gold labels and surrogates differ, in words, or nothing.

    Parameters
    ----------
    gold : (n,) array
        Of the labelled rows.
    surrogate : (N,) array
        Of all rows.

    Examples
    --------
    >>> gold = np.resize([0.0, 1.0], 100)
    >>> scale_problem(gold, np.linspace(0.0, 1.0, 500))
    ''
    >>> scale_problem(gold, np.linspace(0.0, 100.0, 500))
    'gold labels are 0 and 1, surrogates 0 to 100 (middle 90%: 5 to 95)'
    """
    values = np.unique(gold)
    if len(values) < 2 or not len(surrogate):
        return ""
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    if not ((binary and _beyond_binary(gold, surrogate)) or _apart(gold, surrogate) or _beyond_points(gold, surrogate)):
        return ""
    low, high = np.quantile(surrogate, (0.05, 0.95))
    shown = "0 and 1" if binary else f"{values[0]:g} to {values[-1]:g}"
    return f"gold labels are {shown}, surrogates {surrogate.min():g} to {surrogate.max():g} (middle 90%: {low:.3g} to {high:.3g})"


def _apart(gold: FloatArray, surrogate: FloatArray) -> bool:
    """Whether the ranges lie apart, or differ by an order."""
    if len(gold) < ENOUGH:
        return False
    low, high, least, most = gold.min(), gold.max(), surrogate.min(), surrogate.max()
    # a surrogate may be biased: what lies just beyond some thirty labels is no other scale
    margin = MARGIN * (high - low)
    middle = np.median(surrogate)
    if middle < low - margin or middle > high + margin:
        return True
    if least == most:
        return False
    if most <= low or least >= high:
        return True
    above, below = np.mean(gold > most + margin), np.mean(gold < least - margin)
    # probabilities between a half and one stand for 0 and 1 all the same
    binary = bool(np.isin(gold, (0.0, 1.0)).all())
    if (above > 0.5 and low >= least) or (below > 0.5 and high <= most):
        return not binary
    edge = max(EDGE, UNSEEN / len(gold))
    start, end = np.quantile(surrogate, (edge, 1.0 - edge))
    return bool(end - start > WIDER * (high - low))


def _chance(gold: FloatArray) -> float:
    """Share of surrogates beyond the gold labels that chance can explain."""
    return max(BEYOND, BY_CHANCE / len(gold))


def _beyond_binary(gold: FloatArray, surrogate: FloatArray) -> bool:
    """Whether surrogates of 0/1 labels are other whole numbers, or scores."""
    over, under = float(np.mean(surrogate > 1.5)), float(np.mean(surrogate < -0.5))
    if max(over, under) <= _chance(gold):
        return False
    whole = bool(np.array_equal(surrogate, np.round(surrogate)))
    return whole or float(surrogate.min()) >= 0.0 or float(np.abs(surrogate).max()) <= 1.0


def _beyond_points(gold: FloatArray, surrogate: FloatArray) -> bool:
    """Whether gold labels are all points 1 to k of a scale, and surrogates go far beyond."""
    points = np.unique(gold)
    k = len(points)
    if not 3 <= k <= POINTS or not np.array_equal(points, np.arange(1.0, k + 1.0)):
        return False
    half = (k - 1.0) / 2.0
    return bool(np.mean((surrogate > k + half) | (surrogate < 1.0 - half)) > _chance(gold))


def scale_advice(gold: FloatArray, surrogate: FloatArray, name: str) -> str:
    """What to do about it, where it can be told.

    Parameters
    ----------
    gold, surrogate : arrays
        As for `scale_problem`.
    name : str
        The surrogate's column.

    Examples
    --------
    >>> scale_advice(np.array([0.0, 1.0]), np.array([3.0, 98.0]), "score")
    "Bring it to the scale of the gold labels, e.g. data['score'] / 100"
    """
    low, high, least, most = gold.min(), gold.max(), surrogate.min(), surrogate.max()
    to = "Bring it to the scale of the gold labels"
    column = f"data['{name}']"
    if (low, high) == (0.0, 1.0) and least >= 0.0:
        # 2 for "yes" and 1 for "no"
        if set(np.unique(surrogate)) == {1.0, 2.0}:
            return f"{to}, e.g. {column} - 1 (or 2 - {column}: which of 1 and 2 is 1?)"
        if least <= 0.2 * most:
            size = next((size for size in (5.0, 10.0, 100.0, 1000.0) if size / 2.0 < most <= size), most)
            return f"{to}, e.g. {column} / {size:g}"
    if (low, high) == (0.0, 1.0) and least >= -1.0 and most <= 1.0:
        return f"{to}, e.g. ({column} + 1) / 2, or {column} > 0"
    return f"{to} by the codebook, or use estimator='dsl', whose learner does it"


def by_case_only(values: Iterable[object], known: Iterable[object]) -> dict[str, str]:
    """Texts that are not among the known ones but for case or blanks, with the known one that each would be.

    Examples
    --------
    >>> by_case_only(["hate", "other"], ["Hate", "No"])
    {'hate': 'Hate'}
    """
    meant = {word: str(text) for text in known if (word := folded(text)) is not None}
    exact = set(meant.values())
    return {
        str(value): meant[word]
        for value in values
        if (word := folded(value)) is not None and word in meant and str(value) not in exact
    }


def case_message(surrogate: pd.Series, gold: str, other: dict[str, str]) -> str:
    """That a surrogate's categories differ from the gold labels' by case or blanks only."""
    name = str(surrogate.name)
    rows = surrogate.astype(object).isin(list(other)).to_numpy()
    each = ", ".join(f"{mine!r} for {theirs!r}" for mine, theirs in list(other.items())[:4])
    return (
        f"prediction '{name}' has categories that differ from those of '{gold}' by case or blanks only: {each}, in "
        f"{first_rows(rows, surrogate.index)}. Write them in one way: data['{name}'] = data['{name}'].replace({other!r})"
    )
