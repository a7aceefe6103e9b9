"""The call behind a fit: everything that decides its numbers, resolved and checked."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dsl._typing import IntArray
from dsl.data.arguments import check_execution
from dsl.data.columns import StageColumns
from dsl.data.design import SamplingDesign
from dsl.data.formula.text import FormulaLike, formula_text
from dsl.data.trained import Rows
from dsl.engine.leave_out import LEAVE_OUT
from dsl.exceptions import ArgumentError
from dsl.learners.auto import Method


@dataclass(frozen=True, slots=True)
class Lost:
    """In the place of a learner that could not be written to a file."""

    described: str
    stored: bool = False
    """Whether the file has it, as code that nobody vouched for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Arguments of ``dsl.dsl``, by its names.

    Refits take it as it is, or with some arguments changed, so that nobody has to say anything twice.
    """

    formula: FormulaLike
    """As passed: a string, or an object of formulaic's."""
    model: str
    estimator: str
    predicted_var: tuple[str, ...]
    prediction: tuple[str, ...]
    pairs: Mapping[str, tuple[str, ...]]
    """Which surrogates stand for which predicted variable, where that is known."""
    feature: tuple[str, ...] = ()
    text: str | None = None
    """Column of the texts that the learner reads."""
    labeled: str | None = None
    sample_prob: str | None = None
    design: SamplingDesign | None = field(default=None, repr=False)
    """The labelling design (`dsl.sampling.LabelDesign`), in the place of `labeled` and `sample_prob`."""
    cluster: str | None = None
    across: str | None = None
    """Column of clusters in a second way, the second that `cluster` names."""
    weights: str | None = None
    """Column with what rows count for (`dsl.data.weights`)."""
    stages: tuple[tuple[tuple[tuple[str, str], ...], str | None], ...] = ()
    """Labels of lower quality on more rows: pairs of predicted variable and column, and the column of the probability."""
    trained_on: str | Rows | None = field(default=None, repr=False)
    """Rows that the predictions' maker has seen with their gold labels (`dsl.data.trained.as_trained`)."""
    index: tuple[str, ...] = ()
    """Columns of the absorbed fixed effects."""
    fixed_effect: str = "oneway"
    refusals: str = "raise"
    """What is done about missing predictions and features (`dsl.data.refusals.REFUSALS`)."""
    sl_method: Method | Lost = "auto"
    family: str = "gaussian"
    cross_fit: int = 5
    sample_split: int = 10
    seed: int = 1234
    folds: IntArray | None = field(default=None, repr=False)
    """(S, rows of the data), where the user supplied them."""
    tune: str | float | None = None
    target: str = "superpopulation"
    vcov: str = "robust"
    use_t: bool = False

    @property
    def formula_text(self) -> str:
        """The formula in one line, as printed."""
        return formula_text(self.formula)

    @property
    def clusters(self) -> tuple[str, ...]:
        """Columns of the clusters."""
        return tuple(name for name in (self.cluster, self.across) if name is not None)

    @property
    def leave_out(self) -> str | None:
        """The covariance, where it is one that leaves out one unit (`dsl.engine.leave_out`), else None."""
        return self.vcov if self.vcov in LEAVE_OUT else None

    @property
    def learner(self) -> Method:
        """The learner. Raises ArgumentError if a file of results could not hold it."""
        if isinstance(self.sl_method, Lost) and self.sl_method.stored:
            raise ArgumentError(
                f"the fit was read from a file that was not trusted, and its learner is code ({self.sl_method.described}): if "
                "you trust whoever wrote the file, DSLResults.load(path, trusted=True) reads it"
            )
        if isinstance(self.sl_method, Lost):
            raise ArgumentError(
                f"the fit was read from a file, which could not hold its learner ({self.sl_method.described}): fit again, with a "
                "learner that pickle can store (a name, a scikit-learn estimator, a function of a module)"
            )
        return self.sl_method

    @property
    def stage_columns(self) -> tuple[StageColumns, ...]:
        """Columns of each stage."""
        return tuple(StageColumns(labels=dict(labels), prob=prob) for labels, prob in self.stages)

    @property
    def surrogates(self) -> Mapping[str, tuple[str, ...]]:
        """All surrogates of each variable, for estimators that take several: of a single variable, every prediction."""
        if not self.pairs and len(self.predicted_var) == 1:
            return {self.predicted_var[0]: self.prediction}
        return self.pairs

    @property
    def measures(self) -> tuple[str, ...]:
        """What each of several measures is called: its surrogates."""
        count = max(map(len, self.surrogates.values()), default=0)
        every = [names * (count if len(names) == 1 else 1) for names in self.surrogates.values()]
        return tuple(", ".join(dict.fromkeys(each)) for each in zip(*every, strict=True))

    def portable(self) -> "Call":
        """The call as a file can hold it: without a learner that pickle cannot store."""
        try:
            pickle.dumps(self.sl_method)
        # pickle raises any of these for lambdas, local classes and open handles, depending on the object
        except (pickle.PicklingError, TypeError, AttributeError):
            return replace(self, sl_method=Lost(repr(self.sl_method)))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How a call is carried out: nothing that changes its numbers."""

    n_jobs: int = 1
    progress: bool = False
    memory: int = 2 * 10**9
    """Bytes that reading in blocks may take, about."""
    checkpoint: Path | None = None
    """File of finished passes (`dsl.estimators.checkpoint`)."""

    def __post_init__(self) -> None:
        """Both must make sense."""
        check_execution(self.n_jobs, self.progress)
