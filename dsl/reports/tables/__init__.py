"""Regression tables of several fits: text, Markdown, LaTeX, HTML, Word."""

from dsl.reports.tables.regression import RegressionTable
from dsl.reports.tables.table import table

__all__ = ["RegressionTable", "table"]
