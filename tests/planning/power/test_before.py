"""Power from an assumed accuracy: closed forms, Bayes' rule, errors."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st

import dsl
from dsl.exceptions import (
    ArgumentError,
    EstimationError,
    FewLabelsWarning,
    MissingColumnError,
    PowerWarning,
    PredictionError,
)
from dsl.planning.power import plan_dsl
from dsl.planning.power.assumed import predictive_values

N = 4_000
QUICK: dict[str, Any] = {
    "predicted_var": "y",
    "prediction": "llm",
    "sl_method": "lm",
    "sample_split": 1,
    "labeled_size": 400,
    "replications": 3,
}
MONTE_CARLO = 0.03
"""Relative; standard errors of three samples of 400 labels, pooled."""
SAME_ALGEBRA = 1e-9


def unlabelled() -> pd.DataFrame:
    """4000 texts in 400 clusters with surrogates of a 0/1 and of a numeric variable, and nothing labelled."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=N)
    return pd.DataFrame(
        {
            "llm": (rng.random(N) < 1 / (1 + np.exp(-x))) * 1.0,
            "tone": x + rng.normal(size=N),
            "x": x,
            "sure": np.where(np.arange(N) < N // 2, 1.0, 0.6),
            "cl": np.arange(N) // 10,
            "big": rng.random(N) < 0.3,
        }
    )


DATA = unlabelled()


def plan(formula: str = "y ~ 1", data: Any = DATA, **arguments: Any) -> Any:
    """`plan_dsl` with quick settings, unless others are given."""
    return plan_dsl(formula, data, **{**QUICK, **arguments})


@pytest.mark.parametrize("right", [0.7, 0.9, 0.97])
@pytest.mark.parametrize("size", [400, 1200, N])
def test_mean_with_an_assumed_accuracy(right: float, size: int) -> None:
    """Var(g) / N + E (y - g)^2 / n with g = P(y = 1 | surrogate) = 1 - a or a: (2 a - 1)^2 q (1 - q) / N + a (1 - a) / n."""
    q = DATA["llm"].mean()
    exact = np.sqrt((2 * right - 1) ** 2 * q * (1 - q) / N + right * (1 - right) / size)
    found = plan(accuracy=right, replications=8).at(size).predicted_se.loc[size, "Intercept"]
    assert found == pytest.approx(exact, rel=3 * MONTE_CARLO if right > 0.95 else MONTE_CARLO)


def test_perfect_surrogates_make_labels_unnecessary() -> None:
    """White's standard errors of the regression of the surrogate, at any number of labels."""
    full = smf.ols("llm ~ x", DATA).fit(cov_type="HC0")
    sizes = plan("y ~ x", accuracy=1.0).at([100, 400, 800]).predicted_se
    for _, row in sizes.iterrows():
        np.testing.assert_allclose(row, full.bse, rtol=1e-6)


def test_useless_surrogates_save_nothing() -> None:
    """Right half of the time: labels alone are as good, and there is nothing to pay for."""
    power = plan("y ~ x", accuracy=0.5, replications=8)
    assert (np.abs(power.worth(1.0, 0.0)["labels_saved"]) < 0.05 * 400).all()


def test_numbers_with_an_assumed_error() -> None:
    """Mean of surrogate + noise: variance of the surrogate / N + rmse^2 / n."""
    power = plan(prediction="tone", rmse=0.7, replications=8)
    exact = np.sqrt(DATA["tone"].var() / N + 0.49 / 400)
    assert power.predicted_se.loc[400, "Intercept"] == pytest.approx(exact, rel=MONTE_CARLO)


@pytest.mark.parametrize("model", ["poisson", "gamma"])
def test_positive_outcomes_with_an_assumed_error(model: str) -> None:
    """Mean of gamma variables around the surrogates, and its log: that of the mean over the mean."""
    amounts = np.exp(DATA["tone"] / 2.0)
    data = DATA.assign(amount=amounts)
    power = plan(data=data, prediction="amount", rmse=0.7, replications=8, model=model)
    exact = np.sqrt(amounts.var() / N + 0.49 / 400) / amounts.mean()
    assert power.predicted_se.loc[400, "Intercept"] == pytest.approx(exact, rel=MONTE_CARLO)


def test_positive_outcomes_need_positive_surrogates() -> None:
    with pytest.raises(ArgumentError, match=r"its surrogate 'tone' is .* other values in"):
        plan(prediction="tone", rmse=0.7, model="poisson")


@pytest.mark.parametrize(
    ("accuracy", "same"),
    [
        ({0: 0.8, 1: 0.8}, 0.8),
        ("sure", None),
        ({"y": 0.8}, 0.8),
    ],
)
def test_ways_to_say_it(accuracy: Any, same: float | None) -> None:
    found = plan("y ~ x", accuracy=accuracy).predicted_se
    if same is None:
        half = plan("y ~ x", DATA[DATA["sure"] < 1], labeled_size=200, accuracy=0.6).at([200]).predicted_se
        assert (found.loc[400] < half.loc[200]).all()
    else:
        pd.testing.assert_frame_equal(found, plan("y ~ x", accuracy=same).predicted_se)


def test_sensitivity_and_specificity_are_turned_into_predictive_values() -> None:
    q = float(DATA["llm"].mean())
    at_0, at_1 = predictive_values(q, 0.9, 0.8)
    rates = plan("y ~ x", accuracy={"sensitivity": 0.9, "specificity": 0.8}).predicted_se
    pd.testing.assert_frame_equal(rates, plan("y ~ x", accuracy={0: at_0, 1: at_1}).predicted_se)


@given(st.floats(0.02, 0.98), st.floats(0.55, 1.0), st.floats(0.55, 1.0))
def test_bayes_rule(prevalence: float, sensitivity: float, specificity: float) -> None:
    """From P(y), P(s | y) to P(s), and back through P(y | s)."""
    joint = np.array([[specificity, 1 - specificity], [1 - sensitivity, sensitivity]])  # P(s | y), rows y
    joint *= np.array([[1 - prevalence], [prevalence]])
    at_0, at_1 = predictive_values(float(joint[:, 1].sum()), sensitivity, specificity)
    assert at_0 == pytest.approx(joint[0, 0] / joint[:, 0].sum(), abs=1e-9)
    assert at_1 == pytest.approx(joint[1, 1] / joint[:, 1].sum(), abs=1e-9)


def test_two_predicted_variables() -> None:
    power = plan(
        "y ~ t",
        predicted_var={"y": "llm", "t": "tone"},
        prediction=None,
        accuracy={"y": {0: 0.9, 1: 0.8}},
        rmse={"t": 0.5},
    )
    assert power.study.basis == "llm with accuracy {0: 0.9, 1: 0.8}; tone with rmse 0.5 (assumed); 3 replications"
    assert (power.predicted_se > 0).all(axis=None)


def test_default_sizes_and_nothing_at_hand() -> None:
    power = plan(accuracy=0.8)
    assert power.labeled_size.tolist() == [200, 300, 400, 500, 600, 700, 800]
    assert repr(power).endswith("200 to 800 of 4000 rows labelled, 0 so far>")
    assert power.cost(2.0).loc[400, "further"] == 800.0
    needed = power.labels_needed(se=0.02)
    assert (needed["further"] == needed["labeled_size"]).all()
    assert "assumed" in str(power.summary())


def test_same_seed_same_numbers() -> None:
    one, again, other = (plan(accuracy=0.8, seed=seed).predicted_se for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again, check_exact=True)
    assert not one.equals(other)


def test_any_table_and_an_empty_gold_column() -> None:
    expected = plan("y ~ x", accuracy=0.8).predicted_se
    frame = DATA.assign(y=np.nan)
    for data in (frame, pl.from_pandas(DATA), DATA.to_dict("list"), DATA.set_index(DATA.index + 7)):
        pd.testing.assert_frame_equal(plan("y ~ x", data, accuracy=0.8).predicted_se, expected)


def test_functions_of_the_caller_in_the_formula() -> None:
    def half(x: Any) -> Any:
        return x / 2

    plain = plan_dsl("y ~ x", DATA, **QUICK, accuracy=0.8).predicted_se
    own = plan_dsl("y ~ half(x)", DATA, **QUICK, accuracy=0.8).predicted_se
    np.testing.assert_allclose(own["half(x)"], 2 * plain["x"], rtol=SAME_ALGEBRA)


def test_a_stratified_design() -> None:
    """Half of the labels in the 30% of big rows: their mean is known better than with a simple random sample."""
    design = partial(dsl.sampling.stratified, n_labels=400, by="big", allocation="equal")
    stratified, simple = plan("y ~ big", design=design, labeled_size=None, accuracy=0.7), plan("y ~ big", accuracy=0.7)
    assert stratified.study.n_labeled == 400
    assert stratified.study.exact_to == pytest.approx(400 / (200 / DATA["big"].sum()), rel=1e-6)
    ratio = stratified.predicted_se.loc[400] / simple.predicted_se.loc[400]
    assert ratio["Intercept"] > 1.05 > 0.97 > ratio["big"]


def test_a_finite_population() -> None:
    """Only the labelling is random: a (1 - a) (1/n - 1/N), and strata of fixed sizes make it no larger."""
    power = plan(accuracy=0.7, target="finite", replications=8)
    exact = np.sqrt(0.21 * (1 / 400 - 1 / N))
    assert power.predicted_se.loc[400, "Intercept"] == pytest.approx(exact, rel=MONTE_CARLO)
    design = partial(dsl.sampling.stratified, n_labels=400, by="big")
    stratified = plan(accuracy=0.7, target="finite", replications=8, design=design, labeled_size=None)
    assert stratified.predicted_se.loc[400, "Intercept"] == pytest.approx(exact, rel=MONTE_CARLO)
    assert stratified.at(N).predicted_se.loc[N, "Intercept"] < 0.05 * exact


def test_rows_with_missing_covariates() -> None:
    """Half of all rows drop out, and so do half of those that are drawn: the labels are paid all the same."""
    halved = DATA.assign(x=DATA["x"].where(DATA.index % 2 == 0))
    with pytest.warns(dsl.exceptions.DroppedRowsWarning, match="3 times in the replications"):
        power = plan("y ~ x", halved, accuracy=0.7)
    assert power.study.nobs == N
    assert power.cost(1.0, 0.01).loc[400, "total"] == 440.0
    rest = plan("y ~ x", DATA[::2], labeled_size=200, accuracy=0.7, replications=8)
    np.testing.assert_allclose(power.predicted_se.loc[400], rest.predicted_se.loc[200], rtol=2 * MONTE_CARLO)
    np.testing.assert_allclose(power.predicted_se.loc[800], rest.predicted_se.loc[400], rtol=2 * MONTE_CARLO)


def test_a_design_of_random_size() -> None:
    power = plan(design=partial(dsl.sampling.bernoulli, n_labels=400), labeled_size=None, accuracy=0.8)
    assert abs(power.study.n_labeled - 400) < 80
    exact = np.sqrt(0.36 * 0.25 / N + 0.16 / power.study.n_labeled)
    assert power.predicted_se.loc[power.study.n_labeled, "Intercept"] == pytest.approx(exact, rel=2 * MONTE_CARLO)


@pytest.mark.parametrize("drawn", ["rows", "clusters"])
def test_clusters(drawn: str) -> None:
    """Surrogates that the rows of a cluster share make a mean vary as that of G clusters does; their errors are independent:
    (2 a - 1)^2 q (1 - q) / G + a (1 - a) / n, for rows drawn one by one or as whole clusters.
    """
    alike = DATA.assign(llm=DATA["llm"].groupby(DATA["cl"]).transform("first"))
    q, right = alike["llm"].mean(), 0.9
    units = partial(dsl.sampling.clustered, n_clusters=40, by="cl")
    given = {"design": units, "labeled_size": None} if drawn == "clusters" else {}
    found = plan("y ~ 1", alike, cluster="cl", accuracy=right, replications=8, **given).at([400, 800]).predicted_se
    for size in (400, 800):
        exact = np.sqrt((2 * right - 1) ** 2 * q * (1 - q) / 400 + right * (1 - right) / size)
        assert found.loc[size, "Intercept"] == pytest.approx(exact, rel=2 * MONTE_CARLO)


REFUSALS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no assumption": ({}, ArgumentError, r"accuracy of 'llm'.*accuracy=0.85.*rmse=0.5; found neither"),
    "two assumptions": ({"accuracy": 0.8, "rmse": 0.1}, ArgumentError, "found both"),
    "not a share": ({"accuracy": 85}, ArgumentError, "between 0 and 1; found 85"),
    "rmse below zero": ({"rmse": -1.0}, ArgumentError, "rmse of 'llm' must be a number, zero or more; found -1.0"),
    "other keys": ({"accuracy": {"f1": 0.8}}, ArgumentError, "found the keys 'f1'"),
    "accuracy of numbers": ({"accuracy": 0.8, "prediction": "tone"}, ArgumentError, r"'tone' is .* in .*rows.*rmse="),
    "impossible rates": (
        {"accuracy": {"sensitivity": 0.3, "specificity": 0.99}},
        ArgumentError,
        r"only if between 0.01 and 0.3 of the surrogates are 1; found 0.495",
    ),
    "worse than chance": (
        {"accuracy": {"sensitivity": 0.3, "specificity": 0.6}},
        ArgumentError,
        "no better than chance; their sum must be above 1",
    ),
    "no such column": ({"accuracy": "confidence"}, MissingColumnError, "'confidence', named in accuracy"),
    "column of percents": (
        {"accuracy": "cl"},
        ArgumentError,
        r"'cl' must hold probabilities.*found 2 in 10 rows .*, 395 other values in 3950 rows",
    ),
    "other variable": ({"accuracy": {"y": 0.8, "z": 0.7}}, ArgumentError, "about 'z', which is no predicted variable"),
    "two surrogates": ({"accuracy": 0.8, "prediction": ["llm", "big"]}, ArgumentError, "one surrogate for each"),
    "no surrogate": ({"accuracy": 0.8, "prediction": None}, ArgumentError, "'y': 'its_surrogate'"),
    "labeled": ({"accuracy": 0.8, "labeled": "big"}, ArgumentError, "takes no labeled: nothing is labelled yet"),
    "sample_prob": ({"accuracy": 0.8, "sample_prob": "sure"}, ArgumentError, "the design gives the probabilities"),
    "replications": ({"accuracy": 0.8, "replications": 0}, ArgumentError, "at least 1; found 0"),
    "no size": ({"accuracy": 0.8, "labeled_size": None}, ArgumentError, "labeled_size=500, or another design="),
    "list of sizes": ({"accuracy": 0.8, "labeled_size": [100, 200]}, ArgumentError, r"between 1 and 4000.*\.at\(\)"),
    "too large": ({"accuracy": 0.8, "labeled_size": 4001}, ArgumentError, "found 4001"),
    "a drawn design": (
        {"accuracy": 0.8, "labeled_size": None, "design": dsl.sampling.simple_random(DATA, 100)},
        ArgumentError,
        "function of data and seed.*found LabelDesign",
    ),
    "design of something else": (
        {"accuracy": 0.8, "labeled_size": None, "design": lambda data, seed: [1, 2]},
        ArgumentError,
        r"LabelDesign of all 4000 rows; found \[1, 2\]",
    ),
    "naive": ({"accuracy": 0.8, "estimator": "naive"}, ArgumentError, "do not depend on expert labels"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    change, error, words = REFUSALS[name]
    with pytest.raises(error, match=words):
        plan("y ~ x", **change)


def test_labels_that_exist_are_better_than_assumptions() -> None:
    with pytest.raises(ArgumentError, match=r"2 rows have a gold label of 'y'.*power_dsl"):
        plan(data=DATA.assign(y=DATA["llm"].where(DATA.index < 2)), accuracy=0.8)


def test_missing_surrogate() -> None:
    with pytest.raises(PredictionError, match=r"'llm' is missing in 1 row \(first: 5\)"):
        plan(data=DATA.assign(llm=DATA["llm"].mask(DATA.index == 5)), accuracy=0.8)


def test_warnings_of_the_fits_come_once() -> None:
    with pytest.warns(FewLabelsWarning, match="3 times in the replications") as caught:
        plan("y ~ x", labeled_size=20, accuracy=0.8)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore:fewer than 8 labelled rows:dsl.exceptions.FewLabelsWarning")
def test_replications_without_a_solution() -> None:
    """A logit with a rare group: with few labels none of it is drawn, or all that are agree."""
    call = {"model": "logit", "estimator": "gold_only", "accuracy": 0.98, "replications": 8}
    with pytest.raises(
        EstimationError, match=r"7 of 8 replications have no solution, such as: .*'rare'.*Plan more labels"
    ):
        plan("y ~ rare", DATA.assign(rare=DATA.index < 12), labeled_size=60, **call)
    with pytest.warns(PowerWarning, match="of 8 replications have no solution") as caught:
        some = plan("y ~ rare", DATA.assign(rare=DATA.index < 35), labeled_size=400, **call)
    said = next(str(each.message) for each in caught if "have no solution" in str(each.message))
    failures = int(said.split()[0])
    assert f"{8 - failures} replications" in some.study.basis
