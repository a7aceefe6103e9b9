"""Gold values, and what a labelling design says about the rows of an analysis."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.tables import first_rows
from dsl.engine.labeling import Labeling
from dsl.exceptions import ArgumentError, DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A labelling design in the order of the data's rows."""

    design: Any
    place: IntArray
    prob: FloatArray
    drawn: BoolArray

    @classmethod
    def of(cls, design: Any, labels: pd.Index) -> "Drawn":
        """Match the design's rows to the data's by their labels."""
        if not labels.is_unique:
            raise DataError(
                "the data's row labels are not unique, so that a labelling design cannot be matched to them"
            )
        place = design.rows.get_indexer(labels)
        unknown = place < 0
        if unknown.any() or len(labels) != len(design.rows):
            what = f"{first_rows(unknown, labels)} are not in it" if unknown.any() else "some of its rows are missing"
            raise DataError(
                f"the labelling design has {len(design.rows)} rows and the data {len(labels)}; {what}. Pass the table from which "
                "rows were drawn, all rows under the labels they had then"
            )
        return cls(design=design, place=place, prob=design.prob[place], drawn=design.drawn[place])

    def labeling(self, keep: BoolArray, labeled: BoolArray) -> Labeling:
        """What the finite-population variance needs of the labelled rows that are kept."""
        place = self.place[keep][labeled]

        def of(values: Any) -> Any:
            return None if values is None else values[place]

        design = self.design
        return Labeling(
            prob=self.design.prob[place],
            fixed_size=design.fixed_size,
            stratum=of(design.stratum),
            unit=of(design.unit),
            unit_prob=of(design.unit_prob),
        )


def labeling_of(
    drawn: Drawn | None, keep: BoolArray, labeled: BoolArray, prob: FloatArray, equal_prob: bool
) -> Labeling:
    """How the labelled rows were drawn: by the design, or a fixed number if `prob` (N,) is equal, else one by one."""
    if drawn is None:
        return Labeling(prob=prob[labeled], fixed_size=equal_prob)
    return drawn.labeling(keep, labeled)


def whole_units(
    unit: IntArray, cluster: IntArray | None, n_clusters: int | None, name: str | None
) -> tuple[IntArray, int | None]:
    """Clusters of rows that were drawn together: the design's units, or the given clusters if these hold units whole."""
    if cluster is None:
        levels, codes = np.unique(unit, return_inverse=True)
        return codes, len(levels)
    split = pd.Series(cluster).groupby(unit).nunique()
    if split.max() > 1:
        raise ArgumentError(
            f"cluster={name!r} puts rows of {int((split > 1).sum())} units, which the design drew whole, into several "
            "clusters; leave cluster out (the units then serve), or name clusters of whole units"
        )
    return cluster, n_clusters
