"""Diagnostics in print. Only reads results."""

from html import escape
from textwrap import fill
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from dsl.reports.diagnostics.results import Diagnostics

WIDTH = 100
INDENT = "    "


def text(found: "Diagnostics") -> str:
    """Alarms and notes in full, the rest by name."""
    lines = [f"Diagnostics of {found.title}", "=" * WIDTH]
    for heading, rows in (("ALARM", found.alarms), ("Note", found.notes)):
        for _, row in rows.iterrows():
            lines += [f"{heading}: {_name(row)}", *_paragraphs(row), ""]
    if len(lines) == 2:
        lines += ["No alarms and no notes.", ""]
    fine = [_name(row) for _, row in found.checks[found.checks["status"] == "ok"].iterrows()]
    lines += _list("In order", fine) + _list("Skipped", [f"{name} ({why})" for name, why in found.skipped.items()])
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


def html(found: "Diagnostics") -> str:
    """A table of all checks, the most serious first."""
    shown = found.checks[["status", "check", "about", "finding", "remedy"]]
    skipped = "; ".join(f"{name} ({why})" for name, why in found.skipped.items())
    table = shown.to_html(index=False, float_format=lambda value: f"{value:.3g}")
    return f"<p>{escape(found.title)}</p>{table}" + (f"<p>Skipped: {escape(skipped)}.</p>" if skipped else "")
