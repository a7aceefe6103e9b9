"""`AdaptiveDesign`: the loop, and what it keeps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.neighbors import KNeighborsRegressor

import dsl
from dsl import exceptions as e
from dsl.learners.names import make_learner
from dsl.sampling.adaptive import AdaptiveDesign

ROWS = 600
PRODUCT = 1e-12
"""Rounding of a product of a few probabilities."""


def posts(seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Posts without gold labels, and these: `llm` is wrong on a third of the rows with `doubt` near 1, else hardly ever."""
    rng = np.random.default_rng(seed)
    x, group = rng.normal(size=ROWS), rng.random(ROWS) < 0.1
    truth = (rng.random(ROWS) < 1 / (1 + np.exp(-x + group))) * 1.0
    hard = rng.random(ROWS) < 0.5
    llm = np.where(rng.random(ROWS) < np.where(hard, 0.35, 0.02), 1 - truth, truth)
    data = pd.DataFrame(
        {
            "text": [f"post {i}" for i in range(ROWS)],
            "llm": llm,
            "doubt": np.clip(hard + rng.normal(scale=0.1, size=ROWS), 0, 1),
            "x": x,
            "rare": group * 1,
            "unit": np.arange(ROWS) % 30,
        },
        index=[f"p{i}" for i in range(ROWS)],
    )
    return data, pd.Series(truth, index=data.index, name="y")


QUICK: dict[str, Any] = {
    "predicted_var": "y",
    "prediction": "llm",
    "confidence": "doubt",
    "sl_method": "lm",
    "error_model": "lm",
    "n_labels": 160,
    "seed": 5,
}


def begin(formula: str = "y ~ x + rare", data: Any = None, **arguments: Any) -> AdaptiveDesign:
    return AdaptiveDesign(formula, posts()[0] if data is None else data, **{**QUICK, **arguments})


def answer(batch: pd.DataFrame) -> pd.Series:
    return posts()[1][batch.index]


def test_the_loop_draws_the_budget_and_no_row_twice() -> None:
    adaptive, seen, sizes = begin(), [], []
    while not adaptive.done:
        batch = adaptive.next_batch()
        pd.testing.assert_frame_equal(batch, adaptive.next_batch())  # the same until labels are there
        assert adaptive.status().waiting == len(batch) == 40
        seen += list(batch.index)
        adaptive.add_labels(answer(batch))
        sizes.append(adaptive.status().n_labeled)
    assert sizes == [40, 80, 120, 160]
    assert len(set(seen)) == 160
    assert adaptive.stop_reason == "n_labels"
    with pytest.raises(e.ArgumentError, match=r"done \(n_labels\): 160 rows"):
        adaptive.next_batch()
    design = adaptive.design()
    assert set(design.drawn_rows) == set(seen)
    assert (design.kind, design.fixed_size, design.n_drawn) == ("adaptive", True, 160)
    pd.testing.assert_series_equal(adaptive.data["y"].dropna(), posts()[1][design.drawn_rows])


def test_a_batch_shows_the_data_and_no_label() -> None:
    data, _ = posts()
    batch = begin(data=data.assign(y=np.nan)).next_batch()
    pd.testing.assert_frame_equal(batch, data.loc[batch.index])


def test_probabilities_combine_over_batches() -> None:
    adaptive = begin().run(answer)
    each = adaptive.probabilities
    np.testing.assert_allclose(each[1], 40 / ROWS, rtol=PRODUCT)
    np.testing.assert_allclose(adaptive.design().prob, 1 - (1 - each).prod(axis=1), rtol=PRODUCT)
    open_rows = pd.Series(True, index=each.index)
    for number, batch in enumerate(np.split(np.array(drawn_in_order()), 4), start=1):
        assert each.loc[open_rows, number].sum() == pytest.approx(40, abs=1e-6)
        open_rows[batch] = False


def drawn_in_order() -> list[str]:
    adaptive, seen = begin(), []
    adaptive.run(lambda batch: seen.extend(batch.index) or answer(batch))
    return seen


def test_same_seed_and_labels_same_design() -> None:
    one, two, other = begin().run(answer), begin().run(answer), begin(seed=6).run(answer)
    assert one.design().fingerprint == two.design().fingerprint != other.design().fingerprint
    pd.testing.assert_frame_equal(one.probabilities, two.probabilities)
    assert str(one.estimate(sample_split=1).summary()) == str(two.estimate(sample_split=1).summary())


def test_labels_decide_where_the_next_labels_go() -> None:
    other = begin().run(lambda batch: 1.0 - batch["llm"])
    same = begin().run(lambda batch: batch["llm"])
    assert set(other.design().drawn_rows) != set(same.design().drawn_rows)
    assert (other.probabilities[1] == same.probabilities[1]).all()


def test_labels_go_where_the_surrogate_errs_and_where_leverage_is() -> None:
    data, _ = posts()
    mean = begin("y ~ 1", data=data, sl_method="surface", n_labels=240, batches=2).run(answer)
    prob = mean.design().table()["prob"]
    assert prob[data["doubt"] > 0.5].mean() > 1.5 * prob[data["doubt"] < 0.5].mean()
    assert mean.history["relative_variance"].iloc[-1] < 0.9
    rare = begin(data=data, coefficient="rare").run(answer)
    prob = rare.design().table()["prob"]
    assert prob[data["rare"] == 1].mean() > 3 * prob[data["rare"] == 0].mean()
    assert rare.history["relative_variance"].iloc[-1] < 0.5


def test_useless_confidences_leave_leverage() -> None:
    """Where nothing known predicts errors, the design is as good as one that takes all errors for equal."""
    data, _ = posts()
    rng = np.random.default_rng(1)
    noise = data.assign(llm=(rng.random(ROWS) < 0.5) * 1.0, doubt=rng.random(ROWS))
    variance = {}
    for name, arguments in {
        "believed": {"error_model": KNeighborsRegressor(1), "robust": False},
        "doubted": {"error_model": KNeighborsRegressor(1)},
        "leverage alone": {"error_model": "mean"},
        "uniform": {"error_model": "mean", "tau": 1.0},
    }.items():
        adaptive = begin("y ~ x", data=noise, batches=2, **arguments).run(answer)
        variance[name] = (data["x"] ** 2 / adaptive.design().prob).mean()
        assert adaptive.settings.robust or adaptive.history["rho"].iloc[1] == 0.0
    assert variance["doubted"] < 1.02 * variance["leverage alone"] < 0.8 * variance["uniform"]
    assert variance["believed"] > 1.05 * variance["doubted"]


def test_no_row_falls_below_the_floor() -> None:
    design = begin(floor=0.5, coefficient="rare").run(answer).design()
    assert design.prob.min() >= 0.5 * 160 / ROWS - PRODUCT


def test_estimate_is_dsl_with_the_recorded_design() -> None:
    adaptive = begin().run(answer)
    same = {"sample_split": 2, "n_jobs": 1}
    ours = adaptive.estimate(**same)
    by_hand = dsl.dsl(
        "y ~ x + rare",
        adaptive.data,
        predicted_var="y",
        prediction="llm",
        feature="doubt",
        sl_method="lm",
        design=adaptive.design(),
        tune="coef",
        seed=5,
        **same,
    )
    pd.testing.assert_frame_equal(ours.tidy(), by_hand.tidy())
    assert adaptive.estimate(estimator="gold_only").call.tune is None
    assert adaptive.estimate(tune=None, target="finite", **same).call.target == "finite"


@pytest.mark.filterwarnings("ignore::dsl.exceptions.FewLabelsWarning")  # the first batches have few
def test_estimate_after_every_batch() -> None:
    adaptive = begin()
    with pytest.raises(e.ArgumentError, match="no batch is labelled yet"):
        adaptive.estimate()
    errors = []
    while not adaptive.done:
        batch = adaptive.next_batch()
        adaptive.add_labels(answer(batch))
        errors.append(adaptive.estimate(sample_split=1).bse["x"])
    assert errors[-1] < errors[0]
    adaptive = begin()
    adaptive.add_labels(answer(adaptive.next_batch()))
    adaptive.next_batch()
    assert adaptive.estimate(sample_split=1).n_labeled == 40  # a batch without labels does not count


def test_functions_of_the_caller() -> None:
    def double(values: pd.Series) -> pd.Series:
        return 2 * values

    data = posts()[0]
    adaptive = AdaptiveDesign("y ~ double(x)", data, **QUICK, batches=2).run(answer)
    plain = begin("y ~ x", data=data, batches=2).run(answer)
    one, two = (design.estimate(sample_split=1).params.iloc[1] for design in (adaptive, plain))
    assert 2 * one == pytest.approx(two)


def test_all_means_all_but_the_intercept() -> None:
    assert begin().settings.coefficient == ["x", "rare"]
    assert begin("y ~ 1").settings.coefficient == ["Intercept"]
    assert begin(coefficient=["rare"]).settings.coefficient == ["rare"]


def test_se_stops_early() -> None:
    adaptive = begin(se={"x": 0.05}).run(answer)
    assert (adaptive.stop_reason, adaptive.status().done) == ("se", True)
    assert adaptive.status().n_labeled < 160
    assert adaptive.estimate().bse["x"] <= 0.05
    assert begin(se={"x": 0.001}).run(answer).stop_reason == "n_labels"


@pytest.mark.parametrize(
    "shape",
    [
        lambda labels: labels,
        lambda labels: labels.sample(frac=1, random_state=0),
        lambda labels: labels.to_frame().assign(comment="fine"),
        lambda labels: labels.to_numpy(),
        lambda labels: labels.to_numpy()[:, None],
        lambda labels: labels.tolist(),
        lambda labels: labels.astype(bool),
    ],
)
def test_run_takes_labels_in_any_shape(shape: Callable[[pd.Series], Any]) -> None:
    found = begin(batches=2).run(lambda batch: shape(answer(batch))).design()
    assert found.fingerprint == begin(batches=2).run(answer).design().fingerprint


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "dict"])
def test_any_table(kind: str) -> None:
    data, gold = posts()
    gold = gold.reset_index(drop=True)
    other: Any = data.reset_index(drop=True)
    frame = other
    if kind == "polars":
        other = pl.from_pandas(frame)
    elif kind == "pyarrow":
        other = pa.Table.from_pandas(frame)
    else:
        other = frame.to_dict("list")
    one, two = (begin(data=d, batches=2).run(lambda batch: gold[batch.index]) for d in (other, frame))
    assert one.design().fingerprint == two.design().fingerprint


MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mean": ("y ~ 1", {}),
    "logit": ("y ~ x + rare", {"model": "logit", "family": "binomial", "sl_method": "logit"}),
    "predicted covariate": ("x ~ y + rare", {"coefficient": "y"}),
    "interaction": ("x ~ y * rare", {}),
    "two predicted": ("z ~ y + x", {"predicted_var": {"y": "llm", "z": "guess"}, "prediction": None}),
    "fixed effects": ("y ~ x + rare | unit", {"model": "felm"}),
    "clusters": ("y ~ x + rare", {"cluster": "unit"}),
    "text feature": ("y ~ x", {"feature": "word"}),
    "stack": ("y ~ x", {"sl_method": ["lm", "mean"]}),
    "learner object": ("y ~ x", {"error_model": lambda: make_learner("lm")}),
    "mean criterion": ("y ~ x + rare", {"criterion": "mean"}),
}


@pytest.mark.parametrize("case", MODELS)
def test_every_kind_of_analysis(case: str) -> None:
    """It runs, aims, and stays within a few standard errors of the estimate from all labels."""
    formula, arguments = MODELS[case]
    data, gold = posts()
    rng = np.random.default_rng(2)
    z = gold + data["x"] + rng.normal(size=ROWS)
    data = data.assign(guess=z + rng.normal(size=ROWS), word=np.where(data["doubt"] > 0.5, "hard", "easy"))
    full = pd.DataFrame({"y": gold, "z": z})
    two = "z" in formula
    adaptive = begin(formula, data=data, **{"batches": 3, "n_labels": 240, **arguments})
    adaptive.run(lambda batch: full.loc[batch.index, ["y", "z"] if two else ["y"]])
    assert adaptive.history["note"].eq("").all()
    assert adaptive.history["relative_variance"].iloc[1:].max() <= 1 + 1e-6  # 1 at worst, where the even design is best
    fit = adaptive.estimate(sample_split=1, target="finite")
    model = arguments.get("model", "lm")
    common = {"predicted_var": ["y", "z"] if two else "y", "model": model, "estimator": "gold_only"}
    with pytest.warns(e.AllLabeledWarning):
        truth = dsl.dsl(formula, data.assign(**full) if two else data.assign(y=gold), **common).params
    assert (np.abs(fit.params - truth) < 4.5 * fit.bse).all()


def test_labels_too_few_for_the_analysis_make_an_even_batch() -> None:
    """All gold labels of the burn-in are zero: a logit has no solution, with gold labels or with predictions."""
    adaptive = begin(model="logit", family="binomial")
    batch = adaptive.next_batch()
    adaptive.add_labels(pd.Series(0.0, index=batch.index))
    batch = adaptive.next_batch()
    note = adaptive.history.loc[2, "note"]
    assert "even probabilities" in note
    assert "Error" in note
    assert adaptive.probabilities[2].nunique() == 1
    adaptive.add_labels(answer(batch))
    assert adaptive.design().prob == pytest.approx(80 / ROWS)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.FewLabelsWarning")
def test_more_coefficients_than_labels_in_the_burn_in() -> None:
    adaptive = begin("y ~ x + factor(unit)", coefficient="x", burn_in=20, batches=3)
    adaptive.run(answer)
    assert adaptive.estimate(sample_split=1).nobs == ROWS


def test_perfect_surrogates_need_no_aim() -> None:
    history = begin(prediction="x", confidence=None, formula="y ~ rare").run(lambda batch: 2 * batch["x"]).history
    assert history["note"].eq("").all()


def test_a_census_is_the_ordinary_regression() -> None:
    adaptive = begin("y ~ x", n_labels=ROWS).run(answer)
    np.testing.assert_allclose(adaptive.design().prob, 1.0)
    data, gold = posts()
    ordinary = np.linalg.lstsq(np.column_stack([np.ones(ROWS), data["x"]]), gold, rcond=None)[0]
    with pytest.warns(e.AllLabeledWarning):
        fit = adaptive.estimate(tune=None, sample_split=1)
    np.testing.assert_allclose(fit.params, ordinary, rtol=1e-10)


def test_coder_files(tmp_path: Any) -> None:
    """Ask for the waiting batch in a file, read it back, go on."""
    adaptive = begin()
    adaptive.add_labels(answer(adaptive.next_batch()))
    batch, path = adaptive.next_batch(), tmp_path / "coder.csv"
    asked = adaptive.design(waiting=True).to_coder(path, adaptive.data, columns="text", label="y")
    assert set(asked.index) == set(batch.index)
    sheet = pd.read_csv(path, dtype=str)
    truth = posts()[1].rename(index=dict(zip(posts()[0].index, posts()[0]["text"], strict=True)))
    sheet["y"] = sheet["text"].map(truth).astype(int)
    sheet.to_csv(path, index=False)
    filled = adaptive.design(waiting=True).from_coder(path, adaptive.data, label="y")
    adaptive.add_labels(filled.loc[batch.index])
    assert adaptive.status().n_labeled == 80
    pd.testing.assert_series_equal(adaptive.data["y"].dropna(), posts()[1][adaptive.design().drawn_rows])


def test_repr_and_history() -> None:
    adaptive = begin()
    assert adaptive.history.empty
    adaptive.next_batch()
    assert repr(adaptive) == "<AdaptiveDesign y ~ x + rare: 0 of 160 labels, 0 of 4 batches>"
    history = adaptive.run(answer).history
    assert history.index.tolist() == [1, 2, 3, 4]
    assert history["rows"].sum() == 160
    assert history["labeled"].all()
