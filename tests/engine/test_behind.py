"""Labelled rows behind each coefficient: counts where counts are known, whatever the units and origins of columns."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl.engine.behind import FEW, effective_number
from dsl.exceptions import CollinearityError, FewLabelsWarning, SingularJacobianError
from tests.engine.test_blocks import NEWTON

pytestmark = pytest.mark.numeric

N, LABELED = 1000, 200
ABOUT = 0.35
"""Relative: rows without the rarer value carry something too, the more the less rare it is."""
TUNED: dict[str, dict[str, Any]] = {
    "scalar": {"tune": "scalar"},
    "coef": {"tune": "coef"},
    "matrix": {"tune": "matrix"},
    "dsl+": {"estimator": "dsl+"},
    "ppi++": {"estimator": "ppi++"},
    "cdi": {"estimator": "cdi"},
}


def table(carriers: int, labeled_carriers: int, seed: int = 0, predicted: str = "y") -> pd.DataFrame:
    """A 0/1 covariate `b` that `carriers` of 1000 rows have, `labeled_carriers` of the 200 labelled ones among them."""
    rng = np.random.default_rng(seed)
    b, lab = np.zeros(N), np.zeros(N, dtype=bool)
    b[:carriers] = 1.0
    lab[:labeled_carriers] = True
    lab[carriers : carriers + LABELED - labeled_carriers] = True
    x = rng.normal(size=N)
    y = 0.2 + 0.5 * x + 0.3 * b + rng.normal(size=N)
    data = pd.DataFrame({"x": x, "b": b, "y": y, "g": rng.integers(0, 4, N), "s": y + rng.normal(size=N)})
    data[predicted] = data[predicted].where(lab)
    return data.sample(frac=1.0, random_state=seed, ignore_index=True)


def fit(data: pd.DataFrame, formula: str = "y ~ x + b", **arguments: Any) -> Any:
    call = {"predicted_var": "y", "prediction": "s", "sl_method": "lm", "sample_split": 1, **arguments}
    return dsl.dsl(formula, data, **call)


@pytest.mark.parametrize(("carriers", "labeled"), [(60, 12), (100, 20), (30, 6), (30, 2), (500, 100), (900, 180)])
def test_the_rarer_value_counts(carriers: int, labeled: int) -> None:
    behind = fit(table(carriers, labeled)).labels_behind["b"]
    rarer = min(labeled, LABELED - labeled)
    # with as many of both values, all rows count alike
    if carriers == 500:
        assert behind == pytest.approx(LABELED, rel=0.05)
    else:
        assert rarer * 0.95 < behind < rarer * (1.0 + ABOUT)


def test_none_are_behind_what_no_labelled_row_has() -> None:
    assert fit(table(30, 0)).labels_behind["b"] < 1.0


def test_a_mean_rests_on_all_labels() -> None:
    assert fit(table(30, 6), "y ~ 1").labels_behind["Intercept"] == pytest.approx(LABELED)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # labels chosen by value
def test_predicted_covariates_count_by_gold_values() -> None:
    data = table(300, 60, predicted="b").assign(s=lambda d: np.where(d.index % 5 == 0, 1.0, d["b"].fillna(0.0)))
    for estimator in ("dsl", "dsl+", "gold_only"):
        behind = fit(data, "y ~ b + x", predicted_var="b", estimator=estimator).labels_behind["b"]
        assert 40 < behind < 180, estimator


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # labels chosen by value
def test_clusters_are_the_units() -> None:
    """Six labelled rows with the value in two clusters."""
    data = table(60, 40).sort_values("b", ascending=False, kind="stable").reset_index(drop=True)
    data["cl"] = np.where(data["b"] == 1.0, np.arange(N) % 2, 2 + np.arange(N) % 60)
    with_clusters = fit(data, cluster="cl").labels_behind
    assert with_clusters["b"] < 3.0
    assert with_clusters["x"] > 20.0


def test_unequal_weights_count() -> None:
    data = table(500, 100)
    data["pi"] = np.where(np.arange(N) % 40 == 0, 0.02, 0.2)
    assert fit(data, sample_prob="pi").labels_behind["x"] < 0.7 * fit(data).labels_behind["x"]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), scale=st.sampled_from([1e-8, -3.0, 1e8]), shift=st.sampled_from([0.0, -7.0, 2000.0]))
def test_units_and_origins_do_not_count(seed: int, scale: float, shift: float) -> None:
    data = table(100, 20, seed)
    moved = data.assign(x=scale * (data["x"] + shift))
    one, other = (fit(each, "y ~ x + b + factor(g)").labels_behind for each in (data, moved))
    others = [name for name in one.index if name != "Intercept"]
    np.testing.assert_allclose(other[others], one[others], rtol=NEWTON)


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=20), st.floats(1e-6, 1e6))
def test_effective_number(parts: list[float], scale: float) -> None:
    """Between one and the number of parts, with equality for equal parts; free of units; zero parts do not count."""
    found = effective_number(parts)
    assert 1.0 - 1e-9 <= found <= len(parts) * (1 + 1e-9)
    assert effective_number([scale * part for part in parts] + [0.0]) == pytest.approx(float(found))
    assert effective_number(np.full(len(parts), scale)) == pytest.approx(len(parts))
    assert effective_number(np.zeros((3, 2))).tolist() == [0.0, 0.0]


# what follows from it


@pytest.mark.parametrize("kind", TUNED)
@pytest.mark.parametrize("model", ["lm", "logit"])
def test_no_lambda_is_chosen_from_few_labels(kind: str, model: str) -> None:
    data = table(40, 6)
    if model == "logit":
        data["s"], data["y"] = (data["s"] > 0).astype(float), (data["y"] > 0).astype(float).where(data["y"].notna())
    with pytest.warns(
        FewLabelsWarning, match=r"fewer than 8 labelled rows are behind 'b' \(\d\.\d\): no lambda"
    ) as caught:
        found = fit(data, model=model, **TUNED[kind])
    assert caught[0].filename == __file__
    lambdas = found.tuning["lambda"]
    assert lambdas["b"] == pytest.approx(1.0)
    if kind != "ppi++":
        assert (lambdas[["Intercept", "x"]] != 1.0).all()
        assert found.use_t


@pytest.mark.parametrize("kind", ["scalar", "coef", "matrix"])
def test_its_numbers_are_plain_ones(kind: str) -> None:
    """Estimate and standard error of the coefficient itself: those of plain DSL."""
    data = table(30, 4)
    with pytest.warns(FewLabelsWarning):
        tuned = fit(data, **TUNED[kind], vcov="design")
    plain = fit(data, vcov="design")
    assert tuned.params["b"] == pytest.approx(plain.params["b"], rel=NEWTON)
    assert tuned.bse["b"] == pytest.approx(plain.bse["b"], rel=NEWTON)
    assert tuned.bse["x"] < plain.bse["x"]


def test_gold_only_warns_and_names() -> None:
    with pytest.warns(FewLabelsWarning, match="behind 'b'") as caught:
        fit(table(30, 4), estimator="gold_only")
    assert "lambda" not in str(caught[0].message)
    with pytest.raises(CollinearityError, match="'b'"):
        fit(table(30, 0), estimator="gold_only")


@pytest.mark.parametrize("kind", TUNED)
def test_without_any_label_behind_it(kind: str) -> None:
    """A finite estimate and a warning, or an error that names the coefficient."""
    if kind == "ppi++":
        with pytest.raises(SingularJacobianError, match="'b'"):
            fit(table(30, 0), **TUNED[kind])
        return
    with pytest.warns(FewLabelsWarning, match="'b'"):
        found = fit(table(30, 0), **TUNED[kind])
    assert np.isfinite(found.bse).all()


@pytest.mark.parametrize("kind", [*TUNED, "gold_only"])
def test_ordinary_data_raise_no_warning(kind: str) -> None:
    """Warnings are errors in this suite. Twelve labelled carriers are enough, also beside skewed and categorical covariates."""
    data = table(60, 13).assign(skewed=lambda d: np.exp(0.7 * d["x"]))
    fit(data, "y ~ skewed + b + factor(g)", **TUNED.get(kind, {"estimator": "gold_only"}))
    assert FEW < 12


@pytest.mark.parametrize(
    ("formula", "arguments"),
    [
        ("y ~ x + b", {}),
        ("y ~ x + b", {"weights": "w"}),
        ("y ~ x + b", {"cluster": "cl"}),
        ("b ~ y + x", {}),
        ("y ~ x + b + year", {}),
    ],
)
def test_the_definition(formula: str, arguments: dict[str, Any]) -> None:
    """Row by row with a loop, from the matrix of all columns: predicted ones at gold values where there are some."""
    rng = np.random.default_rng(8)
    data = table(300, 60).assign(w=rng.uniform(0.5, 2.0, N), cl=np.arange(N) % 90, year=2000.0 + rng.integers(0, 20, N))
    found = fit(data, formula, **arguments)
    core = found.core
    predictions = core.splits.predictions
    assert predictions is not None
    labeled = data["y"].notna().to_numpy()
    y = np.where(labeled, data["y"], predictions[0, :, 0])
    terms = ["Intercept", *formula.split(" ~ ")[1].split(" + ")]
    x = np.column_stack([np.ones(N) if term == "Intercept" else y if term == "y" else data[term] for term in terms])
    w = data["w"] / data["w"].mean() if "weights" in arguments else np.ones(N)
    w = np.asarray(w)
    bread = np.linalg.inv((x.T * w) @ x)
    for j, term in enumerate(terms):
        d = np.array([w[i] * (bread[j] @ x[i]) for i in range(N)])
        spread = (d**2).sum() ** 3 / (np.abs(d) ** 3).sum() ** 2
        share = (d[labeled] ** 2).sum() / (d**2).sum()
        parts = d[labeled] ** 2 / core.sample.sample_prob[labeled] ** 2
        if "cluster" in arguments:
            parts = np.bincount(data["cl"][labeled], parts)
        with_labels = parts.sum() ** 3 / (parts**1.5).sum() ** 2
        assert found.labels_behind[term] == pytest.approx(min(share * spread, with_labels), rel=1e-8)
