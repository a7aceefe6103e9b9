"""Labels of lower quality on more rows: columns of each stage, and the probability of coming that far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.columns import StageColumns
from dsl.data.labels import category_codes
from dsl.data.tables import as_numbers, categorical_dtype, first_rows, is_category
from dsl.exceptions import ArgumentError, LabelError, SampleProbabilityError

Stages: TypeAlias = Sequence[tuple[str | Mapping[str, str], str]]
"""As in `dsl.dsl`: label column (or predicted variable to label column) and column of the probability."""
NEAR = 1e-9
"""Relative difference of probabilities that rounding makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Labels of one stage before the last."""

    values: Mapping[str, FloatArray | pd.Categorical] = field(repr=False)
    """(N,) by predicted variable, in the kind of the gold values; anything where there is none."""
    reached: BoolArray = field(repr=False)
    """(N,) rows labelled at this stage."""
    weight: FloatArray = field(repr=False)
    """(N,) R / pi, with probabilities scaled to the share of rows that were labelled."""
    whole: bool
    """Whether it has a label of every predicted variable."""

    def over(self, values: Mapping[str, FloatArray | pd.Categorical]) -> dict[str, FloatArray | pd.Categorical]:
        """Predicted variables (N,) with this stage's labels where it has them."""
        out = dict(values)
        for name, own in self.values.items():
            other = values[name]
            if isinstance(own, pd.Categorical):
                assert isinstance(other, pd.Categorical)
                codes = np.where(self.reached, own.codes, other.codes)
                out[name] = pd.Categorical.from_codes(codes, dtype=other.dtype)
            else:
                out[name] = np.where(self.reached, own, np.asarray(other, dtype=float))
        return out


def as_stages(given: Stages | None, predicted: Sequence[str]) -> tuple[StageColumns, ...]:
    """The columns of each stage.

    Raises
    ------
    ArgumentError
        It is no list of pairs, or names what is no predicted variable.
    """
    if given is None:
        return ()
    advice = (
        "stages must be a list of pairs, label column and column of its probability, such as [('crowd', 'p_crowd')]"
    )
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence) or not given:
        raise ArgumentError(f"{advice}; found {given!r}")
    out = []
    for stage in given:
        if (
            not isinstance(stage, Sequence)
            or isinstance(stage, str)
            or len(stage) != 2
            or not isinstance(stage[1], str)
        ):
            raise ArgumentError(f"{advice}; found {stage!r}")
        labels, prob = stage
        if isinstance(labels, str) and len(predicted) == 1:
            labels = {predicted[0]: labels}
        if not isinstance(labels, Mapping) or not labels:
            raise ArgumentError(
                f"stages has {labels!r} for {len(predicted)} predicted variables; name the column of each that has a label at "
                f"this stage, such as {{'{predicted[0]}': 'crowd'}}"
            )
        unknown = [str(name) for name in labels if name not in predicted]
        if unknown:
            raise ArgumentError(
                f"stages names '{unknown[0]}', which is not among predicted_var ({', '.join(predicted)})"
            )
        same = [column for name, column in labels.items() if column in predicted]
        if same:
            raise ArgumentError(
                f"stages names '{same[0]}', whose values are the gold labels: pass a copy with the labels of all rows of this "
                "stage, and leave gold labels on the rows of the last stage"
            )
        out.append(StageColumns(labels={str(name): str(column) for name, column in labels.items()}, prob=prob))
    return tuple(out)


def read_stages(
    frame: pd.DataFrame, stages: Sequence[StageColumns], predicted: Sequence[str], labeled: BoolArray, prob: FloatArray
) -> tuple[Stage, ...]:
    """Labels and weights of each stage.

    Parameters
    ----------
    frame : DataFrame
        (N rows) with gold values in their kinds.
    stages : sequence of StageColumns
    predicted : sequence of str
    labeled : (N,) bool array
        Rows with gold labels.
    prob : (N,) array
        Their probability over all stages, not rescaled.

    Raises
    ------
    LabelError
        Rows have labels of some variables of a stage but not of all, of a later stage but not of the one before, or labels that
        the gold values do not have.
    SampleProbabilityError
        Probabilities are missing, outside (0, 1], or smaller than those of a later stage.
    """
    out: list[Stage] = []
    after, after_prob, later = labeled, prob, "gold label"
    # from the last to the first: every stage must hold the next one
    for stage in reversed(stages):
        reached = _reached(frame, stage)
        own = as_numbers(frame[stage.prob], "stages").to_numpy(dtype=float)
        _check(frame, stage, reached, own)
        lacking = after & ~reached
        if lacking.any():
            raise LabelError(
                f"{first_rows(lacking, frame.index)} have a {later} and none at the stage before "
                f"({', '.join(stage.labels.values())}): stages are nested, each drawn among the rows of the one before"
            )
        small = own < after_prob * (1.0 - NEAR)
        if small.any():
            raise SampleProbabilityError(
                f"the probability '{stage.prob}' is below that of the {later} in {first_rows(small, frame.index)}: probabilities "
                f"are those of coming that far, over all stages; multiply that within the stage by '{stage.prob}'"
            )
        scaled = own * (reached.mean() / own.mean())
        out.append(
            Stage(
                values={name: _values(frame[column], frame[name], reached) for name, column in stage.labels.items()},
                reached=reached,
                weight=reached / scaled,
                whole=set(stage.labels) == set(predicted),
            )
        )
        after, after_prob, later = reached, own, f"label '{next(iter(stage.labels.values()))}'"
    return tuple(reversed(out))


def _reached(frame: pd.DataFrame, stage: StageColumns) -> BoolArray:
    there = frame[list(stage.labels.values())].notna().to_numpy()
    every, some = np.asarray(there.all(axis=1)), np.asarray(there.any(axis=1))
    if (some & ~every).any():
        raise LabelError(
            f"{first_rows(some & ~every, frame.index)} have some of the labels {', '.join(stage.labels.values())} of a stage but "
            "not all; complete them, or set the ones that are there to missing"
        )
    if not every.any():
        raise LabelError(f"no row has a label of the stage {', '.join(stage.labels.values())}")
    return every


def _check(frame: pd.DataFrame, stage: StageColumns, reached: BoolArray, prob: FloatArray) -> None:
    for bad, what in ((np.isnan(prob), "missing"), ((prob <= 0.0) | (prob > 1.0), "outside (0, 1]")):
        if bad.any():
            raise SampleProbabilityError(
                f"the probability '{stage.prob}' (stages) is {what} in {first_rows(bad, frame.index)}; supply the probability of "
                "each row to be labelled at this stage, for rows without a label too"
            )


def _values(column: pd.Series, gold: pd.Series, reached: BoolArray) -> FloatArray | pd.Categorical:
    """Labels (N,) in the kind of the gold values."""
    if not is_category(gold):
        return np.asarray(as_numbers(column, "stages").to_numpy(dtype=float))
    codes = category_codes(column, gold)
    unknown = reached & (codes < 0)
    if unknown.any():
        raise LabelError(
            f"'{column.name}' (stages) has {column[unknown].iloc[0]!r} in {first_rows(unknown, column.index)}, which is no "
            f"category of the gold values of '{gold.name}' ({', '.join(map(str, gold.cat.categories))}); write both alike"
        )
    return pd.Categorical.from_codes(codes, dtype=categorical_dtype(gold))
