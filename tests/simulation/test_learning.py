"""Labels set aside to train a learner, against cross-fitting, which trains on most of them and corrects with all."""

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.learners.names import make_learner
from tests.simulation.replicate import coverage_error

pytestmark = [
    pytest.mark.slow,
    # fifteen to thirty labels correct, where half or more of sixty are set aside
    pytest.mark.filterwarnings("ignore::dsl.exceptions.FewLabelsWarning"),
]

REPLICATIONS, ROWS, FEATURES, TRUTH = 200, 3000, 30, 0.5
SHARES = (0.1, 0.25, 0.5, 0.75)
WEIGHTS = 1 / np.sqrt(np.arange(1, FEATURES + 1))
NAMES = [f"w{j}" for j in range(FEATURES)]


def table(rng: np.random.Generator) -> pd.DataFrame:
    """Thirty features that bear on the outcome, the first most, and a covariate that does."""
    w, x = rng.normal(size=(ROWS, FEATURES)), rng.normal(size=ROWS)
    truth = TRUTH * x + 1.2 * w @ WEIGHTS / np.linalg.norm(WEIGHTS) + rng.normal(size=ROWS)
    return pd.DataFrame(w, columns=NAMES).assign(x=x, truth=truth)


def fits(n: int, rng: np.random.Generator) -> dict[object, tuple[float, bool]]:
    """Error of the coefficient, and whether its interval covers it: cross-fitted, and with each share set aside."""
    data, seen = table(rng), [*NAMES, "x"]
    labels = rng.choice(ROWS, n, replace=False)

    def shown(rows: np.ndarray) -> np.ndarray:
        return np.where(np.isin(np.arange(ROWS), rows), data["truth"], np.nan)

    def facts(fit: dsl.DSLResults) -> tuple[float, bool]:
        low, high = fit.conf_int().loc["x"]
        return fit.params["x"] - TRUTH, bool(low <= TRUTH <= high)

    call = {"predicted_var": "y", "sample_split": 1, "seed": int(rng.integers(2**31))}
    out: dict[object, tuple[float, bool]] = {
        "cross": facts(dsl.dsl("y ~ x", data.assign(y=shown(labels)), feature=seen, sl_method="ridge", **call))
    }
    for share in SHARES:
        train, rest = labels[: round(share * n)], labels[round(share * n) :]
        learner = make_learner("ridge").fit(data[seen].to_numpy()[train], data["truth"].to_numpy()[train])
        apart = data.assign(y=shown(rest), predicted=learner.predict(data[seen].to_numpy())).drop(index=train)
        out[share] = facts(dsl.dsl("y ~ x", apart, prediction="predicted", estimator="ppi", **call))
    return out


@pytest.mark.parametrize("n", [60, 200, 500])
def test_no_share_set_aside_does_as_well_as_cross_fitting(n: int) -> None:
    """Nor does it cover better. What it has for it is that the learner is trained once, instead of once for each fold."""
    rng = np.random.default_rng(n)
    found = [fits(n, rng) for _ in range(REPLICATIONS)]
    variance = {how: np.mean([each[how][0] ** 2 for each in found]) for how in ("cross", *SHARES)}
    coverage = {how: np.mean([each[how][1] for each in found]) for how in ("cross", *SHARES)}
    ratio = {share: variance[share] / variance["cross"] for share in SHARES}
    assert min(ratio.values()) > 1.1, ratio
    # with sixty labels and normal intervals a little below
    assert abs(coverage["cross"] - 0.95) < 3 * coverage_error(REPLICATIONS), coverage
