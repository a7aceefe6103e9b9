"""A sample of the rows of an earlier one, for labels that come in stages: a crowd's on many rows, experts' on some of these."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.arguments import Seed, as_names, explain_calls
from dsl.data.source import DataLike
from dsl.data.tables import first_rows
from dsl.engine.labeling import Labeling
from dsl.exceptions import ArgumentError, DesignError
from dsl.sampling.design import LabelDesign
from dsl.sampling.population import groups, population, seed_setting
from dsl.sampling.schemes import simple_random, stratified


@explain_calls
def nested(
    first: LabelDesign,
    data: DataLike,
    n_labels: int,
    *,
    by: str | Sequence[str] | None = None,
    allocation: str | Mapping[Any, int] = "proportional",
    seed: Seed = 1234,
) -> LabelDesign:
    """Exactly `n_labels` of the rows that an earlier design drew, for a finer label.

    Experts who label some of the crowd's rows are such a sample, and ``dsl.dsl(stages=["crowd"], design=...)`` takes both labels
    (`dsl.engine.stages`). A nested design may be the first of another.

    Parameters
    ----------
    first : LabelDesign
        Of the stage before.
    data : data frame, or source of blocks of rows
        What it was drawn from.
    n_labels : int
        Number of rows to label again, at most those that `first` drew.
    by : str or list of str, optional
        Columns whose values make strata, known for the rows that `first` drew: the crowd's label too.
    allocation : {"proportional", "equal"} or dict
        As in `stratified`.
    seed : int or numpy.random.Generator

    Returns
    -------
    LabelDesign
        ``prob`` is the probability of coming through all draws, the product of theirs. Of rows that were not drawn before, which
        have none in strata of labels that they lack, it is that of an average row. ``within`` is `first`.

    Raises
    ------
    ArgumentError
        `n_labels` is not between 1 and the number of rows that `first` drew, or an allocation does not fit.
    DesignError
        `first` was drawn from other rows.

    References
    ----------
    Sarndal, Swensson and Wretman, "Model assisted survey sampling" (1992), chapter 9.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=0)
    >>> crowd = dsl.sampling.simple_random(tweets, 2000, seed=1)
    >>> experts = dsl.sampling.nested(crowd, tweets, 400, by="source", seed=2)
    >>> experts
    <LabelDesign nested: 400 of 9390 rows drawn, probabilities 0.0425 to 0.0427>
    >>> int((experts.drawn & ~crowd.drawn).sum()), experts.within is crowd
    (0, True)
    """
    if not isinstance(first, LabelDesign):
        raise ArgumentError(f"nested draws among the rows of a LabelDesign; found {type(first).__name__}")
    people = population(data, {"by": by}, None)
    place = people.rows.get_indexer(first.rows)
    if (place < 0).any():
        raise DesignError(
            f"{first_rows(place < 0, first.rows)} of the design are not in the data; pass the table that it was drawn from, "
            "under the same row labels"
        )
    outside = np.ones(len(people), dtype=bool)
    outside[place] = ~first.drawn
    if by is None:
        among = simple_random(data, n_labels, exclude=outside, seed=seed)
    else:
        among = stratified(data, n_labels, by=by, allocation=allocation, exclude=outside, seed=seed)
    # positions among the rows drawn before, in the order of the design
    own = among.rows.get_indexer(first.rows[first.drawn])
    given = np.ones(len(first))
    given[first.drawn] = among.prob[own]
    drawn = np.zeros(len(first), dtype=bool)
    drawn[first.drawn] = among.drawn[own]
    stratum = None
    if among.stratum is not None:
        stratum = np.zeros(len(first), dtype=np.int64)
        stratum[first.drawn] = among.stratum[own]
    inner = Labeling(prob=given, drawn=drawn, fixed_size=True, stratum=stratum)
    return LabelDesign(
        kind="nested",
        rows=first.rows,
        prob=first.prob * np.where(first.drawn, given, _expected(given, first, people.frame.iloc[place], by)),
        drawn=drawn,
        # of units a number that was fixed among the rows drawn is none of the units
        fixed_size=first.fixed_size and first.unit is None,
        unit=first.unit,
        unit_prob=first.unit_prob,
        settings={**among.settings, **seed_setting(seed)},
        within=first,
        inner=inner,
    )


def _expected(given: FloatArray, first: LabelDesign, frame: pd.DataFrame, by: str | Sequence[str] | None) -> FloatArray:
    """Probabilities (N,) of rows had the stage before drawn them: those of their stratum, else of an average row."""
    own = given[first.drawn]
    average = np.full(len(first), float(own[0] if np.ptp(own) == 0.0 else own.mean()))
    names = [] if by is None else list(as_names(by, "by"))
    if not names or frame[names].isna().to_numpy().any():
        return average
    codes = groups(frame, names, "by")[0]
    # strata have one probability each, those without a row that was drawn before none
    share = np.full(int(codes.max()) + 1, np.nan)
    share[codes[first.drawn]] = own
    return np.asarray(np.where(np.isnan(share[codes]), average, share[codes]))
