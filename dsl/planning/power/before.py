"""Power before anything is labelled: fits on gold labels drawn from surrogates of an assumed accuracy."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import Arguments, FloatArray, Record
from dsl.analyses.results import DSLResults
from dsl.data.arguments import (
    MOST_REPLICATIONS,
    Names,
    Pairs,
    check_count,
    check_flags,
    check_most,
    explain_calls,
    pair_surrogates,
    warn_caller,
)
from dsl.data.formula.caller import formula_names
from dsl.data.formula.text import FormulaLike, formula_text
from dsl.data.tables import TableLike, column_names, to_pandas
from dsl.engine.models import MODELS
from dsl.engine.models.family import Family
from dsl.estimators.result import fit_of
from dsl.exceptions import ArgumentError, EstimationError, PowerWarning
from dsl.planning.power.assumed import Accuracy, draw_gold
from dsl.planning.power.curve import VarianceCurve
from dsl.planning.power.from_fit import call_dsl, curve_of, gold_only_curve
from dsl.planning.power.results import PowerResults, default_sizes, evaluate
from dsl.planning.power.study import Study
from dsl.sampling import LabelDesign, simple_random

FACTORS = np.array([0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0])
"""Default sizes relative to the planned one."""
WHOLE_UNITS = ("cluster", "two_stage")
"""Kinds of designs that are enlarged by drawing more clusters."""
REFUSED = {
    "labeled": "nothing is labelled yet",
    "folds": "every replication has its own rows to split",
    "sample_prob": "the design gives the probabilities",
    "stages": "dsl.planning.power.plan_stages plans labels in stages",
    "trained_on": "nothing is labelled yet, and nobody can have seen labels",
}
MOST_FAILURES = 0.5
"""Share of replications that may have no solution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """One fit on drawn gold labels."""

    terms: tuple[str, ...]
    formula: str
    estimator: str
    nobs: int  # rows of the data
    n_drawn: int  # of which some may be left out for missing values, as others are
    highest: float  # largest sampling probability
    se: FloatArray  # (k,)
    curve: VarianceCurve
    gold_only: VarianceCurve | None


@explain_calls
def plan_dsl(
    formula: FormulaLike,
    data: TableLike,
    *,
    predicted_var: Pairs,
    prediction: Names | None = None,
    labeled_size: int | None = None,
    design: Callable[..., LabelDesign] | None = None,
    accuracy: Accuracy | Mapping[str, Accuracy] | None = None,
    rmse: float | Mapping[str, float] | None = None,
    replications: int = 20,
    seed: int = 1234,
    progress: bool = False,
    **arguments: Any,
) -> PowerResults:
    r"""Standard errors to expect before anything is labelled, if the surrogates are as accurate as assumed.

    Gold labels are drawn from the surrogates with the assumed error rates, rows are drawn for labelling as planned, and
    `dsl.dsl` is fitted to the real covariates, `replications` times, pooled by medians. Other numbers of labels
    follow as in `power_dsl`.

    Parameters
    ----------
    formula
        As in `dsl.dsl`.
    data : data frame
        All rows, with surrogates and covariates. The columns of the predicted variables need not exist.
    predicted_var, prediction
        As in `dsl.dsl`. Each predicted variable needs its own surrogate.
    labeled_size : int
        Planned number of labelled rows, a simple random sample.
    design : callable, optional
        Another way to draw them, instead of `labeled_size`: called as ``design(data, seed=...)``, returns a `LabelDesign`.
        ``functools.partial(dsl.sampling.stratified, n_labels=500, by="source")`` makes one.
    accuracy : float, str or dict
        How often 0/1 surrogates are right. A number: the same for every row. ``{0: .95, 1: .7}``: among surrogates of 0 and
        of 1 (negative and positive predictive value). ``{"sensitivity": .8, "specificity": .95}``: among gold labels of 1
        and of 0, which together with the share of 1 among the surrogates give the former. A column's name: each row's
        own probability, such as the confidence of a calibrated model. With several predicted variables a dict of
        variable to any of these.
    rmse : float or dict
        Root mean squared error of surrogates that are numbers: gold = surrogate + normal noise. The outcome of a model that needs
        zero or more (``"poisson"``, ``"gamma"``) is a gamma variable around its surrogate instead, with a variance in
        proportion to it. With several predicted variables a dict of variable to number, each variable being in `accuracy` or
        in `rmse`.
    replications : int
    seed : int
        Draws gold labels, rows and folds.
    progress : bool
        Show a progress bar.
    **arguments
        Further arguments of `dsl.dsl`: ``model``, ``cluster``, ``feature``, ``sl_method``, ``estimator``, ...

    Returns
    -------
    PowerResults

    Raises
    ------
    ArgumentError
        An assumption is missing, or impossible with these surrogates, or the data have gold labels already.
    EstimationError
        Most replications have no solution.

    Warns
    -----
    PowerWarning
        Some replications have none.

    Notes
    -----
    Errors are drawn independently of each other and, given the surrogate (or the row's own accuracy), of all other
    variables. Real errors depend on the covariates, and the standard errors are then too small: by 3 to 22% for the bundled
    ratings with VADER's true predictive values. With its accuracy by covariates (negation, hedge, source, length) in a column
    they are right within 4%. The effects among the drawn labels are those among the surrogates, weakened. As soon as some
    rows are labelled, `power_dsl` on them does without such assumptions. So does `learning_curve` about learners: labels that are
    drawn from the surrogates hold nothing that a learner could find in texts or features.

    Examples
    --------
    >>> import dsl
    >>> from dsl.planning.power import plan_dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=0)
    >>> plan = plan_dsl("human_positive ~ negation", tweets, predicted_var="human_positive", prediction="vader_positive",
    ...                 labeled_size=500, accuracy=0.8, replications=5, sample_split=2)
    >>> plan.predicted_se["negation"].round(3).loc[[500, 1000]].tolist()
    [0.048, 0.035]
    """
    predicted, listed, pairs = pair_surrogates(predicted_var, prediction)
    frame = unlabeled(data, predicted)
    draw_rows, planned = _drawing(design, labeled_size, len(frame))
    errors = assumed_errors(predicted, pairs, accuracy, rmse)
    positive = _positive_outcome(formula, arguments)
    _check_rest(arguments, replications)
    check_count(seed, name="seed")
    check_flags(progress=progress)
    named = {"predicted_var": list(predicted), "prediction": list(listed), **arguments}
    fitting = partial(call_dsl, formula_names(2), formula, **named)
    out: list[Replicate] = []
    problem: EstimationError | None = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # a generator for each replication, so that they can be told apart and repeated
        for child in _shown(np.random.SeedSequence(seed).spawn(replications), progress):
            try:
                out.append(_replicate(fitting, frame, errors, positive, draw_rows, np.random.default_rng(child)))
            except EstimationError as error:
                problem = error
    _pass_on(caught)
    if problem is not None:
        _report_failures(replications - len(out), replications, problem)
    # a design of random size is planned at its median
    study = pooled(out, planned or int(np.median([one.n_drawn for one in out])), _words(errors, len(out)))
    return evaluate(study, default_sizes(study, FACTORS))


def _replicate(
    fitting: Callable[..., DSLResults],
    frame: pd.DataFrame,
    errors: Mapping[str, tuple[str, Accuracy | None, float | None]],
    positive: str,
    draw_rows: Callable[..., LabelDesign],
    rng: np.random.Generator,
) -> Replicate:
    """Draw gold labels and rows, fit."""
    # in the order of the variables, with one generator: the seed fixes all draws
    gold = {name: draw_gold(frame, *assumed, rng, positive=name == positive) for name, assumed in errors.items()}
    drawn = draw_rows(frame, seed=rng)
    if not isinstance(drawn, LabelDesign) or len(drawn) != len(frame):
        raise ArgumentError(
            f"design must return a LabelDesign of all {len(frame)} rows; found {drawn!r}. Leave excluded rows out of the data"
        )
    data = frame.assign(**{name: np.where(drawn.drawn, values, np.nan) for name, values in gold.items()})
    fit = fit_of(fitting(data, design=drawn, seed=int(rng.integers(2**31))))
    enlarged = "clusters" if drawn.kind in WHOLE_UNITS else "rows"
    curve = curve_of(fit, enlarged)
    return Replicate(
        terms=fit.names,
        formula=fit.call.formula_text,
        estimator=fit.call.estimator,
        nobs=len(frame),
        n_drawn=drawn.n_drawn,
        highest=float(drawn.prob.max()),
        se=fit.bse,
        curve=curve,
        gold_only=gold_only_curve(fit, curve, enlarged, fit.nobs),
    )


def _positive_outcome(formula: FormulaLike, arguments: Arguments) -> str:
    """The outcome, if the model needs one of zero or more, else nothing."""
    model = MODELS.get(str(arguments.get("model", "lm")))
    if model is not None and isinstance(model.link, Family) and model.link.classes:
        raise ArgumentError(
            f"accuracy and rmse are about surrogates of 0 and 1 and of numbers, and the outcome of model='{model.name}' is a "
            "class; use power_dsl on a pilot, or dsl.evaluate on rows whose labels are all known"
        )
    if model is None or model.outcomes is None or model.outcomes[0] < 0.0 or np.isfinite(model.outcomes[1]):
        return ""
    return formula_text(formula).partition("~")[0].strip().strip("`")


def pooled(replicates: list[Replicate], planned: int, basis: str) -> Study:
    """One study of several fits, whose numbers of labels may differ by chance."""
    first = replicates[0]
    # (R,) labels of each replication relative to the planned number, c in its curve
    share = np.array([one.n_drawn / planned for one in replicates])

    def stack(curves: list[VarianceCurve]) -> VarianceCurve:
        return VarianceCurve(
            # V(c) = shrinking / c + staying, at the planned number: shrinking times the replication's own c
            shrinking=np.vstack([curve.shrinking * c for curve, c in zip(curves, share, strict=True)]),
            staying=np.vstack([curve.staying for curve in curves]),
            n_labeled=planned,
        )

    # None where what the labelled rows alone would give does not follow from the fit
    gold = [one.gold_only for one in replicates if one.gold_only is not None]
    return Study(
        terms=first.terms,
        formula=first.formula,
        estimator=first.estimator,
        basis=basis,
        # variances go with 1 / n roughly: se sqrt(n / planned)
        se=np.median([one.se * np.sqrt(c) for one, c in zip(replicates, share, strict=True)], axis=0),
        n_labeled=planned,
        at_hand=0,
        nobs=first.nobs,
        exact_to=float(np.median([one.n_drawn / one.highest for one in replicates])),
        curve=stack([one.curve for one in replicates]),
        gold_only=stack(gold) if len(gold) == len(replicates) else None,
    )


def unlabeled(data: TableLike, predicted: tuple[str, ...]) -> pd.DataFrame:
    """The data in pandas, rows numbered. Raises ArgumentError if there are gold labels."""
    names = column_names(data)
    frame = to_pandas(data, names).reset_index(drop=True)
    for name in predicted:
        if name in names and frame[name].notna().any():
            raise ArgumentError(
                f"{int(frame[name].notna().sum())} rows have a gold label of '{name}': what they say about the surrogates is "
                "better than an assumption; use power_dsl on a fit of them, or drop the column to plan from assumptions"
            )
    return frame


def _drawing(
    design: Callable[..., LabelDesign] | None, labeled_size: object, nobs: int
) -> tuple[Callable[..., LabelDesign], int | None]:
    """How rows are drawn, and how many if that is fixed."""
    if (design is None) == (labeled_size is None):
        raise ArgumentError(
            "give the planned number of labelled rows, labeled_size=500, or another design=, one of both"
        )
    if design is None:
        whole = isinstance(labeled_size, int | np.integer) and not isinstance(labeled_size, bool)
        count = int(labeled_size) if isinstance(labeled_size, int | np.integer) else 0
        if not whole or not 1 <= count <= nobs:
            raise ArgumentError(
                f"labeled_size must be a whole number of rows between 1 and {nobs}; found {labeled_size!r}. "
                "For other sizes see .at() of the result"
            )
        return (lambda frame, seed: simple_random(frame, count, seed=seed)), count
    if not callable(design):
        raise ArgumentError(
            "design must be a function of data and seed that draws a new sample, such as functools.partial("
            f"dsl.sampling.stratified, n_labels=500, by='source'); found {type(design).__name__}"
        )
    return design, None


def assumed_errors(
    predicted: tuple[str, ...], pairs: Mapping[str, tuple[str, ...]], accuracy: object, rmse: object
) -> dict[str, tuple[str, Accuracy | None, float | None]]:
    """Surrogate, accuracy and root mean squared error of each predicted variable."""
    unpaired = [name for name in predicted if len(pairs.get(name, ())) != 1]
    if unpaired or not predicted:
        raise ArgumentError(
            f"plan_dsl needs one surrogate for each predicted variable: predicted_var={{'{unpaired[0] if unpaired else 'y'}': "
            "'its_surrogate'}. Give further ones as features"
        )
    shares, sizes = _each(predicted, accuracy), _each(predicted, rmse)
    for name in predicted:
        if (name in shares) == (name in sizes):
            raise ArgumentError(
                f"give the assumed accuracy of '{pairs[name][0]}' (0/1 labels), accuracy=0.85, or its root mean squared error "
                f"(numbers), rmse=0.5; found {'both' if name in shares else 'neither'}"
            )
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | float | np.number) or not 0.0 <= size < np.inf:
            raise ArgumentError(f"rmse of '{pairs[name][0]}' must be a number, zero or more; found {size!r}")
    return {name: (pairs[name][0], shares.get(name), sizes.get(name)) for name in predicted}


def _each(predicted: tuple[str, ...], value: object) -> Record:
    """An assumption for each variable that has one."""
    if value is None:
        return {}
    # a dict that names a predicted variable is one of variables, any other an assumption about all
    if isinstance(value, Mapping) and set(value) & set(predicted):
        other = sorted(map(str, set(value) - set(predicted)))
        if other:
            raise ArgumentError(f"an assumption is about '{other[0]}', which is no predicted variable")
        return dict(value)
    return dict.fromkeys(predicted, value)


def _check_rest(arguments: Arguments, replications: object) -> None:
    for name, why in REFUSED.items():
        if arguments.get(name) is not None:
            raise ArgumentError(f"plan_dsl takes no {name}: {why}")
    if isinstance(replications, bool) or not isinstance(replications, int) or replications < 1:
        raise ArgumentError(f"replications must be a whole number of at least 1; found {replications!r}")
    check_most("replications", replications, MOST_REPLICATIONS, "medians over 20 hardly move any more")


def _shown(children: list[np.random.SeedSequence], progress: bool) -> Iterable[np.random.SeedSequence]:
    """The replications' seeds, with a progress bar if asked for."""
    if not progress:
        return children
    # only where it is shown: in a notebook without widgets the import alone warns
    from tqdm.auto import tqdm

    bar: Iterable[np.random.SeedSequence] = tqdm(children)
    return bar


def _pass_on(caught: list[warnings.WarningMessage]) -> None:
    """Each kind of warning of the replications once."""
    # reversed, so that the first message of each kind is kept
    kinds = {message.category: str(message.message) for message in reversed(caught)}
    for category, text in kinds.items():
        count = sum(message.category is category for message in caught)
        warn_caller(category, f"{text} (so or alike {count} times in the replications)")


def _report_failures(failures: int, replications: int, problem: EstimationError) -> None:
    text = f"{failures} of {replications} replications have no solution, such as: {problem}"
    if failures > MOST_FAILURES * replications:
        raise EstimationError(f"{text}. Plan more labels, or a smaller model")
    warn_caller(
        PowerWarning,
        f"{text}. The others make the figures, which are too low for a design so close to failing",
    )


def _words(errors: Mapping[str, tuple[str, Accuracy | None, float | None]], replications: int) -> str:
    each = [
        f"{surrogate} with " + (f"accuracy {accuracy}" if error is None else f"rmse {error:g}")
        for surrogate, accuracy, error in errors.values()
    ]
    return f"{'; '.join(each)} (assumed); {replications} replications"
