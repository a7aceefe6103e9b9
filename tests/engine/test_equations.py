"""A categorical outcome: one equation for each category, and the covariance between them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.analyses.test_regression_categories import ROWS, SAME_ALGEBRA, TOPICS, labelled, posts_on_topics, run

pytestmark = [
    pytest.mark.numeric,
    pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning"),
]  # most calls leave `pi` out


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return labelled(posts_on_topics())


EQUATIONS: dict[str, dict[str, Any]] = {
    "lm": {"sample_prob": "pi"},
    "logit": {"model": "logit", "cluster": "cl"},
    "felm": {"model": "felm", "index": "cl"},
    "tuned": {"tune": "coef", "sample_prob": "pi", "cluster": "cl"},
    "dsl+": {"estimator": "dsl+"},
    "cdi": {"estimator": "cdi"},
    "gold only": {"estimator": "gold_only", "model": "logit"},
    "naive": {"estimator": "naive"},
    "finite": {"target": "finite"},
    "far from zero": {"right": "I(x + 2000)", "model": "logit"},
}


@pytest.mark.parametrize("case", EQUATIONS)
def test_each_equation_is_that_of_its_indicator(data: pd.DataFrame, case: str) -> None:
    call = dict(EQUATIONS[case])
    right = call.pop("right", "x")
    fit = run(f"topic ~ {right}", data, **call)
    alone = {name: run(f"I(topic == '{name}') ~ {right}", data, **call) for name in TOPICS}
    assert list(fit.params.index) == [f"topic[{t}]:{c}" for t in TOPICS for c in alone[t].params.index]
    np.testing.assert_allclose(fit.params, np.concatenate([alone[t].params for t in TOPICS]), rtol=1e-7)
    np.testing.assert_allclose(fit.bse, np.concatenate([alone[t].bse for t in TOPICS]), rtol=1e-6)
    if fit.splits.tuning is not None:
        np.testing.assert_allclose(
            fit.tuning["lambda"], np.concatenate([alone[t].tuning["lambda"] for t in TOPICS]), rtol=1e-6
        )


@pytest.mark.parametrize("cluster", [None, "cl"])
def test_covariance_between_equations(data: pd.DataFrame, cluster: str | None) -> None:
    """Seemingly unrelated regressions of the pseudo-outcomes: (X'X)^-1 sum e_j e_k x x' (X'X)^-1."""
    fit = run("topic ~ x", data, sample_prob="pi", cluster=cluster)
    x = np.column_stack([np.ones(ROWS), data["x"]])
    pseudo = fit.pseudo_outcomes.to_numpy()
    params = np.linalg.lstsq(x, pseudo, rcond=None)[0]
    np.testing.assert_allclose(fit.params, params.T.ravel(), rtol=SAME_ALGEBRA)
    scores = ((pseudo - x @ params)[:, :, None] * x[:, None, :]).reshape(ROWS, 6)
    units = pd.DataFrame(scores).groupby(data["cl"]).sum().to_numpy() if cluster else scores
    bread = np.kron(np.eye(3), np.linalg.inv(x.T @ x))
    np.testing.assert_allclose(
        fit.cov_params(), bread @ units.T @ units @ bread, rtol=1e-5, atol=1e-6 * fit.bse.min() ** 2
    )


def test_shares_add_up(data: pd.DataFrame) -> None:
    """In ``lm`` the intercepts sum to one, the slopes to zero, without error; fitted shares to one."""
    fit = run("topic ~ x", data, sample_prob="pi")
    assert fit.params.to_numpy().reshape(3, 2).sum(axis=0) == pytest.approx([1.0, 0.0], abs=SAME_ALGEBRA)
    total = np.kron(np.ones(3), np.eye(2))
    # variances that are zero, but for rounding, which may leave them below zero
    left = np.sqrt(np.abs(np.diag(total @ fit.cov_params().to_numpy() @ total.T)))
    assert (left < 1e-3 * fit.bse.min()).all()  # what keeps the covariance matrix positive definite
    fitted = fit.predict(data.head(4))
    assert list(fitted.columns) == TOPICS
    np.testing.assert_allclose(fitted.sum(axis=1), 1.0, rtol=SAME_ALGEBRA)
    difference = fit.t_test("topic[war]:x = topic[art]:x")
    expected = fit.params["topic[war]:x"] - fit.params["topic[art]:x"]
    assert float(np.squeeze(difference.effect)) == pytest.approx(expected)


def test_shares_in_a_sample_of_these_rows(data: pd.DataFrame) -> None:
    """Finite population, labelled rows alone: (1 - f) / n times the indicators' covariance, as for a multinomial sample."""
    fit = run("topic ~ 1", data, estimator="gold_only", target="finite")
    kept = pd.get_dummies(data["topic"].dropna()).astype(float)
    np.testing.assert_allclose(fit.params, kept.mean(), rtol=SAME_ALGEBRA)
    expected = (1 - len(kept) / ROWS) / len(kept) * np.cov(kept.T)
    np.testing.assert_allclose(fit.cov_params(), expected, rtol=1e-6)


def test_two_categories_make_one_equation(data: pd.DataFrame) -> None:
    """For the second, as in R."""
    two = data.assign(topic=data["topic"].replace("art", "war"), llm=data["llm"].replace("art", "war"))
    fit, war = run("topic ~ x", two, model="logit"), run("I(topic == 'war') ~ x", two, model="logit")
    assert list(fit.params.index) == ["Intercept", "x"]
    np.testing.assert_allclose(fit.params, war.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(fit.bse, war.bse, rtol=SAME_ALGEBRA)
