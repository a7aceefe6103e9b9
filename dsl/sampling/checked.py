"""Parts of a design, checked and made read-only."""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import AnyArray, FloatArray, Record
from dsl.data.tables import first_rows
from dsl.exceptions import DesignError, SampleProbabilityError


def frozen(value: ArrayLike, name: str, dtype: type, n: int) -> AnyArray:
    """A read-only copy of shape (n,)."""
    given = np.asarray(value)
    if given.shape != (n,):
        raise DesignError(f"{name} has shape {given.shape}; the design has {n} rows and needs shape ({n},)")
    if dtype is bool and given.dtype != bool:
        raise DesignError(f"{name} must be True or False in every row; found {given.dtype}")
    # floats that are whole are refused: codes come from `factorize`, and a float is a column mistaken for one
    if dtype is int and (given.dtype.kind not in "iu" or given.min() < 0):
        raise DesignError(f"{name} must hold codes 0, 1, ...; found {given.dtype} values from {given.min()}")
    # a copy: the caller's array may change afterwards, the record must not
    out: AnyArray = np.array(given, dtype=np.int64 if dtype is int else dtype)
    out.setflags(write=False)
    return out


def check_probability(prob: FloatArray, name: str, rows: pd.Index) -> None:
    """Raise SampleProbabilityError unless every row has a probability in (0, 1]."""
    bad = ~((prob > 0.0) & (prob <= 1.0))
    if bad.any():
        raise SampleProbabilityError(
            f"{name} is missing or outside (0, 1] in {first_rows(bad, rows)} (there {prob[bad][0]:g}); every row needs a known, "
            "positive probability of being labelled"
        )


def plain_settings(settings: Mapping[str, object]) -> Record:
    """Settings as JSON would give them back."""
    # there and back, so that a design read from a file equals the one saved
    try:
        plain: Record = json.loads(json.dumps(dict(settings), default=_plain_value))
    except (TypeError, ValueError) as error:
        raise DesignError(f"settings must hold what JSON can: numbers, text, lists and dicts ({error})") from None
    return plain


def _plain_value(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"found {type(value).__name__}")
