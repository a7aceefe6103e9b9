"""Rows drawn one by one: simple random, Bernoulli, stratified, probability proportional to size."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from dsl._typing import FloatArray, IntArray
from dsl.data.arguments import Seed, check_count, check_probabilities, explain_calls, random_generator
from dsl.data.source import DataLike
from dsl.data.tables import first_rows
from dsl.exceptions import ArgumentError, DataError
from dsl.sampling.design import LabelDesign
from dsl.sampling.draw import draw_bernoulli, draw_fixed_size, draw_within
from dsl.sampling.population import Mask, Population, groups, population, seed_setting
from dsl.sampling.probability import allocate, scale_probabilities

T = TypeVar("T")

ALLOCATIONS = ("proportional", "neyman", "equal")


@explain_calls
def simple_random(data: DataLike, n_labels: int, *, exclude: Mask | None = None, seed: Seed = 1234) -> LabelDesign:
    """Simple random sample: exactly `n_labels` rows, every set of rows as likely as any other.

    Parameters
    ----------
    data : data frame, or source of blocks of rows
        pandas, polars, pyarrow, or a dict of columns. Rows are known by the pandas index, else as 0, 1, ... Or what `dsl.dsl`
        reads in blocks: a path of Parquet files, ... Of these the columns that the draw goes by are read once and kept in a few
        bytes a row, the rows are 0, 1, ..., and those drawn are those that the same rows in memory give.
    n_labels : int
        Number of rows to label.
    exclude : str, or (rows,) bool array, optional
        Rows that are no part of the population, such as those a codebook was written with: a column that is 1 there,
        or a mask. The design is a sample of the other rows. Analyse those with it.
    seed : int or numpy.random.Generator

    Returns
    -------
    LabelDesign

    Raises
    ------
    ArgumentError
        `n_labels` is not a whole number between 1 and the number of rows.
    DesignError
        Row labels repeat.

    Examples
    --------
    >>> import dsl
    >>> dsl.sampling.simple_random(dsl.datasets.load_sentiment(), 500, seed=1)
    <LabelDesign srs: 500 of 9390 rows drawn, probability 0.0532>
    """
    people = population(data, {}, exclude)
    count = people.check_n_labels(n_labels)
    codes: IntArray = np.zeros(len(people), dtype=np.int64)
    return LabelDesign(
        kind="srs",
        rows=people.rows,
        prob=np.full(len(people), count / len(people)),
        drawn=draw_within(codes, np.array([count]), random_generator(seed)),
        fixed_size=True,
        settings={"n_labels": count, **seed_setting(seed), **people.settings},
    )


@explain_calls
def bernoulli(
    data: DataLike,
    n_labels: float | None = None,
    *,
    prob: ArrayLike | None = None,
    exclude: Mask | None = None,
    seed: Seed = 1234,
) -> LabelDesign:
    """Draw every row independently of the others, so that the number of rows drawn is random.

    Parameters
    ----------
    data
        As in `simple_random`.
    n_labels : float, optional
        Expected number of rows drawn, with equal probabilities.
    prob : float, str or (rows,) array, optional
        The probability, or a column or array with each row's, in (0, 1]. Give either `n_labels` or `prob`.
    exclude, seed
        As in `simple_random`.

    Returns
    -------
    LabelDesign

    Raises
    ------
    ArgumentError
        Not one of `n_labels` and `prob`, or more labels than rows.
    SampleProbabilityError
        A probability is outside (0, 1].

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment()
    >>> dsl.sampling.bernoulli(tweets, prob=tweets["source"].map({"tweets": 0.1, "nyt": 0.02}), seed=1)
    <LabelDesign bernoulli: 522 of 9390 rows drawn, probabilities 0.02 to 0.1>
    """
    people = population(data, {"prob": prob}, exclude)
    if (n_labels is None) == (prob is None):
        raise ArgumentError(
            "bernoulli needs either n_labels, the expected number of rows, or prob, the probability of each row"
        )
    if prob is None:
        if (
            isinstance(n_labels, bool)
            or not isinstance(n_labels, int | float | np.number)
            or not 0 < n_labels <= len(people)
        ):
            raise ArgumentError(
                f"n_labels must be a number between 0 and {len(people)}, the number of rows; found {n_labels!r}"
            )
        each = np.full(len(people), float(n_labels) / len(people))
    else:
        each = check_probabilities(people.numbers(prob, "prob"), n_rows=len(people))
    return LabelDesign(
        kind="bernoulli",
        rows=people.rows,
        prob=each,
        drawn=draw_bernoulli(prob=each, rng=random_generator(seed)),
        fixed_size=False,
        settings={"n_labels": float(each.sum()), **seed_setting(seed), **people.settings},
    )


@explain_calls
def stratified(
    data: DataLike,
    n_labels: int | None = None,
    *,
    by: str | Sequence[str],
    allocation: str | Mapping[Any, int] = "proportional",
    spread: ArrayLike | Mapping[Any, float] | None = None,
    least: int = 2,
    exclude: Mask | None = None,
    seed: Seed = 1234,
) -> LabelDesign:
    """Simple random samples of fixed sizes within strata.

    Parameters
    ----------
    data
        As in `simple_random`.
    n_labels : int, optional
        Number of rows to label in all. Not needed where `allocation` gives the sizes.
    by : str or list of str
        Columns whose values make the strata, known for every row: source, year, the surrogate label.
    allocation : {"proportional", "neyman", "equal"} or dict
        Sizes proportional to the strata's rows, proportional to rows times `spread` (best for a mean), the same everywhere, or
        those given for each stratum by its value (a tuple of values for several columns). Sizes are whole, sum to `n_labels`
        exactly, and are the best such numbers (`dsl.sampling.probability.allocate`).
    spread : str, array or dict, optional
        For ``"neyman"``: expected standard deviation of what is labelled (of its prediction's error) in each row, of
        which a stratum has the root mean square, or the strata's own, by value.
    least : int
        Smallest size of a stratum: 2, so that its variance can be estimated. Smaller strata are labelled in full.
    exclude, seed
        As in `simple_random`.

    Returns
    -------
    LabelDesign

    Raises
    ------
    ArgumentError
        Sizes that do not fit the strata, an unknown allocation, or Neyman without `spread`.
    DataError
        `by` or `spread` is missing in some rows.

    Examples
    --------
    Accuracy of the machine's labels is thought to be lower among its "positive" ones:

    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment()
    >>> design = dsl.sampling.stratified(tweets, 500, by="vader_positive", allocation="neyman", spread={0: 0.3, 1: 0.45})
    >>> design
    <LabelDesign stratified: 500 of 9390 rows drawn, probabilities 0.0428 to 0.0641>
    >>> design.settings["sizes"]
    [205, 295]
    """
    people = population(data, {"by": by, "spread": spread}, exclude)
    codes, strata = groups(people.frame, by, "by")
    rows: IntArray = np.bincount(codes)
    each = check_count(least, name="least", least=1)
    if isinstance(allocation, Mapping):
        sizes = _given_sizes(allocation, strata, rows, n_labels)
    elif not isinstance(allocation, str) or allocation not in ALLOCATIONS:
        raise ArgumentError(
            f"unknown allocation {allocation!r}: use one of {', '.join(ALLOCATIONS)}, or a dict of the size of each stratum"
        )
    else:
        if n_labels is None:
            raise ArgumentError(f"allocation='{allocation}' needs n_labels, the number of rows to label")
        spreads = _spreads(people, spread, codes, strata, rows, allocation)
        sizes = allocate(people.check_n_labels(n_labels), rows, spreads, least=each)
    return LabelDesign(
        kind="stratified",
        rows=people.rows,
        # pi_i = n_h / N_h
        prob=(sizes / rows)[codes],
        drawn=draw_within(codes, sizes, random_generator(seed)),
        fixed_size=True,
        stratum=codes,
        settings={
            "n_labels": int(sizes.sum()),
            "by": [by] if isinstance(by, str) else list(by),
            "allocation": "given" if isinstance(allocation, Mapping) else allocation,
            "strata": [", ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in strata],
            "sizes": sizes,
            **seed_setting(seed),
            **people.settings,
        },
    )


def _given_sizes(
    given: Mapping[Hashable, int], strata: list[Hashable], rows: IntArray, n_labels: int | None
) -> IntArray:
    """Sizes by stratum, checked against the strata."""
    values = _by_stratum(given, strata, "allocation")
    sizes = np.array([check_count(n, name=f"allocation[{h!r}]", least=1) for h, n in zip(strata, values, strict=True)])
    if (sizes > rows).any():
        h = int((sizes > rows).argmax())
        raise ArgumentError(f"allocation[{strata[h]!r}] is {sizes[h]}, but that stratum has {rows[h]} rows; lower it")
    if n_labels is not None and n_labels != sizes.sum():
        raise ArgumentError(
            f"n_labels is {n_labels}, but the sizes in allocation sum to {sizes.sum()}; leave n_labels out"
        )
    return sizes


def _by_stratum(given: Mapping[Hashable, T], strata: list[Hashable], argument: str) -> list[T]:
    """The values of a mapping in the strata's order."""
    lacking, unknown = [h for h in strata if h not in given], [h for h in given if h not in strata]
    if lacking or unknown:
        what = f"has no entry for {lacking[0]!r}" if lacking else f"names {unknown[0]!r}, which is no stratum"
        known = ", ".join(repr(h) for h in strata[:6])
        raise ArgumentError(
            f"{argument} {what}; the {len(strata)} strata are {known}{', ...' if len(strata) > 6 else ''}: give each an entry "
            "(to leave a stratum out of the population, use exclude=)"
        )
    return [given[h] for h in strata]


def _spreads(
    people: Population,
    spread: ArrayLike | Mapping[Any, float] | None,
    codes: IntArray,
    strata: list[Hashable],
    rows: IntArray,
    allocation: str,
) -> FloatArray:
    """Standard deviation of each stratum that makes `allocate` the allocation asked for, (H,)."""
    if allocation != "neyman":
        if spread is not None:
            raise ArgumentError(f"spread is for allocation='neyman', not '{allocation}'; leave it out")
        # `allocate` goes by N_h S_h: S_h = 1 is proportional to rows, S_h = 1 / N_h the same everywhere
        return np.ones(len(rows)) if allocation == "proportional" else 1.0 / rows
    if spread is None:
        raise ArgumentError(
            "allocation='neyman' needs spread, the expected standard deviation of the errors: a column, an array, or a dict "
            "with each stratum's"
        )
    if isinstance(spread, Mapping):
        out = np.array([float(value) for value in _by_stratum(spread, strata, "spread")])
    else:
        # root mean square of the rows' own spreads: errors of mean zero with unequal variances
        out = np.sqrt(np.bincount(codes, people.numbers(spread, "spread") ** 2) / rows)
    if not (np.isfinite(out) & (out >= 0.0)).all() or not out.any():
        raise DataError(f"spread must be zero or more, and not zero in every stratum; found {out[:6].tolist()}")
    return out


@explain_calls
def proportional_to_size(
    data: DataLike,
    n_labels: int,
    *,
    measure: ArrayLike,
    floor: float | None = None,
    exclude: Mask | None = None,
    seed: Seed = 1234,
) -> LabelDesign:
    """Exactly `n_labels` rows, each with probability proportional to a measure of size.

    Probabilities that would exceed one become one (the row is drawn for certain) and the others are scaled up, so
    that they always sum to `n_labels`. Drawn by systematic sampling in random order, which keeps each row's probability
    exact (`dsl.sampling.draw.draw_fixed_size`).

    Parameters
    ----------
    data
        As in `simple_random`.
    n_labels : int
        Number of rows to label.
    measure : str or (rows,) array
        Column or array, zero or more: length, reach, the expected error of the machine's label.
    floor : float, optional
        Smallest probability, below `n_labels` / rows. Needed where the measure may be zero, and wise where it is a guess:
        the weight of a drawn row, one over its probability, is then at most one over the floor.
    exclude, seed
        As in `simple_random`.

    Returns
    -------
    LabelDesign

    Raises
    ------
    ArgumentError
        Sizes or floors that cannot be met.
    DataError
        The measure is missing, negative, or zero without a floor.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment()
    >>> dsl.sampling.proportional_to_size(tweets, 500, measure="n_words", floor=0.02, seed=1)
    <LabelDesign pps: 500 of 9390 rows drawn, probabilities 0.02 to 0.263>
    """
    people = population(data, {"measure": measure}, exclude)
    count = people.check_n_labels(n_labels)
    values = people.numbers(measure, "measure")
    name = f"'{measure}'" if isinstance(measure, str) else "given"
    bad = ~np.isfinite(values) | (values < 0.0)
    if bad.any():
        raise DataError(
            f"the measure {name} is negative or infinite in {first_rows(bad, people.rows)}; it must be zero or more"
        )
    least = check_floor(floor, count, len(people))
    if not least and (values == 0.0).any():
        raise DataError(
            f"the measure {name} is zero in {first_rows(values == 0.0, people.rows)}, which could then never be drawn; pass a "
            f"floor, e.g. floor={0.1 * count / len(people):.2g}, or leave these rows out of the population with exclude="
        )
    prob = scale_probabilities(values, count, floor=least)
    return LabelDesign(
        kind="pps",
        rows=people.rows,
        prob=prob,
        drawn=draw_fixed_size(prob, random_generator(seed)),
        fixed_size=True,
        settings={
            "n_labels": count,
            "measure": measure if isinstance(measure, str) else "an array",
            "floor": least,
            **seed_setting(seed),
            **people.settings,
        },
    )


def check_floor(floor: float | None, n_labels: int, rows: int, default: float = 0.0) -> float:
    """Return the smallest probability, which must leave room for that many labels."""
    if floor is None:
        return default
    if isinstance(floor, bool) or not isinstance(floor, int | float | np.number) or not 0.0 <= floor <= n_labels / rows:
        raise ArgumentError(
            f"floor must be between 0 and {n_labels / rows:.4g}, the probability if {n_labels} labels were spread evenly over "
            f"{rows} rows; found {floor!r}"
        )
    return float(floor)
