"""Regression tables of several fits: text, Markdown, LaTeX, HTML, Word."""

from dsl.tables_out.api import table
from dsl.tables_out.regression import RegressionTable

__all__ = ["RegressionTable", "table"]
