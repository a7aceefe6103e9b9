"""The two sides of a formula, fitted: the one design-matrix type that both formula languages make.

A parsed formula (`ParsedFormula`) is a string in R's language (`dsl.data.formula.strings`) or an object of formulaic's
(`dsl.data.formula.formulaic_spec`). Each evaluates its own expressions. Estimators see columns of numbers only.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.formula.rlang.basis import most_columns
from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.formula.rlang.matrix import TermBlock, TwoLevels
from dsl.data.formula.rlang.values import Factor, Value
from dsl.data.messages import each_value
from dsl.data.recoding import recode, zero_and_one
from dsl.exceptions import FormulaError, NeedsAllRowsError, PredictionError

Values: TypeAlias = Mapping[str, FloatArray | pd.Categorical]
"""Predicted variables, (N,) each."""
TermColumns = tuple[tuple[frozenset[str], bool], ...]
"""For each expression of a term: the data's columns that it uses, and whether it makes categories of them."""


class CovariateSpec(Protocol):
    """The right-hand side, fitted, without the data: levels, contrasts, scales and knots are fixed. It can be pickled."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the design matrix's columns."""

    @property
    def r_names(self) -> tuple[str, ...]:
        """R's names of the same columns, or `column_names` where the formula is not R's."""

    @property
    def columns_used(self) -> tuple[str, ...]:
        """Columns of the data in the whole formula, outcome included."""

    @property
    def required(self) -> tuple[str, ...]:
        """Columns of the data that new rows need."""

    @property
    def kinds(self) -> Mapping[str, Factor | None]:
        """Columns of the data whose kind is known: levels of a category, None for numbers."""

    @property
    def functions(self) -> Functions:
        """What the formula uses of the caller's functions and numbers."""

    @property
    def term_columns(self) -> tuple[TermColumns, ...]:
        """What each term is made of."""

    @property
    def blocks(self) -> tuple[TermBlock, ...]:
        """The terms' columns, the intercept's first."""

    def columns(self, data: pd.DataFrame) -> FloatArray:
        """The design matrix of the rows of `data`, (N, k)."""

    def offset(self, data: pd.DataFrame) -> FloatArray | None:
        """Sum of the offsets on the rows of `data`, (N,), or None if there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The covariates, fitted: levels, contrasts and knots are those of the analysis data."""

    spec: CovariateSpec
    """All columns."""
    fixed: FloatArray = field(repr=False)
    """(N, f) columns without predicted variables."""
    fixed_index: tuple[int, ...]
    """Their places among all columns."""
    predicted_index: tuple[int, ...]
    """Places of the other p columns."""
    direct: tuple[str, ...] | None
    """The predicted variables that these columns are, where they are just that."""
    coded: tuple[str, ...]
    """Predicted variables of which these terms make categories."""
    changing: Callable[[pd.DataFrame, BoolArray | None], FloatArray] = field(repr=False)
    """Predicted columns of analysis data whose rows are those of the mask (all rows if None), (rows, p)."""
    data: pd.DataFrame = field(repr=False)
    """Analysis data."""
    fixed_of: Callable[[pd.DataFrame], FloatArray] = field(repr=False)
    """The columns without predicted variables on any rows, (rows, f)."""
    moving: Callable[[pd.DataFrame], FloatArray] = field(repr=False)
    """The predicted columns on any rows, whose predicted variables have values, (rows, p)."""

    def on(self, data: pd.DataFrame) -> "Part":
        """The same, as it was fitted, on other rows."""
        moving = self.moving
        return replace(self, fixed=self.fixed_of(data), data=data, changing=lambda rows, mask: moving(rows))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns in the formula's order, in Python's spelling."""
        return self.spec.column_names

    @property
    def r_names(self) -> tuple[str, ...]:
        """The names that R's ``model.matrix`` gives the same columns."""
        return self.spec.r_names

    def at(self, values: Values, rows: BoolArray | None = None) -> FloatArray:
        """Predicted columns with the predicted variables at `values`, on `rows` (all by default), (rows, p)."""
        # the common case, d itself: no formula is evaluated in the splits
        if self.direct is not None:
            return np.column_stack([values[name] for name in self.direct])
        data = self.data if rows is None else self.data[rows]
        if not self.predicted_index:
            return np.empty((len(data), 0))
        return self.changing(data.assign(**values), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The left-hand side, fitted."""

    name: str
    variables: frozenset[str]
    """Columns of the data in it."""
    fixed: FloatArray | None = field(repr=False)
    """(N, 1) the outcome if it holds no predicted variable."""
    changing: Callable[[pd.DataFrame], FloatArray] = field(repr=False)
    """The outcome on rows of the analysis data, (rows, 1)."""
    data: pd.DataFrame = field(repr=False)
    direct: str | None = None
    """The predicted number that it is as it stands, if it is one."""

    def on(self, data: pd.DataFrame) -> "Outcome":
        """The same, as it was fitted, on other rows."""
        return replace(self, fixed=None if self.fixed is None else self.changing(data), data=data)

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, alone in a tuple."""
        return (self.name,)

    @property
    def predicted_index(self) -> tuple[int, ...]:
        """``(0,)`` if it holds a predicted variable, else empty."""
        return (0,) if self.fixed is None else ()

    def at(self, values: Values, rows: BoolArray | None = None) -> FloatArray:
        """The outcome with the predicted variables at `values`, on `rows` (all by default), (rows, 1)."""
        # the common case: no formula is evaluated in the splits
        own = None if self.direct is None else values.get(self.direct)
        if isinstance(own, np.ndarray) and own.dtype.kind == "f" and np.isfinite(own).all():
            return own.copy()[:, None]
        data = self.data if rows is None else self.data[rows]
        return self.changing(data.assign(**values))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeOf:
    """What the outcome of a model is."""

    model: str = ""
    """The model, as messages name it."""
    classes: bool = False
    """Whether it is a class rather than a number."""
    ordered: bool = False
    """Whether the classes have an order."""
    linear: bool = True
    """Whether the moment is linear in it, so that its mean can be plugged in."""
    least: float = -np.inf
    """The least that it may be, at predictions too."""


LINEAR_OUTCOME = OutcomeOf()


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Both sides of the formula, and what the labelled rows show."""

    covariates: Part
    outcome: Outcome
    gold: FloatArray = field(repr=False)
    """(n, p) predicted covariate columns at the gold values."""
    gold_outcome: FloatArray = field(repr=False)
    """(n,) outcome on the labelled rows."""
    instruments: Part | None = None
    """Exogenous covariates and instruments, where the formula has some."""
    gold_instruments: FloatArray | None = field(repr=False, default=None)
    """(n, .) predicted columns of these at the gold values."""
    offset: FloatArray | None = field(repr=False, default=None)
    """(N,) sum of the formula's offsets, or None if there are none."""
    averaged: bool = False
    """Whether a predicted variable is a category, in the data or in the formula, or `curved`: no mean of it can be plugged in."""
    curved: tuple[str, ...] = ()
    """Predicted numbers inside a step, a power or the like, whose value at the mean is not its mean."""
    beside: tuple[str, ...] = ()
    """Other variables that occur in terms of predicted ones or as offsets only, so that no fixed column shows them."""
    linear: tuple[str, ...] = ()
    """The predicted variable that is the outcome as it stands, in which the moment is linear."""
    levels: tuple[str, ...] = ()
    """Classes of the outcome, whose codes 0, 1, ... it holds. Empty where the outcome is a number."""
    coded_outcome: tuple[str, ...] = ()
    """Predicted numbers of which the outcome makes classes."""
    outcome_of: OutcomeOf = LINEAR_OUTCOME
    """What the model's outcome is."""

    def on(self, data: pd.DataFrame, labels: slice) -> "Design":
        """The same, as it was fitted, on other rows, which hold the labelled rows of `labels`."""
        part = self.instruments
        return replace(
            self,
            covariates=self.covariates.on(data),
            outcome=self.outcome.on(data),
            gold=self.gold[labels],
            gold_outcome=self.gold_outcome[labels],
            instruments=None if part is None else part.on(data),
            gold_instruments=None if self.gold_instruments is None else self.gold_instruments[labels],
            offset=self.covariates.spec.offset(data),
        )

    def with_outcome_of(self, other: "Design", data: pd.DataFrame, labels: slice) -> "Design":
        """The same rows, as `on` has made them, with the outcome of another equation."""
        return replace(self, outcome=other.outcome.on(data), gold_outcome=other.gold_outcome[labels])

    @property
    def instrument_names(self) -> tuple[str, ...]:
        """Names of the instruments' columns ordered as fixed, predicted."""
        part = self.instruments
        return () if part is None else tuple(part.names[j] for j in (*part.fixed_index, *part.predicted_index))

    @property
    def coded(self) -> tuple[str, ...]:
        """Predicted variables of which terms make categories."""
        return (*self.covariates.coded, *(() if self.instruments is None else self.instruments.coded))

    @property
    def order(self) -> IntArray:
        """Positions that bring columns ordered as fixed, predicted into the formula's order."""
        # argsort of a permutation is its inverse
        return np.argsort([*self.covariates.fixed_index, *self.covariates.predicted_index])

    @property
    def block_names(self) -> tuple[str, ...]:
        """Column names ordered as fixed, predicted."""
        names = self.covariates.names
        return tuple(names[j] for j in (*self.covariates.fixed_index, *self.covariates.predicted_index))

    @property
    def r_names(self) -> tuple[str, ...]:
        """R's names of the columns, in the formula's order."""
        return self.covariates.r_names

    def outcome_at(self, values: Values) -> FloatArray:
        """Outcome with the predicted variables at `values`, (N,). Raises PredictionError if the model cannot have it."""
        if self.outcome.fixed is not None:
            return self.outcome.fixed[:, 0]
        found = self.outcome.at(values)[:, 0]
        if len(found) and found.min() < self.outcome_of.least:
            bad = pd.Series(found, index=self.outcome.data.index)[found < self.outcome_of.least]
            raise PredictionError(
                f"the moment of model='{self.outcome_of.model}' is not linear in its outcome, which must be "
                f"{self.outcome_of.least:g} or more at predictions too; at these '{self.outcome.name}' is {each_value(bad)}. "
                "Round the predictions to counts, np.maximum(data['prediction'].round(), 0), or use model='poisson'"
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows that a formula is fitted to."""

    data: pd.DataFrame
    """(N rows) complete but for the predicted variables, which are missing off the labelled rows."""
    filled: pd.DataFrame
    """The same with the predicted variables filled in, which no result depends on."""
    labeled: BoolArray
    """(N,)"""
    predicted: tuple[str, ...]
    """The predicted variables."""
    two_levels: TwoLevels = field(default_factory=dict)
    """R's two levels of predicted variables that are 0 and 1 here, and logical or a category in R."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFormula(ABC):
    """A formula as written, and what it means."""

    text: str
    """As printed."""
    variables: tuple[str, ...]
    """Data columns of outcome, covariates and offsets."""
    absorbed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Fixed effects after ``|`` by name, and the columns of each: several for ``a^b``, an effect of each combination."""
    functions: Functions = field(repr=False)
    """What the formula uses of the caller's functions and numbers."""

    @property
    @abstractmethod
    def outcome_name(self) -> str:
        """The left-hand side in Python's spelling."""

    @property
    @abstractmethod
    def outcome_column(self) -> str:
        """The column of the data that is the outcome as it stands, empty if it is an expression."""

    @property
    @abstractmethod
    def offset_columns(self) -> frozenset[str]:
        """Names in the offsets."""

    @property
    def instrumented(self) -> bool:
        """Whether it has instruments."""
        return False

    @abstractmethod
    def indicator(self, level: str) -> "ParsedFormula":
        """The formula with the indicator of one category of the outcome as its outcome."""

    @abstractmethod
    def beside(self, predicted: Sequence[str]) -> tuple[str, ...]:
        """Variables that occur together with predicted ones, or as offsets, and nowhere else."""

    def expressions(self, predicted: Sequence[str]) -> tuple[tuple[str, Callable[[pd.DataFrame], Value]], ...]:
        """What the formula is made of besides predicted variables: each expression in words, and its values on some rows.

        Raises
        ------
        NeedsAllRowsError
            It cannot be taken to pieces.
        """
        raise NeedsAllRowsError(
            f"the formula '{self.text}' is an object of formulaic's, which is evaluated on all rows at once, and the data are "
            "read in blocks; write the formula as a string"
        )

    def made_levels(self, labeled: pd.DataFrame, predicted: Sequence[str]) -> tuple[str, ...]:
        """Categories that the left-hand side makes of predicted numbers on the labelled rows, empty where it makes none."""
        return ()

    @abstractmethod
    def fit_outcome(self, rows: Rows) -> Outcome:
        """The left-hand side, fitted."""

    @abstractmethod
    def outcome_values(self) -> tuple[frozenset[str], Callable[[pd.DataFrame], Value]]:
        """Columns of the data in the left-hand side, and its values on some rows, categories as such.

        The rows of the first call decide about levels, knots and the like.
        """

    @abstractmethod
    def fit_covariates(self, rows: Rows, *, absorbed: bool) -> Part:
        """The right-hand side, fitted. With `absorbed`, fixed effects take the intercept's place.

        Means, scales and knots of predicted terms come from the gold values of the labelled rows.
        """

    def fit_instruments(self, rows: Rows, *, absorbed: bool) -> Part | None:
        """Exogenous covariates and instruments, fitted, or None where there are no instruments."""
        return None


def check_size(count: int, text: str, rows: int, levels: Mapping[str, int] | None = None) -> None:
    """Raise FormulaError unless the formula makes some columns, fewer than there are rows and than memory holds.

    `levels` counts the levels of its categories, by name.
    """
    if not count:
        raise FormulaError(f"formula '{text}' has no columns on its right-hand side")
    most = most_columns(rows)
    if count > most:
        name, size = max((levels or {}).items(), key=lambda each: each[1], default=("", 0))
        # the column in factor(id) and C(id, contr.sum)
        column = re.sub(r"^[\w.]+\(\s*|\s*[,)].*$", "", name)
        advice = (
            f"'{name}' has {size:,} levels: absorb them as fixed effects, model='felm' with 'y ~ x | {column}', or merge levels"
            if 10 * size > most
            else "leave terms out, or merge categories"
        )
        raise FormulaError(
            f"formula '{text}' makes {count:,} coefficients for {rows:,} rows, and {most:,} are the most; {advice}"
        )
    if count >= rows:
        raise FormulaError(
            f"formula '{text}' makes {count} coefficients for {rows} rows; leave terms out, or merge categories"
        )


def outcome_columns(text: str, columns: Sequence[str], name: str = "", levels: Sequence[str] = ()) -> FormulaError:
    """What is wrong with an outcome that is not one column of numbers.

    `name` and `levels` are the data's column and its categories, where it is a column of categories.
    """
    if name and levels:
        return FormulaError(
            f"the outcome '{name}' of '{text}' holds categories, and must be one column of numbers. "
            f"{recode(name, np.array(levels, dtype=object))}. For one category alone write I({name} == {_yes(levels)!r}) ~ ..."
        )
    return FormulaError(
        f"the outcome of '{text}' makes {len(columns)} columns ({', '.join(columns[:4])}); it must "
        "be one column of numbers: recode categories as 0/1"
    )


def _yes(levels: Sequence[str]) -> str:
    """The category that an example names: of yes and no it is yes."""
    pair = zero_and_one(np.array(levels, dtype=object))
    return levels[-1] if pair is None else pair[1]
