"""The labelling design of a table's rows, and what it says about the rows of an analysis."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.tables import first_rows, rounded_hint
from dsl.engine.labeling import Labeling
from dsl.exceptions import ArgumentError, DataError

ARRAYS = ("prob", "drawn", "stratum", "unit", "unit_prob", "kept")
"""The arrays of a labeling, one value per row. All but the first two may be None."""
HASHED = 100_000
"""Row labels that are text at one time."""


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
    within: "SamplingDesign | None" = None
    """The design of the stage before, among whose rows these were drawn (`dsl.sampling.nested`)."""
    inner: Labeling | None = field(default=None, repr=False)
    """(N,) how they were drawn among these: other rows have a probability of one, and were not drawn."""

    def __len__(self) -> int:
        """Rows of the population, N."""
        return len(self.rows)

    @property
    def depth(self) -> int:
        """Number of stages before the last (`dsl.sampling.nested`)."""
        return 0 if self.within is None else 1 + self.within.depth

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
        for start in range(0, len(self), HASHED):
            digest.update(("\x1f" if start else "").encode())
            digest.update("\x1f".join(map(str, self.rows[start : start + HASHED])).encode())
        for name in ARRAYS:
            value = getattr(self, name)
            # designs of whole populations keep the fingerprint that they had before there were parts
            if name == "kept" and value is None:
                continue
            digest.update(name.encode() + (b"" if value is None else np.ascontiguousarray(value).tobytes()))
        if self.within is not None:
            digest.update(f"within {self.within.fingerprint}".encode())
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
        twice = np.asarray(labels.duplicated(keep=False))
        raise DataError(
            f"the data's row labels are not unique, {first_rows(twice, labels)} share theirs with others, so that a labelling "
            "design cannot be matched to them; keep each row of the population once, under the label it had"
        )
    # (N,) position in the design of each of the table's rows
    place = design.rows.get_indexer(labels)
    unknown = place < 0
    if unknown.any() or len(labels) != len(design.rows):
        raise DataError(_mismatch(design, labels, unknown))
    return design.at(place)


def stages_of(design: SamplingDesign, labels: pd.Index) -> list[tuple[Labeling, FloatArray]]:
    """The draws of a nested design, from the first to the last, in the order of a table's rows (all of them known to it).

    Each with its probabilities given the draw before (`SamplingDesign.inner`), and (N,) those of coming that far.
    """
    place = design.rows.get_indexer(labels)
    if design.within is None or design.inner is None:
        return [(design.at(place), design.prob[place])]
    return [*stages_of(design.within, labels), (design.inner.at(place), design.prob[place])]


def _mismatch(design: SamplingDesign, labels: pd.Index, unknown: BoolArray) -> str:
    """What a design and a table whose rows differ have of each other, and what to do."""
    found = f"the labelling design has {len(design.rows)} rows and the data {len(labels)}"
    absent = ~design.rows.isin(labels)
    if unknown.any():
        found += f"; {first_rows(unknown, labels)} of the data are not in the design{rounded_hint(labels)}"
    if absent.any():
        found += f"; {first_rows(absent, design.rows)} of the design are not in the data"
    numbered = labels.equals(pd.RangeIndex(len(labels)))
    if unknown.any() and not absent.any():
        return f"{found}. Leave out rows that were no part of the population drawn from: data.loc[design.rows]"
    if numbered and len(labels) < len(design.rows):
        # labels 0, 1, ... say nothing about which rows these are: a mask does
        return (
            f"{found}. To analyse a part of the rows, pass design.subset(mask, renumber=True) with the mask that made the part, "
            "as its rows are numbered anew from 0"
        )
    if unknown.any():
        return f"{found}. Pass the table from which rows were drawn, all rows under the labels they had then"
    return f"{found}. To analyse a part of the rows, pass its part of the design: design=design.subset(data.index)"


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
