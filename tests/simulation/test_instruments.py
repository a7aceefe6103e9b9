"""Two-stage least squares with a predicted outcome or treatment: intervals that cover the effect that made the rows."""

import numpy as np
import pandas as pd
import pytest

from .replicate import coverage_error, replicate, score

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

ROWS, LABELED, REPLICATIONS = 2000, 300, 1000
TRUTH = pd.Series({"Intercept": 1.0, "x": -1.0, "d": 0.5})
SURROGATE = {"y": "llm", "d": "llm_d"}
LOST = 1.03
"""Root mean squared error, in those of the labelled rows alone, that an estimator may have."""


def population(seed: int, predicted: str) -> pd.DataFrame:
    """A treatment that goes with the error of the outcome, and an instrument for it. `predicted` is known on some rows."""
    rng = np.random.default_rng(seed)
    x, z, u = rng.normal(size=(3, ROWS))
    d = (0.9 * z + 0.4 * x + 0.7 * u + rng.logistic(scale=0.5, size=ROWS) > 0.0).astype(float)
    y = TRUTH["Intercept"] + TRUTH["d"] * d + TRUTH["x"] * x + 0.7 * u + rng.normal(size=ROWS)
    data = pd.DataFrame({"x": x, "z": z, "d": d, "y": y, "llm": y + rng.normal(size=ROWS)})
    data["llm_d"] = np.where(rng.random(ROWS) < 0.85, d, 1.0 - d)
    data[predicted] = data[predicted].where(rng.permutation(ROWS) < LABELED)
    return data


@pytest.mark.parametrize("predicted", SURROGATE)
def test_covers_and_gains(predicted: str) -> None:
    call = {
        "formula": "y ~ x | d ~ z",
        "model": "iv",
        "predicted_var": predicted,
        "prediction": SURROGATE[predicted],
        "sl_method": "lm",
        "sample_split": 1,
    }
    found = replicate(
        lambda seed: population(seed, predicted), TRUTH, range(REPLICATIONS), call, ("gold_only", "dsl", "dsl+", "cdi")
    )
    table = score(found)
    print(table.round(3))
    far = 2.0 * coverage_error(REPLICATIONS)
    assert (table["coverage"] - 0.95).abs().max() < far
    alone = table.xs("gold_only", level="estimator")["rmse"]
    for estimator in ("dsl", "dsl+", "cdi"):
        assert (table.xs(estimator, level="estimator")["rmse"] <= LOST * alone).all()
