"""The printed summary: design first, then coefficients. Only reads results."""

import numpy as np
import pandas as pd
from statsmodels.iolib.summary import Summary, forg
from statsmodels.iolib.summary2 import Summary as Summary2
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from dsl.data.arguments import foreign_errors
from dsl.data.messages import rows_left_out
from dsl.engine.instruments import WEAK
from dsl.engine.intervals import check_alpha
from dsl.estimators.call import Call
from dsl.estimators.records import SampleFacts
from dsl.estimators.result import Fit
from dsl.reports.diagnostics.limits import FEW_BEHIND, FEW_PER_LAMBDA
from dsl.reports.escaping import EscapedSummary, EscapedSummary2


def summarize(fit: Fit, *, alpha: float, title: str | None, terms: list[str]) -> Summary:
    """Build the summary of a fit."""
    out = EscapedSummary()
    left, right = design_facts(fit)
    rows = max(len(left), len(right))
    # both sides of the head need as many lines
    left += [("", "")] * (rows - len(left))
    right += [("", "")] * (rows - len(right))
    body = [[lv, rn, rv] for (_, lv), (rn, rv) in zip(left, right, strict=True)]
    check_alpha(alpha)
    table = SimpleTable(
        body,
        stubs=[name for name, _ in left],
        title=title or fit.estimator.title,
        txt_fmt={
            "table_dec_above": "=",
            "table_dec_below": "=",
            "colsep": "  ",
            "data_aligns": "rlr",
            "stubs_align": "l",
            "data_fmts": ["%s", "%s", "%s"],
        },
    )
    out.tables.append(table)
    out.tables.append(_coefficients(fit, alpha, terms))
    out.add_extra_txt(notes_on(fit))
    return out


def summarize_again(fit: Fit, *, alpha: float, title: str | None, float_format: str) -> Summary2:
    """The summary of a fit in statsmodels' other form, whose tables are data frames."""
    check_alpha(alpha)
    with foreign_errors("float_format must be a format such as '%.4f'"):
        _ = float_format % 1.0
    z = "t" if fit.call.use_t else "z"
    table = fit.tidy(alpha=alpha).set_index("term").drop(columns="df", errors="ignore")
    table.columns = pd.Index(["Coef.", "Std.Err.", z, f"P>|{z}|", f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]"])
    out = EscapedSummary2()
    left, right = design_facts(fit)
    out.add_dict(dict([*left, *right]))
    out.add_df(table.rename_axis(None), float_format=float_format)
    out.settings[0]["float_format"] = float_format  # statsmodels takes the first table's for all
    out.add_title(title or fit.estimator.title)
    for note in notes_on(fit):
        out.add_text(note)
    return out


def design_facts(fit: Fit) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Names and values of what the summary shows of the design, left and right."""
    spec, sample = fit.call, fit.sample
    low, high = sample.prob_range
    left = [
        ("Outcome:", fit.outcome),
        ("Model:", spec.model),
        ("Predicted:", ", ".join(spec.predicted_var)),
        ("Prediction:", ", ".join(spec.prediction) or f"({'features' if spec.feature else 'texts'} only)"),
        *([] if spec.text is None else [("Texts:", spec.text)]),
        ("Std. errors:", _vcov_label(spec, sample)),
    ]
    right = [
        ("Rows:", f"{sample.nobs:,}"),
        ("Labelled:", f"{sample.n_labeled:,}"),
        ("Sampling prob.:", f"{low:.4g} (equal)" if low == high else f"{low:.4g} to {high:.4g}"),
    ]
    if sample.n_clusters is not None:
        right.append(("Clusters:", f"{sample.n_clusters:,} ({spec.cluster or 'units of the design'})"))
    if spec.across is not None:
        right.append(("", f"{sample.n_across:,} ({spec.across})"))
    if sample.effective_rows is not None:
        right.append(("Weights:", f"{spec.weights} (effective rows: {sample.effective_rows:,.0f})"))
    if spec.index:
        left.append(("Fixed effects:", " + ".join(spec.index)))
    if spec.target == "finite":
        left.append(("Target:", "these rows (finite population)"))
    if spec.tune is not None:
        left.append(("Lambda:", _lambda_label(fit)))
    if fit.cross_fit is not None:
        right.append(("Folds x splits:", f"{fit.cross_fit} x {len(fit.splits.params)}"))
        right += _learner_rows(fit)
    if fit.n_dropped:
        right.append(("Dropped rows:", f"{fit.n_dropped:,}"))
    return left, right


def _lambda_label(fit: Fit) -> str:
    values, tune = fit.tuning["lambda"], fit.call.tune
    # one number where all coefficients have the same lambda to three decimals
    if values.max() - values.min() < 5e-4:
        return f"{values.iloc[0]:.3f}" + (f" ({tune})" if isinstance(tune, str) else "")
    return f"{values.min():.3f} to {values.max():.3f} ({tune})"


def _vcov_label(spec: Call, sample: SampleFacts) -> str:
    kind = "robust" if sample.n_clusters is None else "clustered"
    return kind if spec.vcov == "robust" else f"{kind} ({spec.vcov})"


def _learner_rows(fit: Fit) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    quality = fit.fit_quality
    if quality is None:
        return rows
    for name, row in quality.iterrows():
        found = f"R2 {row['r2']:.3f}" + ("" if np.isnan(row["accuracy"]) else f", accuracy {row['accuracy']:.3f}")
        which = f" {name}" if len(quality) > 1 else ""
        rows += [(f"Learner{which}:", str(row["learner"])), (f"Out of fold{which}:", found)]
    return rows


def _coefficients(fit: Fit, alpha: float, terms: list[str]) -> SimpleTable:
    z = "t" if fit.call.use_t else "z"
    header = ["coef", "std err", z, f"P>|{z}|", f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]"]
    intervals = fit.conf_int(alpha)
    body = [
        [_number(b), _number(s), f"{z:.3f}", f"{p:.3f}", _number(lo), _number(hi)]
        for b, s, z, p, (lo, hi) in zip(fit.params, fit.bse, fit.zvalues, fit.pvalues(), intervals, strict=True)
    ]
    return SimpleTable(body, headers=header, stubs=terms, txt_fmt=fmt_params)


def _number(value: float) -> str:
    """Four decimals, or three significant digits where these would show nothing (as statsmodels does)."""
    return str(forg(value, prec=4)).strip()


def notes_on(fit: Fit) -> list[str]:
    """What to know when reading the estimates."""
    notes = []
    for name, reason in zip(fit.splits.targets, fit.splits.learner_reasons, strict=True):
        if reason:
            notes.append(f"Learner for {name}: {reason}.")
    if fit.sample.dropped:
        sample = fit.sample
        notes.append(f"{rows_left_out(sample.n_input, sample.nobs, sample.dropped)}.")
    notes += [f"{note}." for note in fit.sample.notes]
    alarms = [each for each in fit.sample.looked if each.alarm]
    if alarms:
        notes.append(f"Caution: labelled rows do not look drawn as stated: {alarms[0].finding}.")
    if fit.splits.instruments is not None:
        notes += _instrument_notes(fit)
    if fit.call.use_t:
        notes.append(f"Intervals and tests: {reference(fit)}.")
    if fit.splits.tuning is not None and fit.splits.tuning.without is not None:
        notes += _tuning_notes(fit)
    if not fit.estimator.uses_labels:
        notes.append("Prediction errors bias these estimates and their intervals; compare with estimator='dsl'.")
    return notes


def _instrument_notes(fit: Fit) -> list[str]:
    """First stages, and the test of over-identification."""
    table, over = fit.first_stage, fit.overidentification
    found = ", ".join(f"{name} {f:,.1f}" for name, f in table["statistic"].items())
    notes = [
        f"First-stage F of the excluded instruments: {found}{' (weak)' if (table['statistic'] < WEAK).any() else ''}."
    ]
    if over["df"]:
        notes.append(
            f"Over-identification: chi-squared {over['statistic']:.2f}, {over['df']:.0f} df, p = {over['p_value']:.3f}."
        )
    return notes


def reference(fit: Fit) -> str:
    """The distribution that intervals and tests refer to."""
    if not fit.call.use_t:
        return "normal"
    few, most = (f"{end:,.0f}" for end in (np.min(fit.df), np.max(fit.df)))
    return f"Student's t with {few}{'' if most == few else f' to {most}'} degrees of freedom"


def _tuning_notes(fit: Fit) -> list[str]:
    """What tuning chose for each coefficient, what it gains, and where few labelled rows carry it."""
    table = fit.tuning
    gains = ", ".join(f"{name} {row['lambda']:.2f} ({row['effective_labels']:,.0f})" for name, row in table.iterrows())
    notes = [
        f"Lambda, the weight of the predictions, and effective labels ({fit.n_labeled:,} rows are labelled): {gains}."
    ]
    if not len(fit.splits.label_scores):  # remove_data() dropped them
        return notes
    behind = fit.labels_behind
    few = [f"{name} ({count:.0f})" for name, count in behind.items() if count < FEW_BEHIND]
    if few:
        notes.append(
            f"Caution: few labelled rows are behind {', '.join(few)}, which makes estimates and a lambda chosen from them "
            "uncertain. Label more rows there, or use tune=None."
        )
    k = len(behind)
    if isinstance(fit.call.tune, str) and fit.n_labeled < FEW_PER_LAMBDA * k:
        notes.append(
            f"Caution: {fit.n_labeled:,} labels are few to choose the lambda of {k} coefficients; intervals may be too short."
        )
    return notes
