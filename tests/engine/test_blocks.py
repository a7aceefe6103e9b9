"""What must not matter: the order, labels and blocks of rows, and the names and units of columns."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl.engine.blocks import Block
from dsl.engine.models.linear import LINEAR
from dsl.engine.models.logistic import LOGISTIC
from dsl.engine.moments import (
    correction_weights,
    design_weights,
    fitted_means,
    gold_weights,
    imputed_weights,
    jacobian_sum,
    moment_sum,
    scores,
)

pytestmark = pytest.mark.numeric

ROUNDING = 1e-9
"""Relative: sums in another order."""
NEWTON = 1e-7
"""Relative: the solver stops at other points of its last, quadratic step."""
ROWS = 200
FEW = settings(max_examples=8, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**20)
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "lm": ("y ~ x + z", {}),
    "predicted covariate": ("x ~ y * z", {}),
    "logit": ("y ~ x + z", {"model": "logit"}),
    "clusters": ("y ~ x + z", {"cluster": "unit", "sample_prob": "pi"}),
    "felm": ("y ~ x + z | unit", {"model": "felm"}),
}
NAMES = st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=3).map("v_{}".format)


def table(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A labelled sample of 100 of 200 rows, and folds (2, 200) that keep its 20 units whole."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=ROWS), rng.normal(size=ROWS)
    unit = np.arange(ROWS) // 10
    truth = (rng.random(ROWS) < 1 / (1 + np.exp(-0.5 * x))).astype(float)
    data = pd.DataFrame({"x": x, "z": z, "unit": unit, "pi": np.where(z > 0, 0.6, 0.4)})
    data["llm"] = np.where(rng.random(ROWS) < 0.8, truth, 1 - truth)
    data["y"] = np.where(rng.permutation(ROWS) < 100, truth, np.nan)
    folds = np.stack([rng.permutation(20) % 2, rng.permutation(20) % 4])[:, unit]
    return data, folds


def fit(data: pd.DataFrame, formula: str, **arguments: Any) -> Any:
    given = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", **arguments}
    return dsl.dsl(formula, data, **given)


def assert_same(result: Any, expected: Any, tolerance: float) -> None:
    scale = expected.bse.to_numpy()
    np.testing.assert_allclose((result.params.to_numpy() - expected.params.to_numpy()) / scale, 0.0, atol=tolerance)
    np.testing.assert_allclose(result.bse.to_numpy(), scale, rtol=tolerance)


@pytest.mark.parametrize("case", CALLS)
@FEW
@given(seed=SEEDS)
def test_order_of_rows(case: str, seed: int) -> None:
    formula, arguments = CALLS[case]
    data, folds = table(seed)
    order = np.random.default_rng(seed + 1).permutation(ROWS)
    moved = fit(data.iloc[order], formula, folds=folds[:, order], **arguments)
    original = fit(data, formula, folds=folds, **arguments)
    assert_same(moved, original, ROUNDING)
    np.testing.assert_allclose(
        moved.pseudo_outcomes.loc[data.index], original.pseudo_outcomes, rtol=ROUNDING, atol=ROUNDING
    )


@pytest.mark.filterwarnings("ignore::dsl.exceptions.AllLabeledWarning")
@pytest.mark.parametrize("model", ["lm", "logit"])
@FEW
@given(seed=SEEDS)
def test_order_of_rows_all_labelled(model: str, seed: int) -> None:
    """Then predictions have no weight, and folds drawn for another order do not matter."""
    data = table(seed)[0].assign(y=lambda d: (d["x"] + 2 * d["llm"] + d["z"] > 1).astype(float))
    data["x"] += 3 * np.random.default_rng(seed).normal(size=ROWS)
    order = np.random.default_rng(seed + 1).permutation(ROWS)
    original = fit(data, "y ~ x", model=model, sample_split=2)
    assert_same(fit(data.iloc[order], "y ~ x", model=model, sample_split=1), original, ROUNDING)


@FEW
@given(seed=SEEDS, labels=st.sampled_from(["zeros", "text", "negative", "halves"]))
def test_row_labels(seed: int, labels: str) -> None:
    data, _ = table(seed)
    indices = {
        "zeros": np.zeros(ROWS, dtype=int),
        "text": [f"row {i % 3}" for i in range(ROWS)],
        "negative": -np.arange(ROWS),
        "halves": np.arange(ROWS) / 2,
    }
    other = fit(data.set_axis(indices[labels]), "y ~ x + z", sample_split=1)
    original = fit(data, "y ~ x + z", sample_split=1)
    np.testing.assert_array_equal(other.params, original.params)
    np.testing.assert_array_equal(other.bse, original.bse)


@pytest.mark.parametrize("case", CALLS)
@settings(FEW, max_examples=4)
@given(seed=SEEDS, names=st.lists(NAMES, min_size=6, max_size=6, unique=True))
def test_names_of_columns(case: str, seed: int, names: list[str]) -> None:
    formula, arguments = CALLS[case]
    data, folds = table(seed)
    new = dict(zip(["y", "x", "z", "unit", "llm", "pi"], names, strict=True))
    renamed = " ".join(new.get(word, word) for word in formula.split())
    roles = {name: new.get(value, value) for name, value in arguments.items()}
    columns = {"predicted_var": new["y"], "prediction": new["llm"], "folds": folds}
    other = fit(data.rename(columns=new), renamed, **columns, **roles)
    assert_same(other, fit(data, formula, folds=folds, **arguments), ROUNDING)


@pytest.mark.parametrize("model", ["lm", "logit", "felm"])
@FEW
@given(seed=SEEDS, shift=st.floats(-50, 50), scale=st.sampled_from([-3.0, 1e-4, 0.5, 1e4]))
def test_units_of_a_covariate(model: str, seed: int, shift: float, scale: float) -> None:
    """With x replaced by scale (x + shift): slope / scale, intercept less slope times shift, all else equal."""
    data, folds = table(seed)
    formula = "y ~ x + z | unit" if model == "felm" else "y ~ x + z"
    original = fit(data, formula, model=model, folds=folds)
    moved = fit(data.assign(x=scale * (data["x"] + shift)), formula, model=model, folds=folds)
    back = np.eye(len(original.params))
    place = list(original.params.index).index("x")
    back[place, place] = 1 / scale
    if model != "felm":
        back[0, place] = -shift
    np.testing.assert_allclose(moved.params, back @ original.params, rtol=NEWTON, atol=NEWTON * np.abs(back).max())
    expected = back @ original.cov_params().to_numpy() @ back.T
    slopes = slice(0 if model == "felm" else 1, None)  # the intercept's variance is no median of the others
    np.testing.assert_allclose(moved.bse.iloc[slopes], np.sqrt(np.diag(expected))[slopes], rtol=NEWTON)


@FEW
@given(seed=SEEDS, shift=st.floats(-5, 5), scale=st.sampled_from([-2.0, 100.0]))
def test_units_of_the_outcome(seed: int, shift: float, scale: float) -> None:
    data, folds = table(seed)
    original = fit(data, "y ~ x", folds=folds)
    moved = fit(data.assign(y=scale * (data["y"] + shift)), "y ~ x", folds=folds)
    np.testing.assert_allclose(
        moved.params, scale * (original.params + np.array([shift, 0.0])), rtol=NEWTON, atol=NEWTON
    )
    np.testing.assert_allclose(moved.bse, abs(scale) * original.bse, rtol=NEWTON)


def block(seed: int, *, absorbed: bool) -> Block:
    rng = np.random.default_rng(seed)
    n, f, p = 23, 2, 2
    rows = np.sort(rng.choice(n, 9, replace=False))
    extra = {"absorbed": rng.normal(size=(n, f + p)), "absorbed_outcome": rng.normal(size=n)} if absorbed else {}
    return Block(
        fixed=rng.normal(size=(n, f)),
        predicted=rng.normal(size=(n, p)),
        outcome=rng.random(n),
        gold_rows=rows,
        gold=rng.normal(size=(len(rows), p)),
        gold_outcome=rng.random(len(rows)),
        weight=1 / rng.uniform(0.2, 1.0, len(rows)),
        offset=None if absorbed else rng.normal(size=n),
        **extra,
    )


@pytest.mark.parametrize("rule", [design_weights, gold_weights, imputed_weights, correction_weights])
@pytest.mark.parametrize("link", [LINEAR, LOGISTIC])
@settings(FEW, max_examples=15)
@given(seed=SEEDS, size=st.integers(1, 25), absorbed=st.booleans())
def test_sums_do_not_depend_on_the_block_size(rule: Any, link: Any, seed: int, size: int, absorbed: bool) -> None:
    whole = block(seed, absorbed=absorbed)
    params = np.random.default_rng(seed).normal(size=whole.shape[1])

    def parts(piece: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        means, weights = fitted_means(piece, params, link), rule(piece)
        return (
            moment_sum(piece, means, weights),
            jacobian_sum(piece, means, weights),
            scores(piece, means, weights),
        )

    pieces = list(whole.pieces(size))
    assert [piece.shape[0] for piece in pieces[:-1]] == [min(size, 23)] * (len(pieces) - 1)
    sums = [parts(piece) for piece in pieces]
    moment, jacobian, rows = parts(whole)
    np.testing.assert_allclose(sum(s[0] for s in sums), moment, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(sum(s[1] for s in sums), jacobian, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(np.vstack([s[2] for s in sums]), rows, rtol=ROUNDING, atol=ROUNDING)
    if not absorbed:  # with fixed effects the scores also carry the error of their estimation
        np.testing.assert_allclose(rows.sum(axis=0), moment, rtol=ROUNDING, atol=ROUNDING)
