"""Rows drawn in clusters: whole clusters, or some rows of each cluster drawn."""

from collections.abc import Sequence

import numpy as np

from dsl._typing import IntArray
from dsl.data.arguments import Seed, check_choice, check_count, explain_calls, random_generator
from dsl.data.source import DataLike
from dsl.exceptions import ArgumentError
from dsl.sampling.design import LabelDesign
from dsl.sampling.draw import draw_fixed_size, draw_within
from dsl.sampling.population import Mask, groups, population, seed_setting
from dsl.sampling.probability import scale_probabilities


@explain_calls
def clustered(
    data: DataLike, n_clusters: int, *, by: str | Sequence[str], exclude: Mask | None = None, seed: Seed = 1234
) -> LabelDesign:
    """Simple random sample of clusters, all of whose rows are labelled.

    Parameters
    ----------
    data
        As in `simple_random`.
    n_clusters : int
        Number of clusters to draw.
    by : str or list of str
        Columns whose values make the clusters: document, author, thread.
    exclude, seed
        As in `simple_random`.

    Returns
    -------
    LabelDesign
        With ``unit`` and ``unit_prob``. Analyse with ``cluster=`` the same column: rows of a cluster were drawn together.

    Raises
    ------
    ArgumentError
        `n_clusters` is not a whole number between 2 and the number of clusters.
    DataError
        `by` is missing in some rows.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment()
    >>> editorials = tweets[tweets["source"] == "nyt"]
    >>> dsl.sampling.clustered(editorials, 50, by="doc_id", seed=1)
    <LabelDesign cluster: 539 of 5190 rows drawn, probability 0.1>
    """
    people = population(data, {"by": by}, exclude)
    # codes (N,) of the rows' clusters, found: the clusters
    codes, found = groups(people.frame, by, "by")
    count = _check_clusters(n_clusters, len(found))
    # one stratum that holds all clusters. `chosen` (C,) says which are drawn
    chosen = draw_within(np.zeros(len(found), dtype=np.int64), np.array([count]), random_generator(seed))
    # all rows of a cluster come together: pi_i = n_clusters / C
    prob = np.full(len(people), count / len(found))
    return LabelDesign(
        kind="cluster",
        rows=people.rows,
        prob=prob,
        drawn=chosen[codes],
        fixed_size=True,
        unit=codes,
        unit_prob=prob,
        settings={
            "n_clusters": count,
            "by": [by] if isinstance(by, str) else list(by),
            **seed_setting(seed),
            **people.settings,
        },
    )


@explain_calls
def two_stage(
    data: DataLike,
    n_clusters: int,
    per_cluster: int,
    *,
    by: str | Sequence[str],
    first: str = "size",
    exclude: Mask | None = None,
    seed: Seed = 1234,
) -> LabelDesign:
    """Draw clusters, then a simple random sample of rows in each of them.

    Parameters
    ----------
    data
        As in `simple_random`.
    n_clusters : int
        Number of clusters to draw.
    per_cluster : int
        Rows to draw in each. Smaller clusters are labelled in full.
    by : str or list of str
        Columns whose values make the clusters.
    first : {"size", "equal"}
        Clusters drawn with probability proportional to their number of rows, which gives rows (nearly) equal
        probabilities in all, or with equal probability.
    exclude, seed
        As in `simple_random`.

    Returns
    -------
    LabelDesign
        With ``unit`` and ``unit_prob``. Analyse with ``cluster=`` the same column.

    Raises
    ------
    ArgumentError
        `n_clusters` or `per_cluster` out of range.
    DataError
        `by` is missing in some rows.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment()
    >>> editorials = tweets[tweets["source"] == "nyt"]
    >>> dsl.sampling.two_stage(editorials, 100, 5, by="doc_id", seed=1)
    <LabelDesign two_stage: 500 of 5190 rows drawn, probabilities 0.0578 to 0.0963>
    """
    people = population(data, {"by": by}, exclude)
    codes, found = groups(people.frame, by, "by")
    rows: IntArray = np.bincount(codes)
    count = _check_clusters(n_clusters, len(found))
    # m_c = min(per_cluster, M_c), (C,)
    sizes = np.minimum(check_count(per_cluster, name="per_cluster", least=1), rows)
    check_choice("first", first, ("size", "equal"))
    rng = random_generator(seed)
    # size M_c, or 1 for all
    measure = rows.astype(float) if first == "size" else np.ones(len(rows))
    unit_prob = scale_probabilities(measure, count)
    # first stage: a fixed number of clusters with probabilities pi_c (C,)
    chosen = draw_fixed_size(unit_prob, rng)
    return LabelDesign(
        kind="two_stage",
        rows=people.rows,
        # pi_i = pi_c m_c / M_c, which is the same for all rows of clusters of m_c = per_cluster if pi_c is in M_c's proportion
        prob=(unit_prob * sizes / rows)[codes],
        # second stage: m_c rows of each cluster chosen, none of the others
        drawn=draw_within(codes, np.where(chosen, sizes, 0), rng),
        fixed_size=True,
        unit=codes,
        unit_prob=unit_prob[codes],
        settings={
            "n_clusters": count,
            "per_cluster": int(per_cluster),
            "by": [by] if isinstance(by, str) else list(by),
            "first": first,
            **seed_setting(seed),
            **people.settings,
        },
    )


def _check_clusters(n_clusters: object, found: int) -> int:
    count = check_count(n_clusters, name="n_clusters", least=2)
    if count > found:
        raise ArgumentError(f"n_clusters is {count}, but there are {found}; lower it")
    return count
