"""`dsl.evaluate`: known answers, pairing, independence of what else is run, failures and wrong arguments."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.formula.api as smf

import dsl
from dsl import exceptions as e
from dsl import sampling
from dsl.planning.evaluation import EvaluationResults
from dsl.planning.evaluation.results import FEW, FEWEST, WIDE, note_of
from tests.archive import POSTS, archive, quick

SAME_ALGEBRA = 1e-9
MONTE_CARLO = 3.5
"""Monte Carlo standard errors that a right answer stays within (a chance of 1 in 2,000 to fail, at a fixed seed)."""

Frame = pd.DataFrame
Rng = np.random.Generator


def of(result: EvaluationResults, **chosen: Any) -> Frame:
    """The replications with these values, without these columns."""
    table = result.replications
    for name, value in chosen.items():
        table = table[table[name] == value]
    return table.drop(columns=list(chosen)).reset_index(drop=True)


def test_truth_is_the_fit_with_every_label() -> None:
    truth = quick(model="logit").truth
    full = smf.logit("y ~ x", archive()).fit(disp=0)
    np.testing.assert_allclose(truth, full.params, rtol=SAME_ALGEBRA)


def test_mean_of_a_simple_random_sample() -> None:
    """Known in closed form: the sample mean's standard deviation is sqrt((1 - n/N) S^2/n), and so is its standard error."""
    n, R = 50, 120
    result = quick(formula="score ~ 1", predicted_var="score", n_labels=n, replications=R, estimators="gold_only")
    row = result.summary().iloc[0]
    exact = np.sqrt((1 - n / POSTS) * archive()["score"].var() / n)
    assert abs(row["sd"] / exact - 1) < MONTE_CARLO / np.sqrt(2 * R)
    assert abs(row["bias"]) < MONTE_CARLO * row["bias_se"]
    assert row["std_error"] == pytest.approx(exact, rel=0.03)  # of small samples: biased by about 1/(4n), HC0 by 1/(2n)
    assert abs(row["coverage"] - 0.95) < MONTE_CARLO * row["coverage_se"]
    assert (row["effective"], row["effective_se"], row["n_labeled"]) == (n, 0.0, n)


def test_gold_only_is_the_weighted_mean() -> None:
    """The baseline divides by the sum of weights (Hajek), not by N."""
    drawn = []

    def uneven(data: Frame, n_labels: int, rng: Rng) -> sampling.LabelDesign:
        prob = np.where(data["g"] == "a", 0.4, 0.1)
        drawn.append(sampling.bernoulli(data, prob=prob, seed=rng))
        return drawn[-1]

    result = quick(formula="score ~ 1", predicted_var="score", designs={"uneven": uneven}, estimators="gold_only")
    gold = archive()["score"].to_numpy()
    by_hand = [np.average(gold[d.drawn], weights=1 / d.prob[d.drawn]) for d in drawn]
    np.testing.assert_allclose(of(result, design="uneven")["estimate"], by_hand, rtol=SAME_ALGEBRA)
    assert of(result, design="uneven")["n_labeled"].tolist() == [d.n_drawn for d in drawn]


def test_numbers_do_not_depend_on_what_else_is_run() -> None:
    much = quick(
        n_labels=[60, 100], designs=["srs", "bernoulli"], estimators=["naive", "gold_only", "dsl"], replications=3
    )
    little = quick(designs="bernoulli", estimators="dsl", replications=2)
    wanted = of(much, design="bernoulli", estimator="dsl", n_labels=100)
    pd.testing.assert_frame_equal(
        of(little, design="bernoulli", estimator="dsl", n_labels=100), wanted[wanted["replication"] <= 2]
    )
    order = quick(
        n_labels=[100, 60], designs=["bernoulli", "srs"], estimators=["dsl", "naive", "gold_only"], replications=3
    )
    names = ["design", "estimator", "n_labels", "replication", "term"]
    pd.testing.assert_frame_equal(
        *(result.replications.sort_values(names).reset_index(drop=True) for result in (much, order))
    )
    assert not of(quick(seed=2), estimator="dsl").equals(of(quick(), estimator="dsl"))


@pytest.mark.long
def test_numbers_do_not_depend_on_n_jobs() -> None:
    """Nor do functions of the caller get lost on the way to other processes."""
    offset = 2.0

    def shifted(values: Any) -> Any:
        return values + offset

    call = {
        "predicted_var": "y",
        "prediction": "llm",
        "n_labels": 100,
        "replications": 4,
        "sl_method": "lm",
        "sample_split": 1,
    }
    call["designs"] = {"mine": lambda data, n_labels, rng: sampling.bernoulli(data, n_labels, seed=rng)}
    one = dsl.planning.evaluation.evaluate("y ~ shifted(x)", archive(), **call)
    two = dsl.planning.evaluation.evaluate("y ~ shifted(x)", archive(), **call, n_jobs=2)
    pd.testing.assert_frame_equal(one.replications, two.replications, check_exact=True)
    assert one.truth.index.tolist() == ["Intercept", "shifted(x)"]


def test_one_draw_serves_all_estimators() -> None:
    result = quick(designs="bernoulli", estimators=["gold_only", "dsl"], replications=6)
    gold, ours = (of(result, design="bernoulli", estimator=name) for name in ("gold_only", "dsl"))
    assert gold["n_labeled"].equals(ours["n_labeled"])
    assert gold["n_labeled"].nunique() > 1
    slopes = [table.loc[table["term"] == "x", "estimate"] for table in (gold, ours)]
    assert np.corrcoef(*slopes)[0, 1] > 0.5


def test_baseline_is_always_there() -> None:
    alone = quick(designs="bernoulli", estimators="naive")
    pairs = alone.replications[["design", "estimator"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["srs", "gold_only"], ["bernoulli", "naive"]]
    added = quick(estimators="dsl").summary()
    assert added["estimator"].drop_duplicates().tolist() == ["gold_only", "dsl"]
    assert (added.loc[added["estimator"] == "gold_only", "effective"] == 100).all()


def test_naive_has_no_effective_labels() -> None:
    """It ignores the labels, so nothing varies."""
    row = quick(estimators="naive").summary().set_index(["estimator", "term"]).loc[("naive", "x")]
    assert row["sd"] == 0
    assert row["bias_se"] == 0
    assert np.isnan(row["effective"])


def test_summary_by_hand() -> None:
    result = quick(replications=10, alpha=0.2)
    row = result.summary().set_index(["estimator", "term"]).loc[("dsl", "x")]
    table = of(result, estimator="dsl", term="x")
    baseline = of(result, estimator="gold_only", term="x")
    error = table["estimate"] - result.truth["x"]
    assert row["bias"] == pytest.approx(error.mean())
    assert row["bias_se"] == pytest.approx(error.std() / np.sqrt(10))
    assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert row["width"] == pytest.approx((2 * 1.2815515655446004 * table["std_error"]).mean())  # 80% intervals
    assert row["coverage"] == pytest.approx((error.abs() <= 1.2815515655446004 * table["std_error"]).mean())
    assert row["effective"] == pytest.approx(100 * baseline["estimate"].var() / table["estimate"].var())
    assert row["effective_se"] > 0
    assert (row["replications"], row["failed"], row["warned"]) == (10, 0, 0)


def test_effective_labels_from_few_replications_are_marked() -> None:
    """By the number of replications and by the error; the baseline needs no mark."""
    table = quick(replications=10).summary().set_index("estimator")
    assert table.loc["gold_only", "note"].eq("").all()
    assert table.loc["dsl", "note"].eq("few replications").all()
    marked = {
        (error, count): note_of({"effective": 100.0, "effective_se": error}, count)
        for error in (0.0, 24.0, 26.0)
        for count in (29, 30, 1000)
    }
    assert {key for key, note in marked.items() if note == FEW} == {
        *((error, 29) for error in (0.0, 24.0, 26.0)),
        *((26.0, count) for count in (30, 1000)),
    }
    assert (FEWEST, WIDE) == (30, 0.5)
    assert note_of({"effective": np.nan, "effective_se": np.nan}, 5) == ""


@pytest.mark.parametrize("convert", [lambda d: d.to_dict("list"), pl.from_pandas])
def test_any_table(convert: Callable[[Frame], Any]) -> None:
    plain = archive().reset_index(drop=True)
    pd.testing.assert_frame_equal(quick(convert(plain)).replications, quick(plain).replications)


def test_truth_given() -> None:
    """For simulated data; only the coefficients named are looked at."""
    result = quick(truth={"x": 0.5})
    assert result.truth.to_dict() == {"x": 0.5}
    assert set(result.replications["term"]) == {"x"}
    assert (result.replications["truth"] == 0.5).all()


def test_intervals_for_new_rows_warn() -> None:
    with pytest.warns(e.EvaluationWarning, match="hold it too often; use target='finite'") as caught:
        quick(target="superpopulation")
    assert caught[0].filename.endswith("archive.py")  # the caller's line
    quick(target="superpopulation", truth={"x": 0.5})


def test_every_estimator_by_its_short_name() -> None:
    from dsl.estimators.short import SHORT as ESTIMATORS

    result = quick(estimators=list(ESTIMATORS), replications=3)
    assert result.replications["estimator"].drop_duplicates().tolist() == list(ESTIMATORS)
    assert result.replications["failed"].isna().all()
    given = quick(estimators={"mine": {"estimator": "dsl", "tune": "coef"}}, replications=3)
    pd.testing.assert_frame_equal(of(given, estimator="mine"), of(result, estimator="tuned"))


class TwoPhases:
    """Labels half of the rows at random, then more of the group whose labels vary more."""

    def draw(self, data: Frame, n_labels: int, rng: Rng, ask: Any) -> sampling.LabelDesign:
        first = rng.choice(len(data), n_labels // 2, replace=False)
        spread = ask(data.index[first]).groupby(data["g"].iloc[first]).std()
        second = sampling.proportional_to_size(data, n_labels // 2, measure=data["g"].map(spread).to_numpy(), seed=rng)
        drawn = np.isin(np.arange(len(data)), first) | second.drawn
        prob = 1 - (1 - n_labels // 2 / len(data)) * (1 - second.prob)
        return sampling.LabelDesign(kind="adaptive", rows=data.index, prob=prob, drawn=drawn, fixed_size=False)


def test_a_design_may_ask_for_labels() -> None:
    result = quick(designs={"two phases": TwoPhases()}, replications=15)
    table = of(result, design="two phases", term="x")
    assert table["n_labeled"].between(50, 100).all()
    assert table["failed"].isna().all()
    row = result.summary().set_index(["design", "estimator", "term"]).loc[("two phases", "gold_only", "x")]
    assert abs(row["bias"]) < MONTE_CARLO * row["bias_se"]


def test_adaptive_designs() -> None:
    """They take the evaluation's arguments, get labels batch by batch, and know the caller's functions."""

    def shifted(values: Any) -> Any:
        return values + 2.0

    call = {"predicted_var": "y", "prediction": "llm", "n_labels": 120, "replications": 3, "sl_method": "lm"}
    aimed = dsl.planning.evaluation.Adaptive(coefficient="shifted(x)", confidence="rare", batches=3, burn_in=40)
    designs = {"srs": "srs", "all": "adaptive", "aimed": aimed}
    result = dsl.planning.evaluation.evaluate(
        "y ~ shifted(x)", archive(), designs=designs, estimators="tuned", sample_split=1, **call
    )
    table = result.replications
    assert table["failed"].isna().all()
    assert (table["n_labeled"] == 120).all()
    assert table["design"].drop_duplicates().tolist() == ["srs", "all", "aimed"]
    assert not of(result, design="all").equals(of(result, design="aimed"))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"model": "felm", "index": "g"}, e.FormulaError, "fixed effects behind"),
        (
            {"data": archive().assign(x=lambda d: d["x"].mask(d["rare"] == 1))},
            e.DataError,
            "10 of 400 rows have missing",
        ),
        (
            {"designs": {"mine": dsl.planning.evaluation.Adaptive(coeficient="x")}},
            e.CallError,
            "'coeficient'; did you mean 'coefficient'",
        ),
        (
            {"designs": {"mine": dsl.planning.evaluation.Adaptive(coefficient="z")}},
            e.ArgumentError,
            "coefficient names 'z'",
        ),
        ({"n_labels": [15, 100]}, e.ArgumentError, "burn-in"),
    ],
)
@pytest.mark.filterwarnings("ignore::dsl.exceptions.DroppedRowsWarning")
def test_adaptive_designs_that_cannot_be_used(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    """Raised at once, not recorded as a failure of every draw."""
    with pytest.raises(error, match=words):
        quick(**{"designs": "adaptive", **arguments})


def peeks(data: Frame, n_labels: int, rng: Rng, ask: Any) -> sampling.LabelDesign:
    ask(data.index[:3])
    drawn = np.arange(len(data)) >= 3
    return sampling.LabelDesign(
        kind="srs", rows=data.index, prob=np.full(len(data), 0.99), drawn=drawn, fixed_size=True
    )


class Drawer:
    def __init__(self, draw: Callable[..., Any]) -> None:
        self.draw = draw


DESIGNS: dict[str, tuple[Any, list[str]]] = {
    "uncounted labels": (Drawer(peeks), ["asked for the gold label of 3 rows", "does not count"]),
    "unknown rows": (Drawer(lambda d, n, rng, ask: ask(["postcard"])), ["1 rows", "do not have", "postcard"]),
    "no design": (lambda d, n, rng: d.head(n), ["must return a LabelDesign", "DataFrame"]),
    "other rows": (
        lambda d, n, rng: sampling.simple_random(d.iloc[::-1], n, seed=rng),
        ["the data's rows, in their order"],
    ),
}


@pytest.mark.parametrize("case", DESIGNS)
def test_designs_that_cannot_be_used(case: str) -> None:
    design, words = DESIGNS[case]
    with pytest.raises(e.ArgumentError) as caught:
        quick(designs={"mine": design})
    for word in ["design", *words]:
        assert word in str(caught.value)


def test_designs_do_not_see_gold_labels() -> None:
    seen = []

    def look(data: Frame, n_labels: int, rng: Rng) -> sampling.LabelDesign:
        seen.append(list(data.columns))
        return sampling.simple_random(data, n_labels, seed=rng)

    quick(designs={"look": look}, predicted_var=["y", "score"], prediction=["llm"], formula="score ~ y", replications=2)
    assert seen == [["llm", "x", "rare", "g"]] * 2


def test_failures_are_recorded() -> None:
    """Ten posts have rare == 1; in many draws of 40 none of them is labelled."""
    result = quick(formula="y ~ rare", n_labels=40, replications=20, estimators="gold_only")
    table = result.replications
    failed = table.loc[table["term"] == "rare", "failed"].dropna()
    assert 0 < len(failed) < 20
    assert failed.str.startswith("CollinearityError: ").all()
    assert table.loc[table["failed"].notna(), ["estimate", "std_error", "conf_low", "conf_high"]].isna().all(axis=None)
    with pytest.warns(e.EvaluationWarning, match=f"{len(failed)} fits failed .*CollinearityError"):
        row = result.summary().set_index("term").loc["rare"]
    assert row["failed"] == len(failed)
    assert row["replications"] == 20 - len(failed)
    kept = table.loc[(table["term"] == "rare") & table["failed"].isna(), "estimate"]
    assert row["bias"] == pytest.approx((kept - result.truth["rare"]).mean())


def test_designs_that_fail_are_recorded() -> None:
    def sometimes(data: Frame, n_labels: int, rng: Rng) -> sampling.LabelDesign:
        if rng.random() < 0.5:
            raise e.DesignError("no strata left")
        return sampling.simple_random(data, n_labels, seed=rng)

    table = of(quick(designs={"mine": sometimes}, replications=8), design="mine")
    failed = table["failed"] == "DesignError: no strata left"
    assert 0 < failed.sum() < len(table)
    assert table.loc[failed, "n_labeled"].isna().all()
    assert set(table.loc[failed, "estimator"]) == {"gold_only", "dsl"}


def test_estimators_that_do_not_suit_a_design_are_recorded() -> None:
    def uneven(data: Frame, n_labels: int, rng: Rng) -> sampling.LabelDesign:
        return sampling.bernoulli(data, prob=np.where(data["g"] == "a", 0.4, 0.1), seed=rng)

    result = quick(designs={"srs": "srs", "uneven": uneven}, estimators=["gold_only", "ppi++"])
    failed = result.replications.groupby(["design", "estimator"])["failed"].apply(lambda column: column.notna().mean())
    assert failed.to_dict() == {
        ("srs", "gold_only"): 0,
        ("srs", "ppi++"): 0,
        ("uneven", "gold_only"): 0,
        ("uneven", "ppi++"): 1,
    }
    with pytest.warns(e.EvaluationWarning, match=r"4 fits failed .*; 4 with ArgumentError: .*equal probability"):
        table = result.summary().set_index(["design", "estimator"]).loc[("uneven", "ppi++")]
    assert table[["coverage", "rmse", "effective", "sd", "std_error"]].isna().all(axis=None)


def test_warnings_are_recorded() -> None:
    result = quick(n_labels=20, estimators="gold_only")
    assert (result.replications["warning"] == "FewLabelsWarning").all()
    assert (result.summary()["warned"] == 4).all()


class Broken:
    """A learner with a mistake in it."""

    def fit(self, x: Any, y: Any) -> Any:
        raise KeyError("weights")

    def predict(self, x: Any) -> Any:
        return x


def test_mistakes_are_not_failures() -> None:
    """Errors that are no DSLError are raised, with what was being fitted."""
    with pytest.raises(KeyError, match="weights") as caught:
        quick(sl_method=Broken())
    assert "while fitting" in caught.value.__notes__[0]


CALLS: dict[str, tuple[dict[str, Any], type[Exception], list[str]]] = {
    "unknown estimator": ({"estimators": "dls"}, e.ArgumentError, ["'dls'", "did you mean 'dsl'"]),
    "no estimator": ({"estimators": []}, e.ArgumentError, ["estimators names nothing"]),
    "estimator of a wrong kind": ({"estimators": {"mine": 3}}, e.ArgumentError, ["'mine'", "short name", "int"]),
    "estimator with a design": (
        {"estimators": {"mine": {"sample_prob": "x"}}},
        e.ArgumentError,
        ["'mine'", "'sample_prob'", "designs decide"],
    ),
    "baseline redefined": ({"estimators": {"gold_only": "dsl"}}, e.ArgumentError, ["gold_only", "baseline"]),
    "unknown design": ({"designs": "srss"}, e.ArgumentError, ["'srss'", "did you mean 'srs'"]),
    "no design": ({"designs": {}}, e.ArgumentError, ["designs names nothing"]),
    "design of a wrong kind": ({"designs": {"mine": 3}}, e.ArgumentError, ["'mine'", "draw", "int"]),
    "srs redefined": ({"designs": {"srs": "bernoulli"}}, e.ArgumentError, ["'srs'", "baseline"]),
    "n_labels too large": ({"n_labels": [50, POSTS]}, e.ArgumentError, ["n_labels", "at most 399", "found 400"]),
    "n_labels fractional": ({"n_labels": 0.1}, e.ArgumentError, ["n_labels", "whole numbers", "0.1"]),
    "no n_labels": ({"n_labels": []}, e.ArgumentError, ["n_labels is empty"]),
    "one replication": ({"replications": 1}, e.ArgumentError, ["replications", "at least 2", "found 1"]),
    "several replications": ({"replications": [5, 6]}, e.ArgumentError, ["replications", "[5, 6]"]),
    "seed": ({"seed": None}, e.ArgumentError, ["seed", "None"]),
    "n_jobs": ({"n_jobs": 0}, e.ArgumentError, ["n_jobs", "found 0"]),
    "alpha": ({"alpha": 95}, e.ArgumentError, ["alpha", "0.05", "95"]),
    "target": ({"target": "population"}, e.ArgumentError, ["'population'", "superpopulation, finite"]),
    "truth of another model": ({"truth": {"z": 1.0}}, e.ArgumentError, ["truth", "'z'", "Intercept, x"]),
    "truth a number": ({"truth": "x"}, e.ArgumentError, ["truth", "by name"]),
    "truth missing": ({"truth": {"x": np.nan}}, e.ArgumentError, ["truth", "not finite"]),
    "estimator of dsl.dsl": ({"estimator": "dsl"}, e.ArgumentError, ["'estimator'", "estimators="]),
    "design of dsl.dsl": ({"labeled": "x"}, e.ArgumentError, ["'labeled'", "designs="]),
    "unknown argument": ({"modle": "logit"}, e.CallError, ["'modle'", "did you mean 'model'"]),
    "unknown argument of an estimator": (
        {"estimators": {"mine": {"estimatr": "dsl"}}},
        e.CallError,
        ["'estimatr'", "did you mean 'estimator'"],
    ),
    "wrong argument of an estimator": (
        {"estimators": {"mine": {"vcov": "HC7"}}},
        e.ArgumentError,
        ["'HC7'", "HC1"],
    ),
    "data and formula swapped": ({"data": "y ~ x", "formula": archive()}, e.ArgumentError, ["The formula comes first"]),
    "no such variable": ({"predicted_var": "w"}, e.MissingColumnError, ["'w'", "gold labels"]),
    "no such covariate": ({"formula": "y ~ w"}, e.MissingColumnError, ["'w'"]),
    "gold label missing": (
        {"data": archive().assign(y=lambda d: d["y"].mask(d["rare"] == 1))},
        e.LabelError,
        ["'y'", "10 rows", "post0, post40", "dropna"],
    ),
    "column twice": (
        {"data": pd.concat([archive(), archive()[["g"]]], axis=1)},
        e.DataError,
        ["more than one column named 'g'", "duplicated()"],
    ),
    "no table": ({"data": np.ones((3, 2))}, e.ArgumentError, ["pandas, polars or pyarrow", "ndarray"]),
    "row labels repeated": (
        {"data": archive().set_axis(np.arange(POSTS) % 200)},
        e.DesignError,
        ["repeated", "reset_index"],
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_wrong_calls(case: str) -> None:
    arguments, error, words = CALLS[case]
    with pytest.raises(error) as caught:
        quick(**arguments)
    assert isinstance(caught.value, dsl.DSLError)
    for word in words:
        assert word in str(caught.value)


def test_results_are_kept_by_pickle() -> None:
    result = quick()
    again = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(again.summary(), result.summary())
    assert repr(again) == "<EvaluationResults y ~ x: 1 design, 2 estimators, 1 number of labels, 4 replications>"


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    quick()
    assert capsys.readouterr() == ("", "")
    quick(progress=True)
    assert "4/4" in capsys.readouterr().err


def test_import_is_light() -> None:
    """Neither plots nor R are loaded before they are needed."""
    check = "import sys, dsl.planning.evaluation; print([m for m in ('matplotlib', 'rpy2') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout == "[]\n"
