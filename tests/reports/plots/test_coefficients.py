"""Plots: what is drawn is what was estimated, on the axes given, and can be told apart without colours."""

from collections.abc import Iterator
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import dsl
from dsl import exceptions as e
from dsl.analyses.proportions import Proportions
from dsl.analyses.proportions import proportions as estimate
from dsl.reports.plots import calibration, coefficients, proportions, weights
from tests.posts import posts, run

matplotlib.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore:.*rest on few labels")


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fits() -> list[Any]:
    return [run(posts(), "y ~ x + factor(z)", estimator=name) for name in ("naive", "gold_only", "dsl")]


@pytest.fixture(scope="module")
def shares() -> Proportions:
    """Two groups, three periods, three categories."""
    rng = np.random.default_rng(1)
    topic = np.array(["economy", "other", "war"])[rng.integers(0, 3, 900)]
    data = pd.DataFrame({"side": np.where(rng.random(900) < 0.5, "left", "right"), "year": 2020 + np.arange(900) % 3})
    data["llm"], data["topic"] = topic, pd.Series(topic).where(rng.random(900) < 0.6)
    return estimate(data, gold="topic", prediction="llm", by="side", time="year", sl_method="lm", sample_split=1)


def bars(ax: Any) -> dict[str, Any]:
    """Points and whiskers by label."""
    return {box.get_label(): box for box in ax.containers if hasattr(box, "has_xerr")}


def points(box: Any, axis: str) -> np.ndarray:
    return np.asarray(getattr(box.lines[0], f"get_{axis}data")(), dtype=float)


def whiskers(box: Any) -> np.ndarray:
    """Ends (points, 2, 2) of the error bars."""
    return np.array(box.lines[2][0].get_segments())


def styles(ax: Any) -> list[tuple[Any, ...]]:
    return [
        (
            box.lines[0].get_marker(),
            str(box.lines[0].get_linestyle()),
            str(box.lines[0].get_markerfacecolor()) == "white",
        )
        for box in bars(ax).values()
    ]


def names(ax: Any, axis: str) -> list[str]:
    return [text.get_text() for text in getattr(ax, f"get_{axis}ticklabels")()]


# Coefficients.


def test_coefficients_are_the_estimates_and_their_intervals(fits: list[Any]) -> None:
    ax = coefficients(fits, alpha=0.1)
    assert list(bars(ax)) == ["naive (surrogates as truth)", "gold only", "DSL"]
    assert names(ax, "y") == ["x", "factor(z)[T.1]", "factor(z)[T.2]"]
    for fit, box in zip(fits, bars(ax).values(), strict=True):
        np.testing.assert_allclose(points(box, "x"), fit.params[names(ax, "y")])
        np.testing.assert_allclose(whiskers(box)[:, :, 0], fit.conf_int(alpha=0.1).loc[names(ax, "y")])
    assert ax.get_xlabel() == "coefficient, 90% confidence interval"
    heights = [points(box, "y") for box in bars(ax).values()]
    assert len(np.unique(np.round(heights, 6))) == 9  # none hides another
    assert (np.argsort(np.argsort(heights[0])) == [2, 1, 0]).all()


def test_coefficients_can_be_chosen_named_and_compared_with_the_truth(fits: list[Any]) -> None:
    ols = sm.OLS(posts()["llm"], sm.add_constant(posts()[["x"]]).rename(columns={"const": "Intercept"})).fit()
    ax = coefficients({"ours": fits[2], "OLS": ols}, terms=["x", "factor(z)[T.2]"], truth={"x": 0.2})
    assert names(ax, "y") == ["x", "factor(z)[T.2]"]
    assert len(points(bars(ax)["OLS"], "x")) == 1  # it has no z
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["truth", "ours", "OLS"]
    mark = next(part for part in ax.collections if part.get_label() == "truth")
    assert np.array(mark.get_segments())[:, :, 0].tolist() == [[0.2, 0.2]]
    only = coefficients(run(posts(), "y ~ 1"))
    assert names(only, "y") == ["Intercept"]
    assert only.get_legend() is None


def test_an_estimator_looks_the_same_whatever_it_is_drawn_with(fits: list[Any]) -> None:
    first, second = styles(coefficients(fits)), styles(coefficients(fits[::-1]))
    assert first == second[::-1]
    assert len({marker for marker, *_ in first}) == 3


def test_no_two_series_have_one_marker(fits: list[Any]) -> None:
    tuned, plus = (run(posts(), "y ~ x + factor(z)", **given) for given in ({"tune": "coef"}, {"estimator": "dsl+"}))
    ax = coefficients([*fits, tuned, plus])
    assert [text.get_text() for text in ax.get_legend().get_texts()][2:] == ["DSL", "DSL, tuned", "DSL+"]
    assert len({marker for marker, *_ in styles(ax)}) == 5
    again = coefficients(
        {"a": fits[2], "b": fits[2], "c": tuned, "d": fits[0], "e": sm.OLS(posts()["llm"], posts()[["x"]]).fit()}
    )
    markers = [marker for marker, *_ in styles(again)]
    assert len(set(markers)) == 5
    assert (markers[0], markers[2], markers[3]) == ("D", "^", "s")  # the first of an estimator looks as ever


def test_fits_and_comparisons_draw_themselves(fits: list[Any]) -> None:
    _, given = plt.subplots()
    ax = fits[2].plot(given, terms="x", alpha=0.1, truth={"x": 0.2})
    assert ax is given
    (box,) = bars(ax).values()
    np.testing.assert_allclose(whiskers(box)[:, :, 0], fits[2].conf_int(alpha=0.1).loc[["x"]])
    found = fits[2].compare(posts(), estimators=("naive", "gold_only", "tuned"), alpha=0.1)
    ax = found.plot()
    assert list(bars(ax)) == ["naive", "gold_only", "dsl", "tuned"]
    table = found.table[(found.table["estimator"] == "tuned") & (found.table["term"] != "Intercept")]
    np.testing.assert_allclose(whiskers(bars(ax)["tuned"])[:, :, 0], table[["conf_low", "conf_high"]])
    with pytest.raises(e.ArgumentError, match="'zz'"):
        found.plot(terms="zz")


def test_coefficients_that_cannot_be_drawn(fits: list[Any]) -> None:
    for wrong, arguments, message in (
        ([], {}, "fits is empty"),
        ([fits[2], fits[2]], {}, "cannot be told apart.*dict"),
        ({"a": 3}, {}, "a is int"),
        (fits, {"terms": "zz"}, "'zz'.*Intercept, x"),
        (fits, {"truth": {"zz": 1.0}}, "truth names none"),
    ):
        with pytest.raises(e.ArgumentError, match=message):
            coefficients(wrong, **arguments)
    with pytest.raises(e.CallError, match="'term'; did you mean 'terms'"):
        coefficients(fits, term="x")


# Weights and calibration.


def test_weights_count_the_labelled_rows() -> None:
    data = dsl.datasets.simulate_unequal(n=2000, n_labels=600, seed=1)
    fit = dsl.dsl(data=data, sl_method="lm", **data.attrs["call"])
    ax = weights(fit)
    assert sum(bar.get_height() for bar in ax.patches) == fit.n_labeled
    w = 1 / fit.sample.sample_prob[fit.sample.labeled]
    text = ax.texts[0].get_text()
    assert text.startswith(f"{fit.n_labeled} labelled rows\ncount for {w.sum() ** 2 / (w**2).sum():.0f}\n")
    assert ax.get_xscale() == "linear"


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # probabilities by which nothing was drawn
def test_weights_that_differ_a_lot_have_a_logarithmic_axis() -> None:
    data = posts().assign(pi=np.geomspace(0.01, 1, 200))
    assert weights(run(data, sample_prob="pi")).get_xscale() == "log"
    assert "count for 80\n" in weights(run(posts())).texts[0].get_text()  # equal ones do not differ at all


def test_calibration_bins_hold_all_labels() -> None:
    data = dsl.datasets.simulate_nested(n_candidates=60, n_labels=400, seed=1)
    fit = dsl.dsl(data=data, sl_method="lm", sample_split=2, **data.attrs["call"])
    ax = calibration(fit, bins=1)
    predicted, gold = fit.predictions.mean(axis=0)[fit.sample.labeled, 0], fit.sample.gold[:, 0]
    (box,) = bars(ax).values()
    np.testing.assert_allclose(points(box, "x"), predicted.mean())
    np.testing.assert_allclose(points(box, "y"), gold.mean())
    half = 1.959964 * gold.std(ddof=1) / np.sqrt(len(gold))
    np.testing.assert_allclose(whiskers(box)[0, :, 1], gold.mean() + np.array([-half, half]), rtol=1e-6)
    ten = bars(calibration(fit)).popitem()[1]
    assert len(points(ten, "x")) <= 10
    assert (np.diff(points(ten, "x")) > 0).all()


def test_calibration_of_one_category() -> None:
    data = posts()
    data["topic"] = (
        data["y"].map({0.0: "war", 1.0: "peace"}).where(data["z"] > 0, data["y"].map({0.0: "other", 1.0: "war"}))
    )
    fit = run(data, "topic ~ x", predicted_var="topic")
    assert calibration(fit, variable="topic[war]").get_xlabel() == "out-of-fold prediction of topic[war]"
    with pytest.raises(e.ArgumentError, match=r"which variable\?.*topic\[other\], topic\[peace\], topic\[war\]"):
        calibration(fit)
    with pytest.raises(e.ArgumentError, match="'war' was not predicted"):
        calibration(fit, variable="war")


def test_diagnostics_that_cannot_be_drawn(fits: list[Any]) -> None:
    with pytest.raises(e.ArgumentError, match="estimator='gold_only' makes none"):
        calibration(fits[1])
    with pytest.raises(e.ArgumentError, match="bins"):
        calibration(fits[2], bins=0)
    with pytest.raises(e.ArgumentError, match=r"what dsl\.dsl returns; found str"):
        weights("fit")
    small = run(posts())
    small.remove_data()
    with pytest.raises(e.ArgumentError, match="remove_data"):
        weights(small)
    with pytest.raises(e.ArgumentError, match="remove_data"):
        calibration(small)


# Shares.


def test_shares_over_time_are_the_table(shares: Proportions) -> None:
    ax = shares.plot()
    assert list(bars(ax)) == [f"{side}, {topic}" for side in ("left", "right") for topic in ("economy", "other", "war")]
    table = shares.table
    for label, box in bars(ax).items():
        side, category = label.split(", ")
        own = table[table["side"].eq(side) & table["category"].eq(category)]
        np.testing.assert_allclose(points(box, "y"), own["share"])
        np.testing.assert_allclose(whiskers(box)[:, :, 1], own[["conf_low", "conf_high"]], atol=1e-12)
        np.testing.assert_allclose(points(box, "x"), own["year"], atol=0.3)
    assert len(set(styles(ax))) == 6
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("year", "share (topic)")
    assert names(ax, "x") == ["2020", "2021", "2022"]
    assert ax.get_ylim()[0] == 0.0


def test_shares_can_be_chosen_and_added(shares: Proportions) -> None:
    ax = shares.plot(categories="war", groups="left")
    assert ax.get_ylabel() == "share of topic = war"
    assert ax.get_legend() is None
    again = proportions(shares, ax, categories="war", groups="right", label="other side")
    assert again is ax
    assert list(bars(ax)) == ["war", "other side"]
    assert len(set(styles(ax))) == 2
    with pytest.raises(e.ArgumentError, match=r"12 lines cannot be told apart \(at most 8 can\).*categories="):
        shares.plot(shares.plot())
    with pytest.raises(e.ArgumentError, match="categories names 'peace'; there are economy, other, war"):
        shares.plot(categories="peace")
    with pytest.raises(e.ArgumentError, match="groups names 'up'; there are left, right"):
        shares.plot(groups=["up"])


def small(**columns: Any) -> pd.DataFrame:
    data = posts().assign(day=pd.to_datetime("2024-03-01") + pd.to_timedelta(40 * posts()["z"], unit="D"))
    return data.assign(month=data["day"].dt.to_period("M"), wave=data["z"].map({0: "w1", 1: "w2", 2: "w3"}), **columns)


@pytest.mark.parametrize("time", ["z", "day", "month", "wave"])
def test_every_kind_of_time_has_an_axis(time: str) -> None:
    result = estimate(small(), gold="y", prediction="llm", time=time, sl_method="lm", sample_split=1)
    ax = result.plot()
    ax.figure.canvas.draw()
    assert ax.get_ylabel() == "share of y"
    ((_, box),) = bars(ax).items()
    np.testing.assert_allclose(points(box, "y"), result.table["share"])
    assert (np.diff(points(box, "x")) > 0).all()
    shown = " ".join(names(ax, "x"))
    assert {"z": "0 1 2", "wave": "w1 w2 w3"}.get(time, "2024") in shown


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # probabilities by which nothing was drawn
def test_many_periods_have_a_tick_now_and_then() -> None:
    data = pd.concat([posts()] * 15, ignore_index=True)
    data["period"] = [f"p{j % 30:02d}" for j in range(len(data))]
    data["y"] = data["y"].where(np.arange(len(data)) % 4 > 0)
    shown = names(estimate(data, gold="y", prediction="llm", time="period", sl_method="lm", sample_split=1).plot(), "x")
    assert shown[:2] == ["p00", "p03"]
    assert len(shown) == 10


def test_shares_by_group_and_without() -> None:
    call = {"gold": "topic", "prediction": "llm_topic", "estimator": "cdi"}
    names_of = {0.0: "war", 1.0: "peace"}
    data = small(topic=posts()["y"].map(names_of), llm_topic=posts()["llm"].map(names_of))
    result = estimate(data, **call, by="g")
    ax = result.plot()
    assert names(ax, "y") == ["a", "b", "c"]
    assert list(bars(ax)) == ["peace", "war"]
    own = result.table[result.table["category"] == "war"]
    np.testing.assert_allclose(points(bars(ax)["war"], "x"), own["share"])
    assert ax.get_ylabel() == "g"
    assert ax.yaxis_inverted()
    whole = estimate(data, **call).plot()
    assert names(whole, "y") == ["peace", "war"]
    assert len(bars(whole)) == 2
    two = estimate(data.assign(half=np.arange(200) % 2), **call, by=["g", "half"])
    assert names(two.plot(), "y") == ["a, 0", "a, 1", "b, 0", "b, 1", "c, 0", "c, 1"]


def test_drawn_on_the_axes_given(fits: list[Any], shares: Proportions) -> None:
    for draw in (
        lambda ax: coefficients(fits, ax),
        lambda ax: weights(fits[2], ax),
        lambda ax: calibration(fits[2], ax),
        lambda ax: shares.plot(ax),
    ):
        _, ax = plt.subplots()
        assert draw(ax) is ax


def test_matplotlib_is_needed_only_to_draw(monkeypatch: pytest.MonkeyPatch, fits: list[Any]) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(e.MissingDependencyError, match=r'pip install "dsl\[plot\]"'):
        weights(fits[2])
