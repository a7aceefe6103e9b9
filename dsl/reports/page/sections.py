"""What each section of the page shows. Only reads results."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsl.data.design import SamplingDesign
from dsl.data.tables import each_row
from dsl.estimators.result import Fit, HasFit, fit_of
from dsl.reports import plots as plotting
from dsl.reports.comparison import Comparison
from dsl.reports.diagnostics import Diagnostics
from dsl.reports.diagnostics.results import Check
from dsl.reports.margins import MarginalEffects
from dsl.reports.page.figures import picture
from dsl.reports.page.markup import (
    Cell,
    Html,
    Section,
    bullets,
    counted,
    element,
    facts,
    figured,
    folded,
    frame_table,
    joined,
    left_out,
    paragraph,
    table,
    text,
)
from dsl.reports.page.methods import Methods
from dsl.reports.summary import design_facts, notes_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PLOTS = 6
"""Predicted variables (or categories) that get a calibration plot."""
STATUS = {"alarm": "Alarm", "note": "Note", "ok": "In order"}
NAIVE = (
    "Not a valid analysis: the predictions are taken for the truth. Unless they make no errors, the estimates are biased and the "
    "intervals do not cover. Use estimator='dsl'."
)


def design_section(fit: Fit) -> Section:
    """Rows, labels, probabilities, learner, and a warning where the estimator is not valid."""
    left, right = design_facts(fit)
    shown = {name.rstrip(":"): value for name, value in (*left, *right) if name}
    parts = [facts({"Formula": fit.call.formula_text, **shown})]
    if not fit.estimator.uses_labels:
        parts.insert(0, paragraph(NAIVE, class_="warning"))
    notes = notes_on(fit)
    if notes:
        parts.append(bullets(notes))
    if fit.call.design is not None:
        parts += _drawing(fit.call.design)
    return Section(ident="design", heading="Design", body=joined(parts))


def _drawing(design: SamplingDesign) -> list[Html]:
    """How rows were drawn for labelling, and from which strata."""
    shown: dict[str, object] = {"Kind": design.kind, "Drawn": f"{design.n_drawn:,} of {len(design):,}"}
    by = design.settings.get("by")
    if isinstance(by, list):
        shown["Strata by" if design.kind == "stratified" else "By"] = ", ".join(map(str, by))
    # other lists in the settings would fill the page
    shown |= {str(name): value for name, value in design.settings.items() if np.isscalar(value)}
    parts = [element("h3", text("How the labelled rows were drawn")), facts(shown)]
    names = design.settings.get("strata")
    if isinstance(names, list) and design.stratum is not None and design.stratum.max() < len(names):
        count = [np.bincount(design.stratum[rows], minlength=len(names)) for rows in (slice(None), design.drawn)]
        strata = pd.DataFrame({"rows": count[0], "drawn": count[1]}, index=pd.Index(names, name="stratum"))
        strata["probability"] = np.bincount(design.stratum, design.prob, len(names)) / np.maximum(count[0], 1)
        # a part of the rows may have lost strata
        parts.append(frame_table("strata-table", "Strata, and the rows drawn in each", strata[strata["rows"] > 0]))
    return parts


def estimates_section(
    fit: Fit, alpha: float, *, ratios: bool = False, effects: MarginalEffects | None = None
) -> Section:
    """Coefficients as a table and a plot, on other scales where asked for, and how far they rely on the predictions."""
    parts = [
        _estimates("estimates-table", f"Estimates of {fit.outcome}", fit.tidy(alpha=alpha), alpha),
        coefficient_plot("estimates-plot", {fit.call.estimator: fit}, alpha, "estimates-table"),
    ]
    if ratios:
        caption = (
            f"{fit.ratios()}: exponentiated estimates of {fit.outcome} (errors and tests are those of the coefficients)"
        )
        parts.append(_estimates("ratios-table", caption, fit.tidy(alpha=alpha, exponentiate=True), alpha))
    if effects is not None:
        caption = f"Average marginal effects on {fit.outcome} ({effects.rows})"
        parts.append(_estimates("margins-table", caption, effects.tidy(alpha), alpha))
    if fit.splits.tuning is not None:
        caption = "How much each coefficient relies on the predictions (lambda: 0 not at all, 1 in full)"
        parts.append(frame_table("tuning-table", caption, fit.tuning.rename_axis("coefficient")))
    return Section(ident="estimates", heading="Estimates", body=joined(parts))


def _estimates(ident: str, caption: str, table_of: pd.DataFrame, alpha: float) -> Html:
    """A table as `tidy` makes it."""
    level = f"{100 * (1 - alpha):g}% interval"
    body = [
        [
            row.term,
            *map(figured, (row.estimate, row.std_error, row.statistic)),
            _p(row.p_value),
            *map(figured, row[-2:]),
        ]
        for row in each_row(table_of)
    ]
    z = "t" if "df" in table_of else "z"
    first = "variable" if ident == "margins-table" else "coefficient"
    header = [first, "estimate", "std. error", z, "p", f"{level}: from", "to"]
    return table(ident, caption, header, body)


def coefficient_plot(ident: str, fits: Mapping[str, Fit | HasFit], alpha: float, table_ident: str) -> Html:
    """Estimates and intervals of one or several fits."""
    names = list(fit_of(next(iter(fits.values()))).names)
    terms = [name for name in names if name != "Intercept"] or names
    height = 1.4 + 0.3 * len(terms) + 0.13 * len(terms) * len(fits)
    level, who = f"{100 * (1 - alpha):g}%", ", ".join(fits)
    return picture(
        ident,
        partial(_draw_coefficients, fits, alpha),
        size=(7.5, height),
        alt=f"Estimates with {level} confidence intervals of {', '.join(terms)}, by {who}; the numbers are in the table "
        f"{table_ident}.",
        caption=f"Estimates with {level} confidence intervals" + (", by estimator." if len(fits) > 1 else "."),
    )


def _draw_coefficients(fits: Mapping[str, Fit | HasFit], alpha: float, ax: "Axes") -> None:
    plotting.coefficients(fits, ax, alpha=alpha)


def comparison_section(found: Comparison) -> Section:
    """Estimators side by side, the naive estimate's bias, and what becomes of the conclusions."""
    rows = found.table
    level = f"{100 * (1 - found.alpha):g}% interval"
    header = ["coefficient", "estimator", "estimate", "std. error", "p", f"{level}: from", "to", "effective labels"]
    body: list[list[Cell]] = [
        [
            row.term,
            row.estimator,
            figured(row.estimate),
            figured(row.std_error),
            _p(row.p_value),
            figured(row.conf_low),
            figured(row.conf_high),
            counted(row.effective_labels),
        ]
        for row in each_row(rows)
    ]
    parts = []
    if found.conclusions is not None:
        parts += [
            paragraph("What becomes of the conclusions that the predictions, taken for the truth, would suggest:"),
            bullets(found.sentences),
        ]
    parts += [
        table("comparison-table", "Estimators side by side, on the same rows and folds", header, body),
        paragraph(
            "Effective labels: how many labelled rows alone, without predictions, would give the same standard error.",
            class_="lead",
        ),
        coefficient_plot("comparison-plot", found.fits, found.alpha, "comparison-table"),
    ]
    if found.bias is not None:
        parts.append(_bias_table(found.bias, found.reference, level))
    if found.hausman is not None:
        parts.append(paragraph(f"All of them zero (Hausman-type test): {found.hausman}."))
    parts += [paragraph(f"{name} has no estimate: {why}", class_="warning") for name, why in found.failed.items()]
    parts.append(bullets(found.notes))
    return Section(ident="comparison", heading="Comparison of estimators", body=joined(parts))


def _bias_table(bias: pd.DataFrame, reference: str, level: str) -> Html:
    body = [
        [
            str(row.Index),
            *map(figured, (row.difference, row.std_error, row.statistic)),
            _p(row.p_value),
            *map(figured, (row.conf_low, row.conf_high)),
        ]
        for row in each_row(bias, labels=True)
    ]
    header = ["coefficient", "difference", "std. error", "z", "p", f"{level}: from", "to"]
    return table("bias-table", f"Bias of the naive estimate: naive less {reference}", header, body)


def diagnostics_section(fit: Fit, found: Diagnostics) -> Section:
    """Alarms and notes in full, all checks in a table, the tables behind them, and plots."""
    parts = [paragraph(_counts(found))]
    for status in ("alarm", "note"):
        rows = found.checks[found.checks["status"] == status]
        parts += [_finding(row) for row in each_row(rows)]
    body = [
        [row.check, row.about, STATUS[row.status], figured(row.value), figured(row.threshold), row.finding]
        for row in each_row(found.checks)
    ]
    header = ["check", "about", "status", "value", "threshold", "finding"]
    parts.append(table("checks-table", "All checks, the most serious first", header, body))
    if found.skipped:
        parts.append(bullets(f"Not checked: {name} ({why})." for name, why in found.skipped.items()))
    parts += [
        folded(f"Table behind the checks: {name}", frame_table(f"detail-{name}", _caption(name), frame))
        for name, frame in found.details.items()
    ]
    parts += plots(fit)
    return Section(ident="diagnostics", heading="Diagnostics", body=joined(parts))


def plots(fit: Fit) -> list[Html]:
    """Calibration of the predictions, and the weights of the labelled rows."""
    out: list[Html] = []
    for name in fit.splits.targets[:MOST_PLOTS] if fit.splits.predictions is not None else ():
        out.append(
            picture(
                f"calibration-{len(out) + 1}",
                partial(_draw_calibration, fit, name),
                size=(4.8, 4.4),
                alt=f"Means of the gold labels of {name} against out-of-fold predictions, in bins; the diagonal is perfect "
                "calibration.",
                caption=f"Gold labels of {name} against out-of-fold predictions. Points off the diagonal cost precision; the "
                "estimates stay valid.",
            )
        )
    if len(fit.splits.targets) > MOST_PLOTS and out:
        out.append(left_out("Further calibration plots", f"{len(fit.splits.targets)} variables were predicted."))
    if fit.estimator.uses_labels and not fit.sample.equal_prob and len(fit.sample.labeled):
        out.append(
            picture(
                "weights",
                partial(_draw_weights, fit),
                size=(6.0, 3.6),
                alt="Histogram of the labelled rows' weights relative to their mean.",
                caption="Weights of the labelled rows, 1 / probability of being labelled.",
            )
        )
    if not fit.sample.fingerprint:
        out.append(left_out("Plots of calibration and weights", "rows were read in blocks, of which a fit keeps none."))
    return out


def _draw_calibration(fit: Fit, name: str, ax: "Axes") -> None:
    plotting.calibration(fit, ax, variable=name)


def _draw_weights(fit: Fit, ax: "Axes") -> None:
    plotting.weights(fit, ax)


def _counts(found: Diagnostics) -> str:
    count = found.checks["status"].value_counts()
    alarms, notes, fine = (int(count.get(status, 0)) for status in ("alarm", "note", "ok"))
    return f"{alarms} alarm{'' if alarms == 1 else 's'}, {notes} note{'' if notes == 1 else 's'}, {fine} in order."


def _finding(row: Check) -> Html:
    about = f" ({row.about})" if row.about else ""
    parts = [
        element("h3", text(f"{STATUS[row.status]}: {row.check}{about}")),
        paragraph(f"{_sentence(row.finding)}"),
        paragraph(f"Why: threshold {row.threshold:g}, {row.reason}."),
        paragraph(f"What to do: {row.remedy}."),
    ]
    return element("div", joined(parts), class_=f"finding {row.status}")


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _caption(name: str) -> str:
    return {
        "surrogates": "Quality of the surrogates by group of each covariate",
        "differential": "Tests that errors of the surrogates do not depend on a covariate",
        "calibration": "Calibration of the learner's predictions out of fold",
        "learner": "Fit of the learner out of fold",
        "balance": "The part of each column whose number of labelled rows is the least likely",
        "cells": "Labelled rows in each cell",
        "coefficients": "What each coefficient rests on",
        "influential": "Labelled rows that carry most of a coefficient's variance",
        "folds": "Fit of the learner in each fold",
        "splits": "Estimates in each split",
    }.get(name, name)


def methods_section(methods: Methods, fit: Fit) -> Section:
    """A paragraph for the paper, what it rests on, and what to cite."""
    rests = [
        "The probability with which each row was labelled is known and above zero, and nothing else decided who was labelled.",
        "The gold labels measure what is meant; errors of the experts are not corrected.",
        "The rows are those of interest, or a sample from the population of interest.",
    ]
    if not fit.estimator.uses_labels:
        rests = ["The predictions make no errors."]
    parts = [paragraph(words) for words in methods.paragraphs]
    parts += [element("h3", text("What this rests on")), bullets(rests)]
    if methods.references:
        parts += [element("h3", text("References")), bullets(methods.references, class_="references")]
    return Section(ident="methods", heading="Methods", body=joined(parts))


def rerun_section(
    source: str,
    versions: Mapping[str, str],
    columns: pd.DataFrame | None,
    digest: str | None,
    *,
    in_blocks: bool = False,
) -> Section:
    """Code, data and versions."""
    parts = [element("pre", element("code", text(source)), tabindex="0", role="region", aria_label="Code")]
    if columns is not None:
        parts += [
            element("h3", text("Data")),
            element("p", joined([text("Fingerprint:"), element("code", text(digest))])),
            frame_table("columns-table", "Columns of the analysis", columns),
        ]
    elif in_blocks:
        parts.append(left_out("A fingerprint of the data", "rows were read in blocks, of which a fit keeps none."))
    parts += [element("h3", text("Session")), facts(versions)]
    return Section(ident="rerun", heading="To get the same numbers", body=joined(parts))


def absent(ident: str, heading: str, why: str, rest: Iterable[Html] = ()) -> Section:
    """A section that says what is not there and why, before the rest."""
    what = "Checks" if rest else "This section is"
    return Section(ident=ident, heading=heading, body=joined([left_out(what, why), *rest]))


def _p(value: float) -> Cell:
    return ("< 0.001" if value < 0.0005 else f"{value:.3f}", float(value))
