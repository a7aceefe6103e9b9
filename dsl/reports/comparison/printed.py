"""A comparison in print. Only reads results."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from dsl.reports.escaping import EscapedSummary
from dsl.reports.text import number

WIDTH = 100


def summarize(
    facts: Sequence[tuple[str, str]],
    table: pd.DataFrame,
    bias: pd.DataFrame | None,
    texts: Sequence[str],
    *,
    reference: str,
    alpha: float,
    margins: pd.DataFrame | None = None,
    scale: str = "",
) -> Summary:
    """Facts, coefficients by estimator, bias of the naive estimate, and what follows in words.

    Parameters
    ----------
    facts : sequence of pairs of str
        Names and values for the head.
    table, bias : DataFrame
        As in `dsl.reports.comparison.Comparison`.
    texts : sequence of str
        Paragraphs.
    reference : str
        The estimator that others are judged by.
    alpha : float
        One minus the level of the intervals.
    margins : DataFrame, optional
        Average marginal effects by estimator.
    scale : str
        What estimates are, if not coefficients.
    """
    out = EscapedSummary()
    ends = (f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]")
    out.tables.append(_facts(facts))
    out.tables.append(_coefficients(table, ends, scale or "coef"))
    if margins is not None:
        effects = margins.assign(effective_labels=np.nan)
        out.tables.append(_coefficients(effects, ends, "effect", title="Average marginal effects"))
    if bias is not None:
        out.tables.append(_bias(bias, reference, ends))
    out.add_extra_txt([fill(text, WIDTH, subsequent_indent="    ") for text in texts])
    return out


def _facts(facts: Sequence[tuple[str, str]]) -> SimpleTable:
    return SimpleTable(
        [[value] for _, value in facts],
        stubs=[name for name, _ in facts],
        title="Estimators side by side",
        txt_fmt={"table_dec_above": "=", "table_dec_below": "=", "data_aligns": "l", "stubs_align": "l"},
    )


def _coefficients(table: pd.DataFrame, ends: tuple[str, str], name: str, title: str | None = None) -> SimpleTable:
    worth = "" if table["effective_labels"].isna().all() else "eff. labels"
    header = ["estimator", name, "std err", "P>|z|", *ends, worth]
    body, stubs = [], []
    for term, rows in table.groupby("term", sort=False):
        # a coefficient's name once, above the lines of its estimators
        stubs += [str(term), *[""] * (len(rows) - 1)]
        body += [[*_row(row), _count(row["effective_labels"])] for _, row in rows.iterrows()]
    txt_fmt = {**fmt_params, "data_aligns": "lrrrrrr"}
    return SimpleTable(body, headers=header, stubs=stubs, title=title, txt_fmt=txt_fmt)


def _row(row: pd.Series) -> list[str]:
    interval = [number(row["conf_low"]), number(row["conf_high"])]
    return [row["estimator"], number(row["estimate"]), number(row["std_error"]), f"{row['p_value']:.3f}", *interval]


def _count(value: float) -> str:
    return "" if np.isnan(value) else f"{value:,.0f}"


def _bias(bias: pd.DataFrame, reference: str, ends: tuple[str, str]) -> SimpleTable:
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
        headers=["difference", "std err", "z", "P>|z|", *ends],
        stubs=list(bias.index),
        title=f"Bias of the naive estimate: naive less {reference}",
        txt_fmt=fmt_params,
    )
