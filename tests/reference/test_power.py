"""Predicted standard errors against the reference's ``power_dsl`` at its default sizes, in every case."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest

import dsl
from dsl.exceptions import DSLWarning, PowerWarning
from dsl.learners.rfolds import folds_like_r
from dsl.planning.power import PowerResults, power_dsl
from dsl.planning.power.curve import fill_from_last, variance_curve
from tests.reference.cases import (
    CASES,
    NAMES,
    R_OPTIM_SE,
    SAME_ALGEBRA,
    arguments,
    full_splits,
    load_expected,
    load_table,
)

pytestmark = pytest.mark.numeric

BY_NAME = {case["name"]: case for case in CASES}
NEGATIVE = "felm_twoways_cluster_lm"
LEAST_SQUARES = [name for name in NAMES if BY_NAME[name]["sl_method"] == "lm"]


def stored_power(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Sizes and predicted standard errors of the reference."""
    power = load_expected(name)["power"]
    sizes = np.asarray(power["labeled_size"], dtype=float)
    return sizes, np.asarray(power["predicted_se"], dtype=float).reshape(len(sizes), -1)


def later_splits_repeat_the_second(name: str) -> bool:
    """Whether the two splits stored in full are all there are (the reference restarts its stream)."""
    splits = load_expected(name)["splits"]
    return all(np.array_equal(split["vcov"], splits[1]["vcov"]) for split in splits[2:])


STAGED = [name for name in NAMES if later_splits_repeat_the_second(name)]


def from_stages(name: str) -> np.ndarray:
    """Our formula at the reference's own Jacobians and meats."""
    expected, first_two = load_expected(name), full_splits(name)
    splits = [first_two[min(s, 1)] for s in range(len(expected["splits"]))]
    k = len(np.atleast_1d(expected["standard_errors"]))

    def stack(stage: str) -> np.ndarray:
        return np.stack([np.asarray(split[stage], dtype=float) for split in splits])

    # in the reference's standardised columns; D takes parameters back, and dummies follow the covariates
    width = stack("jacobian").shape[1]
    back = np.stack([np.eye(width)] * len(splits))
    rescale = stack("rescale_D")
    back[:, : rescale.shape[1], : rescale.shape[1]] = rescale
    forth = np.linalg.inv(back)

    def original(sums: np.ndarray) -> np.ndarray:
        return np.einsum("sji,sjl,slm->sim", forth, sums, forth) * expected["n_obs"]

    shrinking = original(stack("meat_main_1"))
    curve = variance_curve(
        jacobians=original(stack("jacobian")),
        meats=shrinking + original(stack("meat_main_23")),
        label_meats=shrinking,
        n_labeled=expected["n_labeled"],
    )
    sizes, _ = stored_power(name)
    now = np.atleast_1d(np.asarray(expected["standard_errors"], dtype=float))
    known = curve.se(sizes)[:, :k]
    known[0] = now
    return fill_from_last(known, sizes, now, sizes[0])


@cache
def fitted(name: str) -> tuple[Any, PowerResults, list[str]]:
    """`dsl.dsl` with the folds of all the reference's splits, and its power at the default sizes."""
    case, stored = BY_NAME[name], full_splits(name)
    table = load_table(case["data"])
    rows = np.sort(np.asarray(stored[0]["row_id"]) - 1)
    used = table.iloc[rows]
    drawn = folds_like_r(
        used[case["cluster"]].to_numpy() if "cluster" in case else len(rows),
        cross_fit=case.get("cross_fit", 5),
        sample_split=case.get("sample_split", 10),
        seed=case.get("seed", 1234),
        learner=case["sl_method"],
        labeled=used[case["predicted_var"]].notna().all(axis=1).to_numpy(),
    )
    folds = np.zeros((len(drawn), len(table)), dtype=int)
    folds[:, rows] = drawn
    given = {key: value for key, value in arguments(case).items() if key not in ("cross_fit", "sample_split")}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DSLWarning)
        fit = dsl.dsl(data=table, folds=folds, **given)
        power = power_dsl(fit, drawn="clusters")
    return fit, power, [str(w.message) for w in caught if issubclass(w.category, PowerWarning)]


def test_every_case_is_compared() -> None:
    assert len(NAMES) == 17
    assert set(NAMES) == {*LEAST_SQUARES, *STAGED}
    assert {"lm_outcome_mean", "lm_outcome_grf"} <= set(STAGED)


@pytest.mark.parametrize("name", STAGED)
def test_formula_at_the_references_stages(name: str) -> None:
    np.testing.assert_allclose(from_stages(name), stored_power(name)[1], rtol=SAME_ALGEBRA)


@pytest.mark.parametrize("name", LEAST_SQUARES)
def test_from_the_table_to_predicted_standard_errors(name: str) -> None:
    fit, power, warned = fitted(name)
    sizes, expected = stored_power(name)
    np.testing.assert_allclose(power.labeled_size, sizes, rtol=1e-12)
    np.testing.assert_array_equal(power.predicted_se.iloc[0], fit.bse)
    np.testing.assert_allclose(power.predicted_se, expected, rtol=R_OPTIM_SE)
    assert len(warned) == (name == NEGATIVE)


def test_variances_below_zero_fall_back_as_in_the_reference() -> None:
    """A panel of which single rows are labelled: from 1.8 times the labels on, no split has a positive variance."""
    _, power, warned = fitted(NEGATIVE)
    extrapolated = power.extrapolated
    assert extrapolated.sum().tolist() == [3, 0]
    last, after = power.predicted_se["x1"].iloc[[-4, -1]]
    assert after == pytest.approx(last * np.sqrt(340 / 400), rel=1e-12)
    assert "not positive from 360 labels on" in warned[0]


@pytest.mark.parametrize("name", ["lm_covariate_lm", NEGATIVE])
def test_a_perturbed_reference_fails(name: str) -> None:
    _, power, _ = fitted(name)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(power.predicted_se, stored_power(name)[1] * (1 + 10 * R_OPTIM_SE), rtol=R_OPTIM_SE)
