"""The call: run every check that applies."""

from collections.abc import Sequence
from typing import cast

from dsl.data.arguments import as_names, explain_calls
from dsl.data.source import MEMORY, DataLike, as_bytes, as_source
from dsl.data.tables import TableLike
from dsl.estimators.again import analysis_of, check_has_rows
from dsl.estimators.call import Execution
from dsl.estimators.result import Fit, HasFit, fit_of
from dsl.exceptions import ArgumentError
from dsl.reports.diagnostics import coefficients, labels, stability, surrogates
from dsl.reports.diagnostics.case import Case, covariates_of
from dsl.reports.diagnostics.in_blocks import case_in_blocks
from dsl.reports.diagnostics.results import Diagnostics, Findings, table_of


@explain_calls
def diagnose(
    fit: Fit | HasFit,
    data: DataLike,
    *,
    by: str | Sequence[str] | None = None,
    memory: int | str = MEMORY,
    progress: bool = False,
) -> Diagnostics:
    """Check what a fit rests on: surrogates, weights, labels, stability, the model.

    Parameters
    ----------
    fit : DSLResults
        Of any estimator. Checks that do not apply to it are listed as skipped, with the reason.
    data : data frame, or source of blocks of rows
        The data that it was fitted to. Of a source labelled rows and those of the others that the first pass keeps (10,000, with
        extremes and each category) are looked at, learners are trained again, and what needs all rows is listed as skipped.
    by : str or list of str, optional
        Further columns across which errors of the surrogates are compared, besides those of the formula.
    memory, progress
        As in `dsl.dsl`, for a source.

    Returns
    -------
    Diagnostics
        ``checks``, ``alarms``, ``notes``, ``details``, ``skipped``. Prints as text.

    Raises
    ------
    ArgumentError
        `data` are not those of the fit, ``remove_data()`` dropped its rows, or a column of `by` cannot be used.

    Notes
    -----
    Surrogates: correlation with the gold values, quality by group of each covariate, with a test of differential error
    (that the surrogate, given the gold value, does not depend on the covariate). Learners: out-of-fold R2, calibration,
    comparison with the surrogate itself. Labels: Kish's effective number, inequality of the weights, smallest
    probability, balance (the test that labelled rows look drawn as stated, which every fit makes), clusters, cells of factors.
    Coefficients: labels and single rows behind them, outcomes per coefficient and cell of a logit, Jacobian. Stability over
    folds and splits. Thresholds and their reasons are in `dsl.reports.diagnostics.limits`.

    Examples
    --------
    >>> import dsl
    >>> from dsl.reports.diagnostics import diagnose
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> fit = dsl.dsl("human_positive ~ negation + hedge", tweets, model="logit", predicted_var="human_positive",
    ...               prediction="vader_positive", sample_split=3)
    >>> found = diagnose(fit, tweets, by="source")
    >>> len(found.alarms)
    0
    >>> found.notes["about"].tolist()
    ['human_positive by source']
    >>> found.detail("surrogates").set_index("group").loc[["nyt", "tweets"], "false_negative_rate"].round(2).tolist()
    [0.31, 0.05]
    """
    own, source = fit_of(fit), as_source(data)
    if source is None:
        case = _case(own, cast(TableLike, data), as_names(by, "by"))
    else:
        execution = Execution(progress=progress, memory=as_bytes(memory))
        case = case_in_blocks(own, source, as_names(by, "by"), execution)
    found = Findings.joined([part.examine(case) for part in (surrogates, labels, coefficients, stability)])
    call = own.call
    return Diagnostics(
        checks=table_of(found.checks),
        details=found.details,
        skipped=found.skipped,
        title=f"{call.model} ({call.estimator}): {call.formula_text}; {own.nobs:,} rows, {own.n_labeled:,} labelled"
        + (f"; {case.thinned}" if case.thinned else ""),
        fit=own,
    )


def _case(fit: Fit, data: TableLike, by: tuple[str, ...]) -> Case:
    """The case of a fit of a table."""
    check_has_rows(fit)
    # most checks look at rows one by one
    if not fit.whole:
        raise ArgumentError("remove_data() dropped the fit's rows, which the checks need; use the fit before that")
    analysis = analysis_of(fit, data)
    if not fit.estimator.uses_surrogates:
        analysis = analysis.as_stated()
    return Case(fit=fit, analysis=analysis, covariates=covariates_of(analysis, data, by))
