"""One analysis with many labels: the fits of `dsl.dsl`, their covariance in closed form, tables, words, what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dsl
from dsl import exceptions as e
from dsl.analyses.multiverse import multiverse
from dsl.reports.multiverse import Multiverse
from tests.posts import posts, run

SAME = 1e-10
"""The same sums in another order."""
QUICK: dict[str, Any] = {"predicted_var": "y", "sl_method": "lm", "sample_split": 1}
NAMES = {"one": "llm", "two": "other", "score": "p"}
pytestmark = pytest.mark.filterwarnings("ignore:.*rest on few labels")


def labelled() -> pd.DataFrame:
    """The posts with a second model's labels and a third one's probability."""
    rng = np.random.default_rng(8)
    data = posts()
    noise = rng.random(len(data))
    return data.assign(
        other=np.where(noise < 0.3, 1.0 - data["llm"], data["llm"]),
        p=np.round(0.25 + 0.5 * data["llm"] + 0.2 * noise, 3),
    )


@pytest.fixture(scope="module")
def found() -> Multiverse:
    return multiverse("y ~ x", labelled(), predictions=NAMES, thresholds=[0.3, 0.85], **QUICK)


def test_every_fit_is_that_of_a_single_call(found: Multiverse) -> None:
    data = labelled()
    assert list(found.fits) == ["one", "two", "score >= 0.3", "score >= 0.85"]
    for name, prediction, table in (
        ("one", "llm", data),
        ("two", "other", data),
        ("score >= 0.85", "p", data.assign(p=(data["p"] >= 0.85) * 1.0)),
    ):
        for fits, estimator in ((found.fits, "dsl"), (found.naive_fits, "naive")):
            expected = run(table, prediction=prediction, estimator=estimator)
            np.testing.assert_array_equal(fits[name].params, expected.params)
            np.testing.assert_array_equal(fits[name].vcov, expected.cov_params())
        rows = found.table[found.table["universe"] == name].reset_index(drop=True)
        own = run(table, prediction=prediction).tidy()
        np.testing.assert_array_equal(
            rows[["estimate", "std_error", "p_value"]], own[["estimate", "std_error", "p_value"]]
        )
        assert (rows["sign_flip"] == (rows["estimate"] * rows["naive_estimate"] < 0)).all()


def test_the_joint_test_of_two_means_in_closed_form() -> None:
    """Pseudo-outcomes w y + (1 - w) f: their difference over rows is (1 - w)(f - f')."""
    data = labelled()
    found = multiverse(
        "y ~ 1", data, predicted_var="y", predictions={"a": "llm", "b": "other"}, estimator="cdi", tune=1.0
    )
    w = data["lab"] / data["lab"].mean()
    gap = (1.0 - w) * (data["llm"] - data["other"])
    statistic = gap.sum() ** 2 / ((gap - gap.mean()) ** 2).sum()
    assert found.joint.df == 1
    assert found.joint.statistic == pytest.approx(statistic, rel=SAME)
    error = np.sqrt(((gap - gap.mean()) ** 2).sum()) / len(data)
    assert found.agreement.loc["Intercept", "detectable"] == pytest.approx(
        (1.959963984540054 + 0.8416212335729143) * error
    )


def test_clusters_in_two_ways_in_closed_form() -> None:
    """The variance of the difference: sums over either clusters, less those over both."""
    data = labelled().assign(other_cl=np.arange(200) % 9, both=lambda t: t["cl"] * 9 + np.arange(200) % 9)
    call: dict[str, Any] = {"predicted_var": "y", "predictions": {"a": "llm", "b": "other"}, "estimator": "cdi"}
    found = multiverse("y ~ 1", data, tune=1.0, cluster=["cl", "other_cl"], **call)
    gap = (1.0 - data["lab"] / data["lab"].mean()) * (data["llm"] - data["other"])
    gap = gap - gap.mean()
    one, two, both = (float((gap.groupby(data[name]).sum() ** 2).sum()) for name in ("cl", "other_cl", "both"))
    error = np.sqrt(one + two - both) / len(data)
    expected = (1.959963984540054 + 0.8416212335729143) * error
    assert found.agreement.loc["Intercept", "detectable"] == pytest.approx(expected, rel=1e-6)


def test_labels_that_are_the_same(found: Multiverse) -> None:
    """A set of labels that is given twice changes no test."""
    data = labelled().assign(copy=lambda d: d["llm"])
    again = multiverse("y ~ x", data, predictions={**NAMES, "again": "copy"}, thresholds=[0.3, 0.85], **QUICK)
    assert again.joint.df == found.joint.df == 6
    assert again.joint.statistic == pytest.approx(found.joint.statistic, rel=1e-6)
    one = multiverse("y ~ x", data, predictions={"one": "llm", "again": "copy"}, **QUICK)
    assert (one.joint.statistic, one.joint.df, one.joint.p_value) == (0.0, 0, 1.0)
    assert "they are the same" in one.sentences[1]


def test_agreement(found: Multiverse) -> None:
    table = found.agreement
    assert table.index.tolist() == ["Intercept", "x", "(all)"]
    own = found.table[found.table["term"] == "x"]
    assert table.loc["x", "smallest"] == own["estimate"].min()
    assert table.loc["x", "naive_largest"] == own["naive_estimate"].max()
    assert table.loc["x", "sign_flips"] == own["sign_flip"].mean()
    assert table.loc["x", "changes"] == (own["change"] != "same").mean()
    assert table.loc["(all)", "sign_flips"] == found.table["sign_flip"].mean()
    assert found.joint.p_value == table.loc["(all)", "p_value"]
    # a mean that the cut at .3 puts at one is found out at once
    assert table.loc["Intercept", "naive_p_value"] < 1e-6
    significant = own["p_value"] < 0.05
    before = own["naive_p_value"] < 0.05
    assert ((own["change"] == "vanishes") == (before & ~significant)).all()
    assert ((own["change"] == "appears") == (significant & ~before)).all()
    assert ((own["change"] == "reverses") == (significant & before & own["sign_flip"])).all()


def test_tidy_and_print(found: Multiverse) -> None:
    tidy = found.tidy()
    assert len(tidy) == 2 * len(found.table)
    assert tidy.columns.tolist()[:6] == ["term", "universe", "prediction", "threshold", "estimator", "estimate"]
    assert tidy["estimator"].tolist()[:4] == ["dsl", "naive", "dsl", "naive"]
    first = tidy[(tidy["universe"] == "two") & (tidy["estimator"] == "naive")]
    assert first["estimate"].tolist() == found.naive_fits["two"].params.tolist()
    assert repr(found) == "<Multiverse y ~ x: one, two, score >= 0.3, score >= 0.85; dsl>"
    text = str(found)
    assert "chi2(6)" in text
    assert f"{found.agreement.loc['x', 'detectable']:.3f}" in text
    assert "score &gt;= 0.3" in found._repr_html_()
    assert len(found.sentences) == 2
    assert "naive ones from" in found.sentences[1]


def test_thresholds_by_name_and_labels_of_several_variables() -> None:
    data = labelled().assign(
        d=lambda t: np.where(t["lab"] == 1, t["z"] > 0, np.nan), d_one=lambda t: (t["z"] > 0) * 1.0
    )
    data["d_two"] = np.where(np.arange(len(data)) % 4 == 0, 1 - data["d_one"], data["d_one"])
    call = {**QUICK, "predicted_var": ["y", "d"]}
    listed = multiverse("y ~ x + d", data, predictions={"a": ["llm", "d_one"], "b": ["p", "d_two"]}, **call)
    by_name = {"a": {"y": "llm", "d": "d_one"}, "b": {"d": "d_two", "y": "p"}}
    mapped = multiverse("y ~ x + d", data, predictions=by_name, thresholds={"b": [0.6]}, **call)
    np.testing.assert_array_equal(listed.fits["a"].params, mapped.fits["a"].params)
    assert [each.threshold for each in mapped.universes][1] == 0.6
    expected = run(
        data.assign(p=(data["p"] >= 0.6) * 1.0), "y ~ x + d", predicted_var={"y": "p", "d": "d_two"}, prediction=None
    )
    np.testing.assert_array_equal(mapped.fits["b >= 0.6"].params, expected.params)


def test_kinds_of_tables(found: Multiverse) -> None:
    again = multiverse("y ~ x", pl.from_pandas(labelled()), predictions=NAMES, thresholds=[0.3, 0.85], **QUICK)
    pd.testing.assert_frame_equal(again.table, found.table)


def test_a_missing_score_stays_missing() -> None:
    data = labelled()
    data.loc[3, "p"] = np.nan
    call = {"predictions": NAMES, "thresholds": [0.6], **QUICK}
    with pytest.raises(e.DSLError, match="'p'"):
        multiverse("y ~ x", data, refusals="raise", **{**call, "predictions": {"score": "p", "cut": "p"}})
    found = multiverse("y ~ x", data, refusals="indicator", **call)
    assert found.fits["score >= 0.6"].nobs == len(data)
    # the naive estimate has no label for that row
    assert "score >= 0.6" not in found.naive_fits
    assert found.table.loc[found.table["universe"] == "score >= 0.6", "naive_estimate"].isna().all()


def test_the_callers_functions_are_found() -> None:
    def half(values: pd.Series) -> pd.Series:
        return values / 2

    found = multiverse("y ~ half(x)", labelled(), predictions=NAMES, **QUICK)
    assert found.terms == ("Intercept", "half(x)")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"predictions": {"one": "llm"}}, "names one set of labels; a multiverse needs two"),
        ({"predictions": {}}, "must be a dict of name to column"),
        ({"predictions": ["llm", "other"]}, "must be a dict of name to column"),
        ({"predictions": {"one": "llm", "two": "nothing"}}, r"predictions\['two'\]: the data have no column 'nothing'"),
        ({"predictions": {"one": "llm", "two": {"z": "other"}}}, "must have a column for each of y; 'z' is amiss"),
        (
            {"thresholds": [0.5], "predictions": {"one": "llm", "two": "other"}},
            "nothing to cut: no prediction is a score",
        ),
        ({"thresholds": {"one": [0.5]}}, r"thresholds\['one'\] has nothing to cut: 'llm' is no score"),
        ({"thresholds": {"none": [0.5]}}, "thresholds names 'none', which is not among one, two, score"),
        ({"thresholds": ["high"]}, "thresholds must be a list of numbers"),
        ({"prediction": "llm"}, "prediction is for one analysis"),
        ({"target": "finite"}, "target='finite' has no joint test yet"),
        ({"estimator": "gold_only"}, "estimator='gold_only' does not correct labels"),
        ({"estimator": "naive"}, "estimator='naive' does not correct labels"),
        (
            {"predicted_var": ["y", "z"], "predictions": {"a": "llm", "b": "other"}},
            "has 1 column.* there are 2 predicted",
        ),
    ],
)
def test_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises((e.ArgumentError, e.MissingColumnError), match=message):
        multiverse("y ~ x", labelled(), **{"predictions": NAMES, **QUICK, **more})


def test_labels_without_an_estimate_are_named() -> None:
    data = labelled().assign(percent=lambda t: 100.0 * t["p"])
    call: dict[str, Any] = {"estimator": "cdi", "predicted_var": "y"}
    found = multiverse("y ~ x", data, predictions={**NAMES, "other scale": "percent"}, **call)
    assert list(found.failed) == ["other scale"]
    assert "other scale has no estimate: ScaleError" in " ".join(str(found).split())
    with pytest.raises(e.EstimationError, match="1 of 2 sets of labels have an estimate, and a multiverse needs two"):
        multiverse("y ~ x", data, predictions={"one": "llm", "other scale": "percent"}, **call)


@pytest.mark.parametrize("vcov", ["HC1", "HC3"])
def test_other_covariances(vcov: str, found: Multiverse) -> None:
    """Standard errors are those of the single fits, and the tests' covariance has the same."""
    again = multiverse("y ~ x", labelled(), predictions=NAMES, thresholds=[0.3, 0.85], vcov=vcov, **QUICK)
    np.testing.assert_array_equal(again.fits["one"].bse, run(labelled(), prediction="llm", vcov=vcov).bse)
    assert (again.table["std_error"] > found.table["std_error"]).all()
    assert again.joint.statistic < found.joint.statistic


def test_exported() -> None:
    assert dsl.multiverse is multiverse
