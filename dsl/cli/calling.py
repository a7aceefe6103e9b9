"""Calls from a module that holds nothing but numpy, so that formulas find ``np`` and nothing else by accident."""

from typing import Any

import numpy as np  # noqa: F401  # for formulas: y ~ np.log1p(x)


def call(function: Any, formula: str, data: Any, arguments: Any) -> Any:
    """``function(formula, data, **arguments)``."""
    # formulas look names up where the call stands: this module's globals are all they see
    return function(formula, data, **arguments)
