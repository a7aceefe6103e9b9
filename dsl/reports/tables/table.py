"""The call: fits in, one table out."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from dsl.data.arguments import as_texts, check_choice, check_flags, check_texts, explain_calls
from dsl.engine.intervals import check_alpha
from dsl.exceptions import ArgumentError
from dsl.reports.tables.columns import Column, Regression, Regressions, column_of
from dsl.reports.tables.regression import FORMATS, RegressionTable, Row

STATS = {
    "se": "Standard errors in parentheses.",
    "ci": "{level:g}% confidence intervals in brackets.",
    "z": "Estimates over standard errors (z, or t) in parentheses.",
    "p": "P values in parentheses.",
}
LEVELS = (0.05, 0.01, 0.001)
"""P values below which one, two and three stars are set, if stars are asked for."""
OF_COEFFICIENTS = "They are those of the coefficients, not of their exponentials."
CAUTION = "naive: predictions taken for the truth; not valid unless they make no errors."


@explain_calls
def table(
    fits: Regressions,
    *,
    names: Sequence[str] | None = None,
    stat: str = "se",
    stars: bool | Sequence[float] = False,
    exponentiate: bool = False,
    margins: bool = False,
    terms: Sequence[str] | Mapping[str, str] | None = None,
    digits: int = 3,
    alpha: float = 0.05,
    title: str = "",
    notes: Sequence[str] = (),
    fmt: str = "text",
) -> RegressionTable:
    """One regression table of several fits.

    Parameters
    ----------
    fits : fit, list of fits, or dict of name to fit
        Results of `dsl.dsl`, or of statsmodels (an ordinary regression beside them). ``dsl.compare(...).fits`` will do.
    names : list of str, optional
        Heads of the columns, by default a dict's names, or (1), (2), ...
    stat : {"se", "ci", "z", "p"}
        What stands below each coefficient.
    stars : bool or list of float
        Stars for p values below 0.05, 0.01 and 0.001, or below these levels, the largest first.
    exponentiate : bool
        Odds ratios (logit) and ratios of means and rates (log links), with intervals. Standard errors and tests stay those of
        the coefficients, as in R's broom.
    margins : bool
        Average marginal effects (``fit.get_margeff()``) in the place of coefficients.
    terms : list of str, or dict of str to str, optional
        Coefficients to show, in this order. A dict gives each another name. Coefficients that are not named are left out, and
        a note says so.
    digits : int
        Decimals. Figures that these would show as zero keep this many significant digits.
    alpha : float
        One minus the level of the intervals.
    title : str
    notes : list of str
        Added below the table.
    fmt : {"text", "md", "latex", "html"}
        What ``print`` shows. The table has all of them: ``as_text()``, ``as_markdown()``, ``as_latex()``, ``as_html()``,
        and ``save("table.docx")``.

    Returns
    -------
    RegressionTable

    Raises
    ------
    ArgumentError
        No fit, something that is not a fit, names that do not match, an unknown format or statistic, or a coefficient that
        no fit has.

    Examples
    --------
    >>> import dsl
    >>> from dsl.reports.tables import table
    >>> posts = dsl.datasets.simulate_linear(n=2000, n_labels=400, seed=1)
    >>> fits = {
    ...     name: dsl.dsl("Y ~ X1 + X2", posts, predicted_var="Y", prediction="pred_Y", estimator=name)
    ...     for name in ("naive", "gold_only")
    ... }
    >>> print(table(fits, terms=["X1"]))
                  naive  gold_only
    Outcome           Y          Y
    ------------------------------
    X1            0.466      0.970
                (0.027)    (0.053)
    ------------------------------
    Estimator     naive  gold_only
    Model            lm         lm
    Rows          2,000      2,000
    Labelled   not used        400
    ------------------------------
    Standard errors in parentheses.
    Not shown: Intercept, X2.
    naive: predictions taken for the truth; not valid unless they make no errors.
    """
    _check(stat=stat, fmt=fmt, digits=digits, alpha=alpha)
    check_texts(title=title)
    check_flags(exponentiate=exponentiate, margins=margins)
    if exponentiate and margins:
        raise ArgumentError("a table shows ratios (exponentiate) or marginal effects (margins); make one of each")
    levels = _levels(stars)
    columns = [
        column_of(fit, name, alpha, exponentiate=exponentiate, margins=margins)
        for name, fit in _named(fits, names).items()
    ]
    shown = _shown(columns, terms)
    rows: list[Row] = []
    for term, label in shown.items():
        rows.append(Row(label=label, cells=tuple(c.estimate(term, digits, levels) for c in columns), kind="estimate"))
        rows.append(Row(label="", cells=tuple(c.below(term, stat, digits) for c in columns), kind="below"))
    return RegressionTable(
        names=tuple(column.name for column in columns),
        outcomes=tuple(column.outcome for column in columns),
        rows=(*rows, *_facts(columns)),
        notes=(*_notes(columns, shown, stat, levels, alpha), *as_texts(notes, "notes")),
        title=title,
        fmt=fmt,
    )


def _named(fits: Regressions, names: Sequence[str] | None) -> dict[str, Regression]:
    """Fits by the heads of their columns."""
    if isinstance(fits, Mapping):
        heads, listed = [str(name) for name in fits], list(fits.values())
    else:
        listed = list(fits) if isinstance(fits, Sequence) else [fits]
        heads = [f"({j})" for j in range(1, len(listed) + 1)]
    if not listed:
        raise ArgumentError("fits is empty; pass the results of dsl.dsl, e.g. table([first, second])")
    if names is not None:
        heads = list(as_texts(names, "names"))
        if len(heads) != len(listed):
            raise ArgumentError(f"names has {len(heads)} entries for {len(listed)} fits: {', '.join(heads)}")
    if len(set(heads)) < len(heads):
        raise ArgumentError(f"two fits have the same name; found {', '.join(heads)}")
    return dict(zip(heads, listed, strict=True))


def _check(*, stat: str, fmt: str, digits: int, alpha: float) -> None:
    check_alpha(alpha)
    check_choice("stat", stat, STATS)
    if not isinstance(fmt, str) or fmt not in FORMATS:
        hint = "; for Word use .save('table.docx')" if str(fmt) in ("docx", "word") else ""
        raise ArgumentError(f"unknown fmt {fmt!r}: use one of {', '.join(FORMATS)}{hint}")
    if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= 15:
        raise ArgumentError(f"digits must be a whole number from 1 to 15; found {digits!r}")


def _levels(stars: bool | Sequence[float]) -> tuple[float, ...]:
    """P values below which one star more is set."""
    if isinstance(stars, bool):
        return LEVELS if stars else ()
    try:
        levels = tuple(float(level) for level in stars)
    except (TypeError, ValueError):
        levels = ()
    falling = all(above > below for above, below in pairwise(levels))
    if not levels or not falling or not all(0.0 < level < 1.0 for level in levels):
        raise ArgumentError(
            f"stars must be True, False, or falling levels such as (0.05, 0.01, 0.001); found {stars!r}"
        )
    return levels


def _shown(columns: list[Column], terms: Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    """Coefficients to show, each with its label, in order."""
    # all coefficients of all fits, in the order in which they first appear
    every = list(dict.fromkeys(term for column in columns for term in column.terms))
    if terms is None:
        return {term: term for term in every}
    listed = as_texts(terms, "terms")
    unknown = [str(term) for term in listed if term not in every]
    if unknown or not listed:
        what = f"terms names '{unknown[0]}', which no fit has" if unknown else "terms is empty"
        raise ArgumentError(f"{what}; the coefficients are {', '.join(every)}")
    return {term: str(terms[term]) if isinstance(terms, Mapping) else term for term in listed}


def _facts(columns: list[Column]) -> list[Row]:
    """What is known about the fits, a row for each fact that some fit has."""
    facts = list(dict.fromkeys(fact for column in columns for fact in column.facts))
    return [
        Row(label=fact, cells=tuple(column.facts.get(fact, "") for column in columns), kind="fact") for fact in facts
    ]


def _notes(
    columns: list[Column], shown: Mapping[str, str], stat: str, levels: tuple[float, ...], alpha: float
) -> list[str]:
    scales = ", ".join(dict.fromkeys(column.scale for column in columns if column.scale))
    ratios = bool(scales) and "effect" not in scales
    notes = [f"{scales}."] if scales else []
    notes.append(
        STATS[stat].format(level=100.0 * (1.0 - alpha)) + (f" {OF_COEFFICIENTS}" if ratios and stat == "se" else "")
    )
    if levels:
        notes.append(", ".join(f"{'*' * j} p < {level:g}" for j, level in enumerate(levels, start=1)) + ".")
    left_out = list(dict.fromkeys(t for column in columns for t in column.terms if t not in shown))
    if left_out:
        notes.append(f"Not shown: {', '.join(left_out)}.")
    if any(column.facts.get("Estimator") == "naive" for column in columns):
        notes.append(CAUTION)
    return notes
