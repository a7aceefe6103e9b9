"""Named learners, stacks and estimators of the user."""

import importlib.util
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, SplineTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from dsl import exceptions
from dsl.learners import library
from dsl.learners.auto import cross_predict
from dsl.learners.library import LeastSquares
from dsl.learners.names import available_method, check_method, make_learner, method_label, reads_texts
from tests.fixed import Fixed
from tests.learners.test_names import NAMED

NAMES = [name for name in available_method()["method"] if name == "auto" or not reads_texts(name)]
QUICK = [name for name in NAMES if name not in {"auto", "ranger", "grf", "stack"}]
SAME_ALGEBRA = 1e-10  # the same equations solved by another routine
LBFGS = 2e-3  # a maximum likelihood fit against one with a penalty of 0.001, stopped by its gradient
CAUTIOUS = 1.05  # a stack's weights are estimated: at most 5% worse than its best member


def sample(n=150, seed=0):
    """Five features (three continuous, two binary), gold on three scales."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=(n, 3)), rng.random((n, 2)) < 0.4]).astype(float)
    index = x[:, 0] - 0.7 * x[:, 1] ** 2 + x[:, 2] * x[:, 3]
    p = expit(index)
    return x, {
        "gaussian": index + rng.normal(size=n),
        "binary": (rng.random(n) < p).astype(float),
        "fraction": np.round(p, 2),
    }


@pytest.mark.parametrize("kind", ["gaussian", "binary", "fraction"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.long
def test_every_name_fits_predicts_and_repeats(name, kind):
    x, gold = sample(80)
    y = gold[kind]
    if name == "logit" and kind == "gaussian":
        y = gold["binary"]
    family = "gaussian" if kind == "gaussian" else "binomial"
    first = make_learner(name, family=family, seed=3).fit(x, y).predict(x)
    assert first.shape == (80,)
    assert first.dtype == np.float64
    assert np.isfinite(first).all()
    if kind == "binary" and name not in NAMED:  # those are fitted twice there
        np.testing.assert_array_equal(first, make_learner(name, family=family, seed=3).fit(x, y).predict(x))
    if family == "binomial":
        assert first.min() >= 0.0
        assert first.max() <= 1.0
    if name != "mean":
        assert np.mean((first - y) ** 2) < np.var(y)


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("name", [*QUICK, "grf"])
def test_tiny_samples(name, n, family):
    x, gold = sample(n, seed=1)
    y = gold["binary"].copy()
    y[:2] = 0.0, 1.0
    assert np.isfinite(make_learner(name, family=family).fit(x, y).predict(sample(40)[0])).all()


@pytest.mark.parametrize("name", ["auto", "stack", "ranger", ["lm", "knn"]])
def test_slower_learners_on_tiny_samples(name):
    x, gold = sample(12, seed=1)
    assert np.isfinite(make_learner(name, family="binomial").fit(x, gold["binary"]).predict(x)).all()


@pytest.mark.parametrize("columns", ["constant", "collinear", "one", "none", "huge"])
@pytest.mark.parametrize("name", QUICK)
def test_awkward_columns(name, columns):
    x, gold = sample(60)
    x = {
        "constant": np.column_stack([x[:, 0], np.full(60, 0.1), np.zeros(60)]),
        "collinear": np.column_stack([x, x[:, 0] + x[:, 1], 2 * x[:, 3]]),
        "one": x[:, :1],
        "none": x[:, :0],
        "huge": np.column_stack([x[:, 0] * 1e9 + 1e12, x[:, 1] * 1e-9]),
    }[columns]
    for family in ("binomial",) if name == "glmnet" else ("gaussian", "binomial"):
        prediction = make_learner(name, family=family).fit(x, gold["binary"]).predict(x)
        assert np.mean((prediction - gold["binary"]) ** 2) < np.var(gold["binary"]) + 0.02


@pytest.mark.parametrize("value", [0.0, 1.0, 0.4])
@pytest.mark.parametrize("name", [*NAMES, RandomForestClassifier(5), LogisticRegression, ["lm", LogisticRegression()]])
def test_constant_gold_is_predicted_exactly(name, value):
    x, _ = sample(30)
    for family in ("gaussian", "binomial"):
        prediction = make_learner(name, family=family).fit(x, np.full(30, value)).predict(x[:4])
        np.testing.assert_allclose(prediction, value, rtol=0, atol=1e-15)


def test_a_constant_training_column_that_varies_later_has_no_effect():
    x, gold = sample(60)
    x[:, 3] = 0.1
    later = x.copy()
    later[:, 3] = 5.0
    for name in ("lm", "logit", "ridge", "gam", "surface"):
        fitted = make_learner(name).fit(x, gold["binary"])
        np.testing.assert_array_equal(fitted.predict(x), fitted.predict(later))


# --- learners of our own against the textbook


@pytest.mark.parametrize("p", [1, 3, 5])
def test_lm_is_least_squares(p):
    x, gold = sample(90)
    x, y = x[:, :p], gold["gaussian"]
    design = np.column_stack([np.ones(90), x])
    expected = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(make_learner("lm").fit(x, y).predict(x), expected, rtol=0, atol=SAME_ALGEBRA)


def test_logit_is_maximum_likelihood():
    import statsmodels.api as sm

    x, gold = sample(400)
    y = gold["binary"]
    expected = sm.Logit(y, sm.add_constant(x)).fit(disp=0).predict()
    for name, family in (("logit", "gaussian"), ("logit", "binomial"), ("glm", "binomial")):
        np.testing.assert_allclose(make_learner(name, family=family).fit(x, y).predict(x), expected, atol=LBFGS)


def test_logit_of_fractions_solves_the_score_equations():
    x, gold = sample(400)
    y = gold["fraction"]
    residual = y - make_learner("logit").fit(x, y).predict(x)
    np.testing.assert_allclose(np.column_stack([np.ones(400), x]).T @ residual / 400, 0.0, atol=LBFGS)


def test_logit_of_separated_classes_is_finite_and_right():
    x = np.arange(20.0)[:, None]
    y = (x[:, 0] > 9.5).astype(float)
    for name in ("logit", "ridge", "gam", "surface"):
        prediction = make_learner(name, family="binomial").fit(x, y).predict(x)
        assert np.array_equal(prediction > 0.5, y == 1.0)


def test_logit_of_gold_outside_the_unit_interval_is_an_error():
    x, gold = sample()
    with pytest.raises(exceptions.DataError, match=r"between 0 and 1; found -\d"):
        make_learner("logit").fit(x, gold["gaussian"])


@pytest.mark.parametrize("method", ["lm", "mean", "xgboost", LinearRegression()])
def test_binomial_gold_outside_the_unit_interval_is_an_error(method):
    x, gold = sample()
    with pytest.raises(exceptions.DataError, match="family='binomial' needs gold values between 0 and 1; found 0 to 2"):
        make_learner(method, family="binomial").fit(x, 2 * gold["binary"])


def test_more_columns_than_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 200))
    y = x[:, :5].sum(axis=1) + rng.normal(size=60)
    for name in ("ridge", "gam", "surface", "logit", "lm"):
        target = (y > 0).astype(float) if name == "logit" else y
        assert np.isfinite(make_learner(name).fit(x, target).predict(x)).all()
    fresh = rng.normal(size=(500, 200))
    truth = fresh[:, :5].sum(axis=1)
    assert np.mean((make_learner("ridge").fit(x, y).predict(fresh) - truth) ** 2) < np.var(truth)


def test_splines_bend_and_surfaces_multiply():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(600, 3))
    truth = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]
    y = truth + 0.3 * rng.normal(size=600)
    loss = {m: np.mean((make_learner(m).fit(x, y).predict(x) - truth) ** 2) for m in ("lm", "gam", "surface")}
    assert loss["gam"] < 0.8 * loss["lm"]
    assert loss["surface"] < 0.1 * loss["gam"]


@pytest.mark.parametrize("levels", [np.arange(5.0), np.array([0.0, 0.0, 0.0, 1.0, 7.0])])
def test_splines_of_few_distinct_values(levels):
    x = np.repeat(levels, 40)[:, None]
    y = np.cos(x[:, 0]) + np.tile([-0.1, 0.1], 100)
    np.testing.assert_allclose(make_learner("gam").fit(x, y).predict(x), np.cos(x[:, 0]), atol=0.03)


def test_surfaces_are_constant_outside_the_data():
    x, gold = sample(200)
    fitted = make_learner("surface").fit(x, gold["gaussian"])
    far = np.tile(x.mean(axis=0), (3, 1))
    far[:, 1] = x[:, 1].max(), 5.0, 1e6
    assert np.ptp(fitted.predict(far)) < SAME_ALGEBRA


def test_large_predictions_are_made_in_blocks(monkeypatch):
    x, gold = sample()
    fitted = make_learner("surface").fit(x, gold["gaussian"])
    whole = fitted.predict(x)
    monkeypatch.setattr("dsl.learners.names.BLOCK", 7)
    np.testing.assert_allclose(fitted.predict(x), whole, rtol=0, atol=SAME_ALGEBRA)
    assert fitted.predict(x[:0]).shape == (0,)


@pytest.mark.parametrize("name", ["lm", "logit", "ridge", "gam", "surface"])
def test_units_of_the_features_do_not_matter(name):
    x, gold = sample()
    factor, shift = np.array([1e3, 0.01, 5.0, 1.0, 2.0]), np.array([3.0, 0.0, -40.0, 1.0, 0.0])
    one = make_learner(name).fit(x, gold["binary"]).predict(x)
    other = make_learner(name).fit(x * factor + shift, gold["binary"]).predict(x * factor + shift)
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_zero_one_gold_gives_a_surface_of_probabilities_in_either_family():
    x, gold = sample()
    one = make_learner("surface", family="gaussian").fit(x, gold["binary"]).predict(x)
    np.testing.assert_array_equal(one, make_learner("surface", family="binomial").fit(x, gold["binary"]).predict(x))


# --- stacks


def held_out_loss(method, x, y, family="gaussian"):
    folds = np.arange(len(y)) % 5
    return np.mean((y - cross_predict(lambda: make_learner(method, family=family), x, y, folds)) ** 2)


def test_stack_weights_and_loss():
    x, gold = sample(300)
    y = gold["binary"]
    members = ["mean", "lm", "gam", "knn"]
    stack = make_learner(members, family="binomial").fit(x, y).estimator_
    assert (stack.weights_ >= 0).all()
    assert stack.weights_.sum() == pytest.approx(1.0)
    assert stack.losses_.shape == (4,)
    losses = [held_out_loss(m, x, y, "binomial") for m in members]
    assert held_out_loss(members, x, y, "binomial") < CAUTIOUS * min(losses)
    assert held_out_loss(members, x, y, "binomial") < max(losses)


def test_stack_falls_back_to_its_best_member_where_every_weight_is_zero(monkeypatch):
    x, gold = sample(100)
    monkeypatch.setattr(library, "nnls", lambda a, b: (np.zeros(a.shape[1]), 0.0))
    stack = make_learner(["mean", "lm"]).fit(x, gold["gaussian"])
    np.testing.assert_array_equal(stack.estimator_.weights_, [0.0, 1.0])
    np.testing.assert_array_equal(stack.predict(x), make_learner("lm").fit(x, gold["gaussian"]).predict(x))


def test_stack_takes_estimators_and_names():
    x, gold = sample(100)
    members = ["lm", DecisionTreeRegressor(max_depth=2), LinearRegression]
    stack = make_learner(members).fit(x, gold["gaussian"] * 0.01 - 5.0)
    assert len(stack.estimator_.weights_) == 3
    assert stack.predict(x).mean() == pytest.approx(-5.0, abs=0.1)


# --- estimators of the user


def test_estimators_are_copied_not_touched():
    x, gold = sample()
    mine = make_pipeline(StandardScaler(), RandomForestRegressor(5))
    before = repr(clone(mine).get_params())
    make_learner(mine, seed=7).fit(x, gold["gaussian"])
    assert repr(mine.get_params()) == before
    assert mine[-1].random_state is None
    assert not hasattr(mine[-1], "estimators_")


def test_seeds_reach_nested_parameters_and_leave_those_set():
    x, gold = sample()
    nested = GridSearchCV(make_pipeline(StandardScaler(), RandomForestRegressor(3)), {}, cv=KFold(3, shuffle=True))
    fitted = make_learner(nested, seed=11).fit(x, gold["gaussian"]).estimator_
    assert fitted.get_params()["estimator__randomforestregressor__random_state"] == 11
    assert fitted.cv.random_state == 11
    assert nested.cv.random_state is None
    kept = make_learner(RandomForestRegressor(3, random_state=5), seed=11).fit(x, gold["gaussian"]).estimator_
    assert kept.random_state == 5


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_a_classifier_predicts_the_probability_of_one(family):
    x, gold = sample()
    expected = LogisticRegression().fit(x, gold["binary"]).predict_proba(x)[:, 1]
    np.testing.assert_array_equal(
        make_learner(LogisticRegression(), family=family).fit(x, gold["binary"]).predict(x), expected
    )


def test_a_classifier_of_other_gold_is_an_error():
    x, gold = sample()
    with pytest.raises(exceptions.ArgumentError, match="RandomForestClassifier is a classifier, but the gold values"):
        make_learner(RandomForestClassifier(3)).fit(x, gold["gaussian"])


@pytest.mark.parametrize("classifier", [LinearSVC(), RidgeClassifier()])
def test_a_classifier_without_probabilities_is_an_error(classifier):
    x, gold = sample()
    with pytest.raises(exceptions.ArgumentError, match="has no predict_proba; wrap it"):
        make_learner(classifier).fit(x, gold["binary"])


def test_factories_and_plain_objects():
    x, gold = sample()
    y = gold["gaussian"]
    expected = LinearRegression().fit(x, y).predict(x)
    np.testing.assert_array_equal(make_learner(LinearRegression).fit(x, y).predict(x), expected)
    np.testing.assert_array_equal(make_learner(lambda: LinearRegression()).fit(x, y).predict(x), expected)
    plain = LeastSquares()  # fit and predict, nothing else
    np.testing.assert_allclose(make_learner(plain).fit(x, y).predict(x), expected, atol=SAME_ALGEBRA)
    assert not hasattr(plain, "coef_")


def test_two_dimensional_predictions_are_flattened_and_wrong_ones_refused():
    x, gold = sample()
    predict = lambda make: make_learner(Fixed(make)).fit(x, gold["binary"]).predict(x)  # noqa: E731
    assert predict(lambda x: np.ones((len(x), 1))).shape == (150,)
    with pytest.raises(exceptions.ArgumentError, match=r"Fixed predicted an array of shape \(151, 1\) for 150 rows"):
        predict(lambda x: np.ones((len(x) + 1, 1)))
    with pytest.raises(exceptions.EstimationError, match="Fixed predicted missing or infinite values for 150 of 150"):
        predict(lambda x: np.full(len(x), np.nan))


@pytest.mark.parametrize("method", ["lm", "surface", "xgboost", ["lm", "gam"], LogisticRegression()])
def test_learners_can_be_sent_to_other_processes(method):
    x, gold = sample()
    learner = make_learner(method, family="binomial")
    sent = pickle.loads(pickle.dumps(learner)).fit(x, gold["binary"])
    np.testing.assert_array_equal(sent.predict(x), learner.fit(x, gold["binary"]).predict(x))


# --- names, labels, errors


def test_available_method_lists_every_learner():
    table = available_method()
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == ["method", "aliases", "description", "requires"]
    assert table["method"].is_unique
    assert {"lm", "glm", "mean", "glmnet", "ranger", "grf", "xgboost", "auto", "stack"} <= set(NAMES)
    assert table.set_index("method").loc["grf", "requires"] == "econml"
    assert (table["description"].str.len() > 5).all()


def test_unknown_name():
    with pytest.raises(exceptions.ArgumentError) as caught:
        check_method("SL.rangr", "gaussian")
    message = str(caught.value)
    assert "unknown sl_method 'SL.rangr'" in message
    assert "Did you mean 'ranger'?" in message
    assert all(name in message for name in NAMES)


@pytest.mark.parametrize(
    ("method", "family", "text"),
    [
        ("lm", "poisson", "family must be 'gaussian' or 'binomial'; found 'poisson'"),
        ([], "gaussian", "empty list"),
        (["lm", "nonsense"], "gaussian", "unknown sl_method 'nonsense'"),
        (3.5, "gaussian", "found float"),
        (None, "gaussian", "found NoneType"),
        (lambda: 3, "gaussian", "no fit and predict"),
        (GridSearchCV, "gaussian", "could not be called without arguments"),
    ],
)
def test_unusable_arguments(method, family, text):
    with pytest.raises(exceptions.ArgumentError, match=text):
        check_method(method, family)


def test_missing_package_names_the_extra(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "econml" else real(name, *a))
    with pytest.raises(exceptions.MissingDependencyError, match=r'pip install "dsl\[grf\]"'):
        check_method(["lm", "grf"], "gaussian")
    with pytest.raises(ImportError, match="econml"):
        make_learner("grf")


def test_grf_is_an_honest_forest():
    x, gold = sample(300)
    forest = make_learner("grf", seed=2).fit(x, gold["gaussian"])
    assert type(forest.estimator_).__module__.startswith("econml")
    assert forest.estimator_.honest
    assert np.corrcoef(forest.predict(x), gold["gaussian"])[0, 1] > 0.5


def test_labels():
    for name, aliases in available_method()[["method", "aliases"]].itertuples(index=False):
        for alias in (f"SL.{name}", *filter(None, aliases.split(", "))):
            assert method_label(alias) == method_label(alias.upper()) == name
    assert method_label(["lm", LogisticRegression()]) == "stack(lm, LogisticRegression)"
    assert method_label(make_pipeline(StandardScaler(), LinearRegression())) == "LinearRegression"
    assert method_label(LinearRegression) == "LinearRegression"
    assert method_label(lambda: LinearRegression()) == "<lambda>"


def test_least_squares_needs_no_scikit_learn():
    code = (
        "import sys, numpy as np\n"
        "from dsl.learners.names import make_learner\n"
        "x = np.arange(8.0)[:, None]\n"
        "for name in ('lm', 'glm', 'mean'):\n"
        "    make_learner(name).fit(x, x[:, 0] ** 2).predict(x)\n"
        "assert 'sklearn' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_users_estimator_is_heard_when_it_does_not_converge():
    """Learners of ours are chosen to be good enough at their limits; an estimator of the user keeps its warnings."""
    x, gold = sample()
    stopped = LogisticRegression(max_iter=1)
    with pytest.warns(ConvergenceWarning):
        make_learner(stopped).fit(1000 * x, gold["binary"])


@pytest.mark.parametrize("products", [True, False])
@pytest.mark.parametrize("x_of", ["mixed", "binary", "one"])
def test_curved_columns_are_those_of_scikit_learns_pipeline(products, x_of):
    """To the last digit: transformers side by side in a ColumnTransformer, each with its steps in a pipeline."""
    x = sample()[0]
    x = {
        "mixed": np.column_stack([x, np.random.default_rng(0).integers(0, 5, len(x))]),
        "binary": x[:, 3:],
        "one": x[:, :1],
    }[x_of]
    every = slice(0, None)
    parts = [("linear", StandardScaler(), every)]
    for knots, suited in (("quantile", library._many_values), ("uniform", library._some_values)):
        spline = SplineTransformer(library.KNOTS, degree=3, knots=knots, include_bias=False)
        parts.append((knots, make_pipeline(spline, StandardScaler()), suited))
    if products:
        pairs = PolynomialFeatures(2, interaction_only=True, include_bias=False)
        steps = (StandardScaler(), pairs, MinMaxScaler(clip=True), StandardScaler())
        parts.append(("products", make_pipeline(*steps), every))
    weights = dict.fromkeys(("quantile", "uniform", "products"), library.CURVED)
    theirs = make_pipeline(MinMaxScaler(clip=True), ColumnTransformer(parts, transformer_weights=weights))
    ours = library.Curved(products=products)
    np.testing.assert_array_equal(ours.fit_transform(x[:100]), theirs.fit_transform(x[:100]))
    np.testing.assert_array_equal(ours.transform(3.0 * x[100:]), theirs.transform(3.0 * x[100:]))
