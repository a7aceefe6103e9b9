"""What the checks work on: a fit, its rows, and covariates cut into groups."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.sample import Sample
from dsl.data.tables import TableLike, column_names, to_pandas
from dsl.estimators.analysis import Analysis
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError

FEW_VALUES = 6
"""Distinct values up to which a number is taken for a category."""
MOST_GROUPS = 10
"""Groups of a covariate. Rarer categories are merged."""
LEAST = 20
"""Labelled rows of a group. Smaller ones are merged with others. In simulations with groups of 20 to 150 rows, weights of 1 and
4 and clusters, tests at the 1% level rejected 0.3 to 1.5% where errors are made on 5 to 50% of rows, and 2% where on 2%."""
THIRDS = (1.0 / 3.0, 2.0 / 3.0)
OTHER = "(other)"
MISSING = "(missing)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fit and the rows behind it."""

    fit: Fit
    analysis: Analysis
    covariates: pd.DataFrame = field(repr=False)
    """(N, .) columns across which surrogate errors are compared."""
    seen: int | None = None
    """Of rows that come in blocks, how many of those without labels are here."""

    @property
    def thinned(self) -> str:
        """What to say where some rows are not here. Empty where all are."""
        others = self.fit.nobs - self.fit.n_labeled
        if self.seen is None or self.seen >= others:
            return ""
        return f"rows were read in blocks, and of {others:,} without labels {self.seen:,} were looked at"

    @property
    def mean_prob(self) -> float:
        """Mean probability of being labelled, of all rows that were not seen by the predictions' maker."""
        if self.seen is not None:
            return self.fit.n_labeled / self.fit.nobs
        return float(self.sample.sample_prob[~self.sample.trained].mean())

    @property
    def sample(self) -> Sample:
        """Rows of the analysis."""
        return self.analysis.sample

    @property
    def labeled(self) -> BoolArray:
        """Labelled rows, (N,)."""
        return self.sample.labeled

    @property
    def weight(self) -> FloatArray:
        """Inverse sampling probabilities of the labelled rows, (n,)."""
        return self.sample.weight

    @property
    def unit(self) -> IntArray | None:
        """(n,) clusters of the labelled rows, if there are any."""
        return None if self.sample.cluster is None else self.sample.cluster[self.labeled]

    def judging(self) -> "Case":
        """The same with those labelled rows alone by which predictions are judged: not those that their maker has seen."""
        if not self.sample.trained.any():
            return self
        sample = replace(self.sample, labeled=self.sample.judged, trained=np.zeros_like(self.sample.trained))
        return replace(self, analysis=replace(self.analysis, sample=sample))

    @property
    def estimator(self) -> str:
        """The fit's."""
        return self.fit.call.estimator

    @property
    def out_of_fold(self) -> FloatArray | None:
        """(S, n, q) predictions of the labelled rows, or None for estimators without a learner."""
        predictions = self.fit.splits.predictions
        return None if predictions is None else predictions[:, self.labeled]


def covariates_of(analysis: Analysis, data: TableLike, by: tuple[str, ...]) -> pd.DataFrame:
    """Columns of the formula that are not predicted, and those named in `by`, (N, .).

    Raises
    ------
    ArgumentError
        A column of `by` is not in the data, or is a gold label.
    """
    columns = analysis.columns
    known = [name for name in columns.formula if name not in columns.predicted]
    gold = [name for name in by if name in columns.predicted]
    if gold:
        raise ArgumentError(f"by names '{gold[0]}', a gold label, which is not known for every row; name other columns")
    absent = [name for name in by if name not in column_names(data)]
    if absent:
        raise ArgumentError(f"by names '{absent[0]}', which is not in the data")
    further = [name for name in by if name not in known]
    # the analysis' own rows: those with missing values were left out
    extra = to_pandas(data, further).iloc[analysis.sample.rows] if further else None
    frame = analysis.sample.data[known]
    return frame if extra is None else pd.concat([frame, extra.set_axis(frame.index, axis=0)], axis=1)


def is_discrete(column: pd.Series) -> bool:
    """Whether a column holds categories, or numbers with few values."""
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return True
    return bool(column.nunique() <= FEW_VALUES)


def groups(column: pd.Series, labeled: BoolArray) -> pd.Series:
    """The covariate's groups on the labelled rows: categories, or thirds of a number, as text (n,).

    Categories with few labelled rows, or beyond the most frequent ones, are merged.
    """
    mine = column[labeled]
    if is_discrete(column):
        text = mine.map(text_of)
    else:
        values = column.to_numpy(dtype=float)
        # thirds of all rows, so that the groups do not depend on who was labelled
        edges = np.unique(np.quantile(values[~np.isnan(values)], THIRDS))
        text = pd.Series(np.array(_intervals(edges), dtype=object)[np.searchsorted(edges, mine)], index=mine.index)
    text = text.astype(object).where(mine.notna(), MISSING)
    count = text.value_counts()
    # room for "(other)" where there are more groups than are kept
    kept = count.index[(count >= LEAST).to_numpy()][: MOST_GROUPS - 1 if len(count) > MOST_GROUPS else MOST_GROUPS]
    return text.where(text.isin(kept), OTHER)


def text_of(value: object) -> str:
    """A level's name."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
    return f"{value:g}" if number else str(value)


def _intervals(edges: FloatArray) -> list[str]:
    """Names of the intervals that the edges make."""
    inner = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]:.3g}", *inner, f"above {edges[-1]:.3g}"]


def dummies(group: pd.Series) -> FloatArray:
    """0/1 columns of all groups but the first, (rows, groups - 1)."""
    return np.asarray(pd.get_dummies(group, dtype=float).to_numpy()[:, 1:])
