"""The labelling design of a table's rows, and what it says about the rows of an analysis."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dsl._typing import IntArray
from dsl.data.tables import first_rows
from dsl.engine.labeling import Labeling
from dsl.exceptions import ArgumentError, DataError

ARRAYS = ("prob", "drawn", "stratum", "unit", "unit_prob")
"""The arrays of a labeling, one value per row. The last three may be None."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SamplingDesign(Labeling):
    """A labeling whose rows are known by their labels, so that it can be matched to a table.

    What the calls below `dsl.sampling` know of its `dsl.sampling.LabelDesign`, the only one that users see.
    """

    kind: str
    """How the rows were drawn: "srs", "stratified", ..."""
    rows: pd.Index
    """(N,) labels of the rows, unique."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """How it was drawn (seed, size, floor, ...): whatever JSON can hold."""

    def __len__(self) -> int:
        """Rows of the population, N."""
        return len(self.rows)

    @property
    def n_drawn(self) -> int:
        """Number of rows drawn."""
        return int(self.drawn.sum())

    @property
    def drawn_rows(self) -> pd.Index:
        """Labels of the rows drawn, (n_drawn,)."""
        return self.rows[self.drawn]

    @property
    def fingerprint(self) -> str:
        """Twelve characters that tell this design from any other: a hash of its rows, probabilities and draw."""
        digest = hashlib.sha256(f"{self.kind} {self.fixed_size} {len(self)}".encode())
        # a separator that labels do not have, so that "1", "23" and "12", "3" differ
        digest.update("\x1f".join(map(str, self.rows)).encode())
        for name in ARRAYS:
            value = getattr(self, name)
            digest.update(name.encode() + (b"" if value is None else np.ascontiguousarray(value).tobytes()))
        return digest.hexdigest()[:12]


def check_design(design: object) -> None:
    """Raise ArgumentError for anything but a labelling design or None."""
    if design is not None and not isinstance(design, SamplingDesign):
        raise ArgumentError(f"design must be a dsl.sampling.LabelDesign; found {type(design).__name__}")


def aligned(design: SamplingDesign, labels: pd.Index) -> Labeling:
    """The design's labeling in the order of a table's rows, which are known by their labels. (N,) arrays.

    Raises
    ------
    DataError
        Row labels of the table repeat, or are not those of the design.
    """
    check_design(design)
    if not labels.is_unique:
        raise DataError("the data's row labels are not unique, so that a labelling design cannot be matched to them")
    # (N,) position in the design of each of the table's rows
    place = design.rows.get_indexer(labels)
    unknown = place < 0
    if unknown.any() or len(labels) != len(design.rows):
        what = f"{first_rows(unknown, labels)} are not in it" if unknown.any() else "some of its rows are missing"
        raise DataError(
            f"the labelling design has {len(design.rows)} rows and the data {len(labels)}; {what}. Pass the table from which "
            "rows were drawn, all rows under the labels they had then"
        )
    return design.at(place)


def whole_units(
    unit: IntArray, cluster: IntArray | None, n_clusters: int | None, name: str | None
) -> tuple[IntArray, int | None]:
    """Clusters of rows that were drawn together: the design's units, or the given clusters if these hold units whole."""
    if cluster is None:
        levels, codes = np.unique(unit, return_inverse=True)
        return codes, len(levels)
    # units drawn whole are independent of each other, rows within them are not: clusters may join units, not cut them
    split = pd.Series(cluster).groupby(unit).nunique()
    if split.max() > 1:
        raise ArgumentError(
            f"cluster={name!r} puts rows of {int((split > 1).sum())} units, which the design drew whole, into several "
            "clusters; leave cluster out (the units then serve), or name clusters of whole units"
        )
    return cluster, n_clusters
