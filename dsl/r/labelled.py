"""Values that a file of SPSS declares missing, as R's package haven keeps them: missing, as its ``is.na`` says.

A column of class ``haven_labelled_spss`` holds its missing codes (-9) as values, and names them in the attributes ``na_values``
(single values) and ``na_range`` (a lowest and a highest one). Tagged missing values of Stata and SAS (``.a``) are NA of R with a
letter in spare bits, and so NaN in Python already.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from dsl._typing import AnyArray, BoolArray

CLASSES = ("haven_labelled_spss", "labelled_spss")
"""Today's name, and that of haven before version 2."""


def user_missing(
    values: AnyArray | ExtensionArray, na_values: Sequence[object] | None, na_range: Sequence[float] | None
) -> BoolArray:
    """Which values are declared missing, (N,).

    Examples
    --------
    >>> user_missing(np.array([1.0, -9.0, 98.0, 99.0]), [-9.0], [98.0, np.inf]).tolist()
    [False, True, True, True]
    >>> user_missing(np.array(["yes", "REF"]), ["REF"], None).tolist()
    [False, True]
    """
    out = np.zeros(len(values), dtype=bool)
    if na_values is not None:
        out |= pd.Series(values).isin(list(na_values)).to_numpy()
    if na_range is not None:
        found = np.asarray(values, dtype=float)
        out |= (found >= na_range[0]) & (found <= na_range[1])
    return out
