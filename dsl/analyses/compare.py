"""Estimators side by side, from the arguments of `dsl.dsl`."""

from collections.abc import Mapping
from typing import Any, cast

from dsl._typing import Arguments
from dsl.analyses.regression import dsl
from dsl.analyses.results import with_faces
from dsl.data.arguments import as_names, explain_calls
from dsl.data.formula.caller import call_among, formula_names
from dsl.data.formula.text import FormulaLike
from dsl.data.source import MEMORY, DataLike, as_bytes, as_source
from dsl.data.tables import TableLike
from dsl.engine.intervals import check_alpha
from dsl.estimators.call import Execution
from dsl.estimators.result import Fit, fit_of
from dsl.estimators.short import Estimators, resolve_estimators
from dsl.exceptions import ArgumentError
from dsl.reports.comparison.compare import default_estimators, fit_each, reference_of, side_by_side
from dsl.reports.comparison.difference import Difference, difference
from dsl.reports.comparison.in_blocks import check_no_effects, difference_in_blocks
from dsl.reports.comparison.results import Comparison
from dsl.reports.comparison.scales import check_no_margins, check_scales, on_scales


@explain_calls
def compare(
    formula: FormulaLike,
    data: DataLike,
    *,
    estimators: Estimators | None = None,
    reference: str | None = None,
    exponentiate: bool = False,
    margins: bool = False,
    alpha: float = 0.05,
    **arguments: Any,
) -> Comparison:
    """Fit several estimators on the same rows and show them side by side.

    Parameters
    ----------
    formula, data
        As in `dsl.dsl`. Of a source of blocks of rows each estimator is a fit, and the naive bias takes two passes more.
    estimators : str, list of str, or dict, optional
        Short names (``"naive"``, ``"gold_only"``, ``"dsl"``, ``"tuned"``, ``"dsl+"``, ``"ppi"``, ``"ppi++"``, ``"cdi"``), or
        a dict of names to arguments of `dsl.dsl`, as in `dsl.evaluate`. By default naive, gold_only, dsl and dsl+.
    reference : str, optional
        The estimator that the naive one is judged by. By default ``"dsl"`` or else the first that is neither naive nor
        gold_only.
    exponentiate : bool
        Odds ratios (logit) and ratios of means and rates (log links) in the table. Standard errors, the bias and conclusions stay
        those of the coefficients.
    margins : bool
        Average marginal effects by each estimator too (``fit.get_margeff()``), in ``margins`` and the summary.
    alpha : float
        One minus the level of intervals and conclusions.
    **arguments
        Arguments of `dsl.dsl`, for all estimators. With ``target="finite"`` the naive estimator keeps its superpopulation.

    Returns
    -------
    Comparison
        ``table``, ``bias``, ``hausman``, ``conclusions``, ``sentences``, ``effective_labels``, ``margins``, ``fits``,
        ``summary()``.

    Raises
    ------
    ArgumentError
        Unknown estimators, or an argument that differs between them is given for all.
    DSLError
        As `dsl.dsl`. An estimator without solution is named in ``failed`` unless it is the reference.

    Notes
    -----
    The bias of the naive estimate is its difference from the reference, which is consistent whatever the surrogates. Both
    rest on the same rows: the standard error of the difference comes from the stacked scores of both, summed over
    clusters, and combines repeated splits as the estimates do. That all differences are zero is Hausman's test, without
    the assumption that the naive estimate is efficient.

    References
    ----------
    Hausman, "Specification tests in econometrics", Econometrica 1978. Weesie, "Seemingly unrelated estimation and the
    cluster-adjusted sandwich estimator", Stata Technical Bulletin 52, 1999.

    Examples
    --------
    >>> import dsl
    >>> from dsl.analyses.compare import compare
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> found = compare("human_positive ~ negation + hedge", tweets, model="logit", predicted_var="human_positive",
    ...                 prediction="vader_positive", estimators=("naive", "gold_only", "dsl"), sample_split=2)
    >>> found.conclusions["change"].to_dict()
    {'negation': 'same', 'hedge': 'same'}
    >>> print(found.hausman)
    chi2(3) = ..., p < 0.001
    >>> bool((found.effective_labels["dsl"] > 1000).all())
    True
    """
    check_alpha(alpha)
    check_scales(exponentiate, margins)
    names = formula_names(2)  # past explain_calls
    for taken in ("estimator", "tune"):
        if taken in arguments:
            raise ArgumentError(
                f"{taken}={arguments[taken]!r} is for one estimator; say which to compare, e.g. estimators=('naive', "
                "'gold_only', 'tuned'), or {'mine': {'estimator': 'dsl', 'tune': 0.5}}"
            )
    notes: list[str] = []
    if estimators is None:
        surrogates = bool(as_names(arguments.get("prediction"), "prediction")) or _paired(
            arguments.get("predicted_var")
        )
        estimators, notes = default_estimators(surrogates)
    chosen = resolve_estimators(estimators)
    judge = reference_of(reference, chosen)

    source = as_source(data)
    if source is not None:
        check_no_margins(margins)

    def fit(own: Arguments) -> Fit:
        made = fit_of(call_among(names, dsl, {"formula": formula, "data": data, **arguments, **own}))
        if source is not None:
            check_no_effects(made, chosen)
        return made

    fits, failed = fit_each(chosen, fit, required=judge)

    def between(one: Fit, other: Fit) -> Difference:
        if source is None:
            return difference(one, other, cast(TableLike, data))
        memory = as_bytes(arguments.get("memory", MEMORY))
        return difference_in_blocks(one, other, source, Execution(memory=memory))

    found = side_by_side(fits, judge, between, failed=failed, notes=notes, alpha=alpha)
    table = None if source is not None else cast(TableLike, data)
    return with_faces(on_scales(found, cast(TableLike, data), exponentiate=exponentiate, margins=margins), table)


def _paired(predicted_var: object) -> bool:
    """Whether the argument says which surrogates stand for the predicted variables."""
    return isinstance(predicted_var, Mapping) and any(predicted_var.values())
