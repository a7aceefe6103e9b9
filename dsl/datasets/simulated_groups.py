"""Simulated tables of rows in groups (panels, posts of candidates, years) whose true coefficients are known.

Every function returns a frame ready for ``dsl.dsl(data=frame, **frame.attrs["call"])``. The superpopulation
values of the coefficients are in ``frame.attrs["truth"]``, under the names the formula gives them.
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from dsl._typing import BoolArray, FloatArray
from dsl.data.arguments import Seed, check_count, explain_calls, random_generator
from dsl.datasets.build import check_accuracy, check_number, draw_binary, finish, flip
from dsl.datasets.labels import Labels, draw_fixed

FIRST_YEAR = 2010


@explain_calls
def simulate_panel(
    n_units: int = 200,
    n_years: int = 10,
    n_labels: Labels = 800,
    *,
    balanced: bool = True,
    bias: float = 0.5,
    seed: Seed = 1234,
) -> pd.DataFrame:
    """Simulate a panel with unit and year effects and a predicted covariate.

    y = a_unit + 0.2 t + x - 0.5 z + e in year t = 0, 1, ..., with a, e ~ N(0, 1), z = 0.3 a + N(0, 1) and
    x = 0.5 a + 0.1 t + 0.4 z + N(0, 1): leaving out the effects biases the coefficient of x. The surrogate's
    error moves with z and drifts over the years: pred_x = x + bias (z + 0.1 t) + u, u ~ N(0, .5^2).

    Parameters
    ----------
    n_units : int, default 200
        Number of units, at least 2.
    n_years : int, default 10
        Number of years, at least 2, and at least 3 for an unbalanced panel.
    n_labels : int or "all", default 800
        Show x on a simple random sample of exactly this many rows, or on every row.
    balanced : bool, default True
        If False, units with a high effect enter later, and one row in ten is missing. Every unit keeps its
        last two years.
    bias : float, default 0.5
        Strength of the surrogate's systematic error (0 leaves random noise only, which still attenuates).
    seed : int or numpy.random.Generator, default 1234
        Decides every random draw.

    Returns
    -------
    pandas.DataFrame, shape (n_units * n_years, 6), fewer rows if unbalanced
        ``unit`` (1, 2, ...), ``year``, ``y``, ``x`` (gold, NaN where not labelled), ``pred_x``, ``z``, sorted
        by unit and year. ``attrs["truth"]`` has the true coefficients of x and z and ``attrs["call"]`` the
        arguments for ``dsl.dsl``: two-way fixed effects, clustered by unit.

    Raises
    ------
    ArgumentError
        A size is not a whole number or is too small, `n_labels` exceeds the number of rows, or `bias` is not
        finite.

    Examples
    --------
    >>> from dsl.datasets import simulate_panel
    >>> data = simulate_panel(n_units=50, n_years=6, n_labels=100, seed=1)
    >>> data.shape, int(data["x"].notna().sum())
    ((300, 6), 100)
    >>> data.attrs["truth"], data.attrs["call"]["index"]
    ({'x': 1.0, 'z': -0.5}, ['unit', 'year'])
    >>> len(simulate_panel(n_units=50, n_years=6, n_labels=100, balanced=False, seed=1)) < 300
    True
    """
    n_units = check_count(n_units, name="n_units", least=2)
    n_years = check_count(n_years, name="n_years", least=2 if balanced else 3)
    bias, rng = check_number(bias, name="bias"), random_generator(seed)
    unit, t = np.repeat(np.arange(n_units), n_years), np.tile(np.arange(n_years), n_units)
    # one effect a per unit, read row by row as effect[unit]: x and z depend on it, so pooled least squares is biased
    effect = rng.standard_normal(n_units)
    z = 0.3 * effect[unit] + rng.standard_normal(unit.size)
    x = 0.5 * effect[unit] + 0.1 * t + 0.4 * z + rng.standard_normal(unit.size)
    y = effect[unit] + 0.2 * t + x - 0.5 * z + rng.standard_normal(unit.size)
    # the surrogate's error 0.1 t drifts with the years, which year effects take up, and moves with z, which they do not
    pred_x = x + bias * (z + 0.1 * t) + 0.5 * rng.standard_normal(unit.size)
    columns = {"unit": unit + 1, "year": FIRST_YEAR + t, "y": y, "x": x, "pred_x": pred_x, "z": z}
    keep = np.ones(unit.size, dtype=bool) if balanced else _observed(effect, n_years=n_years, rng=rng)
    return finish(
        {name: column[keep] for name, column in columns.items()},
        gold=["x"],
        shown=draw_fixed(n_rows=int(keep.sum()), n_labels=n_labels, rng=rng),
        truth={"x": 1.0, "z": -0.5},
        call={
            "formula": "y ~ x + z",
            "model": "felm",
            "predicted_var": ["x"],
            "prediction": ["pred_x"],
            "index": ["unit", "year"],
            "fixed_effect": "twoways",
            "cluster": "unit",
        },
    )


@explain_calls
def simulate_nested(
    n_candidates: int = 200,
    n_posts: int = 20,
    n_labels: Labels = 800,
    *,
    bias: float = 0.5,
    seed: Seed = 1234,
) -> pd.DataFrame:
    """Simulate posts nested in candidates, with the tone of a post predicted.

    tone = 0.2 - 0.5 incumbent + 0.3 economy + c + e, with incumbent ~ Bernoulli(.4) and c ~ N(0, .5^2) drawn
    per candidate, economy ~ Bernoulli(.3) and e ~ N(0, 1) per post. The surrogate reads incumbents as
    friendlier, and errs in the same direction on all posts of a candidate:
    pred_tone = tone + bias (incumbent + d) + u, d ~ N(0, 1) per candidate, u ~ N(0, .5^2) per post.

    Parameters
    ----------
    n_candidates : int, default 200
        Number of candidates, at least 2.
    n_posts : int, default 20
        Average number of posts per candidate (1 + Poisson(n_posts - 1)).
    n_labels : int or "all", default 800
        Show tone on a simple random sample of exactly this many posts, or on every post.
    bias : float, default 0.5
        Strength of the surrogate's systematic error (0 leaves random noise only).
    seed : int or numpy.random.Generator, default 1234
        Decides every random draw.

    Returns
    -------
    pandas.DataFrame, shape (about n_candidates * n_posts, 6)
        ``candidate`` (1, 2, ..., the cluster), ``post`` (1, 2, ... over the whole table), ``tone`` (gold, NaN
        where not labelled), ``pred_tone``, ``incumbent``, ``economy``. ``attrs["truth"]`` has the true
        coefficients and ``attrs["call"]`` the arguments for ``dsl.dsl``.

    Raises
    ------
    ArgumentError
        A size is not a whole number or is too small, `n_labels` exceeds the number of posts, or `bias` is not
        finite.

    Examples
    --------
    >>> from dsl.datasets import simulate_nested
    >>> data = simulate_nested(n_candidates=30, n_posts=10, n_labels=100, seed=1)
    >>> data["candidate"].nunique(), int(data["tone"].notna().sum())
    (30, 100)
    >>> data.attrs["call"]["cluster"]
    'candidate'
    """
    n_candidates = check_count(n_candidates, name="n_candidates", least=2)
    n_posts = check_count(n_posts, name="n_posts", least=1)
    bias, rng = check_number(bias, name="bias"), random_generator(seed)
    # 1 + Poisson(n_posts - 1): n_posts on average, and nobody without a post
    candidate = np.repeat(np.arange(n_candidates), 1 + rng.poisson(n_posts - 1, n_candidates))
    n = candidate.size
    # drawn once per candidate (n_candidates,), then spread over the posts (n,): constant within clusters
    incumbent = draw_binary(0.4, n_candidates, rng)[candidate]
    level = 0.5 * rng.standard_normal(n_candidates)[candidate]
    slant = rng.standard_normal(n_candidates)[candidate]
    economy = draw_binary(0.3, n, rng)
    tone = 0.2 - 0.5 * incumbent + 0.3 * economy + level + rng.standard_normal(n)
    pred_tone = tone + bias * (incumbent + slant) + 0.5 * rng.standard_normal(n)
    return finish(
        {
            "candidate": candidate + 1,
            "post": np.arange(1, n + 1),
            "tone": tone,
            "pred_tone": pred_tone,
            "incumbent": incumbent,
            "economy": economy,
        },
        gold=["tone"],
        shown=draw_fixed(n_rows=n, n_labels=n_labels, rng=rng),
        truth={"Intercept": 0.2, "incumbent": -0.5, "economy": 0.3},
        call={
            "formula": "tone ~ incumbent + economy",
            "model": "lm",
            "predicted_var": ["tone"],
            "prediction": ["pred_tone"],
            "cluster": "candidate",
        },
    )


@explain_calls
def simulate_yearly(
    n: int = 5000,
    n_labels: Labels = 1000,
    *,
    n_years: int = 8,
    accuracy: float = 0.85,
    seed: Seed = 1234,
) -> pd.DataFrame:
    """Simulate a category's share year by year, with the category predicted.

    Y is 1 with a probability that rises evenly from .2 in the first year to .6 in the last. The surrogate
    knows recent texts best: its error rate falls evenly from 2 (1 - accuracy) in the first year to 0 in the
    last, so that the predicted shares hide much of the rise. One coefficient per year, no intercept
    (``factor(year) - 1`` in R).

    Parameters
    ----------
    n : int, default 5000
        Number of rows, spread evenly over the years.
    n_labels : int or "all", default 1000
        Show Y on a simple random sample of exactly this many rows, or on every row.
    n_years : int, default 8
        Number of years, at least 2 and at most n.
    accuracy : float in [0.5, 1], default 0.85
        Average accuracy of the surrogate.
    seed : int or numpy.random.Generator, default 1234
        Decides every random draw.

    Returns
    -------
    pandas.DataFrame, shape (n, 3)
        ``year``, ``Y`` (gold, NaN where not labelled), ``pred_Y``, sorted by year. ``attrs["truth"]`` has the
        true share per year and ``attrs["call"]`` the arguments for ``dsl.dsl``.

    Raises
    ------
    ArgumentError
        A size is not a whole number or is too small, `n_labels` exceeds `n`, or `accuracy` is not in [0.5, 1].

    Examples
    --------
    >>> from dsl.datasets import simulate_yearly
    >>> data = simulate_yearly(n=900, n_labels=300, n_years=3, seed=1)
    >>> data.attrs["truth"]
    {'C(year)[2010]': 0.2, 'C(year)[2011]': 0.4, 'C(year)[2012]': 0.6}
    """
    n_years = check_count(n_years, name="n_years", least=2)
    n, rng = check_count(n, name="n", least=n_years), random_generator(seed)
    error = 1 - check_accuracy(accuracy)
    # years as equal in size as n allows
    t = np.sort(np.arange(n) % n_years)
    share = np.linspace(0.2, 0.6, n_years).round(12)
    y = draw_binary(share[t], n, rng)
    # falls from 2 (1 - accuracy) to 0, averaging 1 - accuracy over the years
    pred_y = flip(y, prob=2 * error * (1 - t / (n_years - 1)), rng=rng)
    return finish(
        {"year": FIRST_YEAR + t, "Y": y, "pred_Y": pred_y},
        gold=["Y"],
        shown=draw_fixed(n_rows=n, n_labels=n_labels, rng=rng),
        truth={f"C(year)[{FIRST_YEAR + k}]": float(p) for k, p in enumerate(share)},
        call={
            "formula": "Y ~ C(year) - 1",
            "model": "lm",
            "predicted_var": ["Y"],
            "prediction": ["pred_Y"],
        },
    )


def _observed(effect: FloatArray, *, n_years: int, rng: np.random.Generator) -> BoolArray:
    """Choose the rows of an unbalanced panel, sorted by unit and year: mask of shape (n_units * n_years,)."""
    t = np.arange(n_years)
    # late entry by a unit's own effect: rows are missing not at random, but given the unit effect they are
    entry = np.floor((n_years - 1) * expit(1.5 * effect))[:, None]
    last_two = t >= n_years - 2
    # gaps spare the last two years, so that every unit has the two rows that a within-unit slope needs
    gap = rng.random((len(effect), n_years)) < 0.1
    observed: BoolArray = (t >= entry) & (last_two | ~gap)
    return observed.ravel()
