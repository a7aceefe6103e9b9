"""What a named estimator is: how it is fitted, and what follows from its kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dsl._typing import FloatArray, IntArray
from dsl.engine.blocks import Block
from dsl.engine.fit import SplitFit
from dsl.engine.instruments import InstrumentTests
from dsl.engine.lambdas import KINDS
from dsl.engine.moments import design_weights
from dsl.engine.pilot import Tuned
from dsl.engine.sums import WeightRule
from dsl.estimators.analysis import Analysis
from dsl.estimators.call import Call, Execution
from dsl.estimators.records import Splits
from dsl.estimators.splits import Solved
from dsl.estimators.streaming import Streaming
from dsl.learners.distribution import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimation:
    """Fits of all splits (one for an estimator that does not split) and the rows they rest on."""

    fits: list[SplitFit]
    n: int
    """Rows that enter the moments."""
    n_clusters: int | None
    behind: FloatArray
    """Labelled rows behind each parameter (`dsl.engine.behind.labels_behind`)."""
    tuned: list[Tuned] = field(default_factory=list)
    folds: IntArray | None = None
    targets: Targets | None = None
    instruments: list[InstrumentTests] = field(default_factory=list)
    """Of every split. Empty without instruments."""
    averaged: bool = False
    """Whether the moment is averaged over values of the predicted variables."""
    n_folds: int | None = None
    """Number of folds, where `folds` are not kept."""
    absorbed_rank: int | None = None
    """Rank of the fixed effects, where the analysis does not have all rows."""
    on_labels: bool = False
    """Whether the predictions of `targets` are those of the labelled rows alone."""

    @classmethod
    def of(
        cls,
        solved: Solved,
        *,
        n: int,
        n_clusters: int | None,
        folds: IntArray | None = None,
        targets: Targets | None = None,
        averaged: bool = False,
    ) -> "Estimation":
        """From the equations of all splits, solved."""
        return cls(
            fits=solved.fits,
            n=n,
            n_clusters=n_clusters,
            behind=solved.behind,
            tuned=solved.tuned,
            instruments=solved.instruments,
            folds=folds,
            targets=targets,
            averaged=averaged,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """One entry of the registry.

    A new estimator is one file with an `Estimator` and one line in `dsl.estimators.names`.
    """

    name: str
    """As in ``dsl.dsl(estimator=...)``."""
    title: str
    fit: Callable[[Analysis, Call, Execution], Estimation]
    streamed: Callable[[Streaming, Call, Execution], Estimation] | None = None
    """The same for rows that come in blocks. None where all rows are needed."""
    blocks: Callable[[Analysis, Call, Splits], Iterator[list[Block]]]
    """What was solved in each split, made again from what a fit keeps: a block for each equation."""
    words: str
    """What it does, as a sentence of a methods paragraph. ``{SOURCE}`` cites a source of `dsl.reports.page.sources`."""
    weights: WeightRule = design_weights
    """Weights of the moments (`dsl.engine.moments`)."""
    uses_labels: bool = True
    """Whether gold labels enter. Without them nothing about a finite population is random."""
    uses_surrogates: bool = True
    learns: bool = False
    """Whether gold labels are predicted out of fold, which needs a learner and folds."""
    imputes: bool = False
    """Whether the moment itself is imputed, with the observed variables of the analysis among the learner's features."""
    two_sample: bool = False
    """Whether labelled and unlabelled rows are two samples, with the variance of their sum."""
    several: bool = False
    """Whether it takes several surrogates of a variable, each with a Lambda of its own (`dsl.engine.lambdas`)."""
    default_tune: str | float | None = None
    kinds: tuple[str, ...] = KINDS
    """Kinds of Lambda that the user may ask for."""
    numbers: bool = True
    """Whether the user may fix Lambda."""
    advice: str = ""
    """What to do instead, where `tune` cannot be as asked."""
    t_if_tuned: bool = True
    """Whether intervals are Student's by default where a Lambda was chosen."""
    no_power: str = ""
    """Why its variance cannot be extrapolated to other numbers of labels, and what to do. Empty if it can."""
