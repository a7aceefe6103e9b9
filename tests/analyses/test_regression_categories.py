"""Categories as predicted variables: text, ordered, pandas; as a covariate and as an outcome's dummy."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import statsmodels.formula.api as smf
from sklearn.dummy import DummyRegressor

import dsl
from dsl.exceptions import (
    AllLabeledWarning,
    ArgumentError,
    DataError,
    DSLError,
    FormulaError,
    LeakError,
    PredictionError,
)

pytestmark = pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # most calls leave `pi` out
SAME_ALGEBRA = 1e-8
"""Relative: the same sums in another order, Newton's last step."""
ROWS = 300
TOPICS = ["art", "sport", "war"]


def posts_on_topics() -> pd.DataFrame:
    """300 posts on three topics; `llm` is right on three in four, `p_...` are its probabilities."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=ROWS)
    topic = rng.integers(0, 3, ROWS)
    llm = np.where(rng.random(ROWS) < 0.75, topic, rng.integers(0, 3, ROWS))
    share = rng.dirichlet(np.ones(3), ROWS) * 0.5 + 0.5 * np.eye(3)[llm]
    y = np.array([0.0, 1.0, -1.0])[topic] * (1 + 0.5 * x) + x + rng.normal(size=ROWS)
    data = pd.DataFrame({"x": x, "y": y, "b": (y > 0).astype(float), "cl": np.arange(ROWS) // 6})
    data["topic"], data["llm"] = np.array(TOPICS)[topic], np.array(TOPICS)[llm]
    for j, name in enumerate(TOPICS):
        data[f"p_{name}"], data[f"hot_{name}"] = share[:, j], (llm == j).astype(float)
    data["pi"] = np.where(x > 0, 0.6, 0.4)
    return data.assign(lab=(rng.random(ROWS) < data["pi"]).astype(int))


def labelled(truth: pd.DataFrame) -> pd.DataFrame:
    return truth.assign(topic=truth["topic"].where(truth["lab"] == 1))


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    return posts_on_topics()


@pytest.fixture(scope="module")
def data(truth: pd.DataFrame) -> pd.DataFrame:
    return labelled(truth)


def run(formula: str, data: Any, **arguments: Any) -> Any:
    call = {"predicted_var": "topic", "prediction": "llm", "sl_method": "lm", "sample_split": 1, "cross_fit": 3}
    return dsl.dsl(formula, data, **{**call, **arguments})


def assert_same(fit: Any, other: Any, names: dict[str, str] | None = None) -> None:
    """Equal estimates and standard errors; `names` of `other` for those of `fit` that differ."""
    theirs = [(names or {}).get(name, name) for name in fit.params.index]
    size = fit.bse.to_numpy()
    np.testing.assert_allclose((fit.params - other.params[theirs].to_numpy()) / size, 0.0, atol=SAME_ALGEBRA)
    np.testing.assert_allclose(size, other.bse[theirs], rtol=SAME_ALGEBRA)


FORMULAS: dict[str, tuple[str, str, str]] = {
    "covariate": ("lm", "y ~ topic + x", "y ~ C(topic) + x"),
    "interaction": ("lm", "y ~ topic * x", "y ~ C(topic) * x"),
    "interaction alone": ("lm", "y ~ topic:x", "y ~ C(topic):x"),
    "without intercept": ("lm", "y ~ topic - 1", "y ~ C(topic) - 1"),
    "logit": ("logit", "b ~ topic + x", "b ~ C(topic) + x"),
    "outcome": ("lm", "I(topic == 'war') ~ x", "war ~ x"),
    "outcome of a logit": ("logit", "I(topic == 'war') ~ x", "war ~ x"),
    "a group of them": ("lm", "y ~ I(topic %in% c('war', 'art')) + x", "y ~ either + x"),
}
ESTIMATORS = ["dsl", "dsl+", "cdi", "gold_only"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("case", FORMULAS)
def test_every_row_labelled(truth: pd.DataFrame, case: str, estimator: str) -> None:
    """The ordinary regression with the category's dummies."""
    model, ours, theirs = FORMULAS[case]
    frame = truth.assign(war=(truth["topic"] == "war") * 1.0, either=truth["topic"].isin(["war", "art"]) * 1.0)
    with pytest.warns(AllLabeledWarning):
        fit = run(ours, truth, model=model, estimator=estimator, vcov="robust")
    fitted = {"lm": smf.ols, "logit": smf.logit}[model](theirs, frame)
    other = fitted.fit(cov_type="HC0", **({} if model == "lm" else {"disp": 0, "tol": 1e-14}))
    assert len(fit.params) == len(other.params)
    np.testing.assert_allclose(np.sort(fit.params), np.sort(other.params), rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(np.sort(fit.bse), np.sort(other.bse), rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("cluster", [None, "cl"])
def test_gold_only_is_weighted_least_squares(data: pd.DataFrame, cluster: str | None) -> None:
    fit = run("y ~ topic * x", data, estimator="gold_only", sample_prob="pi", cluster=cluster)
    kept = data.dropna()
    kinds = {"cov_type": "HC0"}
    if cluster:
        kinds = {"cov_type": "cluster", "cov_kwds": {"groups": kept["cl"], "use_correction": False}}
    assert_same(fit, smf.wls("y ~ topic * x", kept, weights=1 / kept["pi"]).fit(**kinds))


def test_fixed_effects(data: pd.DataFrame) -> None:
    """As dummies, where the learner takes no notice of them."""
    call = {"sl_method": DummyRegressor(), "sample_prob": "pi"}
    for ours in ("y ~ topic + x", "I(topic == 'war') ~ x"):
        within = run(f"{ours} | cl", data, model="felm", **call)
        dummies = run(f"{ours} + factor(cl)", data, **call)
        assert_same(within, dummies)


def test_naive_is_regression_on_the_surrogate(data: pd.DataFrame) -> None:
    theirs = smf.ols("y ~ llm * x", data).fit(cov_type="HC0")
    fit = run("y ~ topic * x", data, estimator="naive")
    assert_same(fit, theirs, {name: name.replace("topic", "llm") for name in fit.params.index})


@pytest.mark.parametrize("estimator", ["dsl", "cdi"])
def test_design_adjusted_moment_by_hand(data: pd.DataFrame, estimator: str) -> None:
    """Sum over topics of p(topic) m(topic) on all rows, corrected on the labelled ones."""
    surrogate = {"topic": [f"p_{name}" for name in TOPICS]}
    fit = run(
        "y ~ topic", data, estimator=estimator, tune=1.0, predicted_var=surrogate, prediction=None, sample_prob="pi"
    )
    share = data[surrogate["topic"]].to_numpy() if estimator == "cdi" else fit.predictions[0]
    w = (data["lab"] / fit.sample.sample_prob).to_numpy()
    y, gold = data["y"].to_numpy(), pd.get_dummies(data["topic"]).to_numpy(dtype=float)
    columns = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1.0]])  # art, sport, war
    mixed = (1 - w)[:, None] * share + w[:, None] * gold  # what each topic counts for in each row
    jacobian = np.einsum("nt,ti,tj->ij", mixed, columns, columns)
    params = np.linalg.solve(jacobian, np.einsum("nt,ti,n->i", mixed, columns, y))
    scores = np.einsum("nt,ti,nt->ni", mixed, columns, y[:, None] - columns @ params)
    half = np.linalg.solve(jacobian, scores.T)
    np.testing.assert_allclose(fit.params, params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(fit.bse, np.sqrt(np.diag(half @ half.T)), rtol=SAME_ALGEBRA)


def test_pseudo_outcomes_are_shares(data: pd.DataFrame) -> None:
    """One column for each topic; design-adjusted shares of all rows, which sum to one in each."""
    fit = run("y ~ topic", data, sample_prob="pi", sample_split=2)
    pseudo = fit.pseudo_outcomes
    assert list(pseudo.columns) == [f"topic[{name}]" for name in TOPICS]
    np.testing.assert_allclose(pseudo.sum(axis=1), 1.0, rtol=SAME_ALGEBRA)
    assert ((fit.predictions >= 0) & (fit.predictions <= 1)).all()
    for name in TOPICS:
        mean = run(f"I(topic == '{name}') ~ 1", data, sample_prob="pi", sample_split=2, folds=fit.folds)
        assert pseudo[f"topic[{name}]"].mean() == pytest.approx(mean.splits.params.mean(), rel=SAME_ALGEBRA)
    assert list(fit.fit_quality.index) == list(pseudo.columns)
    assert (fit.fit_quality["accuracy"] > 0.6).all()


@pytest.mark.parametrize("formula", ["y ~ topic * x", "I(topic == 'war') ~ x"])
@pytest.mark.parametrize("estimator", ["naive", "cdi"])
def test_certain_probabilities_are_labels(data: pd.DataFrame, estimator: str, formula: str) -> None:
    labels = run(formula, data, estimator=estimator)
    certain = run(
        formula, data, estimator=estimator, predicted_var={"topic": [f"hot_{t}" for t in TOPICS]}, prediction=None
    )
    assert_same(certain, labels)


@pytest.mark.parametrize("formula", ["y ~ topic * x", "I(topic == 'war') ~ x"])
def test_certain_probabilities_are_labels_for_prediction_powered_inference(data: pd.DataFrame, formula: str) -> None:
    call = {"estimator": "ppi", "tune": 0.7}
    labels = run(formula, data, **call)
    certain = run(formula, data, predicted_var={"topic": [f"hot_{t}" for t in TOPICS]}, prediction=None, **call)
    assert_same(certain, labels)


def test_two_categories_by_their_probabilities(data: pd.DataFrame) -> None:
    """Every pair of categories, weighted by the product; certain ones are labels again."""
    said = np.where(data["y"] > 0, "left", "right")
    both = data.assign(
        side=np.where(data["topic"].isna(), None, np.where(data["b"] + data["x"] > 0.5, "left", "right"))
    )
    both = both.assign(llm_side=said, hot_left=(said == "left") * 1.0, hot_right=(said == "right") * 1.0)
    labels = run(
        "y ~ topic * side", both, estimator="cdi", predicted_var={"topic": "llm", "side": "llm_side"}, prediction=None
    )
    pairs = {"topic": [f"hot_{t}" for t in TOPICS], "side": ["hot_left", "hot_right"]}
    assert_same(run("y ~ topic * side", both, estimator="cdi", predicted_var=pairs, prediction=None), labels)


def test_order_of_probability_columns(data: pd.DataFrame) -> None:
    """Each is known by the category that its name ends with."""
    for estimator in ("naive", "cdi", "dsl"):
        one, other = (
            run(
                "y ~ topic",
                data,
                estimator=estimator,
                predicted_var={"topic": [f"p_{t}" for t in order]},
                prediction=None,
            )
            for order in (TOPICS, TOPICS[::-1])
        )
        np.testing.assert_allclose(one.params, other.params, rtol=1e-6)  # the learner's columns change places


@pytest.mark.parametrize(
    "call", [{}, {"estimator": "gold_only"}, {"estimator": "naive"}, {"estimator": "dsl+", "tune": 1.0}]
)
def test_order_of_levels(data: pd.DataFrame, call: dict[str, Any]) -> None:
    """Another base level: other contrasts, the same fitted values."""
    order = ["war", "art", "sport"]
    one, two = (
        run("y ~ topic * x", d, **call) for d in (data, data.assign(topic=pd.Categorical(data["topic"], order)))
    )
    new = pd.DataFrame({"topic": TOPICS, "x": [0.0, 1.0, -1.0]})
    np.testing.assert_allclose(one.predict(new), two.predict(new), rtol=SAME_ALGEBRA)
    assert two.params["topic[T.art]"] == pytest.approx(-one.params["topic[T.war]"], rel=SAME_ALGEBRA)
    assert two.bse["topic[T.art]"] == pytest.approx(one.bse["topic[T.war]"], rel=SAME_ALGEBRA)


def test_predict(data: pd.DataFrame) -> None:
    fit = run("y ~ topic + x", data)
    new = pd.DataFrame({"topic": ["war", "art"], "x": [1.0, 2.0]}, index=["first", "second"])
    b = fit.params
    expected = [b["Intercept"] + b["topic[T.war]"] + b["x"], b["Intercept"] + 2 * b["x"]]
    np.testing.assert_allclose(fit.predict(new), expected, rtol=SAME_ALGEBRA)
    assert list(fit.predict(new).index) == ["first", "second"]
    with pytest.raises(
        DataError, match=r"'topic' has categories.*did not have: 'music' in 2 rows.*'art', 'sport', 'war'"
    ):
        fit.predict(new.assign(topic="music"))
    assert fit.params_r.index.tolist() == ["(Intercept)", "topicsport", "topicwar", "x"]


@pytest.mark.parametrize("outcome", ["factor(stars)", "as.factor(stars)", "C(stars)"])
@pytest.mark.parametrize("estimator", ["dsl", "dsl+", "cdi", "gold_only"])
@pytest.mark.parametrize("model", ["lm", "logit", "poisson"])
def test_numbers_that_the_formula_makes_categories_of(
    data: pd.DataFrame, outcome: str, estimator: str, model: str
) -> None:
    """factor(stars) ~ x is the regression of a category, with an equation for each of its values."""
    codes = data.assign(stars=data["topic"].map({name: float(j) for j, name in enumerate(TOPICS)}))
    codes["seen"] = codes["llm"].map({name: float(j) for j, name in enumerate(TOPICS)})
    call = {"prediction": "seen", "model": model, "estimator": estimator, "sl_method": "lm", "sample_split": 1}
    fit = dsl.dsl(f"{outcome} ~ x", codes, predicted_var="stars", **call)
    dtype = codes.assign(stars=pd.Categorical(codes["stars"]))
    other = dsl.dsl("stars ~ x", dtype, predicted_var="stars", **call)
    np.testing.assert_allclose(fit.params, other.params, rtol=SAME_ALGEBRA, atol=SAME_ALGEBRA)
    np.testing.assert_allclose(fit.bse, other.bse, rtol=SAME_ALGEBRA)
    name = outcome.replace("as.factor", "as_factor")
    assert fit.params.index[-1] == f"{name}[2]:x"


def test_a_surrogate_that_is_none_of_the_numbers(data: pd.DataFrame) -> None:
    codes = data.assign(stars=data["topic"].map({name: float(j) for j, name in enumerate(TOPICS)}), seen=0.5)
    with pytest.raises(DataError, match=r"categories outside those of the analysis: 0\.5; it had 0, 1, 2"):
        dsl.dsl("factor(stars) ~ x", codes, predicted_var="stars", prediction="seen", estimator="naive")


def test_ordered_category_is_a_category(data: pd.DataFrame) -> None:
    """Grades 1 < 2 < 3 with polynomial contrasts as in R, or as dummies; the same fit."""
    grade = pd.Categorical(data["topic"].map({"art": 1, "sport": 2, "war": 3}), [1, 2, 3], ordered=True)
    surrogate = data["llm"].map({"art": 1, "sport": 2, "war": 3})
    ordered = run("y ~ topic", data.assign(topic=grade, llm=surrogate), estimator="cdi", tune=1.0)
    plain = run("y ~ topic", data, estimator="cdi", tune=1.0)
    assert ordered.params_r.index.tolist() == ["(Intercept)", "topic.L", "topic.Q"]
    new = pd.Categorical([1, 2, 3], [1, 2, 3], ordered=True)
    np.testing.assert_allclose(
        ordered.predict(pd.DataFrame({"topic": new})), plain.predict(pd.DataFrame({"topic": TOPICS})), rtol=SAME_ALGEBRA
    )


KINDS: dict[str, Any] = {
    "object": lambda d: d.astype({"topic": object, "llm": object}),
    "category": lambda d: d.astype({"topic": "category", "llm": "category"}),
    "string": lambda d: d.astype({"topic": "string", "llm": "string"}),
    "none": lambda d: d.assign(topic=d["topic"].astype(object).where(d["topic"].notna(), None)),
    "polars": lambda d: pl.from_pandas(d),
    "polars enum": lambda d: pl.from_pandas(d, schema_overrides={"topic": pl.Enum(TOPICS)}),
    "pyarrow": lambda d: pa.Table.from_pandas(d),
    "pyarrow dictionary": lambda d: pa.Table.from_pandas(d.astype({"topic": "category"})),
    "dict": lambda d: {c: d[c].tolist() for c in d},
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_tables(data: pd.DataFrame, kind: str) -> None:
    original = run("y ~ topic * x", data)
    other = run("y ~ topic * x", KINDS[kind](data))
    assert list(other.params.index) == list(original.params.index)
    np.testing.assert_allclose(other.params, original.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(other.bse, original.bse, rtol=SAME_ALGEBRA)


def test_two_categories_and_numbers(data: pd.DataFrame) -> None:
    """True and false, and 0 and 1, are numbers; two words are a category with the same fit."""
    war = data["topic"].eq("war").where(data["topic"].notna())
    words = war.map({True: "yes", False: "no"})
    call = {"estimator": "cdi", "tune": 1.0}
    surrogate = data["llm"].eq("war")
    number = run("y ~ topic + x", data.assign(topic=war.astype(float), llm=surrogate.astype(float)), **call)
    logical = run("y ~ topic + x", data.assign(topic=war.astype("boolean"), llm=surrogate), **call)
    category = run("y ~ topic + x", data.assign(topic=words, llm=surrogate.map({True: "yes", False: "no"})), **call)
    np.testing.assert_allclose(logical.params, number.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(category.params, number.params, rtol=SAME_ALGEBRA)
    np.testing.assert_allclose(category.bse, number.bse, rtol=SAME_ALGEBRA)


def first(data: pd.DataFrame, column: str, value: Any, labelled: bool = False) -> pd.DataFrame:
    rows = data.index[data["lab"] == int(labelled)][:2]
    return data.assign(**{column: data[column].mask(data.index.isin(rows), value)})


PROBABILITIES = {"topic": [f"p_{name}" for name in TOPICS]}
ERRORS: dict[str, tuple[Any, dict[str, Any], type[DSLError], list[str]]] = {
    "label without gold": (
        lambda d: first(d, "llm", "music"),
        {"estimator": "cdi"},
        PredictionError,
        ["'music' in 2 rows (first: 4, 5)", "no category of the gold values of 'topic'", "'art', 'sport', 'war'"],
    ),
    "probabilities do not sum": (
        lambda d: first(d, "p_war", 0.9),
        {"estimator": "cdi", "predicted_var": PROBABILITIES, "prediction": None},
        PredictionError,
        ["p_art, p_sport, p_war", "not one in sum in 2 rows"],
    ),
    "probability below zero": (
        lambda d: first(d, "p_war", -0.1),
        {"estimator": "naive", "predicted_var": PROBABILITIES, "prediction": None},
        PredictionError,
        ["outside [0, 1] in 2 rows"],
    ),
    "names that say nothing": (
        lambda d: d.rename(columns={"p_war": "third"}),
        {"estimator": "cdi", "predicted_var": {"topic": ["p_art", "p_sport", "third"]}, "prediction": None},
        ArgumentError,
        ["p_art, p_sport, third", "ends with its category (art, sport, war)"],
    ),
    "two probabilities for three": (
        lambda d: d,
        {"estimator": "cdi", "predicted_var": {"topic": ["p_art", "p_sport"]}, "prediction": None},
        ArgumentError,
        ["stands for 'topic'", "one probability for each of art, sport, war"],
    ),
    "copy of the gold labels": (
        lambda d: d.assign(llm=d["topic"]),
        {},
        LeakError,
        ["'llm' equals the gold label 'topic' on all labelled rows and is missing elsewhere"],
    ),
    "copy with gaps filled": (
        lambda d: d.assign(llm=d["topic"].fillna("none")),
        {},
        LeakError,
        ["'llm' equals the gold label 'topic'", "is none on all others", "gaps filled"],
    ),
    "several outcomes at once": (
        lambda d: d,
        {"formula": "topic ~ x", "estimator": "ppi++"},
        ArgumentError,
        ["'ppi++' has one outcome at a time", "estimator='cdi', tune='coef'"],
    ),
    "known category as the outcome": (
        lambda d: d,
        {"formula": "llm ~ topic", "prediction": "x"},
        FormulaError,
        ["'llm' of", "holds categories", "I(llm == 'war')"],
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(data: pd.DataFrame, case: str) -> None:
    change, arguments, error, told = ERRORS[case]
    given = {"formula": "y ~ topic", **arguments}
    with pytest.raises(error) as raised:
        run(given.pop("formula"), change(data), **given)
    for part in told:
        assert part in str(raised.value)


def test_rounded_probabilities(data: pd.DataFrame) -> None:
    """Three decimals need not sum to one exactly: they are scaled to."""
    names = PROBABILITIES["topic"]
    rounded = data.assign(**{name: data[name].round(3) for name in names})
    total = rounded[names].sum(axis=1)
    assert (total != 1.0).any()
    exact = rounded.assign(**{name: rounded[name] / total for name in names})
    call = {"estimator": "cdi", "predicted_var": PROBABILITIES, "prediction": None}
    assert_same(run("y ~ topic", rounded, **call), run("y ~ topic", exact, **call))
