"""Outcomes of classes: what makes them, their order and names, and what is refused."""

from typing import Any

import formulaic
import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.data.formula.classes import MOST_CLASSES
from tests.engine.models.likelihood import codes

pytestmark = pytest.mark.numeric
N = 400
LEVELS = ["no", "some", "much"]


def table() -> pd.DataFrame:
    """Half of the rows labelled; stars are the same classes as numbers."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=N)
    y = codes(0.8 * x, rng)
    llm = np.where(rng.random(N) < 0.8, y, rng.integers(0, 3, N))
    labeled = rng.random(N) < 0.5
    return pd.DataFrame(
        {
            "x": x,
            "y": pd.Categorical.from_codes(np.where(labeled, y, -1), LEVELS, ordered=True),
            "llm": pd.Categorical.from_codes(llm, LEVELS, ordered=True),
            "stars": np.where(labeled, y * 2.0 + 1.0, np.nan),
            "llm_stars": llm * 2.0 + 1.0,
            "text": np.where(labeled, np.array(LEVELS)[y], None),
            "llm_text": np.array(LEVELS)[llm],
            "known": np.array(LEVELS)[y],
        }
    )


def run(
    formula: Any, model: str = "ologit", predicted: str = "y", surrogate: str = "llm", **more: Any
) -> dsl.DSLResults:
    data = more.pop("data", table())
    arguments = {"predicted_var": {predicted: surrogate}, "sl_method": "lm", "sample_split": 1, "seed": 3, **more}
    return dsl.dsl(formula, data, model=model, **arguments)


def test_the_same_classes_in_other_words() -> None:
    """An ordered category, numbers, and both kinds of functions in the formula: the same numbers, under their own names."""
    first = run("y ~ x", estimator="cdi")
    for formula, predicted, surrogate, names in (
        ("stars ~ x", "stars", "llm_stars", ["1|3", "3|5"]),
        ("factor(stars) ~ x", "stars", "llm_stars", ["1|3", "3|5"]),
        ("ordered(text, levels = c('no', 'some', 'much')) ~ x", "text", "llm_text", ["no|some", "some|much"]),
        (formulaic.Formula("y ~ x"), "y", "llm", ["no|some", "some|much"]),
    ):
        other = run(formula, "ologit", predicted, surrogate, estimator="cdi")
        assert list(other.params.index) == ["x", *names]
        np.testing.assert_allclose(other.params, first.params, rtol=1e-9)
        np.testing.assert_allclose(other.bse, first.bse, rtol=1e-9)
        # the moment is averaged over classes that were seen, whatever their numbers are
        learnt = run(formula, "ologit", predicted, surrogate)
        assert learnt.splits.averaged
        assert learnt.predictions.shape[2] == (1 if predicted == "stars" else 3)


def test_the_base_is_the_first_level() -> None:
    fit = run("y ~ x", "multinom")
    assert list(fit.params.index) == ["y[some]:Intercept", "y[some]:x", "y[much]:Intercept", "y[much]:x"]
    text = run("text ~ x", "multinom", "text", "llm_text")
    assert list(text.params.index[:2]) == ["text[no]:Intercept", "text[no]:x"]


def test_an_outcome_that_is_known() -> None:
    """The covariate is predicted, the outcome a text column without missing values."""
    rng = np.random.default_rng(5)
    data = table().assign(
        d=lambda t: np.where(t["y"].notna(), (t["x"] > 0.3) * 1.0, np.nan),
        llm_d=lambda t: (t["x"] + rng.normal(size=N) > 0.3) * 1.0,
    )
    fit = dsl.dsl("known ~ d", data, predicted_var={"d": "llm_d"}, model="multinom", sl_method="lm", sample_split=1)
    assert len(fit.params) == 4
    assert (fit.bse > 0.0).all()


def test_joint_tests_of_terms() -> None:
    fit = run("y ~ x + I(x^2)", "multinom")
    terms = list(fit.wald_test_terms().table.index)
    assert terms == [f"y[{level}]:{term}" for level in ("some", "much") for term in ("Intercept", "x", "I(x ** 2)")]
    ordered = run("y ~ x + I(x^2)")
    assert len(ordered.wald_test_terms().table) == 2
    assert ordered.df_model == 2


STARS = ("stars", "llm_stars")
TEXT = ("text", "llm_text")


@pytest.mark.parametrize(
    ("formula", "model", "pair", "error", "words"),
    [
        ("text ~ x", "ologit", TEXT, e.OutcomeError, "have none: data.'text'. = pd.Categorical"),
        ("y ~ x - 1", "ologit", ("y", "llm"), e.FormulaError, "thresholds in the place of an intercept"),
        ("y ~ x + offset(x)", "multinom", ("y", "llm"), e.FormulaError, "offset.. would be in none or in all"),
        (formulaic.Formula("C(y) ~ x"), "multinom", ("y", "llm"), e.FormulaError, "give the formula as a string"),
        ("poly(stars, 2) ~ x", "multinom", STARS, e.FormulaError, "one column of classes"),
        ("y ~ x | text", "multinom", ("y", "llm"), e.ArgumentError, "model='multinom' does not have"),
    ],
)
def test_refusals(formula: Any, model: str, pair: tuple[str, str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run(formula, model, *pair)


def test_classes_without_labels_or_too_many() -> None:
    data = table()
    data["y"] = data["y"].cat.add_categories(["all"])
    with pytest.raises(e.OutcomeError, match=r"no labelled row is 'all'.*remove_unused_categories"):
        run("y ~ x", data=data)
    one = table()
    one["stars"] = one["stars"].where(one["stars"].isna(), 1.0)
    with pytest.raises(e.OutcomeError, match="nothing to explain"):
        run("stars ~ x", "multinom", "stars", "llm_stars", data=one)
    many = table()
    many["stars"] = np.where(many["stars"].notna(), np.arange(N) * 1.0, np.nan)
    with pytest.raises(e.OutcomeError, match=r"different values.*cut.y, 5") as found:
        run("stars ~ x", "multinom", "stars", "llm_stars", data=many)
    assert int(str(found.value).split(" has ")[1].split()[0]) > MOST_CLASSES


def test_counts_below_zero_at_predictions() -> None:
    rng = np.random.default_rng(1)
    data = table().assign(n=lambda t: np.where(t["y"].notna(), rng.negative_binomial(2, 0.3, N), np.nan))
    data["llm_n"] = np.where(data.index == 7, -2.0, 3.0)
    with pytest.raises(e.PredictionError, match=r"model='negbin' is not linear.*'n' is -2 in 1 row"):
        run("n ~ x", "negbin", "n", "llm_n", data=data, estimator="naive")


def test_todays_meaning_of_a_category_stays() -> None:
    """An equation for each category under logit: not the multinomial model's."""
    fit = run("y ~ x", "logit")
    assert [name for name in fit.params.index if name.endswith(":x")] == [f"y[{level}]:x" for level in LEVELS]
