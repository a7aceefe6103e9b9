"""Labels of lower quality on more rows: columns of each stage, and the probability of coming that far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray
from dsl.data.columns import Columns, StageColumns
from dsl.data.design import SamplingDesign, stages_of
from dsl.data.labels import category_codes
from dsl.data.tables import as_numbers, categorical_dtype, first_rows, is_category
from dsl.engine.labeling import Labeling
from dsl.exceptions import ArgumentError, LabelError, SampleProbabilityError

Stages: TypeAlias = Sequence[tuple[str | Mapping[str, str], str]] | Sequence[str | Mapping[str, str]]
"""As in `dsl.dsl`: label column (or predicted variable to label column) and column of the probability, or without the latter."""
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
    labeling: Labeling = field(repr=False)
    """(N,) how its rows were drawn among those of the stage before, where others have a probability of one and were not drawn."""
    then: Labeling = field(repr=False)
    """(N,) the same of the stage after it, at last of the gold labels."""

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


def as_stages(given: Stages | None, predicted: Sequence[str], *, nested: int = 0) -> tuple[StageColumns, ...]:
    """The columns of each stage.

    Parameters
    ----------
    given : list of pairs, or of label columns with a nested design
    predicted : sequence of str
    nested : int
        Number of stages before the last of a nested design, which has their probabilities. Zero without.

    Raises
    ------
    ArgumentError
        It is no list of pairs, or names what is no predicted variable.
    """
    if given is None:
        return ()
    advice = (
        f"stages must be a list with the label column of each of the {nested} stages before the last, such as ['crowd'], as "
        "the design has their probabilities"
        if nested
        else "stages must be a list of pairs, label column and column of its probability, such as [('crowd', 'p_crowd')] "
        "(without the latter for the rows of a dsl.sampling.nested design)"
    )
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence) or not given:
        raise ArgumentError(f"{advice}; found {given!r}")
    if nested and len(given) != nested:
        raise ArgumentError(f"{advice}; found {len(given)}")
    return tuple(_stage(each, predicted, advice, known=bool(nested)) for each in given)


def _stage(given: object, predicted: Sequence[str], advice: str, *, known: bool) -> StageColumns:
    labels, prob = given, None
    if not known:
        pair = isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2
        if not pair or not isinstance(given, Sequence) or not isinstance(given[1], str):
            raise ArgumentError(f"{advice}; found {given!r}")
        labels, prob = given[0], given[1]
    elif not isinstance(given, str | Mapping):
        raise ArgumentError(f"{advice}; found {given!r}")
    if isinstance(labels, str) and len(predicted) == 1:
        labels = {predicted[0]: labels}
    if not isinstance(labels, Mapping) or not labels:
        raise ArgumentError(
            f"stages has {labels!r} for {len(predicted)} predicted variables; name the column of each that has a label at "
            f"this stage, such as {{'{predicted[0]}': 'crowd'}}"
        )
    unknown = [str(name) for name in labels if name not in predicted]
    if unknown:
        raise ArgumentError(f"stages names '{unknown[0]}', which is not among predicted_var ({', '.join(predicted)})")
    same = [column for column in labels.values() if column in predicted]
    if same:
        raise ArgumentError(
            f"stages names '{same[0]}', whose values are the gold labels: pass a copy with the labels of all rows of this "
            "stage, and leave gold labels on the rows of the last stage"
        )
    return StageColumns(labels={str(name): str(column) for name, column in labels.items()}, prob=prob)


def read_stages(
    frame: pd.DataFrame,
    columns: Columns,
    labeled: BoolArray,
    prob: FloatArray,
    design: SamplingDesign | None = None,
) -> tuple[Stage, ...]:
    """Labels and weights of each stage, and how rows were drawn.

    Parameters
    ----------
    frame : DataFrame
        (N rows) with gold values in their kinds.
    columns : Columns
    labeled : (N,) bool array
        Rows with gold labels.
    prob : (N,) array
        Their probability over all stages, not rescaled.
    design : SamplingDesign, optional
        The nested one, where it has the probabilities of the stages.

    Raises
    ------
    LabelError
        Rows have labels of some variables of a stage but not of all, of a later stage but not of the one before, or labels that
        the gold values do not have. Or they are not those that a design drew.
    SampleProbabilityError
        Probabilities are missing, outside (0, 1], or smaller than those of a later stage.
    """
    stages = columns.stages
    if not stages:
        return ()
    known = [] if stages[0].prob is not None or design is None else stages_of(design, frame.index)
    probs = [each for _, each in known[:-1]] or [_probability(frame, stage) for stage in stages]
    reached = [_reached(frame, stage) for stage in stages]
    _check_nested(frame, stages, [*reached, labeled], [*probs, prob])
    draws = [draw for draw, _ in known] or _draws([*reached, labeled], [*probs, prob])
    for stage, there, draw in zip(stages, reached, draws, strict=False):
        if (there != draw.drawn).any():
            raise LabelError(
                f"{first_rows(there != draw.drawn, frame.index)} were drawn for the stage {', '.join(stage.labels.values())} and "
                "have no label, or have one and were not drawn; complete the labels, or pass the design that drew these rows"
            )
    return tuple(
        Stage(
            values={name: _values(frame[column], frame[name], there) for name, column in stage.labels.items()},
            reached=there,
            weight=there / (own * (there.mean() / own.mean())),
            whole=set(stage.labels) == set(columns.predicted),
            labeling=draw,
            then=then,
        )
        for stage, there, own, draw, then in zip(stages, reached, probs, draws, draws[1:], strict=False)
    )


def _probability(frame: pd.DataFrame, stage: StageColumns) -> FloatArray:
    own = as_numbers(frame[stage.prob], "stages").to_numpy(dtype=float)
    for bad, what in ((np.isnan(own), "missing"), ((own <= 0.0) | (own > 1.0), "outside (0, 1]")):
        if bad.any():
            raise SampleProbabilityError(
                f"the probability '{stage.prob}' (stages) is {what} in {first_rows(bad, frame.index)}; supply the probability of "
                "each row to be labelled at this stage, for rows without a label too"
            )
    return np.asarray(own)


def _check_nested(
    frame: pd.DataFrame, stages: Sequence[StageColumns], reached: Sequence[BoolArray], probs: Sequence[FloatArray]
) -> None:
    """Raise unless every stage holds the next one, and no probability is smaller than one after it."""
    # from the last to the first
    for place in reversed(range(len(stages))):
        stage, last = stages[place], place == len(stages) - 1
        later = "gold label" if last else f"label '{next(iter(stages[place + 1].labels.values()))}'"
        lacking = reached[place + 1] & ~reached[place]
        if lacking.any():
            raise LabelError(
                f"{first_rows(lacking, frame.index)} have a {later} and none at the stage before "
                f"({', '.join(stage.labels.values())}): stages are nested, each drawn among the rows of the one before"
            )
        small = probs[place] < probs[place + 1] * (1.0 - NEAR)
        if small.any():
            raise SampleProbabilityError(
                f"the probability '{stage.prob}' is below that of the {later} in {first_rows(small, frame.index)}: probabilities "
                f"are those of coming that far, over all stages; multiply that within the stage by '{stage.prob}'"
            )


def _draws(reached: Sequence[BoolArray], probs: Sequence[FloatArray]) -> list[Labeling]:
    """Each stage as a draw among the rows of the one before. A fixed number was drawn where these had equal probabilities."""
    out, before, there = [], np.ones(len(probs[0])), np.ones(len(probs[0]), dtype=bool)
    for own, drawn in zip(probs, reached, strict=True):
        given = np.where(there, np.minimum(own / before, 1.0), 1.0)
        fixed = bool(np.ptp(given[there]) <= NEAR * float(given[there].max()))
        if fixed:
            given[there] = drawn.sum() / there.sum()
        out.append(Labeling(prob=given, drawn=drawn, fixed_size=fixed))
        before, there = own, drawn
    return out


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
