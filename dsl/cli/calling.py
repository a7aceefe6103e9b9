"""Calls with formulas from a shell, which are data: they find R's functions and a list of numpy's, and nobody's code."""

from typing import Any

from dsl.data.formula.caller import NOBODY, call_among


def call(function: Any, formula: str, data: Any, arguments: Any) -> Any:
    """``function(formula, data, **arguments)``, where the formula finds nobody's names."""
    return call_among(NOBODY, function, {"formula": formula, "data": data, **arguments})
