"""How many labels a learner needs: a fit repeated on fewer of its labels, the learner trained anew each time."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import BoolArray, FloatArray, IntArray, Record
from dsl.analyses.results import DSLResults
from dsl.data.arguments import MOST_COUNT, Seed, check_count, check_execution, explain_calls, random_generator
from dsl.data.design import aligned
from dsl.data.tables import TableLike, to_pandas
from dsl.estimators.again import analysis_of
from dsl.estimators.analysis import prepare_analysis
from dsl.estimators.call import Call, Execution
from dsl.estimators.result import Fit, fit_of
from dsl.estimators.run import run
from dsl.exceptions import ArgumentError, DSLWarning, EstimationError
from dsl.planning.power.before import WHOLE_UNITS
from dsl.planning.power.curve import VarianceCurve
from dsl.planning.power.from_fit import check_estimator, curve_of
from dsl.planning.power.results import check_sizes

SHARES = (0.25, 0.5, 0.75)
"""Default sizes, relative to the labels at hand."""
NEAR = 0.02
"""Difference in R2 that counts for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearningCurve:
    """What fewer labels would have given, returned by `learning_curve`.

    Attributes
    ----------
    table : DataFrame
        One row per number of labels and coefficient: ``labeled_size``, ``term``, ``std_error`` (the learner trained on so many
        labels), ``std_error_fixed`` (were its predictions as good as those from all labels) and ``learning``, the first over
        the second: above 1 as far as the learner had not learnt enough.
    quality : DataFrame
        One row per number of labels and predicted variable: ``labeled_size``, ``variable``, ``r2`` (out of fold).
    enough : dict
        For each predicted variable the fewest of these labels with an R2 within .02 of that with all of them.
    failed : dict
        Replications without a solution, by number of labels.
    n_labeled : int
        Labels at hand.
    replications : int
    """

    table: pd.DataFrame
    quality: pd.DataFrame
    enough: dict[str, int]
    failed: dict[int, int]
    n_labeled: int
    replications: int
    formula: str = field(repr=False)

    def __repr__(self) -> str:
        """One line: formula, sizes."""
        sizes = self.quality["labeled_size"]
        return f"<LearningCurve {self.formula}: {sizes.min()} to {self.n_labeled} labels, {self.replications} replications>"


@explain_calls
def learning_curve(
    fit: DSLResults,
    data: TableLike,
    *,
    labeled_size: ArrayLike | None = None,
    replications: int = 20,
    seed: Seed = 1234,
    n_jobs: int = 1,
    progress: bool = False,
) -> LearningCurve:
    r"""Out-of-fold R2 and standard errors of a fit with fewer labels, the learner trained anew on them.

    `power_dsl` takes the quality of the predictions to stay as it is. A learner that is still learning gets better with more
    labels, and worse with fewer. Here a random part of the labels is kept, and the whole fit is repeated, cross-fitting
    included. Where `learning` is close to 1 at half of the labels, more of them will hardly train it better, and `power_dsl` says
    what they are worth. Where it is not, standard errors will fall faster than `power_dsl` says.

    Parameters
    ----------
    fit : DSLResults
        A study so far, or a pilot.
    data : data frame
        The data that it was fitted to.
    labeled_size : list of int, optional
        Numbers of labels below those at hand. By default a quarter, a half, and three quarters of them.
    replications : int
        Random parts of each size. Standard errors and R2 are medians over them.
    seed : int or numpy.random.Generator
        Draws the parts, and the folds.
    n_jobs : int
        Parallel learner fits.
    progress : bool
        Show a progress bar.

    Returns
    -------
    LearningCurve
        ``table``, ``quality``, ``enough``.

    Raises
    ------
    ArgumentError
        The estimator trains no learner, or a size is above the number of labels.
    EstimationError
        No replication of some size has a solution.

    Notes
    -----
    No label is set aside for training. With K folds each prediction comes from a learner trained on (K - 1) / K of the labels,
    and all labels correct it: a share s set aside would train on s and correct with 1 - s, which is worse in both. In
    simulations (``tests/simulation/test_learning.py``) the best share had 1.3 to 1.9 times the variance of cross-fitting, at
    60 to 500 labels. Setting labels aside is for learners that can be trained once only. Every replication splits the rows into
    folds once.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=400, seed=1)
    >>> call = dict(predicted_var="human_rating", prediction="vader_compound", feature=["n_words", "hedge"], sl_method="xgboost")
    >>> fit = dsl.dsl("human_rating ~ negation", tweets, sample_split=1, **call)
    >>> curve = dsl.learning_curve(fit, tweets, labeled_size=[100], replications=3)
    >>> curve
    <LearningCurve human_rating ~ negation: 100 to 400 labels, 3 replications>
    >>> curve.quality["r2"].is_monotonic_increasing
    True
    """
    own = fit_of(fit)
    check_estimator(own)
    if not own.estimator.learns:
        raise ArgumentError(f"estimator='{own.call.estimator}' trains no learner: it has no learning curve")
    check_count(replications, name="replications", least=1)
    check_execution(n_jobs, progress)
    sizes = _sizes(labeled_size, own.n_labeled)
    thinned = _Thinned.of(own, data)
    rng, fits = random_generator(seed), dict[int, list[Fit]]()
    for size in _shown(np.repeat(sizes, replications), progress):
        again = _fitted_again(own, thinned, int(size), rng, Execution(n_jobs=n_jobs))
        fits.setdefault(int(size), []).extend([] if again is None else [again])
    return _curve(own, fits, replications, curve_of(own, thinned.drawn))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thinned:
    """The data of a fit, some labels of which are to be hidden."""

    frame: pd.DataFrame
    rows: IntArray
    """(n,) positions of the labelled rows."""
    unit: IntArray
    """(n,) what is kept or hidden whole: the rows themselves, or units that the design drew whole."""
    drawn: str
    """ "rows" or "clusters": what these are."""
    prob: FloatArray | None
    """(N,) probability of being labelled, where it was not the same for all."""

    @classmethod
    def of(cls, fit: Fit, data: TableLike) -> "_Thinned":
        """The data of a fit. Raises ArgumentError if they are others."""
        call, sample = fit.call, analysis_of(fit, data).sample
        frame = to_pandas(data, list(fit.sample.fingerprint))
        rows = sample.rows[sample.labeled]
        unit: IntArray = np.arange(len(rows))
        drawn, prob = "rows", None
        if call.design is not None:
            labeling = aligned(call.design, frame.index)
            prob = labeling.prob
            if call.design.kind in WHOLE_UNITS and labeling.unit is not None:
                unit, drawn = labeling.unit[rows], "clusters"
        elif call.sample_prob is not None:
            prob = frame[call.sample_prob].to_numpy(dtype=float)
        return cls(frame=frame, rows=rows, unit=unit, drawn=drawn, prob=prob)

    def part(self, call: Call, size: int, rng: np.random.Generator) -> tuple[pd.DataFrame, Call]:
        """The table with about `size` labels (exactly so many rows, or whole units), and the call that says so."""
        units = np.unique(self.unit)
        count = max(1, round(len(units) * size / len(self.rows)))
        kept = np.isin(self.unit, rng.choice(units, count, replace=False))
        hidden: BoolArray = np.zeros(len(self.frame), dtype=bool)
        hidden[self.rows[~kept]] = True
        changed: Record = {name: self.frame[name].where(~hidden) for name in call.predicted_var}
        if call.labeled is not None:
            changed[call.labeled] = self.frame[call.labeled].where(~hidden, 0)
        column = None
        if self.prob is not None:
            column = "_probability" + "_" * max(map(len, map(str, self.frame)))  # no column is as long
            changed[column] = self.prob * count / len(units)
        other = replace(
            call,
            sample_prob=column,
            design=None,
            folds=None,
            sample_split=1,
            seed=int(rng.integers(2**31)),
        )
        return self.frame.assign(**changed), other


def _fitted_again(fit: Fit, thinned: _Thinned, size: int, rng: np.random.Generator, execution: Execution) -> Fit | None:
    """A fit on a part of the labels, or None where it has no solution."""
    table, call = thinned.part(replace(fit.call, cross_fit=fit.cross_fit or fit.call.cross_fit), size, rng)
    try:
        return _refitted(fit, table, call, execution)
    except EstimationError:
        return None


def _refitted(fit: Fit, table: pd.DataFrame, call: Call, execution: Execution) -> Fit:
    known = list(fit.sample.fingerprint)
    with warnings.catch_warnings():
        # about labels that are hidden here, and there in truth
        warnings.simplefilter("ignore", DSLWarning)
        analysis = prepare_analysis(call, table, fit.predictor.spec.functions, known=known, quiet=True)
        return run(call, analysis, execution)


def _curve(fit: Fit, fits: dict[int, list[Fit]], replications: int, fixed: VarianceCurve) -> LearningCurve:
    """Medians over the replications, and the fit itself at the labels at hand."""
    empty = [size for size, own in fits.items() if not own]
    if empty:
        raise EstimationError(
            f"none of {replications} fits with {empty[0]} labels has a solution; ask for more labels, or for fewer folds "
            "(cross_fit) when fitting"
        )
    tables, qualities = [], []
    for size, own in {**fits, fit.n_labeled: [fit]}.items():
        se = np.median([each.bse for each in own], axis=0)
        as_now = fit.bse if size == fit.n_labeled else fixed.se(np.array([float(size)]))[0]
        columns = {"labeled_size": size, "term": fit.names, "std_error": se, "std_error_fixed": as_now}
        tables.append(pd.DataFrame({**columns, "learning": se / as_now}))
        r2 = pd.DataFrame([_quality(each)["r2"] for each in own]).median()
        qualities.append(pd.DataFrame({"labeled_size": size, "variable": r2.index, "r2": r2.to_numpy()}))
    quality = pd.concat(qualities, ignore_index=True)
    return LearningCurve(
        table=pd.concat(tables, ignore_index=True),
        quality=quality,
        enough={str(name): _enough(own) for name, own in quality.groupby("variable", sort=False)},
        failed={size: replications - len(own) for size, own in fits.items() if len(own) < replications},
        n_labeled=fit.n_labeled,
        replications=replications,
        formula=fit.call.formula_text,
    )


def _quality(fit: Fit) -> pd.DataFrame:
    assert fit.fit_quality is not None  # of an estimator that learns
    return fit.fit_quality


def _enough(quality: pd.DataFrame) -> int:
    """The fewest labels from which on R2 is never far below the last."""
    far = np.flatnonzero(quality["r2"].to_numpy() < quality["r2"].iloc[-1] - NEAR)
    return int(quality["labeled_size"].iloc[far[-1] + 1 if len(far) else 0])


def _sizes(labeled_size: ArrayLike | None, n_labeled: int) -> IntArray:
    """Numbers of labels below those at hand, ascending."""
    # no number of rows is a limit here: that of labels is
    wanted = np.array(SHARES) * n_labeled if labeled_size is None else check_sizes(labeled_size, MOST_COUNT)
    above = wanted[wanted > n_labeled]
    if len(above):
        raise ArgumentError(
            f"labeled_size={above[0]:g} is more than the {n_labeled} labels at hand, and how well a learner would do with labels "
            "that nobody has seen cannot be tried; power_dsl goes further, with predictions as good as they are now"
        )
    sizes = np.unique(wanted.round().astype(np.int64))
    return sizes[(sizes > 0) & (sizes < n_labeled)]


def _shown(sizes: IntArray, progress: bool) -> Iterable[int]:
    """The fits to be made, with a progress bar if asked for."""
    if not progress:
        return sizes
    # only where it is shown: in a notebook without widgets the import alone warns
    from tqdm.auto import tqdm

    bar: Iterable[int] = tqdm(sizes)
    return bar
