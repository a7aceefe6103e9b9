"""The calls: fit what is to be compared, on the same rows, folds and probabilities."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from dsl.analyses.regression import dsl
from dsl.data.arguments import explain_calls
from dsl.data.formula.caller import call_among
from dsl.data.tables import to_pandas
from dsl.engine.intervals import tails
from dsl.estimators.again import learner_of
from dsl.estimators.analysis import Rebuilt, rebuild
from dsl.estimators.names import resolve_tune, resolve_use_t
from dsl.exceptions import AllLabeledWarning, ArgumentError, DroppedRowsWarning, EstimationError, FewLabelsWarning
from dsl.planning.evaluation.strategies import ESTIMATORS, resolve_estimators
from dsl.reports.comparison.difference import Difference, check_labeling, difference
from dsl.reports.comparison.results import INVALID, Comparison, assemble, named, worth

DEFAULT = ("naive", "gold_only", "dsl", "dsl+")
SAME_PROB = 1e-9
"""Relative difference of probabilities that rounding can make."""
NAIVE_FINITE = (
    "Naive standard errors are those for a superpopulation: for these rows alone, nothing about the naive estimate is random. "
    "Its difference from the reference has the reference's standard error."
)


@explain_calls
def compare_fit(
    fit: Any,
    data: Any,
    *,
    estimators: Any = None,
    alpha: float = 0.05,
    predicted_var: Any = None,
    design: Any = None,
    sl_method: Any = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> Comparison:
    """Fit other estimators on the rows, folds and probabilities of a fit, and show them beside it.

    Parameters
    ----------
    fit : DSLResults
        The reference, unless it is the naive one.
    data : data frame
        The data that it was fitted to: results do not keep them.
    estimators
        As in `compare`: the others.
    alpha : float
        One minus the level of intervals and conclusions.
    predicted_var : dict, optional
        Which surrogate stands for which predicted variable, where the fit has more surrogates than variables.
    design : LabelDesign, optional
        The fit's, if it had one.
    sl_method
        The fit's learner; needed if it was not one of the package's names.
    n_jobs, progress
        As in `dsl.dsl`.

    Returns
    -------
    Comparison

    Raises
    ------
    ArgumentError
        `data` are not those of the fit; the fit had a design, or a learner of its own, that is not given again.

    Examples
    --------
    >>> import dsl
    >>> from dsl.reports.comparison import compare_fit
    >>> posts = dsl.datasets.simulate_linear(n=2000, labeled=400, seed=1)
    >>> fit = dsl.dsl(data=posts, sl_method="lm", sample_split=2, **posts.attrs["call"])
    >>> compare_fit(fit, posts, estimators=["naive", "gold_only"]).table["estimator"].unique().tolist()
    ['naive', 'gold_only', 'dsl']
    """
    tails(alpha, "two-sided")
    rebuilt = rebuild(fit, data, predicted_var=predicted_var, design=design)
    if design is None:
        check_labeling(fit, rebuilt, sl_method=sl_method)
    own = _own_name(fit)
    notes = []
    if estimators is None:
        estimators = DEFAULT
        if not fit.specification.prediction:
            estimators = tuple(name for name in DEFAULT if name != INVALID)
            notes.append("No naive estimate: without prediction there is no surrogate to take for the truth.")
    chosen = resolve_estimators(estimators)
    chosen.pop(own, None)
    arguments = _arguments(fit, rebuilt, chosen, sl_method) | {"n_jobs": n_jobs, "progress": progress, "design": design}
    if predicted_var is not None:
        arguments["predicted_var"] = predicted_var
    frame = to_pandas(data, list(rebuilt.columns.roles()))
    names = fit.model._predictor.spec.functions
    others, failed = _fit_all(names, fit.specification.formula, frame, chosen, arguments, quiet=True)
    _check_probabilities(fit, others)
    fits = _in_order({**others, own: fit})
    judge = own
    if fit.specification.estimator == INVALID and others:
        judge = _reference(None, {name: chosen[name] for name in others})
    bias = _bias_of(fits, judge, data, sl_method=sl_method, predicted_var=predicted_var, design=design)
    return assemble(fits, reference=judge, bias=bias, failed=failed, notes=_notes(fits, judge, notes), alpha=alpha)


def _reference(reference: str | None, chosen: Mapping[str, Any]) -> str:
    """Name of the estimator that others are judged by."""
    if reference is not None:
        if reference not in chosen:
            raise ArgumentError(f"reference={reference!r} is not among the estimators {', '.join(chosen)}")
        return reference
    valid = [name for name in chosen if chosen[name].get("estimator", "dsl") != INVALID]
    better = [name for name in valid if chosen[name].get("estimator", "dsl") != "gold_only"]
    if not valid:
        raise ArgumentError("'naive' alone has nothing to be judged by; add an estimator, e.g. ('naive', 'dsl')")
    return "dsl" if "dsl" in valid else (better or valid)[0]


def _fit_all(
    names: Mapping[str, Any],
    formula: str,
    data: Any,
    chosen: Mapping[str, Mapping[str, Any]],
    arguments: Mapping[str, Any],
    *,
    required: str | None = None,
    quiet: bool = False,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Fits, and why others have no solution; what `dsl.dsl` warns of in every fit is said once (not at all if `quiet`)."""
    fits: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name, own in chosen.items():
        with warnings.catch_warnings():
            if quiet or fits or failed:
                for said in (DroppedRowsWarning, AllLabeledWarning, FewLabelsWarning):
                    warnings.simplefilter("ignore", said)
            try:
                fits[name] = call_among(names, dsl, {"formula": formula, "data": data, **arguments, **own})
            except EstimationError as error:
                if name == required:
                    raise
                failed[name] = f"{type(error).__name__}: {error}"
    return fits, failed


def _bias_of(fits: Mapping[str, Any], judge: str, data: Any, *, sl_method: Any, **known: Any) -> Difference | None:
    """Naive less reference, if both are there."""
    naive = named(fits, INVALID)
    if naive is None or naive == judge:
        return None
    return difference(fits[naive], fits[judge], data, sl_method=sl_method, **known)


def _notes(fits: Mapping[str, Any], judge: str, notes: list[str]) -> tuple[str, ...]:
    """What to know when reading the table."""
    out = list(notes)
    finite = fits[judge].specification.target == "finite"
    if finite and named(fits, INVALID) is not None:
        out.append(NAIVE_FINITE)
    return tuple(out + _gains(fits))


def _gains(fits: Mapping[str, Any]) -> list[str]:
    """By how many labels dsl+ and tuned DSL are worth more than plain DSL."""
    gold, plain = named(fits, "gold_only"), fits.get("dsl")
    if gold is None or plain is None:
        return []
    out = []
    for name, fit in fits.items():
        if fit is not plain and fit.specification.estimator in ("dsl", "dsl+"):
            gain = worth(fit, fits[gold]) - worth(plain, fits[gold])
            each = ", ".join(f"{term} {value:+,.0f}" for term, value in zip(fit.model.exog_names, gain, strict=True))
            out.append(f"Labels that {name} adds to what dsl makes of {fit.n_labeled:,}: {each}.")
    return out


def _own_name(fit: Any) -> str:
    """Short name of a fit's estimator."""
    spec = fit.specification
    for name, own in ESTIMATORS.items():
        if own["estimator"] == spec.estimator and resolve_tune(own["estimator"], own.get("tune")) == spec.tune:
            return name
    return f"{spec.estimator} ({spec.tune})"


def _arguments(fit: Any, rebuilt: Rebuilt, chosen: Mapping[str, Mapping[str, Any]], sl_method: Any) -> dict[str, Any]:
    """What all estimators have in common with `fit`, as arguments of `dsl.dsl`."""
    spec = fit.specification
    out: dict[str, Any] = {
        "predicted_var": list(spec.predicted_var),
        "prediction": list(spec.prediction) or None,
        "feature": list(spec.feature) or None,
        "model": spec.model,
        "sample_prob": rebuilt.columns.sample_prob,
        "cluster": spec.cluster,
        "family": spec.family,
        "seed": spec.seed,
        "vcov": spec.vcov,
        "use_t": None if spec.use_t == resolve_use_t(spec.estimator, spec.tune) else spec.use_t,
        "target": spec.target,
    }
    if spec.index:
        out |= {"index": list(spec.index), "fixed_effect": "multiway"}
    if any(own.get("estimator", "dsl") in ("dsl", "dsl+") for own in chosen.values()):
        out["sl_method"] = learner_of(fit) if sl_method is None else sl_method
    if fit.folds is not None:
        folds = np.zeros((len(fit.folds), rebuilt.sample.n_input), dtype=np.int64)
        folds[:, rebuilt.sample.rows] = fit.folds
        out["folds"] = folds
    return out


def _check_probabilities(fit: Any, others: Mapping[str, Any]) -> None:
    """Raise ArgumentError if the others were fitted with other probabilities than `fit`: its design is missing."""
    mine = fit.sample.sample_prob
    for other in others.values():
        theirs = other.sample.sample_prob
        if len(mine) == len(theirs) and not np.allclose(mine, theirs, rtol=SAME_PROB, atol=0.0):
            raise ArgumentError(
                "the fit took its sampling probabilities from a labelling design, which results do not keep; pass it again, "
                "design=..."
            )


def _in_order(fits: Mapping[str, Any]) -> dict[str, Any]:
    """In the order in which estimators are listed, others last."""
    listed = [name for name in ESTIMATORS if name in fits]
    return {name: fits[name] for name in (*listed, *(name for name in fits if name not in listed))}
