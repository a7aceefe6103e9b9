"""The rows that an adaptive design draws from: checked once, fitted anew after every batch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from dsl._typing import Arguments, BoolArray, FloatArray, IntArray
from dsl.analyses.regression import dsl
from dsl.analyses.results import DSLResults
from dsl.data.arguments import pair_surrogates
from dsl.data.fingerprint import table_fingerprint
from dsl.data.formula.caller import call_among
from dsl.data.formula.matrices import ParsedFormula, parse
from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.messages import missing_per_column
from dsl.data.refusals import check_not_refused
from dsl.data.tables import TableLike, check_unique, column_names, first_rows, to_pandas
from dsl.engine.checks import check_columns
from dsl.engine.models import MODELS
from dsl.estimators.analysis import Analysis, check_range, prepare_analysis
from dsl.estimators.call import Call
from dsl.exceptions import (
    ArgumentError,
    DataError,
    FormulaError,
    LabelError,
    OutcomeError,
)
from dsl.sampling.adaptive.settings import Settings
from dsl.sampling.design import LabelDesign


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """All rows, without gold labels, and how they are analysed."""

    settings: Settings
    table: pd.DataFrame = field(repr=False)
    """(N rows) the user's columns but the predicted variables."""
    functions: Functions = field(repr=False)
    """What the formula uses of the caller's functions and numbers."""
    names: tuple[str, ...]
    """(k,) coefficients."""
    folds: IntArray = field(repr=False)
    """(N,) fold of each row, fixed: its expected error is learnt from labels of the other folds."""
    fingerprint: str
    """Hash of the rows and of the columns that are used."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.table)

    @property
    def rows(self) -> pd.Index:
        """Labels of the rows, (N,)."""
        return self.table.index

    @property
    def chosen(self) -> IntArray:
        """Positions of the coefficients aimed at, (c,)."""
        return np.array([self.names.index(name) for name in self.settings.coefficient])

    def labelled(self, gold: FloatArray) -> pd.DataFrame:
        """The table with gold labels (N, q), NaN where there are none."""
        return self.table.assign(**dict(zip(self.settings.predicted, gold.T, strict=True)))

    def analysis(self, gold: FloatArray, design: LabelDesign | None = None) -> Analysis:
        """The analysis at gold labels (N, q), NaN where there are none; `design` says which rows were drawn how."""
        return prepare_analysis(call_of(self.settings, design), self.labelled(gold), self.functions, quiet=True)

    def check_usable(self, gold: FloatArray, labeled: BoolArray) -> None:
        """Raise DataError unless the formula can be evaluated at the gold labels (N, q) of the labelled rows."""
        settings, labels = self.settings, self.rows[labeled]
        outside = (gold[labeled] < 0.0) | (gold[labeled] > 1.0)
        if settings.family == "binomial" and outside.any():
            raise LabelError(
                f"family='binomial' needs labels between 0 and 1; found {gold[labeled][outside][0]:g} in "
                f"{first_rows(np.asarray(outside.any(axis=1)), labels)}. Correct them, or use family='gaussian'; none of this "
                "batch was recorded"
            )
        analysis = self.analysis(gold)
        # the outcome may be a function of the labels, log(y), and is what must be in range
        outcome = analysis.design.gold_outcome
        try:
            check_range(outcome, analysis.model, analysis.outcome, labels)
        except OutcomeError as error:
            raise OutcomeError(f"{error}; none of this batch was recorded") from None

    def estimate(
        self, gold: FloatArray, design: LabelDesign, arguments: Arguments, names: Functions | None = None
    ) -> DSLResults:
        """`dsl.dsl` with the settings' arguments and those given, called where the formula's functions are known.

        `names` are the caller's, for a formula among the arguments.
        """
        settings = self.settings
        call = {
            "formula": settings.formula,
            "predicted_var": settings.predicted_var,
            "prediction": settings.prediction or None,
            "feature": list(settings.features) or None,
            "text": settings.text,
            "model": settings.model,
            "family": settings.family,
            "cluster": settings.cluster,
            "refusals": settings.refusals,
            "sl_method": settings.sl_method,
            "cross_fit": settings.cross_fit,
            "seed": settings.seed,
            **arguments,
        }
        functions = self.functions if names is None else names
        result: DSLResults = call_among(functions, dsl, {"data": self.labelled(gold), "design": design, **call})
        return result


def population_of(data: TableLike, settings: Settings, caller: Functions) -> Population:
    """Check the data against the settings, before any label is paid for.

    Raises
    ------
    DataError
        Rows have missing values in columns that are used, or labels that repeat, or the data have gold labels already.
    ArgumentError, FormulaError, CollinearityError
        A coefficient that the formula does not have, a formula that cannot be used, columns that depend on each other.
    """
    predicted = settings.predicted
    table = _table(data, predicted)
    if settings.n_labels > len(table):
        raise ArgumentError(f"n_labels is {settings.n_labels}, but the data have {len(table)} rows; lower it")
    _check_absorbed(parse(settings.formula, [*table.columns, *predicted], caller), settings.model)
    rehearsed = _rehearse(table, settings, caller)
    names, cluster = rehearsed.design.covariates.names, rehearsed.sample.cluster
    used = [name for name in rehearsed.columns.roles() if name not in predicted]
    # spawn key 0: the folds' random numbers are those of no batch, whose keys are 1, 2, ...
    rng = np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=(0,)))
    units = len(table) if cluster is None else int(cluster.max()) + 1
    # clusters whole in one fold, and folds equal in number of clusters
    folds = rng.permutation(np.arange(units) % settings.cross_fit)
    return Population(
        settings=_with_names(settings, names),
        table=table,
        functions=rehearsed.design.covariates.spec.functions,
        names=names,
        folds=folds if cluster is None else folds[cluster],
        fingerprint=table_fingerprint(table[used]),
    )


def _table(data: TableLike, predicted: tuple[str, ...]) -> pd.DataFrame:
    names = column_names(data)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"the data have more than one column named '{twice[0]}'; keep one of them")
    frame = to_pandas(data, names)
    if frame.empty:
        raise DataError("the data have no rows; look at the filter or join that made them")
    check_unique(frame.index)
    for name in predicted:
        known = frame[name].notna().to_numpy() if name in frame.columns else np.zeros(len(frame), dtype=bool)
        if known.any():
            raise LabelError(
                f"'{name}' has gold labels in {first_rows(known, frame.index)}. An adaptive design draws its labels itself, so "
                f"that it knows their probabilities: leave the column out, data.drop(columns='{name}'); to try the design on "
                "data whose labels are all known, answer from them in run(ask), or use dsl.evaluate"
            )
    return frame.drop(columns=[name for name in predicted if name in frame.columns])


def call_of(settings: Settings, design: LabelDesign | None = None) -> Call:
    """The settings as a call of `dsl.dsl`."""
    predicted, surrogates, pairs = pair_surrogates(settings.predicted_var, settings.prediction)
    return Call(
        formula=settings.formula,
        model=settings.model,
        estimator="dsl",
        predicted_var=predicted,
        prediction=surrogates,
        pairs=pairs,
        feature=settings.features,
        text=settings.text,
        design=design,
        cluster=settings.cluster,
        refusals=settings.refusals,
        sl_method=settings.sl_method,
        family=settings.family,
        cross_fit=settings.cross_fit,
        seed=settings.seed,
    )


def _check_absorbed(parsed: ParsedFormula, model: str) -> None:
    """Raise FormulaError unless fixed effects are there just where the model has them."""
    absorbs = MODELS[model].absorbs
    if MODELS[model].needs_effects and not parsed.absorbed:
        raise FormulaError(f"model='{model}' needs fixed effects behind '|': '{parsed.text} | unit'")
    if not absorbs and parsed.absorbed:
        raise FormulaError(
            f"formula '{parsed.text}' has fixed effects behind '|', for which model='felm' or 'poisson' is needed"
        )


def _rehearse(table: pd.DataFrame, settings: Settings, caller: Functions) -> Analysis:
    """The analysis with random numbers for gold labels: whether it can be made at all, before a label is paid for."""
    rng = np.random.default_rng(0)
    # away from 0 and 1, so that logs, logits and shares of these stand-ins are finite
    gold = {name: rng.uniform(0.25, 0.75, len(table)) for name in settings.predicted}
    analysis = prepare_analysis(call_of(settings), table.assign(**gold), caller, quiet=True)
    sample = analysis.sample
    if settings.refusals == "raise":
        check_not_refused(sample.refused, sample.labeled, sample.labels)
    if sample.dropped:
        learnt = settings.refusals == "raise" and set(sample.dropped) <= set(settings.features)
        hint = "; refusals='indicator' keeps them, if the model refused them" if learnt else ""
        raise DataError(
            f"{sample.n_input - len(sample.data)} of {sample.n_input} rows have missing values "
            f"({missing_per_column(sample.dropped)}) and could not be used once labelled{hint}; fill them, or leave these rows "
            "out before drawing, data.dropna(subset=[...])"
        )
    # the naive fit's columns at the stand-ins: collinear there, collinear at any labels
    (blocks,) = analysis.blocks()
    check_columns(blocks.naive([blocks.version(gold)]), analysis.design.block_names)
    return analysis


def _with_names(settings: Settings, names: tuple[str, ...]) -> Settings:
    """The settings with the names of the coefficients aimed at, checked. "all" is all but the intercept."""
    everything = [name for name in names if name != "Intercept"] or list(names)
    chosen = everything if settings.coefficient == "all" else list(settings.coefficient)
    for argument, wanted in (("coefficient", chosen), ("se", list(settings.se))):
        unknown = [name for name in wanted if name not in names]
        if unknown or (argument == "coefficient" and not wanted):
            raise ArgumentError(
                f"{argument} names {repr(unknown[0]) if unknown else 'nothing'}; the coefficients are {', '.join(names)}"
            )
    return replace(settings, coefficient=chosen)
