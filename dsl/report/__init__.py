"""One self-contained page about a fit: design, estimates, comparison, diagnostics, methods, and how to get them again."""

from dsl.report.api import report_html, write_report
from dsl.report.rerun import data_fingerprint

__all__ = ["data_fingerprint", "report_html", "write_report"]
