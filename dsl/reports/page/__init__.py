"""One self-contained page about a fit: design, estimates, comparison, diagnostics, methods, and how to get them again."""

from dsl.reports.page.rerun import data_fingerprint
from dsl.reports.page.write import report_html, write_report

__all__ = ["data_fingerprint", "report_html", "write_report"]
