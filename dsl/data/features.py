"""What learners see of rows: predictions and features as numbers, categories as dummies, indicators of what is missing."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.columns import Columns
from dsl.data.kinds import as_float
from dsl.data.refusals import Refused, filled, indicators
from dsl.data.tables import categorical_dtype
from dsl.exceptions import ColumnTypeError


def feature_matrix(
    frame: pd.DataFrame, columns: Columns, refused: Mapping[str, BoolArray]
) -> tuple[FloatArray, tuple[str, ...]]:
    """What the learners see: predictions, then features, categories as dummies without the first level, then indicators."""
    parts: list[FloatArray] = []
    names: list[str] = []
    for name, levels in feature_levels(frame, columns).items():
        if levels is None:
            parts.append(filled(_number(frame[name]))[:, None])
            names.append(name)
            continue
        column = frame[name]
        dummies = pd.get_dummies(column.astype(levels), prefix=name, drop_first=True, dtype=float)
        if dummies.shape[1] > max(50, len(frame) // 20):
            raise ColumnTypeError(
                f"column '{name}' has {dummies.shape[1] + 1} different {column.dtype} values in {len(frame)} rows, too "
                "many to serve as a category; pass numbers derived from it (embeddings, counts, years) as features"
            )
        parts.append(dummies.to_numpy())
        names.extend(dummies.columns)
    if refused:
        flags, flag_names = indicators(refused)
        parts.append(flags)
        names.extend(flag_names)
    if not parts:
        return np.zeros((len(frame), 0)), ()
    return (parts[0] if len(parts) == 1 else np.hstack(parts)), tuple(names)


def feature_levels(frame: pd.DataFrame, columns: Columns) -> dict[str, pd.CategoricalDtype | None]:
    """Predictions and features in the order in which learners see them: categories of each, None for numbers."""
    out: dict[str, pd.CategoricalDtype | None] = {}
    for name in dict.fromkeys((*columns.prediction, *columns.feature)):
        number = as_float(frame[name]) is not None
        out[name] = None if number else categorical_dtype(frame[name].astype("category"))
    return out


def features_on(
    frame: pd.DataFrame, levels: Mapping[str, pd.CategoricalDtype | None], refused: Refused | None = None
) -> FloatArray:
    """`feature_matrix` of other rows, (rows, p), with the categories that `feature_levels` found.

    `refused` says what stands for missing values, where any are.
    """
    parts = [np.zeros((len(frame), 0))]
    for name, known in levels.items():
        if known is None:
            values = _number(frame[name])
            mean = None if refused is None else refused.means.get(name)
            parts.append((values if mean is None else np.where(np.isnan(values), mean, values))[:, None])
        else:
            codes = pd.Categorical(frame[name].astype(object), dtype=known).codes
            # the first level is the one that has no dummy. Code -1, missing, takes the last row, which has none either
            parts.append(np.eye(len(known.categories) + 1)[:, 1:-1][codes])
    if refused is not None:
        parts.append(refused.flags_on(frame))
    return parts[1] if len(parts) == 2 else np.hstack(parts)


def _number(column: pd.Series) -> FloatArray:
    values = as_float(column)
    if values is None and column.isna().all():
        return np.full(len(column), np.nan)
    assert values is not None
    return values


def means_of(columns: Sequence[str], blocks: Iterable[pd.DataFrame]) -> dict[str, float]:
    """Mean of each column of numbers over the rows that have it, in blocks."""
    sums = {name: (0.0, 0) for name in columns}
    for frame in blocks:
        for name, (total, count) in sums.items():
            values = _number(frame[name])
            there = values[~np.isnan(values)]
            sums[name] = total + float(there.sum()), count + len(there)
    return {name: total / max(count, 1) for name, (total, count) in sums.items()}
