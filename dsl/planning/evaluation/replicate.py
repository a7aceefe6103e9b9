"""One cell of an evaluation: draw a design once, show its labels, let every estimator use them."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import pandas as pd

from dsl._typing import Arguments, Record
from dsl.analyses.regression import dsl
from dsl.analyses.results import DSLResults
from dsl.data.drawn import labels_known
from dsl.data.formula.caller import call_among
from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.formula.text import FormulaLike
from dsl.data.tables import first_rows
from dsl.estimators.kept import analyses_kept
from dsl.estimators.short import BASELINE
from dsl.exceptions import (
    AllLabeledWarning,
    ArgumentError,
    DataError,
    DSLError,
    EstimationError,
    MissingDependencyError,
)
from dsl.learners.crossfit import predictions_kept
from dsl.planning.evaluation.strategies import Adaptive, Contender, Oracle
from dsl.sampling.design import LabelDesign

COLUMNS = ("estimate", "std_error", "conf_low", "conf_high")
"""What is kept of each coefficient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One draw of one design."""

    design: str
    n_labels: int
    replication: int

    @property
    def key(self) -> tuple[str, int, int]:
        """What the cell is called in a checkpoint."""
        return self.design, self.n_labels, self.replication

    def seeds(self, seed: int) -> tuple[np.random.Generator, int]:
        """Generator of the draw, and seed of the fits: the same whatever else is evaluated, and in whatever order."""
        # the design's name as eight 32-bit words, so that a cell's key is made of whole numbers
        name = np.frombuffer(sha256(self.design.encode()).digest(), dtype=np.uint32)
        cell = np.random.SeedSequence(seed, spawn_key=(*name.tolist(), self.n_labels, self.replication))
        # two streams: a design that draws more random numbers leaves the fits' seeds as they are
        draw, fit = cell.spawn(2)
        return np.random.default_rng(draw), int(fit.generate_state(1)[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all cells share."""

    data: pd.DataFrame = field(repr=False)
    """The rows, with the gold label of each."""
    predicted: tuple[str, ...]
    formula: FormulaLike
    call: Arguments
    """Arguments of `dsl.dsl` that all estimators share."""
    alpha: float
    seed: int
    contenders: Mapping[str, Contender]
    """By name of the design."""
    functions: Functions = field(default_factory=dict)
    """The user's functions and numbers that the formula names."""
    terms: tuple[str, ...] = ()
    """Coefficients looked at."""

    @property
    def hidden(self) -> pd.DataFrame:
        """The rows without their gold labels."""
        return self.data.drop(columns=list(self.predicted))


def call_dsl(setting: Setting, data: pd.DataFrame, arguments: Arguments) -> DSLResults:
    """`dsl.dsl` with the shared arguments and those given. Mistakes, of a learner say, are raised with a note of these."""
    call = {"formula": setting.formula, "data": data, **setting.call, **arguments}
    try:
        with labels_known():
            return call_among(setting.functions, dsl, call)
    except DSLError:
        raise
    except Exception as error:
        error.add_note(f"while fitting {dict(arguments)}")
        raise


def fit_truth(setting: Setting) -> pd.Series:
    """Coefficients with the gold label of every row, (k,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AllLabeledWarning)
        marked = "_labeled"
        while marked in setting.data:
            marked = f"_{marked}"
        # said, so that no label is taken for a code of unlabelled rows
        given = {"estimator": "gold_only", "labeled": marked}
        params: pd.Series = call_dsl(setting, setting.data.assign(**{marked: 1}), given).params
        return params


def rehearse(setting: Setting, counts: Sequence[int]) -> None:
    """Raise what would fail in every draw: each estimator is tried on one simple random sample, each adaptive design begun.

    Whether the equations have a solution depends on the draw, and does not matter here.
    """
    # replication 0: random numbers of its own, as the others count from 1
    cell = Cell(design=BASELINE[0], n_labels=max(counts), replication=0)
    rng, seed = cell.seeds(setting.seed)
    design = _draw(setting, cell, rng)
    data = _show(setting, design)
    estimators = {
        name: each for contender in setting.contenders.values() for name, each in contender.estimators.items()
    }
    with analyses_kept(), predictions_kept():
        for arguments in estimators.values():
            # a draw without solution says nothing about the next one
            with _kept_warnings(), suppress(EstimationError, DataError):
                call_dsl(setting, data, {"design": design, "seed": seed, **arguments})
    for contender in setting.contenders.values():
        if isinstance(contender.strategy, Adaptive):
            contender.strategy.begun(setting.hidden, min(counts))


def run_cell(setting: Setting, cell: Cell) -> Record:
    """Estimates of one cell as JSON: labels drawn and, by estimator, `COLUMNS` or why it failed, and its warnings.

    Errors of single draws and fits are recorded, also where an estimator does not suit a design. Raised are an
    `ArgumentError` of a design, and errors that are no `DSLError`.
    """
    rng, seed = cell.seeds(setting.seed)
    estimators = setting.contenders[cell.design].estimators
    with _kept_warnings() as drawing:
        try:
            design = _draw(setting, cell, rng)
        except (ArgumentError, MissingDependencyError):
            raise
        except DSLError as error:
            return {"n_labeled": None, "estimators": dict.fromkeys(estimators, _failed(error))}
    data = _show(setting, design)
    fits = {}
    with analyses_kept(), predictions_kept():
        for name, arguments in estimators.items():
            with _kept_warnings() as fitting:
                # the same seed for all estimators of the cell: they see the same folds
                record = _fit(setting, data, {"design": design, "seed": seed, **arguments})
            named = ", ".join(sorted(drawing | fitting))
            fits[name] = {**record, "warning": named} if named else record
    return {"n_labeled": design.n_drawn, "estimators": fits}


@contextmanager
def _kept_warnings() -> Iterator[set[str]]:
    """Warnings are not shown. The set that is yielded holds the names of their classes in the end."""
    names: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # the set is filled when the block ends
        yield names
        names.update(warning.category.__name__ for warning in caught)


def _failed(error: DSLError) -> dict[str, str]:
    return {"failed": f"{type(error).__name__}: {error}"}


def _draw(setting: Setting, cell: Cell, rng: np.random.Generator) -> LabelDesign:
    # the oracle notes who was asked for, the design says who counts: the first must be among the second
    ask = Oracle(setting.data[list(setting.predicted)])
    design = setting.contenders[cell.design].strategy.draw(setting.hidden, cell.n_labels, rng, ask)
    if not isinstance(design, LabelDesign):
        raise ArgumentError(
            f"design '{cell.design}' must return a LabelDesign (the functions of dsl.sampling do); found {type(design).__name__}"
        )
    if not design.rows.equals(setting.data.index):
        raise ArgumentError(
            f"design '{cell.design}' must have the data's rows, in their order; those of its {len(design)} differ"
        )
    uncounted = ask.asked.difference(design.drawn_rows) if ask.asked else ()
    if uncounted:
        raise ArgumentError(
            f"design '{cell.design}' asked for the gold label of {len(uncounted)} rows that it does not count as drawn; every "
            "label asked for must be one of its n_labels"
        )
    return design


def _show(setting: Setting, design: LabelDesign) -> pd.DataFrame:
    """The data with the gold labels of the rows drawn, missing elsewhere."""
    return setting.data.assign(**{name: setting.data[name].where(design.drawn) for name in setting.predicted})


def _fit(setting: Setting, data: pd.DataFrame, arguments: Arguments) -> Record:
    """`COLUMNS` of the terms, or why the fit failed."""
    try:
        return _estimates(setting, call_dsl(setting, data, arguments))
    except DSLError as error:
        return _failed(error)


def _estimates(setting: Setting, fit: DSLResults) -> Record:
    table = fit.tidy(alpha=setting.alpha)
    # -1 for a coefficient that this fit does not have, such as a level that no labelled row has
    place = pd.Index(table["term"]).get_indexer(pd.Index(setting.terms))
    if (place < 0).any():
        lacking = ", ".join(f"'{term}'" for term, j in zip(setting.terms, place, strict=True) if j < 0)
        raise EstimationError(f"the labelled rows give no coefficient {lacking}; the fit with every label does")
    values = table[list(COLUMNS)].to_numpy(dtype=float)[place]
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.any():
        found = first_rows(wrong, pd.Index(setting.terms), "coefficient")
        raise EstimationError(f"estimate or interval is not finite for {found}")
    return dict(zip(COLUMNS, values.T.tolist(), strict=True))


def run_cells(setting: Setting, cells: list[Cell], n_jobs: int) -> Iterator[tuple[Cell, Record]]:
    """Records of the cells as they are finished, one thread each, so that sums do not depend on `n_jobs`."""
    if n_jobs == 1:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):
            for cell in cells:
                yield cell, run_cell(setting, cell)
        return
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=1):
        # as they come: the checkpoint loses little if the run is interrupted
        parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
        yield from parallel(delayed(_named)(setting, cell) for cell in cells)


def _named(setting: Setting, cell: Cell) -> tuple[Cell, Record]:
    return cell, run_cell(setting, cell)
