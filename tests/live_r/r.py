"""R code with Python values in and out."""

from typing import Any

from dsl.r import from_r, to_r
from dsl.r.session import call


def r(code: str, /, *args: Any, **named: Any) -> Any:
    """Value of an R function (name or code) at Python values."""
    return from_r(call(code, *map(to_r, args), **{name: to_r(value) for name, value in named.items()}))
