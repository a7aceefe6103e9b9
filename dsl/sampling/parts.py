"""A part of a design's rows, named by a mask or by row labels."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import IntArray
from dsl.data.design import SamplingDesign
from dsl.data.tables import first_rows
from dsl.exceptions import ArgumentError, DesignError

Part: TypeAlias = ArrayLike | pd.Series | pd.Index
"""A mask over a design's rows, or labels of some of them."""


def places(design: SamplingDesign, part: Part) -> IntArray:
    """Positions in the design of the rows of a part, in the design's order. See `LabelDesign.subset`."""
    if isinstance(part, str) or not isinstance(part, Iterable) or isinstance(part, pd.DataFrame):
        raise ArgumentError(
            f"part must be a mask, or the labels of rows such as part.index; found {type(part).__name__}"
        )
    given = part if isinstance(part, pd.Series | pd.Index) else pd.Series(np.atleast_1d(np.asarray(part)).tolist())
    if not all(pd.api.types.is_hashable(label) for label in given):
        raise DesignError(f"a part is a mask of True and False over design.rows, or labels of its rows; found {part!r}")
    if isinstance(given, pd.Series) and len(given) > 0 and given.map(_is_truth).all():
        found = _masked(design, given, part)
    else:
        found = _labelled(design, pd.Index(given))
    if not len(found):
        raise DesignError("the part has none of the design's rows; look at the mask or filter that made it")
    return found


def _is_truth(value: object) -> bool:
    return isinstance(value, bool | np.bool_) or value is None or value is pd.NA


def _masked(design: SamplingDesign, mask: pd.Series, part: Part) -> IntArray:
    if isinstance(part, pd.Series):
        if not mask.index.is_unique or not design.rows.isin(mask.index).all():
            absent = ~design.rows.isin(mask.index)
            what = f"lacks {first_rows(absent, design.rows)} of the design" if absent.any() else "has repeated labels"
            raise DesignError(
                f"the mask is matched to the design by its index, which {what}; make the mask of the table drawn from, or pass "
                "an array of True and False in the order of design.rows"
            )
        mask = mask.reindex(design.rows)
    elif len(mask) != len(design):
        raise DesignError(
            f"the mask has {len(mask)} values and the design {len(design)} rows; give one for each, in the order of design.rows"
        )
    missing = mask.isna().to_numpy()
    if missing.any():
        raise DesignError(f"the mask is missing in {first_rows(missing, design.rows)}; make it True or False there")
    return np.flatnonzero(mask.to_numpy(dtype=bool))


def _labelled(design: SamplingDesign, labels: pd.Index) -> IntArray:
    place = design.rows.get_indexer(labels)
    unknown, twice = place < 0, np.asarray(labels.duplicated(keep=False))
    if unknown.any() or twice.any():
        bad, what = (unknown, "not in the design") if unknown.any() else (twice, "named more than once")
        raise DesignError(
            f"{first_rows(bad, labels)} of the part are {what}; a part is a mask of True and False over design.rows, or labels "
            "of its rows, such as part.index, each once"
        )
    return np.sort(place)
