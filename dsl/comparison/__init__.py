"""Estimators side by side on the same rows, and what taking surrogates for the truth would have got wrong."""

from dsl.comparison.api import compare, compare_fit
from dsl.comparison.joint import WaldTest
from dsl.comparison.results import Comparison

__all__ = ["Comparison", "WaldTest", "compare", "compare_fit"]
