"""Plots (extra ``plot``): each takes and returns matplotlib Axes, on white, and can be read without colours."""

from dsl.plotting.coefficients import coefficients
from dsl.plotting.diagnostics import calibration, weights
from dsl.plotting.shares import proportions

__all__ = ["calibration", "coefficients", "proportions", "weights"]
