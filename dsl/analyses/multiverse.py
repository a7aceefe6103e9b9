"""One analysis with the labels of many models, prompts and thresholds, on one gold sample."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import Arguments, FloatArray
from dsl.analyses.regression import dsl
from dsl.data.arguments import as_names, explain_calls
from dsl.data.formula.caller import call_among, formula_names
from dsl.data.formula.text import FormulaLike
from dsl.data.kinds import as_float
from dsl.data.tables import TableLike, column_names, to_pandas
from dsl.engine.intervals import check_alpha
from dsl.estimators.again import analysis_of
from dsl.estimators.names import known_estimator
from dsl.estimators.options import vcov_for
from dsl.estimators.result import Fit, fit_of
from dsl.exceptions import ArgumentError, EstimationError, MissingColumnError
from dsl.reports.comparison.compare import fit_each
from dsl.reports.comparison.difference import influences, squares
from dsl.reports.multiverse.agreement import Stacked
from dsl.reports.multiverse.results import Multiverse, Universe, assemble

Predictions: TypeAlias = Mapping[str, str | Sequence[str] | Mapping[str, str | Sequence[str]]]
"""Columns of each set of labels: one, one for each predicted variable, or by predicted variable."""
Thresholds: TypeAlias = Sequence[float] | Mapping[str, Sequence[float]]
"""Scores from which on labels are 1: the same for all that are scores, or by set of labels."""


@explain_calls
def multiverse(
    formula: FormulaLike,
    data: TableLike,
    *,
    predicted_var: str | Sequence[str],
    predictions: Predictions,
    thresholds: Thresholds | None = None,
    alpha: float = 0.05,
    **arguments: Any,
) -> Multiverse:
    """Make one analysis with the labels of many models, prompts or thresholds, naively and corrected by one gold sample.

    Estimates that take labels for the truth depend on whose labels they are. Corrected ones estimate the same number with all of
    them, and should agree up to chance. A joint test judges that: all rest on the same gold labels, and their covariance is that
    of the stacked scores.

    Parameters
    ----------
    formula, data
        As in `dsl.dsl`.
    predicted_var : str or list of str
        As in `dsl.dsl`: variables with gold labels on some rows.
    predictions : dict
        Name of each set of labels (a model, a prompt, both) to its column. With several predicted variables, to a list of one
        column for each, or to a dict of predicted variable to column.
    thresholds : list of float, or dict of name to list of float, optional
        Scores from which on a label is 1, below it 0: one set of labels for each. A list is for all columns that are scores
        (numbers with more than two values). A dict names the sets of labels.
    alpha : float
        One minus the level of intervals and conclusions.
    **arguments
        Other arguments of `dsl.dsl`, for all analyses: model, design, estimator, learner, ...

    Returns
    -------
    Multiverse
        ``table``, ``agreement``, ``joint``, ``sentences``, ``tidy()``, ``plot()``, ``summary()``.

    Raises
    ------
    ArgumentError
        Fewer than two sets of labels, names or thresholds that are none, an estimator without labels or surrogates, or
        ``target="finite"``.
    DSLError
        As `dsl.dsl`. Labels without an estimate are named in ``failed`` as long as two others have one.

    Notes
    -----
    A small p value of the test speaks against the draw of the gold labels or the analysis (few labels, a probability
    of labelling that is not what it is said to be), and not against a model: corrected estimates are right for any.

    References
    ----------
    Baumann et al., "Large language model hacking: quantifying the hidden risks of using LLMs for text annotation" (2025).
    Simonsohn, Simmons and Nelson, "Specification curve analysis", Nature Human Behaviour 4, 2020.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> found = dsl.multiverse("human_positive ~ negation + hedge", tweets, model="logit", predicted_var="human_positive",
    ...                        predictions={"VADER": "vader_compound", "LLM": "llm_positive"}, thresholds=[-0.05, 0.05],
    ...                        sl_method="lm", sample_split=2)
    >>> found
    <Multiverse human_positive ~ negation + hedge: VADER >= -0.05, VADER >= 0.05, LLM; dsl>
    >>> bool(found.agreement.loc["(all)", "naive_p_value"] < 0.001), found.joint.p_value > 0.05
    (True, True)
    """
    check_alpha(alpha)
    names = formula_names(2)  # past explain_calls
    _check_arguments(arguments)
    golds = as_names(predicted_var, "predicted_var")
    frame = to_pandas(data, column_names(data))
    universes = tuple(_universes(frame, golds, predictions, thresholds))
    if len(universes) < 2:
        raise ArgumentError("predictions names one set of labels; a multiverse needs two at least")
    tables = {each.name: recoded(frame, each) for each in universes}

    def fit(own: Arguments) -> Fit:
        return fit_of(call_among(names, dsl, {"formula": formula, **own}))

    calls: dict[str, Arguments] = {
        each.name: {**arguments, "data": tables[each.name], "predicted_var": each.columns} for each in universes
    }
    fits, failed = fit_each(calls, fit)
    if len(fits) < 2:
        raise EstimationError(
            f"{len(fits)} of {len(universes)} sets of labels have an estimate, and a multiverse needs two; "
            + "; ".join(f"{name}: {why}" for name, why in failed.items())
        )
    vcov = vcov_for(arguments.get("vcov", "robust"), estimator="naive", target="superpopulation", tune=None)
    plain = {"estimator": "naive", "tune": None, "vcov": vcov, "use_t": None}
    naive_fits, _ = fit_each({name: {**calls[name], **plain} for name in fits}, fit, quiet=True)
    return assemble(
        universes,
        fits,
        naive_fits,
        failed,
        stacked=_stacked(fits, tables),
        naive=_stacked(naive_fits, tables) if len(naive_fits) > 1 else None,
        alpha=alpha,
    )


def _check_arguments(arguments: Arguments) -> None:
    """Raise ArgumentError for arguments of `dsl.dsl` that a multiverse cannot have."""
    if "prediction" in arguments:
        raise ArgumentError(
            "prediction is for one analysis; name all sets of labels in predictions={'gpt': 'gpt_label', 'llama': 'llama_label'}"
        )
    if arguments.get("target", "superpopulation") == "finite":
        raise ArgumentError(
            "target='finite' has no joint test yet: covariances between analyses are over rows, not over draws of labels; use "
            "target='superpopulation'"
        )
    entry = known_estimator(arguments.get("estimator", "dsl"))
    if not (entry.uses_labels and entry.uses_surrogates):
        raise ArgumentError(
            f"estimator='{entry.name}' does not correct labels of models by gold labels (naive estimates are there anyway); use "
            "'dsl', 'dsl+', 'cdi' or 'ppi++'"
        )


def _universes(
    frame: pd.DataFrame, golds: tuple[str, ...], predictions: Predictions, thresholds: Thresholds | None
) -> Iterator[Universe]:
    """Every set of labels, with each of its thresholds."""
    if not isinstance(predictions, Mapping) or not predictions:
        raise ArgumentError(
            f"predictions must be a dict of name to column, such as {{'gpt': 'gpt_label'}}; found {predictions!r}"
        )
    used = False
    for name, given in predictions.items():
        columns = _columns(str(name), given, golds)
        for column in (each for names in columns.values() for each in names):
            if column not in frame.columns:
                raise MissingColumnError(f"predictions['{name}']: the data have no column '{column}'")
        cuts = _cuts(frame, str(name), columns, thresholds)
        used = used or bool(cuts)
        for cut in cuts or (np.nan,):
            label = str(name) if np.isnan(cut) else f"{name} >= {cut:g}"
            yield Universe(name=label, prediction=str(name), columns=columns, threshold=cut)
    if thresholds is None:
        return
    unknown = [str(name) for name in thresholds if name not in predictions] if isinstance(thresholds, Mapping) else []
    if unknown:
        raise ArgumentError(f"thresholds names '{unknown[0]}', which is not among {', '.join(map(str, predictions))}")
    if not used:
        raise ArgumentError(
            "thresholds has nothing to cut: no prediction is a score (a number with more than two values); leave it out"
        )


def _columns(name: str, given: object, golds: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Columns by predicted variable."""
    where = f"predictions['{name}']"
    if isinstance(given, Mapping):
        other = [str(gold) for gold in given if gold not in golds] or [gold for gold in golds if gold not in given]
        if other:
            raise ArgumentError(f"{where} must have a column for each of {', '.join(golds)}; '{other[0]}' is amiss")
        return {gold: as_names(given[gold], where) for gold in golds}
    listed = as_names(given, where)
    if len(golds) == 1:
        return {golds[0]: listed}
    if len(listed) != len(golds):
        raise ArgumentError(
            f"{where} has {len(listed)} column(s) and there are {len(golds)} predicted variables; give one for each, "
            f"{{'{golds[0]}': ..., '{golds[1]}': ...}}"
        )
    return {gold: (column,) for gold, column in zip(golds, listed, strict=True)}


def _cuts(
    frame: pd.DataFrame, name: str, columns: Mapping[str, tuple[str, ...]], thresholds: Thresholds | None
) -> tuple[float, ...]:
    """Thresholds of one set of labels, none where its labels are taken as they are."""
    if thresholds is None or (isinstance(thresholds, Mapping) and name not in thresholds):
        return ()
    given = thresholds[name] if isinstance(thresholds, Mapping) else thresholds
    values: list[Any] = list(given) if isinstance(given, list | tuple | np.ndarray) else [given]
    if not values or any(isinstance(v, bool) or not isinstance(v, int | float | np.number) for v in values):
        raise ArgumentError(f"thresholds must be a list of numbers, or a dict of name to such a list; found {given!r}")
    scores = [column for names in columns.values() for column in names if score_of(frame, column) is not None]
    if not scores and isinstance(thresholds, Mapping):
        raise ArgumentError(
            f"thresholds['{name}'] has nothing to cut: '{next(iter(columns.values()))[0]}' is no score (a number with more than "
            "two values)"
        )
    return tuple(dict.fromkeys(float(value) for value in values)) if scores else ()


def score_of(frame: pd.DataFrame, column: str) -> FloatArray | None:
    """The numbers (N,) of a column with more than two values, None of any other."""
    values = as_float(frame[column])
    return values if values is not None and len(np.unique(values[~np.isnan(values)])) > 2 else None


def recoded(frame: pd.DataFrame, universe: Universe) -> pd.DataFrame:
    """The data with the universe's scores cut at its threshold. Missing scores stay missing."""
    if np.isnan(universe.threshold):
        return frame
    out = frame.copy(deep=False)
    for column in (each for names in universe.columns.values() for each in names):
        score = score_of(frame, column)
        if score is not None:
            out[column] = np.where(np.isnan(score), np.nan, score >= universe.threshold)
    return out


def _stacked(fits: Mapping[str, Fit], tables: Mapping[str, pd.DataFrame]) -> Stacked:
    """Covariance of fits that rest on the same rows."""
    first = next(iter(fits.values()))
    for name, fit in fits.items():
        if not fit.sample.labels.equals(first.sample.labels):
            raise ArgumentError(
                f"with the labels of '{name}' other rows are analysed than with others; leave out the rows with missing "
                "predictions before the call"
            )
    analyses = {name: analysis_of(fit, tables[name]) for name, fit in fits.items()}
    # the rows and their clusters are the same in all of them
    return Stacked.of(
        [(fit.splits.params, influences(fit, analyses[name])) for name, fit in fits.items()],
        partial(squares, analysis=next(iter(analyses.values()))),
    )
