"""What models with mean exp(x'theta) share."""

import numpy as np

from dsl._typing import FloatArray


def exponential(eta: FloatArray) -> FloatArray:
    """exp(eta), infinite without a warning where it is too large: solvers step back from there."""
    with np.errstate(over="ignore"):
        return np.exp(eta)


def log_start(outcome: FloatArray, mean: float) -> FloatArray:
    """Rough eta from each outcome, the log of its midpoint with the mean outcome (McCullagh and Nelder 1989, section 2.5).

    Predictions below zero count as zero here.
    """
    return np.asarray(np.log((np.maximum(outcome, 0.0) + mean) / 2.0))
