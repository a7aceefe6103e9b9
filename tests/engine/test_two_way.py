"""Clusters in two ways, against statsmodels and sums written out."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

import dsl
from dsl.engine.two_way import positive_part
from dsl.estimators.again import analysis_of
from dsl.exceptions import ArgumentError, MissingColumnError
from dsl.reports.comparison.difference import influences
from tests.posts import posts, run

pytestmark = pytest.mark.numeric

SAME_ALGEBRA = 1e-9
"""Relative: the same sums in another order."""


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """Rows in 20 clusters and, across these, 10 days."""
    return posts().assign(day=np.arange(200) % 10)


@pytest.fixture(scope="module")
def clustered() -> pd.DataFrame:
    """All rows labelled, with errors that clusters and days share."""
    rng = np.random.default_rng(4)
    cluster, day = np.arange(200) // 10, rng.integers(0, 12, 200)
    x = rng.normal(size=20)[cluster] + rng.normal(size=12)[day]
    y = x + rng.normal(size=20)[cluster] + rng.normal(size=12)[day] + rng.normal(size=200)
    return pd.DataFrame({"y": y, "x": x, "llm": y, "cl": cluster, "day": day})


@pytest.mark.filterwarnings("ignore:every row is labelled:dsl.exceptions.AllLabeledWarning")
@pytest.mark.parametrize("estimator", ["dsl", "gold_only"])
def test_statsmodels_where_every_row_is_labelled(clustered: pd.DataFrame, estimator: str) -> None:
    fit = run(clustered, "y ~ x", cluster=["cl", "day"], estimator=estimator)
    plain = smf.ols("y ~ x", clustered).fit()
    both, *_ = cov_cluster_2groups(plain, clustered["cl"].to_numpy(), clustered["day"].to_numpy(), use_correction=False)
    np.testing.assert_allclose(fit.cov_params(), both, rtol=SAME_ALGEBRA)
    corrected = run(clustered, "y ~ x", cluster=["cl", "day"], estimator=estimator, vcov="CR1")
    np.testing.assert_allclose(corrected.cov_params(), 12 / 11 * 199 / 198 * both, rtol=SAME_ALGEBRA)
    assert (fit.df <= 11.0).all()


CALLS: dict[str, dict[str, Any]] = {
    "dsl": {},
    "gold_only": {"estimator": "gold_only", "sample_prob": "pi"},
    "naive": {"estimator": "naive"},
    "logit": {"model": "logit"},
    "lambda": {"tune": 0.6},
    "predicted covariate": {"formula": "x ~ y + z"},
    "several equations": {"formula": "t ~ x", "predicted_var": "t", "prediction": "tl"},
}


@pytest.mark.parametrize("name", CALLS)
def test_sums_over_both_ways_less_those_over_their_combinations(data: pd.DataFrame, name: str) -> None:
    """Of the rows' influences in the same fit without clusters."""
    rng = np.random.default_rng(2)
    shown = data["lab"] == 1
    table = data.assign(t=np.where(shown, rng.choice(["a", "b", "c"], 200), None), tl=rng.choice(["a", "b", "c"], 200))
    call = {"formula": "y ~ x + z", "folds": [np.arange(200) // 10 % 5], **CALLS[name]}
    both = run(table, **call, cluster=["cl", "day"])
    single = run(table, **call)
    np.testing.assert_allclose(both.params, single.params, rtol=SAME_ALGEBRA)
    own = next(influences(single.core, analysis_of(single.core, table)))
    expected = np.zeros(both.cov_params().shape)
    for ways, sign in (("cl", 1.0), ("day", 1.0), (["cl", "day"], -1.0)):
        sums = pd.DataFrame(own).groupby([table[way] for way in np.atleast_1d(ways)]).sum().to_numpy()
        expected += sign * sums.T @ sums
    values, vectors = np.linalg.eigh(expected / np.sqrt(np.outer(np.diag(expected), np.diag(expected))))
    size = np.sqrt(np.diag(expected))[:, None]
    expected = (size * vectors * np.maximum(values, 0.0)) @ (size * vectors).T
    if name == "several equations":  # they add up to one, and the nearest definite matrix keeps the diagonal alone
        np.testing.assert_allclose(both.bse**2, np.diag(expected), rtol=1e-7)
        return
    np.testing.assert_allclose(both.cov_params(), expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("tune", ["scalar", "coef", "matrix"])
def test_lambda_is_the_best_for_this_variance(data: pd.DataFrame, tune: str) -> None:
    fits = {t: run(data, "y ~ x + z", cluster=["cl", "day"], tune=t, vcov="robust") for t in (tune, 0.0, 1.0)}
    tuning = fits[tune].tuning
    if tune == "coef":
        assert (tuning["se"] <= tuning[["se_without", "se_plain"]].min(axis=1) * (1.0 + 1e-9)).all()
    assert np.isfinite(tuning).all(axis=None)
    np.testing.assert_allclose(tuning["se_plain"], fits[1.0].bse, rtol=1e-6)


def test_covariances_are_positive_semi_definite_in_any_units() -> None:
    raw = np.array([[1.0, 1.2, 0.1], [1.2, 1.0, 0.2], [0.1, 0.2, 0.5]])
    units = np.outer([1.0, 1e6, 1e-6], [1.0, 1e6, 1e-6])
    made = positive_part(raw)
    assert np.linalg.eigvalsh(raw)[0] < 0.0
    assert np.linalg.eigvalsh(made)[0] > -1e-12
    np.testing.assert_allclose(positive_part(raw * units) / units, made, rtol=1e-7)
    np.testing.assert_array_equal(positive_part(np.eye(3)), np.eye(3))


def test_it_is_told_everywhere(data: pd.DataFrame) -> None:
    fit = run(data, "y ~ x + z", cluster=["cl", "day"], use_t=True)
    assert fit.call.clusters == ("cl", "day")
    assert "10 (day)" in str(fit.summary())
    assert dsl.table({"a": fit}).frame().loc["Clusters"].tolist() == ["20 (cl), 10 (day)"]
    assert fit.compare(estimators=["gold_only", "naive"]).fits["naive"].call.clusters == ("cl", "day")
    assert (dsl.power_dsl(fit, labeled_size=120).predicted_se > 0.0).all(axis=None)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"cluster": ["cl", "day", "z"]}, ArgumentError, "3 columns"),
        ({"cluster": ["cl", "nope"]}, MissingColumnError, "'nope', named in cluster"),
        ({"vcov": "CR2"}, ArgumentError, "of 'cl' and of 'day'"),
        ({"vcov": "HC1"}, ArgumentError, "CR1"),
    ],
)
def test_refusals(data: pd.DataFrame, arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run(data, "y ~ x", **{"cluster": ["cl", "day"], **arguments})
