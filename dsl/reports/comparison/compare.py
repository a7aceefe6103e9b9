"""Other estimators on the rows, folds and probabilities of a fit."""

import warnings
from collections.abc import Callable, Mapping
from typing import cast

from dsl._typing import Arguments
from dsl.data.arguments import explain_calls
from dsl.data.source import MEMORY, DataLike, Source, as_bytes, as_source
from dsl.data.tables import TableLike
from dsl.engine.intervals import check_alpha
from dsl.estimators.again import analysis_of
from dsl.estimators.call import Execution
from dsl.estimators.names import resolve_tune
from dsl.estimators.result import Fit, HasFit, fit_of
from dsl.estimators.run import rerun
from dsl.estimators.short import SHORT, Estimators, resolve_estimators
from dsl.exceptions import (
    AllLabeledWarning,
    ArgumentError,
    CodingWarning,
    DroppedRowsWarning,
    EstimationError,
    FewLabelsWarning,
    LabelingWarning,
    PredictionError,
    UnusedDesignWarning,
)
from dsl.reports.comparison.difference import Difference, difference
from dsl.reports.comparison.in_blocks import check_no_effects, difference_in_blocks, fit_again
from dsl.reports.comparison.results import INVALID, Comparison, assemble, named, worth
from dsl.reports.comparison.scales import check_no_margins, check_scales, on_scales

Between = Callable[[Fit, Fit], Difference]
"""Makes the difference of two fits of the same rows."""
DEFAULT = ("naive", "gold_only", "dsl", "dsl+")
NO_SURROGATE = "No naive estimate: without prediction there is no surrogate to take for the truth."
NAIVE_FINITE = (
    "Naive standard errors are those for a superpopulation: for these rows alone, nothing about the naive estimate is random. "
    "Its difference from the reference has the reference's standard error."
)


@explain_calls
def compare_fit(
    fit: Fit | HasFit,
    data: DataLike,
    *,
    estimators: Estimators | None = None,
    exponentiate: bool = False,
    margins: bool = False,
    alpha: float = 0.05,
    n_jobs: int = 1,
    progress: bool = False,
    memory: int | str = MEMORY,
) -> Comparison:
    """Fit other estimators on the rows, folds and probabilities of a fit, and show them beside it.

    Parameters
    ----------
    fit : DSLResults
        The reference, unless it is the naive one.
    data : data frame, or source of blocks of rows
        The data that it was fitted to. Of a source each estimator is a fit, and the naive bias takes a pass more.
    estimators
        As in `dsl.compare`: the others.
    exponentiate, margins : bool
        As in `dsl.compare`.
    alpha : float
        One minus the level of intervals and conclusions.
    n_jobs, progress, memory
        As in `dsl.dsl`.

    Returns
    -------
    Comparison

    Raises
    ------
    ArgumentError
        `data` are not those of the fit.
    NeedsAllRowsError
        Of rows that are read in blocks: marginal effects, or the naive bias under absorbed fixed effects.

    Examples
    --------
    >>> import dsl
    >>> from dsl.reports.comparison import compare_fit
    >>> posts = dsl.datasets.simulate_linear(n=2000, n_labels=400, seed=1)
    >>> fit = dsl.dsl(data=posts, sl_method="lm", sample_split=2, **posts.attrs["call"])
    >>> compare_fit(fit, posts, estimators=["naive", "gold_only"]).table["estimator"].unique().tolist()
    ['naive', 'gold_only', 'dsl']
    """
    check_alpha(alpha)
    check_scales(exponentiate, margins)
    own = fit_of(fit)
    if exponentiate:
        own.ratio()  # refuses other models before anything is fitted
    name, execution = own_name(own), Execution(n_jobs=n_jobs, progress=progress, memory=as_bytes(memory))
    source = as_source(data)
    refit, between = (
        _on_table(own, cast(TableLike, data), execution)
        if source is None
        else on_source(own, source, execution, margins=margins)
    )
    notes: list[str] = []
    if estimators is None:
        estimators, notes = default_estimators(bool(own.call.prediction))
    chosen = resolve_estimators(estimators)
    if source is not None:
        check_no_effects(own, [name, *chosen])
    # the fit itself stands for its own estimator
    chosen.pop(name, None)
    others, failed = fit_each(chosen, refit, quiet=True)
    # the order of the list of estimators, whatever was fitted first
    fits = _in_order({**others, name: own})
    judge = name
    # a naive fit cannot judge: the best of the others does
    if own.call.estimator == INVALID and others:
        judge = reference_of(None, {each: chosen[each] for each in others})
    found = side_by_side(fits, judge, between, failed=failed, notes=notes, alpha=alpha)
    return on_scales(found, cast(TableLike, data), exponentiate=exponentiate, margins=margins)


def _on_table(fit: Fit, data: TableLike, execution: Execution) -> tuple[Callable[[Arguments], Fit], Between]:
    """What makes other fits of the same rows, and differences."""
    analysis = analysis_of(fit, data)
    return (
        lambda arguments: rerun(fit, analysis, arguments, execution),
        lambda one, other: difference(one, other, data),
    )


def on_source(
    fit: Fit, source: Source, execution: Execution, *, margins: bool
) -> tuple[Callable[[Arguments], Fit], Between]:
    """The same for rows that come in blocks."""
    check_no_margins(margins)
    return (
        lambda arguments: fit_again(fit, source, arguments, execution),
        lambda one, other: difference_in_blocks(one, other, source, execution),
    )


def default_estimators(surrogates: bool) -> tuple[tuple[str, ...], list[str]]:
    """What is compared where nobody says what, and what to note about it."""
    if surrogates:
        return DEFAULT, []
    return tuple(name for name in DEFAULT if name != INVALID), [NO_SURROGATE]


def side_by_side(
    fits: Mapping[str, Fit],
    reference: str,
    between: Between,
    *,
    failed: Mapping[str, str],
    notes: list[str],
    alpha: float,
) -> Comparison:
    """The comparison of fits of the same rows. `between` makes the difference of two of them."""
    return assemble(
        fits,
        reference=reference,
        bias=_bias_of(fits, reference, between),
        failed=failed,
        notes=_notes(fits, reference, notes),
        alpha=alpha,
    )


def reference_of(reference: str | None, chosen: Mapping[str, Arguments]) -> str:
    """Name of the estimator that others are judged by."""
    if reference is not None:
        if not isinstance(reference, str) or reference not in chosen:
            raise ArgumentError(f"reference={reference!r} is not among the estimators {', '.join(chosen)}")
        return reference
    valid = [name for name in chosen if chosen[name].get("estimator", "dsl") != INVALID]
    better = [name for name in valid if chosen[name].get("estimator", "dsl") != "gold_only"]
    if not valid:
        raise ArgumentError("'naive' alone has nothing to be judged by; add an estimator, e.g. ('naive', 'dsl')")
    # DSL before other corrected estimators, these before the labelled rows alone
    return "dsl" if "dsl" in valid else (better or valid)[0]


def fit_each(
    chosen: Mapping[str, Arguments],
    fit: Callable[[Arguments], Fit],
    *,
    required: str | None = None,
    quiet: bool = False,
) -> tuple[dict[str, Fit], dict[str, str]]:
    """Fits, and why others have none. What every fit warns of is said once (not at all if `quiet`)."""
    fits: dict[str, Fit] = {}
    failed: dict[str, str] = {}
    for name, own in chosen.items():
        with warnings.catch_warnings():
            # every fit warns of the same rows: once is enough
            if quiet or fits or failed:
                for said in (DroppedRowsWarning, AllLabeledWarning, CodingWarning, FewLabelsWarning):
                    warnings.simplefilter("ignore", said)
            # the naive fit uses no labels, and does not warn of how they were drawn
            if quiet or failed or any(one.estimator.uses_labels for one in fits.values()):
                warnings.simplefilter("ignore", UnusedDesignWarning)
                warnings.simplefilter("ignore", LabelingWarning)
            try:
                fits[name] = fit(own)
            # predictions on another scale, or missing, matter to the estimators that take them as they are
            except (EstimationError, PredictionError) as error:
                # without the estimator that judges there is no comparison
                if name == required:
                    raise
                failed[name] = f"{type(error).__name__}: {error}"
    return fits, failed


def _bias_of(fits: Mapping[str, Fit], judge: str, between: Between) -> Difference | None:
    """Naive less reference, if both are there."""
    naive = named(fits, INVALID)
    if naive is None or naive == judge:
        return None
    return between(fits[naive], fits[judge])


def _notes(fits: Mapping[str, Fit], judge: str, notes: list[str]) -> tuple[str, ...]:
    """What to know when reading the table."""
    out = list(notes)
    finite = fits[judge].call.target == "finite"
    if finite and named(fits, INVALID) is not None:
        out.append(NAIVE_FINITE)
    return tuple(out + _gains(fits))


def _gains(fits: Mapping[str, Fit]) -> list[str]:
    """By how many effective labels dsl+ and tuned DSL are ahead of plain DSL."""
    gold, plain = named(fits, "gold_only"), fits.get("dsl")
    if gold is None or plain is None:
        return []
    out = []
    for name, fit in fits.items():
        if fit is not plain and fit.estimator.learns:
            # both in labels that the labelled rows alone would need
            gain = worth(fit, fits[gold]) - worth(plain, fits[gold])
            by_name = dict(zip(fit.names, gain, strict=True))
            each = ", ".join(f"{term} {by_name[term]:+,.0f}" for term in fit.slopes)
            out.append(f"Effective labels of {name} less those of dsl ({fit.n_labeled:,} rows are labelled): {each}.")
    return out


def own_name(fit: Fit) -> str:
    """Short name of a fit's estimator."""
    for name, own in SHORT.items():
        # the tuning that an estimator has by default has no name of its own
        if own["estimator"] == fit.call.estimator and resolve_tune(own["estimator"], own.get("tune")) == fit.call.tune:
            return name
    return f"{fit.call.estimator} ({fit.call.tune})"


def _in_order(fits: Mapping[str, Fit]) -> dict[str, Fit]:
    """In the order in which estimators are listed, others last."""
    listed = [name for name in SHORT if name in fits]
    return {name: fits[name] for name in (*listed, *(name for name in fits if name not in listed))}
