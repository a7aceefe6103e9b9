"""Types shared by every module."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]
AnyArray = NDArray[Any]
"""Of any dtype: text, dates, numbers."""
Arguments = Mapping[str, Any]
"""Arguments of a call by name, whose types are those of the function that is called."""
Record = dict[str, Any]
"""An object as JSON holds it; whoever reads one checks what it needs."""
JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
"""A value that JSON can hold."""
