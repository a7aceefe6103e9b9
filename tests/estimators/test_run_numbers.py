"""Whatever the data: finite numbers, or an error of this package that says what to do. No foreign warning, no NaN."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.exceptions import DSLError, DSLWarning, EstimationError, InfiniteValueError, SampleProbabilityError

pytestmark = pytest.mark.numeric

ROWS = 200
MODELS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "lm": ("y ~ x + v", "y", "s", {}),
    "logit": ("b ~ x + v", "b", "sb", {"model": "logit"}),
    "felm": ("y ~ x + v | u", "y", "s", {"model": "felm"}),
    "covariate": ("x ~ d + v", "d", "sd", {}),
}
KINDS: dict[str, dict[str, Any]] = {
    "dsl": {},
    "coef": {"tune": "coef"},
    "matrix": {"tune": "matrix"},
    "scalar": {"tune": "scalar"},
    "finite": {"target": "finite", "tune": "coef"},
    "dsl+": {"estimator": "dsl+"},
    "cdi": {"estimator": "cdi"},
    "ppi": {"estimator": "ppi"},
    "ppi++": {"estimator": "ppi++"},
    "gold_only": {"estimator": "gold_only"},
    "naive": {"estimator": "naive"},
}


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(2, ROWS))
    y = 0.4 * x - 0.2 * v + rng.normal(size=ROWS)
    lab = rng.random(ROWS) < 0.4
    out = pd.DataFrame({"x": x, "v": v, "u": np.arange(ROWS) // 10, "f": rng.normal(size=ROWS), "p": 0.4})
    out["y"], out["s"] = np.where(lab, y, np.nan), y + rng.normal(size=ROWS)
    out["b"], out["sb"] = np.where(lab, y > 0, np.nan), (out["s"] > 0).astype(float)
    out["d"], out["sd"] = np.where(lab, v > 0, np.nan), np.where(rng.random(ROWS) < 0.8, v > 0, v <= 0).astype(float)
    return out


def run(model: str, kind: str, data: pd.DataFrame, **more: Any) -> Any:
    formula, gold, surrogate, arguments = MODELS[model]
    formula = more.pop("formula", formula)
    call = {"sl_method": "lm", "sample_split": 1, "predicted_var": gold, "prediction": surrogate, **arguments}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DSLWarning)
        return dsl.dsl(formula, data, **{**call, **KINDS[kind], **more})


def assert_numbers(fit: Any) -> None:
    for values in (fit.tidy().select_dtypes(float), fit.cov_params(), fit.df, fit.labels_behind):
        assert np.isfinite(np.asarray(values, dtype=float)).all()


PAIRS = [(model, kind) for model in MODELS for kind in KINDS if not (model == "felm" and kind.startswith("ppi"))]


@pytest.mark.parametrize(("model", "kind"), PAIRS)
@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_sizes_that_cannot_be_squared_are_named(model: str, kind: str, scale: float) -> None:
    data = table()
    with pytest.raises(InfiniteValueError, match=r"'v' has values of up to .*(too large|too small).*other units"):
        run(model, kind, data.assign(v=scale * data["v"]))
    gold, surrogate = MODELS[model][1:3]
    for name in (gold, surrogate):
        with pytest.raises(InfiniteValueError, match=f"'{name}' has values"):
            run(model, kind, data.assign(**{name: scale * data[name]}))


@pytest.mark.parametrize(("model", "kind"), PAIRS)
@pytest.mark.parametrize("scale", [1e50, 1e-50])
def test_other_sizes_are_computed(model: str, kind: str, scale: float) -> None:
    data = table()
    found = run(model, kind, data.assign(v=scale * data["v"]))
    assert_numbers(found)
    if kind != "ppi++":  # whose lambda minimises the sum of the coefficients' variances, in their units
        np.testing.assert_allclose(found.tvalues, original(model, kind).tvalues, rtol=1e-5)


@cache
def original(model: str, kind: str) -> Any:
    """The fit in the table's own units."""
    return run(model, kind, table())


@pytest.mark.parametrize(("model", "kind"), PAIRS)
def test_constant_surrogates(model: str, kind: str) -> None:
    try:
        assert_numbers(run(model, kind, table().assign(**{MODELS[model][2]: 1.0})))
    except DSLError as error:
        assert len(str(error)) > 40  # noqa: PT017  # either is right; a foreign error is neither


def test_terms_and_features_count_too() -> None:
    data = table()
    with pytest.raises(InfiniteValueError, match=r"'I\(v \*\* 9\)' has values of up to"):
        run("lm", "dsl", data.assign(v=1e9 * data["v"]), formula="y ~ x + I(v^9)")
    with pytest.raises(InfiniteValueError, match="'f' has values"):
        run("lm", "dsl", data.assign(f=1e200 * data["f"]), feature="f")


@pytest.mark.parametrize("kind", ["dsl", "coef", "cdi", "gold_only", "dsl+"])
def test_probabilities_of_nothing(kind: str) -> None:
    data = table()
    data.loc[data.index[data["y"].notna()][0], "p"] = 1e-300
    with pytest.raises(SampleProbabilityError, match=r"'p' is below 1e-12 in 1 labelled row"):
        run("lm", kind, data, sample_prob="p")


@pytest.mark.parametrize("kind", ["dsl", "coef", "matrix", "scalar", "dsl+", "cdi"])
@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + v"])
def test_no_error_of_the_predictions(kind: str, formula: str) -> None:
    """A surrogate equal to gold on the labelled rows: nothing to tell a finite population's variance from."""
    data = table().assign(s=lambda d: d["y"].fillna(d["s"]))
    learner = {} if kind == "cdi" else {"sl_method": "lm"}
    with pytest.raises(
        EstimationError, match=r"predictions equal the gold labels on all \d+ labelled rows.*superpopulation"
    ):
        run("lm", kind, data, formula=formula, target="finite", **learner)
    assert_numbers(run("lm", kind, data, formula=formula))


@pytest.mark.parametrize("kind", ["cdi", "coef", "matrix"])
@pytest.mark.parametrize("scale", [1e4, 1e8])
def test_scale_of_a_surrogate(kind: str, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far from the gold values' scale: no worse than the labelled rows alone, and the same from some scale on.

    Such surrogates are refused before they get here, which is what the numbers themselves are tested without.
    """
    monkeypatch.setattr("dsl.estimators.surrogates.scale_problem", lambda *_: "")
    data = table()
    kinds = {"estimator": "cdi", "tune": {"cdi": "scalar"}.get(kind, kind)}
    far, farther = (run("lm", "dsl", data.assign(s=q * data["s"]), **kinds) for q in (scale, 100 * scale))
    np.testing.assert_allclose(farther.bse, far.bse, rtol=1e-3)
    assert (far.bse < 1.02 * run("lm", "gold_only", data).bse).all()
    assert_numbers(run("lm", "dsl", data.assign(s=data["s"] / scale), **kinds))
