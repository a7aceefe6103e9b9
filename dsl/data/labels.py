"""Gold labels, predictions and sampling probabilities of the rows, checked."""

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.columns import Columns, quoted
from dsl.data.formula.rlang.values import level_texts
from dsl.data.kinds import Kind, kind_of, zero_one
from dsl.data.messages import each_value
from dsl.data.tables import as_numbers, first_rows, is_category
from dsl.engine.labeling import Labeling
from dsl.exceptions import ColumnTypeError, LabelError, LeakError, SampleProbabilityError

NEAR_TOTAL = 0.7
"""Difference in logs, a factor of two, between a sum of probabilities and the number of labelled rows that still fits."""
FIRST = 100
"""Rows of a column that are looked at before all of them."""
LEAST_PROBABILITY = 1e-12
"""Probability of a labelled row below which it is none: one such row would stand for more than there are."""


def gold_values(column: pd.Series) -> pd.Series:
    """Gold values as float64, or as categories where they are text or of a categorical dtype.

    Categories are named by text, as R names the levels of a factor (2 and 2.0 are "2"). An unordered category with the
    levels 0 and 1, and text that is "0" or "1", are numbers.
    """
    if zero_one(column) is not None:
        return as_numbers(column, "predicted_var")
    match kind_of(column):
        case Kind.CATEGORY:
            return _named_by_text(column)
        case Kind.TEXT:
            return _text_categories(column)
        case _:
            return as_numbers(column, "predicted_var")


def _named_by_text(column: pd.Series) -> pd.Series:
    categories = column.cat.categories
    if all(isinstance(level, str) for level in categories):
        return column
    texts = level_texts(pd.Series(categories)).tolist()
    names: pd.Index = pd.Index(list(dict.fromkeys(texts)))
    # levels that are written alike become one
    codes = np.append(names.get_indexer(texts), -1)[column.cat.codes.to_numpy()]
    made = pd.Categorical.from_codes(codes, names, ordered=bool(column.cat.ordered))
    return pd.Series(made, index=column.index, name=column.name)


def _text_categories(column: pd.Series) -> pd.Series:
    values = pd.Series(column.dropna().unique().astype(object))
    if pd.to_numeric(values, errors="coerce").notna().mean() >= 0.5:
        found = ", ".join(repr(value) for value in values[:4])
        raise ColumnTypeError(
            f"column '{column.name}' (predicted_var) holds numbers as text, such as {found}. If they are codes of categories: "
            f"data['{column.name}'] = data['{column.name}'].astype('category'), which makes what factor() makes of numbers. If "
            f"they are numbers: data['{column.name}'] = pd.to_numeric(data['{column.name}'], errors='coerce'), which makes "
            "anything else missing"
        )
    return as_numbers(column, "predicted_var") if len(values) < 2 else column.astype("category")


def category_codes(column: pd.Series, gold: pd.Series) -> IntArray:
    """Which category of the `gold` values each value of a column is (N,), -1 for none: 2, 2.0 and "2" are the category "2"."""
    codes, found = pd.factorize(column)
    known = gold.cat.categories.astype(object)
    written = known.get_indexer(pd.Index(level_texts(pd.Series(found)), dtype=object))
    spelled = known.get_indexer(pd.Index([str(level) for level in found], dtype=object))
    # code -1, missing, takes the last element
    return np.append(np.where(written >= 0, written, spelled), -1)[codes]


def r_levels(column: pd.Series) -> tuple[str, str] | None:
    """The two levels that R gives a logical, or a category or text of 0 and 1; None for any other column."""
    logical = pd.api.types.is_bool_dtype(column.dtype)
    if not logical and zero_one(column) is None:
        return None
    categories = list(column.cat.categories) if is_category(column) else []
    logical = logical or any(isinstance(level, bool | np.bool_) for level in categories)
    return ("FALSE", "TRUE") if logical else ("0", "1")


def labeled_by(labeling: Labeling, frame: pd.DataFrame, columns: Columns) -> BoolArray:
    """Labelled rows: those that the design drew."""
    found = drawn_part(labeling.drawn, frame, columns)
    check_any_drawn(bool(found.any()))
    return found


def drawn_part(drawn: BoolArray, frame: pd.DataFrame, columns: Columns) -> BoolArray:
    """`labeled_by` for some rows, among which none may be drawn."""
    _check_labeled_gold(frame, columns, drawn, "drawn by the design", "not drawn by the design")
    return drawn


def check_any_drawn(found: bool) -> None:
    """Raise LabelError unless a design drew a row."""
    if not found:
        raise LabelError("the labelling design drew no rows; draw again with a larger size")


def labeled_rows(frame: pd.DataFrame, columns: Columns) -> BoolArray:
    """Labelled rows: the column `labeled`, or those with a gold value of every predicted variable."""
    labeled = labeled_part(frame, columns)
    check_any_labeled(bool(labeled.any()), columns)
    return labeled


def check_any_labeled(found: bool, columns: Columns) -> None:
    """Raise LabelError unless a labelled row was found."""
    if not found:
        raise LabelError(
            f"no labelled rows: {quoted(columns.predicted)} {'is' if len(columns.predicted) == 1 else 'are'} missing in "
            "every row; DSL needs gold labels for a random part of the rows"
        )


def labeled_part(frame: pd.DataFrame, columns: Columns) -> BoolArray:
    """`labeled_rows` of some rows, among which there may be none."""
    gold = np.column_stack([frame[name].notna().to_numpy() for name in columns.predicted])
    everything, something = np.asarray(gold.all(axis=1)), np.asarray(gold.any(axis=1))
    stated = stated_rows(frame, columns)
    if stated is None:
        labeled = everything
        if (something & ~everything).any():
            part = first_rows(something & ~everything, frame.index)
            raise LabelError(
                f"{part} have a gold value of some of {quoted(columns.predicted)} but not of all; a labelled row needs "
                "all of them: complete them, or set the ones that are there to missing"
            )
    else:
        labeled = stated
        yes, no = (f"with {columns.labeled} = {value}" for value in (1, 0))
        _check_labeled_gold(frame, columns, labeled, yes, no)
    return np.asarray(labeled)


def stated_rows(frame: pd.DataFrame, columns: Columns) -> BoolArray | None:
    """Labelled rows as the column `labeled` has them, (N,), or None without one."""
    return None if columns.labeled is None else _zero_one(frame[columns.labeled], columns.labeled).astype(bool)


def _zero_one(column: pd.Series, name: str) -> FloatArray:
    values = as_numbers(column, "labeled").to_numpy()
    bad = ~np.isin(values, (0.0, 1.0))
    if bad.any():
        found = each_value(pd.Series(values, index=column.index)[bad])
        raise LabelError(
            f"column '{name}' (labeled) must be 1 (labelled) or 0; found {found}. "
            "Recode it, or leave `labeled` out: then the rows without missing gold values are the labelled ones"
        )
    return np.asarray(values)


def _check_labeled_gold(frame: pd.DataFrame, columns: Columns, labeled: BoolArray, yes: str, no: str) -> None:
    """Raise LabelError unless gold values are there exactly on the labelled rows. `yes` and `no` describe the two."""
    for name in columns.predicted:
        there = frame[name].notna().to_numpy()
        if (labeled & ~there).any():
            other = (
                "for every row that was drawn" if columns.labeled is None else f"or set {columns.labeled} to 0 there"
            )
            raise LabelError(
                f"'{name}' is missing in {first_rows(labeled & ~there, frame.index)} {yes}; supply the gold label, {other}"
            )
        if (~labeled & there).any():
            remedy = "" if columns.labeled is None else f"set {columns.labeled} to 1 if an expert labelled them, else "
            raise LabelError(
                f"'{name}' has a gold value in {first_rows(~labeled & there, frame.index)} {no}; "
                f"{remedy}set '{name}' to missing there"
            )


def check_predictions(frame: pd.DataFrame, columns: Columns, labeled: BoolArray) -> None:
    """Raise LeakError for copies of the gold labels."""
    for name in (*columns.prediction, *columns.feature):
        _check_not_filled(frame, name, columns, labeled)
        missing = frame[name].isna().to_numpy()
        if not missing.any():
            continue
        for gold in columns.predicted:
            # known exactly where the gold label is, and equal to it there
            if (missing == ~labeled).all() and _same(frame[name], frame[gold], labeled):
                role = "prediction" if name in columns.prediction else "feature"
                raise LeakError(
                    f"{role} '{name}' equals the gold label '{gold}' on all labelled rows and is missing elsewhere: it "
                    "is a copy of the gold label, not a surrogate. Pass the labels that the model gave to every row"
                )


def _check_not_filled(frame: pd.DataFrame, name: str, columns: Columns, labeled: BoolArray) -> None:
    """Raise LeakError for a copy of the gold label whose gaps were filled with one value."""
    column = frame[name]
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
        # the first rows tell most columns of numbers from a constant
        head = column.to_numpy()[np.flatnonzero(~labeled[:FIRST])]
        if len(head) and not (head == head[0]).all():
            return
    # fewer than 20 rows may agree by chance
    column = column[~labeled]
    # missing ones first: comparisons with them are neither true nor false
    if len(column) < 20 or column.isna().any() or not bool((column == column.iloc[0]).all()):
        return
    for gold in columns.predicted:
        if frame[gold].nunique() > 1 and _same(frame[name], frame[gold], labeled):
            raise LeakError(
                f"'{name}' equals the gold label '{gold}' on all labelled rows and is {column.iloc[0]} on all others: it is a "
                "copy of the gold label with its gaps filled, not a surrogate. Pass the labels that the model gave to every row"
            )


def _same(prediction: pd.Series, gold: pd.Series, labeled: BoolArray) -> bool:
    if is_category(gold):
        return bool(np.array_equal(category_codes(prediction[labeled], gold), gold[labeled].cat.codes))
    try:
        values = as_numbers(prediction, "prediction").to_numpy()
    except ColumnTypeError:
        return False
    return bool(np.array_equal(values[labeled], gold.to_numpy()[labeled]))


def sampling_probabilities(frame: pd.DataFrame, columns: Columns, labeled: BoolArray) -> FloatArray:
    """Each row's probability of being labelled, as named, or the share of labelled rows. (N,) array."""
    if columns.sample_prob is None:
        return np.full(len(frame), labeled.mean())
    name = columns.sample_prob
    values = as_numbers(frame[name], "sample_prob").to_numpy()
    advice = "supply the probability with which each row was drawn for labelling, for unlabelled rows too"
    for bad, what, kind in (
        (labeled & np.isnan(values), "missing", "labelled row"),
        (np.isnan(values), "missing", "row"),
        (labeled & (values == 0.0), "zero", "labelled row"),
        ((values <= 0.0) | (values > 1.0), "outside (0, 1]", "row"),
        (labeled & (values < LEAST_PROBABILITY), f"below {LEAST_PROBABILITY:g}", "labelled row"),
    ):
        if bad.any():
            raise SampleProbabilityError(
                f"the sampling probability '{name}' is {what} in {first_rows(bad, frame.index, kind)}; "
                f"{_scale(values, labeled, name)}{advice}"
            )
    return np.asarray(values, dtype=float)


def _scale(values: FloatArray, labeled: BoolArray, name: str) -> str:
    """What values above one are instead of probabilities, if that can be told: weights, percentages."""
    known = values[np.isfinite(values)]
    if not len(known) or known.min() <= 0.0 or known.max() <= 1.0:
        return ""
    # probabilities add up to the number of labelled rows, about: 1/w of weights does, w / 100 of percentages
    expected = {
        f"the values look like weights (inverse probabilities): pass 1 / {name}, and ": 1.0 / known,
        f"the values look like percentages: pass {name} / 100, and ": known / 100.0,
    }
    total = labeled.sum() * len(known) / len(values)
    found = {words: abs(np.log(prob.sum() / total)) for words, prob in expected.items() if prob.max() <= 1.0}
    best = min(found, key=found.__getitem__, default="")
    if best and found[best] < NEAR_TOTAL:
        return best
    # a single value a little above one is a slip rather than another scale
    return "if they are percentages, divide them by 100, of weights take the inverse; " if known.max() > 2.0 else ""
