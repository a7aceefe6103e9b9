"""Power from a fit: a study so far, or a pilot."""

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from dsl._typing import Record
from dsl.analyses.regression import dsl
from dsl.analyses.results import DSLResults
from dsl.data.arguments import check_choice, explain_calls
from dsl.data.formula.caller import call_among, formula_names
from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.formula.text import FormulaLike, formula_text, is_formula
from dsl.data.source import DataLike, as_source
from dsl.data.tables import TableLike
from dsl.engine.covariance import unit_sums
from dsl.engine.labeling import Labeling
from dsl.estimators.again import check_same_data
from dsl.estimators.result import Fit, fit_of
from dsl.exceptions import ArgumentError, NeedsAllRowsError
from dsl.planning.power.curve import VarianceCurve, finite_curve, rescaled, variance_curve
from dsl.planning.power.results import PowerResults, check_sizes, default_sizes, evaluate
from dsl.planning.power.study import Study

FACTORS = np.arange(10, 21) / 10.0
"""Default sizes relative to the labels at hand: 1, 1.1, ..., 2."""
DRAWN = ("rows", "clusters")


@explain_calls
def power_dsl(
    fit: DSLResults | FormulaLike | None = None,
    data: DataLike | None = None,
    *,
    labeled_size: ArrayLike | None = None,
    drawn: str = "rows",
    nobs: int | None = None,
    **arguments: Any,
) -> PowerResults:
    r"""Standard errors that other numbers of expert labels would give.

    .. math:: V(c) = J^{-1} [M_1 / c + M_{23}] J^{-\top} / N

    with c the number of labels relative to the present one, M1 the mean of w^2 d d', d = m - m_hat, and M23 the mean of
    m_hat m_hat' + w (m_hat d' + d m_hat'). Standard errors are medians over the splits. At the present number of labels
    they are those of the fit.

    Parameters
    ----------
    fit : DSLResults or formula
        A fit of `dsl.dsl`: a study so far, or a pilot. Or the formula of one, with the other arguments of `dsl.dsl`.
    data : data frame, or source of blocks of rows, optional
        The data, with a formula. With a fit they need not be given, and are refused if they are not the fit's.
    labeled_size : number or list of numbers, optional
        Numbers of labelled rows, shown below the present one. By default 1.1, 1.2, ..., 2 times that, up to where some
        row would be labelled for certain.
    drawn : {"rows", "clusters"}
        With clusters: whether single rows are labelled, or whole clusters. It matters: single rows do not average out what
        the rows of a cluster share. The reference takes for granted that whole clusters are, and where they are not
        promises too much, down to variances below zero.
    nobs : int, optional
        Rows of the planned study, all of them with surrogates, if not those of the fit: a pilot on part of an archive.
        With clusters or fixed effects the further rows come in further groups.
    **arguments
        Arguments of `dsl.dsl`, when a formula is given.

    Returns
    -------
    PowerResults
        ``predicted_se``, ``labeled_size``, ``mde()``, ``power()``, ``labels_needed()``, ``cost()``, ``worth()``,
        ``plot()``, ``summary()``.

    Raises
    ------
    ArgumentError
        A size is not above 0 or is above the number of rows, or the estimator is one whose variance is of another form
        (``"ppi"``, ``"ppi++"``), or does not depend on labels (``"naive"``).

    Warns
    -----
    PowerWarning
        A predicted variance is not positive, or a size needs a sampling probability above one.

    Notes
    -----
    Labels to come are taken to be drawn as those at hand, every probability scaled by c, and the quality of the
    predictions (and Lambda, where it was tuned) to stay as it is. More labels train a better learner: with few labels the
    prediction errs on the wide side, and `learning_curve` shows how far. With ``target="finite"`` the standard errors shrink to
    zero when every row is labelled. Between, they are exact for equal probabilities and for independent draws.

    References
    ----------
    DSL-2024: Egami, Hinck, Stewart and Wei, "Using large language model annotations for the social sciences", 2024.

    Examples
    --------
    >>> import dsl
    >>> from dsl.planning.power import power_dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=500, seed=1)
    >>> fit = dsl.dsl("human_positive ~ negation + hedge", tweets, model="logit",
    ...               predicted_var="human_positive", prediction="vader_positive")
    >>> power = power_dsl(fit, labeled_size=[1000, 2000])
    >>> power.predicted_se.round(2)
                  Intercept  negation  hedge
    labeled_size
    500.0              0.09      0.25   0.32
    1000.0             0.06      0.18   0.23
    2000.0             0.05      0.13   0.16
    >>> float(power.mde().loc[2000, "negation"].round(1))
    0.4
    >>> int(power.labels_needed(se={"negation": 0.15}).loc["negation", "labeled_size"])
    1433
    """
    fitted = _fit_of(fit, data, arguments, formula_names(2))
    return predict(study_of(fitted, drawn, nobs), labeled_size)


def predict(study: Study, labeled_size: ArrayLike | None) -> PowerResults:
    """The results at the present size and those asked for, or at the default ones."""
    if labeled_size is None:
        return evaluate(study, default_sizes(study, FACTORS))
    sizes = check_sizes(labeled_size, study.nobs)
    # the present size first, once
    return evaluate(study, np.append(float(study.n_labeled), sizes[sizes != study.n_labeled]))


def _fit_of(fit: object, data: DataLike | None, arguments: Record, names: Functions) -> Fit:
    """The fit given, or made from a formula."""
    if fit is None:
        fit = arguments.pop("formula", None)
    if isinstance(fit, DSLResults):
        if arguments:
            raise ArgumentError(
                f"'{next(iter(arguments))}' was settled when the fit was made; leave it out, or give a formula"
            )
        if data is not None and as_source(data) is not None:
            raise ArgumentError(
                "a fit holds all that its power needs; leave the data out, which would have to be read again to see whether they "
                "are its own"
            )
        if data is not None:
            check_same_data(fit.core, cast(TableLike, data))
        return fit_of(fit)
    if not is_formula(fit):
        found = "nothing" if fit is None else type(fit).__name__
        raise ArgumentError(
            f"power_dsl needs a fit of dsl.dsl, or a formula with the arguments of dsl.dsl; found {found}"
        )
    if "formula" in arguments:
        raise ArgumentError(f"two formulas are given, {formula_text(fit)!r} and {arguments['formula']!r}; give one")
    return fit_of(call_dsl(names, fit, data, **arguments))


def call_dsl(names: Functions, formula: FormulaLike, data: DataLike | None, **arguments: Any) -> DSLResults:
    """`dsl.dsl` as if called where `names` are."""
    return call_among(names, dsl, {"formula": formula, "data": data, **arguments})


def study_of(fit: Fit, drawn: str, nobs: int | None) -> Study:
    """What a fit says about the study that is planned."""
    spec, sample = fit.call, fit.sample
    check_choice("drawn", drawn, DRAWN)
    planned = _check_nobs(nobs, fit)
    curve = rescaled(curve_of(fit, drawn), nobs=fit.nobs, planned=planned)
    how = "" if spec.cluster is None else f"; {drawn} are drawn"
    # the same labels among more rows: probabilities go down in proportion
    highest = sample.prob_range[1] * fit.nobs / planned
    seen = f", {sample.n_trained:,} of them seen by the predictions' maker: numbers of labels are those of the others"
    n_labeled = fit.n_labeled - sample.n_trained
    return Study(
        terms=fit.names,
        formula=spec.formula_text,
        estimator=spec.estimator,
        basis=f"a fit with {fit.n_labeled:,} of {fit.nobs:,} rows labelled{seen if sample.n_trained else ''}{how}",
        # at the fit's own size the fit's own standard errors, exactly
        se=fit.bse if planned == fit.nobs else curve.se(np.array([n_labeled]))[0],
        n_labeled=n_labeled,
        at_hand=n_labeled,
        nobs=planned,
        exact_to=n_labeled / highest,
        curve=curve,
        gold_only=gold_only_curve(fit, curve, drawn, planned),
    )


def check_estimator(fit: Fit) -> None:
    """Raise ArgumentError unless the estimator's variance splits into what more labels shrink and what stays."""
    if fit.call.stages:
        raise ArgumentError(
            "no power analysis of one number of labels where they come in stages; use dsl.planning.power.power_stages, which "
            "takes one for each, or refit without stages"
        )
    if fit.estimator.no_power:
        raise ArgumentError(f"no power analysis of estimator='{fit.call.estimator}': {fit.estimator.no_power}")


def curve_of(fit: Fit, drawn: str) -> VarianceCurve:
    """Variances of a fit as a function of the number of labels, if `drawn` ("rows" or "clusters") are labelled."""
    check_estimator(fit)
    spec, splits = fit.call, fit.splits
    # small-sample corrections of the variances, read off: V with them over V without, (S, k)
    factor = np.stack([fit.correction(split) for split in range(len(splits.params))])
    sample = fit.sample
    sums: Record = {
        "jacobians": splits.jacobians,
        "meats": splits.meats,
        "n_labeled": fit.n_labeled - sample.n_trained,
        "factor": factor,
    }
    finite = spec.target == "finite"
    whole = spec.cluster is None or drawn == "clusters"
    if not finite and whole and not sample.n_trained:
        # DSL-2024: M1 from the sums over rows, or over clusters where these are drawn whole
        return variance_curve(label_meats=splits.label_meats, **sums)
    scores = splits.label_scores
    if not len(scores):
        raise ArgumentError(
            "remove_data() dropped the labelled rows' scores, which this needs; use the fit before that"
        )
    if not finite and whole:
        # of rows that were seen no label is added, so that theirs are left out
        parts = unit_sums(scores, sample.label_cluster)
        return variance_curve(label_meats=parts.T @ parts, **sums)
    if not finite:
        # single rows are labelled: their sums of squares, though the fit's own meat is clustered
        return variance_curve(label_meats=scores.T @ scores, **sums)
    if len(sample.labeled) == fit.nobs:
        labeling = Labeling(prob=sample.sample_prob, drawn=sample.judged, fixed_size=False)
        return finite_curve(label_scores=scores[sample.judged[sample.labeled]], labeling=labeling, **sums)
    if not sample.equal_prob:
        raise NeedsAllRowsError(
            "the power of a finite population with unequal probabilities needs each labelled row's, of which a fit of rows that "
            "were read in blocks keeps none; fit a table for it, or use target='superpopulation'"
        )
    prob = np.full(len(scores), sample.prob_range[0])
    labeling = Labeling(prob=prob, drawn=np.ones(len(scores), dtype=bool), fixed_size=False)
    return finite_curve(label_scores=scores, labeling=labeling, **sums)


def gold_only_curve(fit: Fit, curve: VarianceCurve, drawn: str, nobs: int) -> VarianceCurve | None:
    """The curve of the labelled rows alone, N/n times the variances with every row labelled, or None where that is wrong."""
    spec = fit.call
    mixed = spec.cluster is not None and drawn == "rows"
    if mixed or not fit.sample.equal_prob or spec.target == "finite":
        return None
    # V(all labelled) is that of the moment m itself, and n labelled rows alone have N / n times as much
    full = np.median(curve.variances(np.array([float(nobs)]))[0], axis=0, keepdims=True)
    return VarianceCurve(
        shrinking=full * nobs / curve.n_labeled, staying=np.zeros_like(full), n_labeled=curve.n_labeled
    )


def _check_nobs(nobs: object, fit: Fit) -> int:
    """Rows of the planned study."""
    if nobs is None:
        return int(fit.nobs)
    if isinstance(nobs, bool) or not isinstance(nobs, int | np.integer) or nobs < fit.n_labeled:
        raise ArgumentError(
            f"nobs must be a whole number of rows, at least the {fit.n_labeled} labelled ones of the fit; found {nobs!r}"
        )
    return int(nobs)
