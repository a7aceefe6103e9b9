"""The moment equations of every split, solved one after the other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dsl._typing import FloatArray
from dsl.data.arguments import warn_caller
from dsl.engine.behind import FEW, labels_behind
from dsl.engine.blocks import Block
from dsl.engine.centre import Centring, gram_of, shared_columns
from dsl.engine.checks import check_columns
from dsl.engine.equations import join
from dsl.engine.fit import SplitFit, fit_split
from dsl.engine.instruments import InstrumentTests, tests_of
from dsl.engine.leave_out import BELL_MCCAFFREY, left_out_scores, satterthwaite
from dsl.engine.moments import augmentation_weights, design_weights
from dsl.engine.pilot import Tuned
from dsl.engine.streamed import Rows, in_memory
from dsl.engine.sums import Problem, label_meat, label_scores, row_scores
from dsl.engine.tuning import fit_tuned, side_by_side
from dsl.exceptions import EstimationError, JacobianWarning

Tune = str | float | None
Equation = tuple[SplitFit, Tuned | None]
"""The fit of one equation of one split, and the Lambda that was chosen."""
NO_ERROR = 1e-9
"""Difference of moments at gold values and at predictions, relative to the former, that rounding makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """The equations of every split, solved."""

    fits: list[SplitFit]
    """One for each split, with parameters in the blocks' order, equation after equation."""
    tuned: list[Tuned]
    """The same of the chosen Lambdas. Empty without."""
    behind: FloatArray
    """Labelled rows behind each parameter (`dsl.engine.behind.labels_behind`), in the first split."""
    instruments: list[InstrumentTests]
    """Of the first equation, in every split. Empty without instruments."""


@dataclass(slots=True)
class Common:
    """What the splits share: the problem with the Gram matrix of the fixed columns, their centring, and starts."""

    problem: Problem
    centring: Centring | None
    behind: FloatArray
    """(k,) `labels_behind` of one equation: all have the same columns."""
    starts: list[FloatArray | None] = field(default_factory=list)

    @classmethod
    def of(cls, problem: Problem, blocks: Sequence[Rows], *, counted: bool = True) -> "Common":
        """From the first split, with labelled rows `counted` now or later (`count`). Raises CollinearityError."""
        own_gram = gram_of(blocks[0])
        check_columns(blocks[0], problem.names, own_gram)
        gram, centring = shared_columns(blocks[0], problem, own_gram)
        # a row's design weights add up to what the row counts for, other weights need not: then the Gram matrix is part of
        # every split's Jacobian
        behind = _behind(problem, blocks[0], centring, gram) if counted else np.empty(0)
        if problem.link.slope is None and problem.weights is design_weights and not blocks[0].has_left:
            problem = replace(problem, fixed_gram=gram)
        return cls(problem, centring, behind, [None] * len(blocks))

    def count(self, block: Rows) -> None:
        """Count the labelled rows behind each parameter, in the first split."""
        gram, _ = shared_columns(block, self.problem)
        self.behind = _behind(self.problem, block, self.centring, gram)


def _behind(problem: Problem, block: Rows, centring: Centring | None, gram: FloatArray) -> FloatArray:
    basis = None if centring is None else centring.back_columns(len(problem.names))
    return labels_behind(block if centring is None else centring.apply(block), problem, basis, gram)


def _basis(centring: Centring | None, problem: Problem) -> FloatArray | None:
    """Takes the parameters of centred columns to the reported ones."""
    return None if centring is None else centring.back(len(problem.parameters))


def fit_splits(problem: Problem, splits: Iterable[Sequence[Block]], tune: Tune = None) -> Solved:
    """Fit the equations of every split, each from where the first split's ended.

    Parameters
    ----------
    problem : Problem
    splits : iterable of lists of Block
        A block for each equation, in every split.
    tune : str, float or None
        As in `dsl.engine.tuning.fit_tuned`. None solves at Lambda = I. Lambda is chosen for coefficients with enough labelled
        rows behind them, and is one for others.
    """
    solved: list[OneSplit] = []
    common: Common | None = None
    for blocks in splits:
        common = common or Common.of(problem, blocks)
        solved.append(fit_one(blocks, common, tune))
        # later splits start at the first one's estimates, which are close: their predictions differ by other folds only
        if len(solved) == 1:
            common.starts = list(solved[0].at)
    return together(solved, common)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneSplit:
    """The equations of one split, solved."""

    fit: SplitFit
    choice: Tuned | None
    instruments: InstrumentTests | None
    at: tuple[FloatArray, ...]
    """Estimates of each equation, on centred columns."""


def fit_one(blocks: Sequence[Rows], common: Common, tune: Tune) -> OneSplit:
    """Fit the equations of one split."""
    own = [centred(block, common) for block in blocks]
    each = [fit_equation(block, common, tune, start) for block, start in zip(own, common.starts, strict=True)]
    rows = [scores_of(block, common.problem, fitted) for block, fitted in zip(own, each, strict=True)]
    return joined(own, each, rows, common, _left_out(own, common, each))


def centred(block: Rows, common: Common) -> Rows:
    """The rows with the columns that the engine sees."""
    return block if common.centring is None else common.centring.apply(block)


def joined(
    own: Sequence[Rows],
    each: Sequence[Equation],
    rows: Sequence[Iterable[FloatArray]],
    common: Common,
    corrected: Sequence[FloatArray] = (),
) -> OneSplit:
    """The equations of one split together.

    Parameters
    ----------
    own : sequence of Block or Streamed
        Rows of each equation, as `centred` has them.
    each : sequence of Equation
        Fitted to these.
    rows, corrected
        As `dsl.engine.equations.join`.
    common : Common
    """
    problem, centring = common.problem, common.centring
    joint = join([fit for fit, _ in each], rows, own[0], problem, corrected)
    if problem.labeling is not None:
        _check_errors(own, joint, problem)
    if problem.draw is not None:
        about = problem.draw.about(joint.drawn_scores).label_scores
        joint = replace(joint, label_scores=about, label_meat=label_meat(own[0], problem, about))
    choices = [choice for _, choice in each if choice is not None]
    choice = side_by_side(choices) if choices else None
    tests = tests_of(own[0], problem, each[0][0].params) if own[0].has_left else None
    # joined first, undone after: the covariance between equations changes with the columns too
    return OneSplit(
        fit=joint if centring is None else centring.undo(joint, len(own)),
        choice=choice if centring is None or choice is None else centring.undo_tuned(choice, len(own)),
        instruments=tests,
        at=tuple(fit.params for fit, _ in each),
    )


def together(solved: Sequence[OneSplit], common: Common | None) -> Solved:
    """All splits. Warns where a Jacobian is weak."""
    fits = [each.fit for each in solved]
    _warn_if_weak(fits)
    return Solved(
        fits=fits,
        tuned=[each.choice for each in solved if each.choice is not None],
        behind=np.empty(0) if common is None else np.tile(common.behind, len(common.starts)),
        instruments=[each.instruments for each in solved if each.instruments is not None],
    )


def fit_equation(block: Rows, common: Common, tune: Tune, start: FloatArray | None) -> Equation:
    """Fit one equation of one split, on `centred` rows."""
    problem, basis = common.problem, _basis(common.centring, common.problem)
    choice = None
    if tune is None:
        fit = fit_split(block, problem, start=start)
    else:
        fit, choice = fit_tuned(block, problem, tune, start=start, basis=basis, few=common.behind < FEW)
    if problem.leave_out in BELL_MCCAFFREY and not isinstance(tune, str):
        at, tuned = _point(problem, fit, choice)
        every = np.eye(len(fit.params)) if basis is None else basis
        meats = fit.label_meat, fit.meat
        fit = replace(fit, df=satterthwaite(block, tuned, at, fit.jacobian, meats, every))
    return fit, choice


def _point(problem: Problem, fit: SplitFit, choice: Tuned | None) -> tuple[FloatArray, Problem]:
    """Parameters at which a fit took its scores, and the problem with its Lambda."""
    # a tuned fit is one step from its pilot, and its meat was taken at the pilot
    at = fit.params if choice is None or choice.at is None else choice.at
    return at, replace(problem, tuning=None if choice is None else choice.tuning)


def _left_out(blocks: Sequence[Rows], common: Common, fits: Sequence[Equation]) -> list[FloatArray]:
    """Scores of the units of each of several equations as a covariance that leaves one out has them. None for the plain one."""
    if common.problem.leave_out is None or len(blocks) == 1:
        return []
    return [_corrected(in_memory(block), common.problem, *fitted) for block, fitted in zip(blocks, fits, strict=True)]


def _corrected(block: Block, problem: Problem, fit: SplitFit, choice: Tuned | None) -> FloatArray:
    if choice is not None and choice.corrected is not None:
        return choice.corrected
    at, tuned = _point(problem, fit, choice)
    return left_out_scores(block, tuned, at, fit.jacobian)


def scores_of(block: Rows, problem: Problem, fitted: Equation) -> Iterator[FloatArray]:
    """Scores of a fit, row by row in pieces."""
    at, tuned = _point(problem, *fitted)
    return row_scores(block, tuned, at, problem.weights, augmentation_weights)


def _check_errors(blocks: Sequence[Rows], fit: SplitFit, problem: Problem) -> None:
    """Raise EstimationError if labelled rows show no error of the predictions, all that a finite population varies by."""
    n, labeled, k = blocks[0].shape[0], len(blocks[0].gold_rows), len(problem.parameters)
    if labeled in (0, n):
        return
    nothing = np.zeros((k, k * blocks[0].n_measures))
    alone, params = replace(problem, tuning=nothing), fit.params.reshape(len(blocks), k)
    # what the labelled rows add to each coefficient's error, with the predictions and without
    gold = np.hstack([label_scores(block, alone, own) for block, own in zip(blocks, params, strict=True)])
    if np.all(np.abs(fit.label_scores).max(axis=0) <= NO_ERROR * np.abs(gold).max(axis=0)):
        raise EstimationError(
            f"the predictions equal the gold labels on all {labeled} labelled rows: nothing shows what errors they make on the "
            f"other {n - labeled}, and with target='finite' standard errors would be zero; look whether a prediction is a copy "
            "of the labels, label more rows, or use target='superpopulation'"
        )


def _warn_if_weak(fits: list[SplitFit]) -> None:
    weak = [str(s + 1) for s, fit in enumerate(fits) if not fit.positive_definite]
    if weak:
        warn_caller(
            JacobianWarning,
            f"the Jacobian of the moment is not positive definite in {len(weak)} of {len(fits)} splits ({', '.join(weak)}): "
            "the labelled sample is small for these predicted covariates, and the estimates may be far off; label more rows",
        )
