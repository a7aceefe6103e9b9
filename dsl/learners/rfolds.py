"""R's own fold draws, without R: the folds that a script with ``seed = 1234`` had in the reference package.

R's ``set.seed`` fills the state of a Mersenne Twister by a linear congruential generator, and ``sample`` draws
positions by rejection from as many random bits as the range needs (R 3.6.0 and later).
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import IntArray
from dsl.data.arguments import check_choice, check_count, check_counts, check_texts, explain_calls, foreign_errors
from dsl.data.formula.rlang.collate import collation_key
from dsl.exceptions import ArgumentError

WORDS = 624
"""Words in the state of the Mersenne Twister."""
CHUNK = 4096
MOST_ROWS = 100_000_000
SAME_EVERY_SPLIT = ("grf",)
"""Learners whose fit leaves R's generator where ``set.seed(seed)`` puts it."""


class RSample:
    """R's generator after ``set.seed(seed)``.

    Examples
    --------
    >>> RSample(1234).permutation(5).tolist()  # sample(5)
    [4, 5, 2, 3, 1]
    """

    def __init__(self, seed: int) -> None:
        state = seed & 0xFFFFFFFF
        # R's initial scrambling: the congruential generator of set.seed(), 50 steps before the first word
        for _ in range(50):
            state = (69069 * state + 1) & 0xFFFFFFFF
        words = np.empty(WORDS + 1, dtype=np.uint32)
        for j in range(WORDS + 1):
            state = (69069 * state + 1) & 0xFFFFFFFF
            words[j] = state
        self._twister = np.random.MT19937()
        # word 0 is R's position in the state, which it sets to the end: the next draw makes a new state
        self._twister.state = {"bit_generator": "MT19937", "state": {"key": words[1:], "pos": WORDS}}
        self._drawn: list[int] = []

    def _word(self) -> int:
        """Upper 16 of the next 32 random bits."""
        if not self._drawn:
            self._drawn = (self._twister.random_raw(CHUNK) >> 16).tolist()[::-1]
        return self._drawn.pop()

    def _below(self, count: int) -> int:
        """A random position below `count`."""
        bits = (count - 1).bit_length()
        mask = (1 << bits) - 1
        while True:
            value = 0
            # enough pieces of 16 bits for the range, cut to its bits, and drawn again if too large: a remainder would
            # be biased
            for _ in range(0, bits + 1, 16):
                value = 65536 * value + self._word()
            value &= mask
            if value < count:
                return value

    def permutation(self, count: int) -> IntArray:
        """``sample(count)``: 1, ..., count in random order."""
        left = list(range(1, count + 1))
        out = np.empty(count, dtype=np.int64)
        for i in range(count):
            j = self._below(len(left))
            out[i] = left[j]
            # the last takes the place of the one drawn, as R's sample without replacement does
            left[j] = left[-1]
            left.pop()
        return out


@explain_calls
def folds_like_r(
    units: int | ArrayLike,
    *,
    cross_fit: int = 5,
    sample_split: int = 10,
    seed: int = 1234,
    learner: str = "grf",
    labeled: ArrayLike | None = None,
    collate: str = "locale",
) -> IntArray:
    """Folds that the reference R package ``dsl`` draws with the same arguments.

    Units (rows, or clusters) are sorted. The vector 1, ..., K, each repeated as often as it fits, then 1, 2, ...
    for the units left over, is permuted by R's ``sample`` after ``set.seed(seed)``.

    Parameters
    ----------
    units : int or sequence
        Number of rows of the analysis (without those dropped for missing values), or the cluster of each of them.
        A pandas categorical keeps the order of its categories, as an R factor that of its levels.
    cross_fit : int
        Number of folds K.
    sample_split : int
        Number of splits S.
    seed : int
        Seed of the R script.
    learner : str
        ``sl_method`` of the R script. R's generator is reset before every fit, so that with ``"grf"`` all splits are
        the first one. The other learners (those of SuperLearner) draw once more, and splits 2, ..., S are mostly alike.
    labeled : sequence of bool, optional
        Which rows are labelled. Needed for splits after the first with learners other than ``"grf"``.
    collate : {"locale", "C"}
        Order of text labels: as R sorts in UTF-8 locales such as en_US (``aa, Ab, b``), or as in the C locale
        (``Ab, aa, b``).

    Returns
    -------
    (S, rows) int array
        Folds 1, ..., K for ``dsl.dsl(..., folds=)``. Put a row of any number where a row of the data is dropped.

    Raises
    ------
    ArgumentError
        An argument is out of range, or `labeled` is needed.

    Examples
    --------
    >>> folds_like_r(7, cross_fit=3, sample_split=1, seed=1234).tolist()
    [[2, 1, 3, 1, 2, 1, 3]]
    """
    check_counts(cross_fit=cross_fit, sample_split=sample_split, seed=seed, n_jobs=1)
    check_texts(learner=learner)
    unit, count = _units(units, collate)
    if sample_split * len(unit) > MOST_ROWS:
        raise ArgumentError(
            f"{sample_split} splits of {len(unit)} rows are more than {MOST_ROWS} folds; ask for fewer splits"
        )
    if count < cross_fit:
        raise ArgumentError(f"{count} units cannot be spread over cross_fit={cross_fit} folds")
    base = np.concatenate([np.repeat(np.arange(cross_fit), count // cross_fit), np.arange(count % cross_fit)]) + 1
    out = np.empty((sample_split, len(unit)), dtype=np.int64)
    for s in range(sample_split):
        if s and learner in SAME_EVERY_SPLIT:
            out[s] = out[0]
            continue
        stream = RSample(seed)
        if s:
            # the learner's last fit in the split before drew one permutation of its training rows
            stream.permutation(_last_training(out[s - 1], labeled, learner, len(unit)))
        out[s] = base[stream.permutation(count) - 1][unit]
    return out


def _units(units: int | ArrayLike, collate: str) -> tuple[IntArray, int]:
    """Position of every row's unit among the sorted units, and their number."""
    check_choice("collate", collate, ("locale", "C"))
    if isinstance(units, int | np.integer):
        count = check_count(units, name="units", least=2)
        if count > MOST_ROWS:
            raise ArgumentError(f"units is {count}; R's folds of more than {MOST_ROWS} rows are not drawn")
        return np.arange(count), count
    with foreign_errors("units must be a number of rows, or the cluster of each row"):
        labels = pd.Series(np.asarray(units) if not isinstance(units, pd.Series | pd.Categorical) else units)
        labels.unique()
    if not len(labels):
        raise ArgumentError("units is empty; pass a number of rows, or the cluster of each row")
    if labels.isna().any():
        raise ArgumentError("units has missing clusters; leave out the rows that the analysis drops")
    if isinstance(labels.dtype, pd.CategoricalDtype):
        used = labels.cat.remove_unused_categories()
        return used.cat.codes.to_numpy().astype(np.int64), len(used.cat.categories)
    codes, found = pd.factorize(labels, sort=False)
    values = list(found)
    if any(isinstance(value, str) for value in values):
        key = collation_key if collate == "locale" else str
        order = sorted(range(len(values)), key=lambda j: key(str(values[j])))
    else:
        order = sorted(range(len(values)), key=lambda j: values[j])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[codes], len(values)


def _last_training(folds: IntArray, labeled: ArrayLike | None, learner: str, rows: int) -> int:
    """Labelled rows outside the last fold, which R's learner was last trained on."""
    if labeled is None:
        raise ArgumentError(
            f"learner='{learner}' draws random numbers of its own: splits after the first need labeled="
        )
    with foreign_errors("labeled must be True and False, one for each row"):
        known = np.asarray(labeled, dtype=bool)
    if known.shape != (rows,):
        raise ArgumentError(f"labeled must have one value for each of the {rows} rows; found shape {known.shape}")
    return int((known & (folds != folds.max())).sum())
