"""A comparison in print. Only reads results."""

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from dsl.reports.text import number

if TYPE_CHECKING:
    from dsl.reports.comparison.results import Comparison

WIDTH = 100


def summarize(comparison: "Comparison") -> Summary:
    """Facts, coefficients by estimator, bias of the naive estimate, conclusions."""
    out = Summary()
    out.tables.append(_facts(comparison))
    out.tables.append(_coefficients(comparison))
    if comparison.bias is not None:
        out.tables.append(_bias(comparison, comparison.bias))
    texts = [] if comparison.hausman is None else [f"All of them zero (Hausman-type test): {comparison.hausman}."]
    texts += [] if comparison.conclusions is None else comparison.sentences
    texts += [f"{name} has no estimate: {why}" for name, why in comparison.failed.items()]
    texts += comparison.notes
    out.add_extra_txt([fill(text, WIDTH, subsequent_indent="    ") for text in texts])
    return out


def _facts(comparison: "Comparison") -> SimpleTable:
    fit = comparison.fits[comparison.reference]
    facts = [
        ("Formula:", comparison.formula),
        ("Model:", comparison.model),
        ("Rows:", f"{fit.nobs:,} ({fit.n_labeled:,} labelled)"),
        ("Reference:", comparison.reference),
    ]
    if fit.call.target == "finite":
        facts.append(("Target:", "these rows (finite population)"))
    return SimpleTable(
        [[value] for _, value in facts],
        stubs=[name for name, _ in facts],
        title="Estimators side by side",
        txt_fmt={"table_dec_above": "=", "table_dec_below": "=", "data_aligns": "l", "stubs_align": "l"},
    )


def _coefficients(comparison: "Comparison") -> SimpleTable:
    low, high = _ends(comparison)
    header = ["estimator", "coef", "std err", "P>|z|", low, high, "labels' worth"]
    body, stubs = [], []
    for term, rows in comparison.table.groupby("term", sort=False):
        stubs += [str(term), *[""] * (len(rows) - 1)]
        body += [[*_row(row), _count(row["effective_labels"])] for _, row in rows.iterrows()]
    return SimpleTable(body, headers=header, stubs=stubs, txt_fmt={**fmt_params, "data_aligns": "lrrrrrr"})


def _row(row: pd.Series) -> list[str]:
    interval = [number(row["conf_low"]), number(row["conf_high"])]
    return [row["estimator"], number(row["estimate"]), number(row["std_error"]), f"{row['p_value']:.3f}", *interval]


def _count(value: float) -> str:
    return "" if np.isnan(value) else f"{value:,.0f}"


def _bias(comparison: "Comparison", bias: pd.DataFrame) -> SimpleTable:
    low, high = _ends(comparison)
    body = [
        [
            number(row["difference"]),
            number(row["std_error"]),
            f"{row['statistic']:.3f}",
            f"{row['p_value']:.3f}",
            number(row["conf_low"]),
            number(row["conf_high"]),
        ]
        for _, row in bias.iterrows()
    ]
    return SimpleTable(
        body,
        headers=["difference", "std err", "z", "P>|z|", low, high],
        stubs=list(bias.index),
        title=f"Bias of the naive estimate: naive less {comparison.reference}",
        txt_fmt=fmt_params,
    )


def _ends(comparison: "Comparison") -> tuple[str, str]:
    return f"[{comparison.alpha / 2:.3g}", f"{1 - comparison.alpha / 2:.3g}]"
