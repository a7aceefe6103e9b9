"""Other scales of surrogates: what is one, and what every call says that takes surrogates as they are."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.data.scales import scale_problem
from dsl.exceptions import ArgumentError, ScaleError

ROWS = 800
RNG = np.random.default_rng(0)
TRUTH = (RNG.random(ROWS) < 0.4).astype(float)
POINTS = RNG.integers(1, 6, ROWS).astype(float)
AMOUNT = RNG.lognormal(3.0, 1.0, ROWS)
NOISE = RNG.normal(size=ROWS)
LABELED = RNG.random(ROWS) < 0.25
SCORE = np.round(100.0 * np.clip(0.8 * TRUTH + 0.1 + 0.1 * NOISE, 0.0, 1.0))

SAME = {
    "labels": (TRUTH, TRUTH),
    "probability": (TRUTH, SCORE / 100.0),
    "confidence": (TRUTH, 0.5 + 0.49 * RNG.random(ROWS)),
    "a single low probability": (TRUTH, np.full(ROWS, 0.3)),
    "small probability": (TRUTH, SCORE / 1000.0),
    "linear prediction": (TRUTH, 0.4 + 0.3 * NOISE),
    "points": (POINTS, np.clip(POINTS + np.round(NOISE), 1.0, 5.0)),
    "one point more": (POINTS, POINTS + 1.0),
    "biased": (AMOUNT, 2.0 * AMOUNT),
    "noisy": (AMOUNT, AMOUNT + 100.0 * NOISE),
    "useless": (POINTS, np.full(ROWS, 3.0)),
    "always no": (TRUTH, np.zeros(ROWS)),
}
OTHER = {
    "percent": (TRUTH, SCORE, "gold labels are 0 and 1, surrogates 0 to 100"),
    "0 to 5": (TRUTH, SCORE / 20.0, "surrogates 0 to 5"),
    "0 to 10": (TRUTH, np.round(SCORE / 10.0), "surrogates 0 to 10"),
    "1 and 2": (TRUTH, TRUTH + 1.0, "surrogates 1 to 2"),
    "-1 to 1, whole": (TRUTH, np.where(TRUTH > 0, 1.0, np.sign(NOISE)), "surrogates -1 to 1"),
    "-1 to 1": (TRUTH, np.clip(2.0 * TRUTH - 1.0 + 0.1 * NOISE, -1.0, 1.0), "surrogates -1 to 1"),
    "points as shares": (POINTS, (POINTS - 1.0) / 4.0, "gold labels are 1 to 5, surrogates 0 to 1"),
    "points as percent": (POINTS, 25.0 * (POINTS - 1.0), "gold labels are 1 to 5, surrogates 0 to 100"),
    "points of ten": (POINTS, 2.5 * (POINTS - 1.0), "surrogates 0 to 10"),
    "thousands": (AMOUNT, 1000.0 * AMOUNT, "gold labels are"),
    "apart": (AMOUNT, AMOUNT - 1e4, "gold labels are"),
}


@pytest.mark.parametrize("kind", SAME)
def test_same_scale(kind: str) -> None:
    gold, surrogate = SAME[kind]
    assert scale_problem(gold[LABELED], surrogate) == ""


@pytest.mark.parametrize("kind", OTHER)
def test_other_scale(kind: str) -> None:
    gold, surrogate, words = OTHER[kind]
    assert words in scale_problem(gold[LABELED], surrogate)


def data(gold: Any = TRUTH, surrogate: Any = SCORE) -> pd.DataFrame:
    return pd.DataFrame(
        {"y": pd.Series(gold).where(LABELED), "llm": surrogate, "x": NOISE + TRUTH, "cl": np.arange(ROWS) // 8}
    )


def fit(table: pd.DataFrame, formula: str = "y ~ x", **more: Any) -> Any:
    given = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1, **more}
    return dsl.dsl(formula, table, **given)


@pytest.mark.parametrize("formula", ["y ~ x", "x ~ y"])
@pytest.mark.parametrize("estimator", ["naive", "ppi", "ppi++", "cdi"])
def test_estimators_without_a_learner(estimator: str, formula: str) -> None:
    """Refused, with the remedy. The remedy works."""
    words = r"prediction 'llm' is on another scale than 'y', .* 0 to 100 .*e\.g\. data\['llm'\] / 100"
    with pytest.raises(ScaleError, match=words):
        fit(data(), formula, estimator=estimator)
    assert np.isfinite(fit(data(surrogate=SCORE / 100.0), formula, estimator=estimator).bse).all()


def test_a_score_to_five_in_a_logit() -> None:
    """Prediction-powered inference with it had a standard error of .47, and said nothing."""
    with pytest.raises(ScaleError, match=r"surrogates 0 to 5 .*data\['llm'\] / 5"):
        fit(data(surrogate=SCORE / 20.0), model="logit", estimator="ppi")


@pytest.mark.parametrize("estimator", ["dsl", "dsl+", "gold_only"])
def test_learners_take_any_scale(estimator: str) -> None:
    """The numbers do not depend on it."""
    one, other = (fit(data(surrogate=SCORE / size), estimator=estimator) for size in (1.0, 100.0))
    np.testing.assert_allclose(one.params, other.params, rtol=1e-8)


def test_comparison() -> None:
    """The naive estimate is left out, and why is said. It was "too high by 12.1 (SE 0.929)"."""
    given = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 2}
    found = dsl.compare("y ~ x", data(), **given)
    assert list(found.fits) == ["gold_only", "dsl", "dsl+"]
    assert found.bias is None
    assert "ScaleError: prediction 'llm' is on another scale than 'y'" in found.failed["naive"]
    assert "naive has no estimate: ScaleError" in str(found.summary()).replace("\n    ", " ")
    with pytest.raises(
        ArgumentError, match=r"naive has no estimate \(ScaleError: prediction 'llm' is on another scale"
    ):
        _ = found.sentences
    own = fit(data()).compare(data(), estimators=("naive", "cdi", "gold_only"))
    assert set(own.failed) == {"naive", "cdi"}
    with pytest.raises(ScaleError):
        dsl.compare("y ~ x", data(), estimators=("naive", "ppi"), **given)


def test_diagnostics() -> None:
    """Neither bias nor accuracy of a surrogate on another scale, and why."""
    found = fit(data()).diagnostics(data())
    assert "is on another scale than 'y'" in found.skipped["surrogate of y"]
    assert "surrogates" not in found.details
    assert "is on another scale" in " ".join(str(found).split())
    assert "surrogates" in fit(data(surrogate=SCORE / 100.0)).diagnostics(data(surrogate=SCORE / 100.0)).details


def test_calls_without_formula() -> None:
    calls: list[Callable[[pd.DataFrame], object]] = [
        lambda table: dsl.proportions(table, gold="y", prediction="llm", estimator="naive"),
        lambda table: dsl.proportions(table, gold="y", prediction="llm", estimator="cdi"),
        lambda table: dsl.aggregate(table, unit="cl", gold="y", prediction="llm"),
        lambda table: dsl.ppi_quantile(table, gold="y", prediction="llm"),
        lambda table: dsl.ppi_statistic(
            lambda frame, weights: np.average(frame["y"], weights=weights), table, gold="y", prediction="llm", n_boot=50
        ),
    ]
    for call in calls:
        with pytest.raises(ScaleError, match="is on another scale than 'y'"):
            call(data())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dsl.exceptions.FewLabelsWarning)
            call(data(surrogate=SCORE / 100.0))
    shares = dsl.proportions(data(), gold="y", prediction="llm", sl_method="lm", sample_split=1)
    assert shares.table["share"].between(0.3, 0.5).all()


def test_categories_that_differ_by_case_or_blanks() -> None:
    names = np.array(["No", "Hate"], dtype=object)[TRUTH.astype(int)]
    gold = pd.Series(names).where(LABELED)
    table = data().assign(y=gold, llm=pd.Series(names).str.lower())
    words = r"by case or blanks only: 'hate' for 'Hate', 'no' for 'No'|by case or blanks only: 'no' for 'No', 'hate' for 'Hate'"
    for estimator in ("naive", "cdi"):
        with pytest.raises(ScaleError, match=words):
            fit(table, model="logit", estimator=estimator)
    with pytest.raises(ScaleError, match=words):
        dsl.ppi_statistic(lambda frame, weights: 1.0, table, gold="y", prediction="llm")
    with pytest.raises(ScaleError, match="'hate ' for 'Hate'"):
        fit(table.assign(llm=pd.Series(names).replace({"Hate": "hate "})), "x ~ y", estimator="naive")
    # a learner does not mind
    assert np.isfinite(fit(table, "x ~ y").params).all()
    # a category that the gold labels do not have at all is another matter
    with pytest.raises(dsl.exceptions.PredictionError, match="'maybe'"):
        fit(table.assign(llm=pd.Series(names).replace({"No": "maybe"})), "x ~ y", estimator="naive")
