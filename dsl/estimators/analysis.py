"""What every estimator works on: checked rows and design matrices. The one preparation of a call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.arguments import as_names, check_choice, warn_caller
from dsl.data.columns import Columns
from dsl.data.design import SamplingDesign
from dsl.data.drawn import ORDER, Tested, design_unused, in_words, looked_at, training_in_words
from dsl.data.formula.matrices import Design, OutcomeOf, ParsedFormula, build_each, parse
from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.formula.rlang.values import level_texts
from dsl.data.messages import each_value, rows_left_out
from dsl.data.recorded import COLUMNS
from dsl.data.sample import Sample, prepare
from dsl.data.tables import TableLike, column_names, is_category, some_rows, table_of, to_pandas
from dsl.engine.fixed_size import Draw
from dsl.engine.intervals import kish
from dsl.engine.labeling import Labeling
from dsl.engine.models import MODELS, Model
from dsl.engine.models.family import Family
from dsl.engine.models.model import Link
from dsl.engine.several import Several
from dsl.engine.sums import Problem
from dsl.estimators.blocks import Blocks
from dsl.estimators.call import Call
from dsl.exceptions import (
    AllLabeledWarning,
    ArgumentError,
    CodingWarning,
    DroppedRowsWarning,
    FewLabelsWarning,
    FormulaError,
    LabelingWarning,
    OutcomeError,
)

FIXED_EFFECTS = {"oneway": 1, "twoways": 2, "multiway": None}
"""How many columns `index` may name."""
EFFECTIVE_LABELS = 30
"""Kish's effective size of the labelled sample below which normal intervals are doubtful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What every estimator works on."""

    sample: Sample
    columns: Columns
    designs: tuple[Design, ...]
    """One for each equation: a categorical outcome has one for each category, else there is one."""
    model: Model
    outcome: str = ""
    """The formula's left-hand side."""
    levels: tuple[str, ...] = ()
    """Categories of the outcome, if it has an equation for each."""
    finite: bool = False
    """Whether the rows are the population, and only the labelling is random."""
    leave_out: str | None = None
    """Covariance that leaves one unit out (`dsl.engine.leave_out`), None for the plain one."""
    by_design: bool = False
    """Whether the covariance allows for how the labelled rows were drawn (`dsl.engine.fixed_size`)."""
    looked: tuple[Tested, ...] = ()
    """Labelled rows against the draw as it was stated, column by column, the least likely first."""

    @property
    def predicted(self) -> tuple[str, ...]:
        """The predicted variables."""
        return self.columns.predicted

    @property
    def absorbed(self) -> bool:
        """Whether fixed effects are absorbed."""
        return bool(self.columns.absorbed)

    @property
    def design(self) -> Design:
        """The first equation's, whose covariates are those of all."""
        return self.designs[0]

    @property
    def link(self) -> Link | Several:
        """The model on the block's columns."""
        return self._link_on(self.design.block_names)

    @property
    def several(self) -> Several | None:
        """The model on the columns in the formula's order, where it has several linear predictors."""
        link = self._link_on(self.design.covariates.names)
        return link if isinstance(link, Several) else None

    def _link_on(self, columns: Sequence[str]) -> Link | Several:
        link = self.model.link
        if not isinstance(link, Family):
            return link
        return Several.on(link, columns, self.design.levels, prefix=f"{self.outcome}[{{}}]:")

    @property
    def places(self) -> IntArray:
        """Positions that bring the parameters of one equation from the formula's order into the block's, (k,)."""
        part = self.design.covariates
        columns = np.array([*part.fixed_index, *part.predicted_index], dtype=np.int64)
        link = self.link
        if not isinstance(link, Several):
            return columns
        # within each linear predictor: the rank of its columns in the formula
        parts = [
            start + (np.zeros(1, dtype=np.int64) if own is None else columns[own].argsort().argsort())
            for start, own in zip((each.start for each in link.parts), link.places, strict=True)
        ]
        return np.concatenate(parts)

    @property
    def order(self) -> IntArray:
        """Positions that bring the parameters of one equation from the block's order into the formula's, (k,)."""
        # argsort of a permutation is its inverse
        return np.argsort(self.places)

    def noted(self, notes: Sequence[str]) -> "Analysis":
        """The same with more notes on its sample."""
        return replace(self, sample=replace(self.sample, notes=(*self.sample.notes, *notes)))

    def as_stated(self) -> "Analysis":
        """The same for an estimator without predictions (`Sample.as_stated`)."""
        return replace(self, sample=self.sample.as_stated())

    def blocks(self, *, tuned: bool = False, part: bool = False) -> list[Blocks]:
        """What makes the blocks of each equation. `part` of all rows: what needs sums over all is left for later."""
        # columns of each factor, where effects multiply means
        factors = () if self.model.linear else tuple(self.columns.absorbed.values())
        return [Blocks(design, self.sample, tuned=tuned, factors=factors, part=part) for design in self.designs]

    @property
    def gold(self) -> pd.DataFrame:
        """Gold values of the labelled rows, (n, q)."""
        return some_rows(self.sample.data, self.predicted, self.sample.labeled)

    def gold_numbers(self, rows: BoolArray) -> FloatArray:
        """Gold values that are all numbers on some labelled rows, (rows, q)."""
        return np.column_stack([self.sample.data[name].to_numpy(dtype=float)[rows] for name in self.predicted])

    @property
    def gold_to_learn(self) -> pd.DataFrame:
        """Those of the rows that learners see, (n, q): all but the ones that the predictions' maker has seen."""
        return some_rows(self.sample.data, self.predicted, self.sample.judged)

    def problem(self) -> Problem:
        """The engine's problem on all rows."""
        return Problem(
            link=self.link,
            names=self.design.block_names,
            cluster=self.sample.cluster,
            n_clusters=self.sample.n_clusters,
            across=self.sample.across,
            labeling=self.sample.labeling if self.finite else None,
            leave_out=self.leave_out,
            draw=self.draw if self.by_design else None,
        )

    @property
    def draw(self) -> Draw:
        """How the labelled rows were drawn, for a covariance that allows for it."""
        sample = self.sample
        return Draw(
            labeling=sample.labeling if sample.last is None else sample.last,
            before=tuple(stage.labeling for stage in sample.stages),
            cluster=sample.cluster,
            n_clusters=sample.n_clusters,
        )


def prepare_analysis(
    call: Call, data: TableLike, functions: Functions, *, known: Sequence[str] | None = None, quiet: bool = False
) -> Analysis:
    """Checked rows and design matrices of a call.

    Parameters
    ----------
    call : Call
    data : data frame
    functions : mapping
        Where functions and constants of the formula are looked up.
    known : list of str, optional
        Columns of the data that count, for a formula with ``.``. All by default.
    quiet : bool
        Leave out the warnings, and the checks of the outcome's values, that the call was made with before.

    Raises
    ------
    DSLError
        Named subclasses: whatever the data have wrong.
    """
    # a refit knows the columns of its own call: "." must not grow if the table has gained some since
    names = column_names(data) if known is None else [name for name in column_names(data) if name in known]
    parsed, columns = parse_call(call, names, functions)
    sample = prepare(data, columns, call.design, call.trained_on)
    if not quiet:
        _warn_about(sample)
    model = MODELS[call.model]
    _check_instruments(parsed, model)
    family = model.link if isinstance(model.link, Family) else None
    designs, levels = build_each(
        parsed,
        # of many columns, most are seen by learners alone
        table_of({name: sample.data[name] for name in sample.data if name in parsed.variables}, sample.labels),
        sample.labeled,
        columns.predicted,
        absorbed=bool(columns.absorbed),
        two_levels=sample.two_levels,
        outcome_of=outcome_of(model),
    )
    _check_offset(designs[0], columns, model, call)
    if family is not None:
        _check_several(designs[0], model, family, call)
        if family.classes and parsed.outcome_column in columns.predicted:
            _check_empty_classes(to_pandas(data, [parsed.outcome_column])[parsed.outcome_column], designs[0], model)
    sample = replace(sample, notes=(*sample.notes, *_ordered(designs[0])))
    if not quiet:
        # every equation of a categorical outcome has its own outcome column, and the covariates of the first
        for each in designs:
            _check_outcome(each, sample, model)
    analysis = Analysis(
        sample=sample,
        columns=columns,
        designs=designs,
        model=model,
        outcome=parsed.outcome_name if levels else designs[0].outcome.names[0],
        levels=levels,
        finite=call.target == "finite",
    )
    if not quiet:
        _check_size(len(analysis.places), sample)
    return analysis


def parse_call(call: Call, names: Sequence[str], functions: Functions) -> tuple[ParsedFormula, Columns]:
    """The formula of a call on data with columns of these names, and the columns by their roles."""
    single = [call.labeled, call.sample_prob, *call.clusters, call.weights, call.text, _column(call.trained_on)]
    staged = [name for stage in call.stage_columns for name in stage.columns]
    parsed = parse(
        call.formula,
        names,
        functions,
        outside_dot={*call.prediction, *_parts(call.index), *filter(None, single), *staged, *COLUMNS},
    )
    columns = _columns(parsed, call, names)
    inside = [name for name in staged if name in (*parsed.variables, *call.prediction, *call.feature)]
    if inside:
        raise ArgumentError(
            f"'{inside[0]}' is a column of stages, known on the rows of a stage alone, and in the formula, prediction or feature "
            "too; leave it out there"
        )
    return parsed, columns


def _columns(parsed: ParsedFormula, call: Call, names: Sequence[str]) -> Columns:
    """Columns of the data by their roles."""
    return Columns(
        formula=parsed.variables,
        predicted=call.predicted_var,
        prediction=call.prediction,
        feature=call.feature,
        text=call.text,
        labeled=call.labeled,
        sample_prob=call.sample_prob,
        stages=call.stage_columns,
        trained_on=_column(call.trained_on),
        cluster=call.cluster,
        across=call.across,
        weights=call.weights,
        absorbed=_absorbed(parsed, call, names),
        pairs=call.pairs,
        refusals=call.refusals,
    )


def outcome_of(model: Model) -> OutcomeOf:
    """What the outcome of a model is."""
    if not isinstance(model.link, Family):
        return OutcomeOf(model=model.name)
    family = model.link
    least = -np.inf if model.outcomes is None else model.outcomes[0]
    return OutcomeOf(model=model.name, classes=family.classes, ordered=family.ordered, linear=False, least=least)


def _check_several(design: Design, model: Model, family: Family, call: Call) -> None:
    """Raise FormulaError for what a model with several linear predictors cannot do."""
    if design.offset is not None and not family.offsets:
        raise FormulaError(
            f"model='{model.name}' has a linear predictor for each class but the first, and offset() would be in none or in "
            f"all of them (formula '{call.formula_text}'); leave it out"
        )
    if "threshold" in family.kinds(len(design.levels)) and "Intercept" not in design.covariates.names:
        raise FormulaError(
            f"model='{model.name}' has thresholds in the place of an intercept, and categories are coded against it: leave "
            f"'- 1' (or '0 +') out of '{call.formula_text}'"
        )


def _check_empty_classes(column: pd.Series, design: Design, model: Model) -> None:
    """Raise OutcomeError for classes that the outcome's dtype has and no labelled row is of."""
    if not is_category(column):
        return
    names = level_texts(pd.Series(column.cat.categories))
    empty = [str(name) for name in names if str(name) not in design.levels]
    # text of two levels, and categories 0 and 1, are numbers by now
    if empty and set(design.levels) <= {str(name) for name in names}:
        raise OutcomeError(
            f"no labelled row is {', '.join(map(repr, empty))}, a class of the outcome '{column.name}' by its dtype: model="
            f"'{model.name}' has no estimate for it. Label rows of it, merge it with another class, or, if it does not occur, "
            f"data['{column.name}'].cat.remove_unused_categories()"
        )


def _check_instruments(parsed: ParsedFormula, model: Model) -> None:
    """Raise ArgumentError unless the formula has instruments where the model has them, and only there."""
    if parsed.instrumented == model.instruments:
        return
    if model.instruments:
        raise ArgumentError(f"model='{model.name}' needs instruments: 'y ~ x | d ~ z', or 'y ~ x | unit | d ~ z'")
    names = " or ".join(f"'{name}'" for name, each in MODELS.items() if each.instruments)
    raise ArgumentError(f"the formula names instruments, which model='{model.name}' does not have; use model={names}")


def _check_offset(design: Design, columns: Columns, model: Model, call: Call) -> None:
    """Raise FormulaError where fixed effects of a linear model meet an offset."""
    if columns.absorbed and design.offset is not None and model.linear:
        raise FormulaError(
            f"offset() cannot be combined with the fixed effects of model='{model.name}' (formula '{call.formula_text}'); "
            "subtract it from the outcome, as in 'I(y - z) ~ x | unit'"
        )


def _column(given: object) -> str | None:
    return given if isinstance(given, str) else None


def _ordered(design: Design) -> list[str]:
    """Notes on categories whose order makes polynomial contrasts of their coefficients."""
    found = {
        name: f for name, f in design.covariates.spec.kinds.items() if f is not None and f.ordered and not f.contrast
    }
    return [
        f"'{name}' is an ordered category: its coefficients are polynomial contrasts "
        f"({', '.join(f.coding.r_names(f.levels))}); for a coefficient for each level, data['{name}'].cat.as_unordered() or "
        f"factor({name}, ordered = FALSE)"
        for name, f in found.items()
    ]


def _absorbed(parsed: ParsedFormula, call: Call, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """The fixed effects and their columns, from the formula's ``|`` part or from `index`."""
    index, fixed_effect, model = as_names(call.index, "index"), call.fixed_effect, MODELS[call.model]
    check_choice("fixed_effect", fixed_effect, tuple(FIXED_EFFECTS))
    if not model.absorbs:
        if parsed.absorbed or index:
            where = "index" if index else "the formula's part behind '|'"
            absorbing = " or ".join(f"'{name}'" for name, each in MODELS.items() if each.absorbs)
            raise ArgumentError(
                f"{where} names fixed effects, which model='{call.model}' does not have; use model={absorbing}"
            )
        return {}
    if parsed.absorbed:
        if index and set(index) != set(parsed.absorbed):
            raise ArgumentError(
                f"index={list(index)} and the formula's '| {' + '.join(parsed.absorbed)}' differ; give one"
            )
        return parsed.absorbed
    if not index and not model.needs_effects:
        return {}
    if not index:
        raise ArgumentError(f"model='{call.model}' needs fixed effects: index='unit', or 'y ~ x | unit'")
    count = FIXED_EFFECTS[fixed_effect]
    if count is not None and len(index) != count:
        raise ArgumentError(
            f"fixed_effect='{fixed_effect}' absorbs {count} column(s), but index names {len(index)}: {', '.join(index)}; "
            f"write 'y ~ x | {' + '.join(index)}', or fixed_effect='{'twoways' if len(index) == 2 else 'multiway'}'"
        )
    # "state^year" means here what it means behind the bar, unless a column has this name
    return {name: (name,) if name in names else tuple(dict.fromkeys(name.split("^"))) for name in index}


def _parts(index: Sequence[str]) -> set[str]:
    """Names of fixed effects, and of the columns that interacted ones are made of."""
    return {part for name in index for part in (name, *name.split("^"))}


def _warn_about(sample: Sample) -> None:
    """Warnings about the labelled sample, each shown at the caller's line."""
    if sample.n_input > len(sample.data):
        warn_caller(
            DroppedRowsWarning,
            f"{rows_left_out(sample.n_input, len(sample.data), sample.dropped)}. Fill them, or leave these rows out "
            "yourself, to silence this",
        )
    for said in sample.codings:
        warn_caller(CodingWarning, said)
    if sample.labeled.all():
        warn_caller(
            AllLabeledWarning, "every row is labelled: predictions are not used, this is an ordinary regression"
        )
    # rows that the predictions' maker has seen are known, and show nothing of the predictions' error
    weight = 1.0 / sample.sample_prob[sample.judged]
    if sample.row_weight is not None:
        weight *= sample.row_weight[sample.judged]
    effective = float(kish(weight))
    if effective < EFFECTIVE_LABELS:
        uneven = "" if sample.equal_prob else f" (the weights vary from {weight.min():.3g} to {weight.max():.3g})"
        warn_caller(
            FewLabelsWarning,
            f"{len(weight)} labelled rows count for only {effective:.1f}{uneven}: intervals that rely on large "
            f"samples may be too short; label more rows{', with less uneven probabilities' if uneven else ''}",
        )


def look(sample: Sample, columns: Columns, data: TableLike, design: SamplingDesign | None) -> tuple[Tested, ...]:
    """Test whether the labelled rows look drawn as stated, and warn where they do not. All columns tested."""
    found = looked_at(sample, columns, data, design)
    alarms = [each for each in found if each.alarm]
    # data that record a design which the call does not use have a warning of their own
    if alarms and not design_unused(columns, data, design):
        warn_caller(LabelingWarning, in_words(alarms))
    return found


def look_at_training(sample: Sample, columns: Columns, data: TableLike) -> None:
    """Warn where rows that the predictions' maker has seen do not look drawn at random from the labelled rows."""
    if sample.stated is None:
        return
    labeled, every = sample.labeled, tuple(dict.fromkeys((*columns.formula, *columns.predicted)))
    seen = sample.trained[labeled]
    cluster = None if sample.cluster is None else np.unique(sample.cluster[labeled], return_inverse=True)[1]
    own = replace(
        sample,
        data=sample.data[labeled],
        rows=sample.rows[labeled],
        labeled=seen,
        labeling=Labeling(prob=np.full(len(seen), seen.mean()), drawn=seen, fixed_size=True),
        cluster=cluster,
        absorbed=tuple(codes[labeled] for codes in sample.absorbed),
    )
    # gold labels are known here, and what a choice by them would show in
    known = replace(columns, formula=every, predicted=(), labeled=None, trained_on=None, sample_prob=None)
    # predictions follow from the labels that were seen, and so may features and whatever else stands in the table
    told = ("formula", "cluster", "index", ORDER)
    alarms = [each for each in looked_at(own, known, data) if each.alarm and each.role in told]
    if alarms:
        warn_caller(LabelingWarning, training_in_words(alarms))


def _check_size(count: int, sample: Sample) -> None:
    n_labeled = int(sample.judged.sum())
    if count >= n_labeled:
        warn_caller(
            FewLabelsWarning,
            f"{count} coefficients rest on {n_labeled} labelled rows: their standard errors cannot "
            "be trusted; label more rows, or take columns out of the formula",
        )


def _check_outcome(design: Design, sample: Sample, model: Model) -> None:
    name = design.outcome.names[0]
    fixed = design.outcome.fixed
    values = design.gold_outcome if fixed is None else fixed[:, 0]
    # a predicted outcome is known on the labelled rows only
    rows = np.flatnonzero(sample.labeled) if design.outcome.predicted_index else np.arange(len(values))
    if np.ptp(values) == 0.0:
        which = f"{len(rows)} labelled" if design.outcome.predicted_index else f"{len(rows)}"
        raise OutcomeError(
            f"the outcome '{name}' is {values[0]:g} in all {which} rows: "
            "there is nothing to explain; label more rows, or look for a mistake in coding it"
        )
    check_range(values, model, name, sample.labels[rows])


def check_range(values: FloatArray, model: Model, name: str, labels: pd.Index) -> None:
    """Raise OutcomeError unless the model can have these outcomes."""
    if model.outcomes is None:
        return
    bad = (values < model.outcomes[0]) | (values > model.outcomes[1])
    if bad.any():
        found = each_value(pd.Series(values[bad], index=labels[bad]))
        raise OutcomeError(
            f"model='{model.name}' needs {model.needs}; '{name}' is {found}. Recode it, or use model='lm'"
        )
