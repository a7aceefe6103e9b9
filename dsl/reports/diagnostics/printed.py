"""Diagnostics in print. Only reads results."""

from collections.abc import Mapping
from textwrap import fill

import pandas as pd

from dsl.reports.escaping import html_text

WIDTH = 100
INDENT = "    "


def text(title: str, checks: pd.DataFrame, skipped: Mapping[str, str]) -> str:
    """Alarms and notes in full, the rest by name."""
    lines = [f"Diagnostics of {title}", "=" * WIDTH]
    for heading, status in (("ALARM", "alarm"), ("Note", "note")):
        for _, row in checks[checks["status"] == status].iterrows():
            lines += [f"{heading}: {_name(row)}", *_paragraphs(row), ""]
    if len(lines) == 2:
        lines += ["No alarms and no notes.", ""]
    fine = [_name(row) for _, row in checks[checks["status"] == "ok"].iterrows()]
    lines += _list("In order", fine) + _list("Skipped", [f"{name} ({why})" for name, why in skipped.items()])
    return "\n".join(lines)


def _paragraphs(row: pd.Series) -> list[str]:
    parts = (
        ("", row["finding"]),
        ("Why: ", f"threshold {row['threshold']:g}, {row['reason']}"),
        ("Do: ", row["remedy"]),
    )
    return [
        fill(f"{lead}{words}.", WIDTH, initial_indent=INDENT, subsequent_indent=INDENT + " " * len(lead))
        for lead, words in parts
    ]


def _list(heading: str, items: list[str]) -> list[str]:
    return [fill(f"{heading}: {'; '.join(items)}.", WIDTH, subsequent_indent=INDENT)] if items else []


def _name(row: pd.Series) -> str:
    return f"{row['check']} ({row['about']})" if row["about"] else str(row["check"])


def html(title: str, checks: pd.DataFrame, skipped: Mapping[str, str]) -> str:
    """A table of all checks, the most serious first."""
    shown = checks[["status", "check", "about", "finding", "remedy"]].map(html_text)
    left_out = "; ".join(f"{name} ({why})" for name, why in skipped.items())
    table = shown.to_html(index=False, escape=False)
    return f"<p>{html_text(title)}</p>{table}" + (f"<p>Skipped: {html_text(left_out)}.</p>" if left_out else "")
