"""Estimators side by side on the same rows, and what taking surrogates for the truth would have got wrong."""

from dsl.reports.comparison.compare import compare_fit
from dsl.reports.comparison.difference import WaldTest
from dsl.reports.comparison.results import Comparison

__all__ = ["Comparison", "WaldTest", "compare_fit"]
