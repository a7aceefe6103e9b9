"""False alarms of the checks for missing codes on clean data of many kinds: under 1 in 1,000, each kind."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dsl.data.codes import Gold, check_gold, far_codes
from dsl.exceptions import MissingCodeError

pytestmark = [pytest.mark.slow, pytest.mark.numeric]

DRAWS = 5000
MOST = 5
"""Alarms in 5,000 draws: one in a thousand."""
Draw = Callable[[np.random.Generator, int], Any]

NUMBERS: dict[str, Draw] = {
    "ages": lambda rng, n: rng.integers(18, 100, n),
    "old ages": lambda rng, n: np.minimum(np.round(rng.normal(75, 15, n)), 99),
    "small counts": lambda rng, n: rng.poisson(0.3, n),
    "counts": lambda rng, n: rng.poisson(9.0, n),
    "large counts": lambda rng, n: rng.poisson(99.0, n),
    "skewed counts": lambda rng, n: rng.negative_binomial(0.3, 0.05, n),
    "very skewed counts": lambda rng, n: np.round(rng.lognormal(1.0, 1.8, n)),
    "inflated": lambda rng, n: np.where(rng.random(n) < 0.9, 0, rng.poisson(9.0, n)),
    "inflated amounts": lambda rng, n: np.where(rng.random(n) < 0.8, 0.0, np.round(rng.lognormal(4.0, 1.5, n))),
    "labels": lambda rng, n: rng.integers(0, 2, n),
    "points to 5": lambda rng, n: rng.integers(1, 6, n),
    "points to 9": lambda rng, n: rng.integers(1, 10, n),
    "thermometer": lambda rng, n: np.round(rng.beta(0.5, 0.5, n) * 100),
    "few codes": lambda rng, n: rng.choice([1, 2, 3, 9], n, p=[0.3, 0.3, 0.2, 0.2]),
    "many codes": lambda rng, n: rng.choice([1, 2, 5, 7, 8, 9, 77, 88, 98, 99], n),
    "normal": lambda rng, n: rng.normal(size=n),
    "rounded normal": lambda rng, n: np.round(rng.normal(0.0, 30.0, n)),
    "changes": lambda rng, n: rng.poisson(3.0, n) - rng.poisson(3.0, n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "rounded cauchy": lambda rng, n: np.round(rng.standard_cauchy(n)),
    "lognormal": lambda rng, n: rng.lognormal(0.0, 2.0, n),
    "years": lambda rng, n: rng.integers(1990, 2025, n),
}
CODES_OF_THEIR_OWN = ("few codes", "many codes")
"""Nominal codes 1, 2, 3 and 9, or with 77 to 99: these may be "other" or missing, and nobody can tell."""


@pytest.mark.parametrize("n", [20, 100, 1000])
@pytest.mark.parametrize("kind", [kind for kind in NUMBERS if kind not in CODES_OF_THEIR_OWN])
def test_numbers(kind: str, n: int) -> None:
    """Covariates, predictions and features."""
    rng = np.random.default_rng([n, list(NUMBERS).index(kind)])
    alarms = sum(bool(far_codes(NUMBERS[kind](rng, n).astype(float))) for _ in range(DRAWS))
    assert alarms <= MOST, alarms


def _alarm(gold: pd.Series, surrogates: list[pd.Series]) -> bool:
    try:
        check_gold(Gold(gold.rename("y"), "gold", None, surrogates))
    except MissingCodeError:
        return True
    return False


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95, 1.0])
@pytest.mark.parametrize("kind", NUMBERS)
def test_gold_numbers(kind: str, share: float) -> None:
    """Labels on a share of 200 rows, with a surrogate that is another draw in a third of the rows, or none."""
    rng = np.random.default_rng([int(100 * share), list(NUMBERS).index(kind)])
    alarms, n = 0, 200
    for draw in range(DRAWS // 5):
        truth = NUMBERS[kind](rng, n).astype(float)
        surrogate = np.where(rng.random(n) < 1.0 / 3.0, NUMBERS[kind](rng, n), truth)
        gold = pd.Series(truth).where(rng.random(n) < share)
        alarms += _alarm(gold, [pd.Series(surrogate)] if draw % 2 else [])
    # an atom of 9 beside 1, 2, 3 is an alarm only where (nearly) all rows are labelled, and a code as likely as not
    assert alarms <= (DRAWS if kind in CODES_OF_THEIR_OWN and share > 0.5 else 1), alarms


CATEGORIES: dict[str, list[str]] = {
    "two": ["yes", "no"],
    "none": ["none", "war", "peace"],
    "None": ["None", "Hate"],
    "countries": ["NA", "DE", "FR", "US"],
    "signs": ["+", "-"],
    "unknown": ["unknown", "left", "right"],
    "many": [f"topic {j}" for j in range(12)],
}


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95, 1.0])
@pytest.mark.parametrize("kind", CATEGORIES)
def test_gold_categories(kind: str, share: float) -> None:
    """Categories of all frequencies, and surrogates that are wrong in a third of the rows."""
    rng = np.random.default_rng([int(100 * share), list(CATEGORIES).index(kind)])
    names, alarms, n = np.array(CATEGORIES[kind], dtype=object), 0, 200
    for _ in range(DRAWS // 5):
        frequency = rng.dirichlet(np.full(len(names), 0.7))
        truth = rng.choice(names, n, p=frequency)
        surrogate = np.where(rng.random(n) < 1.0 / 3.0, rng.choice(names, n), truth)
        alarms += _alarm(pd.Series(truth).where(rng.random(n) < share), [pd.Series(surrogate)])
    assert alarms <= 1, alarms


@pytest.mark.parametrize("code", [-99, -9, 9, 99, 999, 88, 98, 8888])
@pytest.mark.parametrize("kind", ["labels", "points to 5"])
def test_codes_are_found(kind: str, code: int) -> None:
    """On the unlabelled three fifths, with a surrogate that knows the labels only."""
    rng = np.random.default_rng([abs(code), list(NUMBERS).index(kind)])
    found = 0
    for _ in range(200):
        truth = NUMBERS[kind](rng, 200).astype(float)
        gold = pd.Series(truth).where(rng.permutation(200) < 80, code)
        found += _alarm(gold, [pd.Series(rng.permutation(truth))])
    assert found == 200
