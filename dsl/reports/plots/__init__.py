"""Plots (extra ``plot``): each takes and returns matplotlib Axes, on white, and can be read without colours."""

from dsl.reports.plots.coefficients import coefficients
from dsl.reports.plots.diagnostics import calibration, weights
from dsl.reports.plots.multiverse import multiverse
from dsl.reports.plots.shares import proportions

__all__ = ["calibration", "coefficients", "multiverse", "proportions", "weights"]
