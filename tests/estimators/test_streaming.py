"""Rows in blocks: the numbers of the same rows in memory, and what is refused by name."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.estimators.streaming import Progress
from dsl.reports.comparison import compare_fit

from ..streams import Again, same, sources, table, tried, uneven

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")]

BASE: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sample_split": 1, "cross_fit": 3, "sl_method": "lm"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "lm": ("y ~ x + late", {"sample_prob": "pi", "sample_split": 3}),
    "logit": ("y ~ x + factor(year)", {"model": "logit", "sample_prob": "pi", "sample_split": 3}),
    "years far from zero": ("y ~ x + year", {"model": "logit"}),
    "predicted covariate": ("z ~ y * x", {"sample_prob": "pi", "cluster": "cl"}),
    "predicted covariate, logit": ("I(z > 1) ~ y + x", {"model": "logit"}),
    "clusters": ("y ~ x + g", {"model": "logit", "cluster": "cl", "vcov": "CR1"}),
    "weights": ("y ~ x", {"weights": "w", "vcov": "HC1"}),
    "features": ("y ~ log(w) + I(x^2)", {"feature": ["score", "g"], "sl_method": "ridge"}),
    "auto": ("y ~ x", {"sl_method": "auto"}),
    "probit": ("y ~ x", {"model": "probit"}),
    "cloglog": ("y ~ x", {"model": "cloglog", "feature": "score"}),
    "poisson": ("k ~ x + offset(log(w))", {"model": "poisson", "predicted_var": "k", "prediction": "guess"}),
    "two predictions": ("y ~ x", {"prediction": ["llm", "score"], "sl_method": "ridge"}),
    "a category": ("z ~ kind + x", {"predicted_var": "kind", "prediction": "kind_llm", "sample_prob": "pi"}),
    "inside a step": ("z ~ I(k >= 2) + x", {"predicted_var": "k", "prediction": "guess", "model": "lm"}),
    "dsl+": ("z ~ y + x", {"estimator": "dsl+", "sample_prob": "pi"}),
    "dsl+, logit, clusters": ("y ~ x + g", {"estimator": "dsl+", "model": "logit", "cluster": "cl", "vcov": "design"}),
    "dsl+, a count": (
        "z ~ k + x",
        {"estimator": "dsl+", "predicted_var": "k", "prediction": "guess", "vcov": "robust"},
    ),
    "scalar": ("z ~ y + x", {"tune": "scalar", "sample_prob": "pi", "weights": "w", "vcov": "design"}),
    "coef": ("y ~ x", {"tune": "coef", "model": "logit", "vcov": "PRESS"}),
    "matrix": ("y ~ x + year", {"tune": "matrix", "vcov": "robust"}),
    "a number": ("y ~ x", {"tune": 0.5, "model": "logit"}),
    "finite": ("y ~ x", {"target": "finite", "sample_prob": "pi"}),
    "design": ("y ~ x + g", {"vcov": "design", "model": "logit"}),
    "multinom": ("kind ~ x", {"predicted_var": "kind", "prediction": "kind_llm", "model": "multinom"}),
    "ologit": ("kind ~ x", {"predicted_var": "kind", "prediction": "kind_llm", "model": "ologit", "sample_prob": "pi"}),
    "negbin": ("k ~ x", {"predicted_var": "k", "prediction": "guess", "model": "negbin"}),
    "cdi": ("z ~ y + x", {"estimator": "cdi", "sample_prob": "pi"}),
    "cdi, two surrogates": (
        "y ~ x",
        {"estimator": "cdi", "predicted_var": {"y": ["llm", "other"]}, "prediction": None, "vcov": "design"},
    ),
    "gold_only, design": ("y ~ x", {"estimator": "gold_only", "vcov": "design", "sample_prob": "pi"}),
    "naive": ("y ~ x + g", {"model": "logit", "estimator": "naive", "cluster": "cl"}),
    "naive covariate": ("z ~ y + x", {"estimator": "naive"}),
    "gold_only": ("y ~ x + g", {"model": "logit", "estimator": "gold_only", "sample_prob": "pi", "cluster": "cl"}),
}


def both(formula: str, data: pd.DataFrame, source: Any, **changes: Any) -> tuple[dsl.DSLResults, dsl.DSLResults]:
    given = {**BASE, **changes}
    return dsl.dsl(formula, source, **given), dsl.dsl(formula, data, **given)


MORE = {
    "cloglog", "probit", "ologit", "multinom", "negbin", "features", "inside a step", "dsl+, logit, clusters", "a number",
    "cdi, two surrogates", "naive covariate", "predicted covariate, logit", "weights", "years far from zero", "auto",
}  # fmt: skip
"""What is tried with the simulations."""


@pytest.mark.parametrize("name", tried(CALLS, MORE))
def test_the_numbers_are_those_of_the_rows_in_memory(name: str) -> None:
    data = table()
    formula, changes = CALLS[name]
    same(*both(formula, data, uneven(data), **changes))


@pytest.mark.parametrize(("size", "rows"), [(1, 40), (64, 250), (5_000, 250)])
def test_sizes_of_blocks_change_nothing(size: int, rows: int) -> None:
    data = table().head(rows)
    same(*both("y ~ x", data, Again(data, size)))


def test_all_splits_share_four_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = list[int | None]()
    monkeypatch.setattr(Progress, "begin", lambda self, total: passes.append(total))
    dsl.dsl("y ~ x", Again(table(), 300), **{**BASE, "sample_split": 4})
    # columns, their products, sums with labelled rows behind coefficients, meat
    assert len(passes) == 4


def test_every_source_gives_the_same(tmp_path: Path) -> None:
    data = table()
    known = dsl.dsl("y ~ x + late", data, **BASE, sample_prob="pi", cluster="cl")
    for source in sources(data, tmp_path).values():
        same(dsl.dsl("y ~ x + late", source, **BASE, sample_prob="pi", cluster="cl"), known)


@pytest.mark.parametrize("count", [4, 20])
def test_folds_of_the_user(count: int) -> None:
    data = table()
    folds = np.random.default_rng(0).integers(0, count, (3, len(data)))
    same(*both("y ~ x", data, Again(data, 200), folds=folds))


def test_more_folds_than_half_a_byte_tells_apart() -> None:
    data = table()
    same(*both("y ~ x", data, Again(data, 200), cross_fit=17, sample_split=2))


def test_dictionaries_that_differ_between_blocks(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    data = table().assign(g=lambda d: d["late"])
    for j, part in enumerate((data.iloc[:300], data.iloc[300:880], data.iloc[880:])):
        text = pa.array(part["g"]).dictionary_encode()
        made = pa.Table.from_pandas(part.drop(columns="g"), preserve_index=False).append_column("g", text)
        pq.write_table(made, tmp_path / f"{j}.parquet")
    whole = pq.read_table(tmp_path).to_pandas()
    assert isinstance(whole["g"].dtype, pd.CategoricalDtype)
    found, known = both("y ~ x + g", whole, ds.dataset(tmp_path), feature="g")
    same(found, known)


def test_types_that_differ_between_blocks() -> None:
    data = table()
    data["whole"] = np.r_[np.full(300, 2), np.arange(600) % 3]
    data["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(data)) % 50, unit="D")
    data.loc[800, "day"] += pd.Timedelta(hours=5)
    data["yes"] = data["z"] > 1.0
    # no whole numbers where one is missing
    parts = [data.iloc[:300].assign(whole=lambda d: d["whole"].astype(float)), data.iloc[300:]]
    same(*both("y ~ factor(whole) + day + yes", pd.concat(parts), parts))


def test_results_say_how_they_came_about() -> None:
    fit = dsl.dsl("y ~ x", Again(table(16_000), 5_000), **BASE)
    assert any("read in blocks" in note and "10,000 of the others" in note for note in fit.sample.notes)
    assert not fit.core.whole
    assert "10,000 of the others" in str(fit.summary())
    with pytest.raises(e.ArgumentError, match="remove_data"):
        _ = fit.core.need_predictions()
    with pytest.raises(e.NeedsAllRowsError, match="read in blocks"):
        compare_fit(fit, table(16_000))
    # without data too, where passing them would not help
    with pytest.raises(e.ArgumentError, match=r"were read in blocks.*fit.compare\(source\)"):
        fit.compare()


def test_labels_that_do_not_look_drawn_are_named() -> None:
    data = table(30_000)
    labels = np.random.default_rng(1).random(len(data)) < np.where(data["x"] > 0.0, 0.2, 0.1)
    data["y"] = data["llm"].where(labels)
    data["llm"] = np.where(np.random.default_rng(2).random(len(data)) < 0.9, data["llm"], 1.0)
    with pytest.warns(e.LabelingWarning, match="x"):
        dsl.dsl("y ~ x", Again(data.dropna(subset="x"), 7_000), **BASE)
    data["y"] = data["llm"].where(np.random.default_rng(3).random(len(data)) < data["pi"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", e.LabelingWarning)
        dsl.dsl("y ~ x", Again(data.dropna(subset="x"), 7_000), **{**BASE, "prediction": "guess"}, sample_prob="pi")


REFUSED: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "a spread": ("y ~ scale(x)", {}, ["scale(x)", "on all rows at once"]),
    "knots": ("y ~ ns(x, 3)", {}, ["ns(x", "knots"]),
    "fixed effects": (
        "k ~ x | g + cl",
        {"model": "poisson", "predicted_var": "k", "prediction": "guess"},
        ["fixed effects"],
    ),
    "a spread of an instrument": ("z ~ 1 | y ~ scale(score)", {"model": "iv"}, ["scale(score)", "on all rows at once"]),
    "two ways": ("y ~ x", {"cluster": ["cl", "g"]}, ["clusters in two ways"]),
    "leave out": ("y ~ x", {"vcov": "HC3", "tune": "coef"}, ["vcov='HC3'"]),
    "leave out of the choice": ("y ~ x", {"tune": "matrix"}, ["vcov='design+HC3'", "vcov='design' can"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_all_rows_says_so(name: str) -> None:
    formula, changes, words = REFUSED[name]
    with pytest.raises(e.NeedsAllRowsError) as caught:
        dsl.dsl(formula, Again(table(), 300), **{**BASE, **changes})
    assert all(word in str(caught.value) for word in words), caught.value


def test_functions_of_the_caller() -> None:
    data = table().dropna(subset="x")

    def centred(x: np.ndarray) -> np.ndarray:
        return x - x.mean()

    def shifted(x: np.ndarray) -> np.ndarray:
        return x - 0.25

    assert centred(np.ones(2)).any() == 0
    with pytest.raises(e.NeedsAllRowsError, match="centred"):
        dsl.dsl("y ~ centred(x)", Again(data, 300), **BASE)
    assert shifted(np.ones(1))[0] == 0.75
    known = dsl.dsl("y ~ shifted(x)", data, **BASE)
    same(dsl.dsl("y ~ shifted(x)", Again(data, 300), **BASE), known)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"llm": lambda d: d["llm"].mask(d.index == 712)}, e.PredictionError, "712"),
        ({"x": lambda d: d["x"].mask(d.index == 712, np.inf)}, e.InfiniteValueError, "712"),
        ({"pi": lambda d: d["pi"].mask(d.index == 712, 1.5)}, e.SampleProbabilityError, "712"),
        ({"y": lambda d: np.nan}, e.LabelError, "no labelled rows"),
        ({"x": lambda d: np.nan}, e.DataError, "no row is complete"),
        ({"llm": lambda d: d["y"].fillna(0.0)}, e.LeakError, "llm"),
        ({"g": lambda d: d["g"].astype(object).mask(d.index > 500, 1.0)}, e.SourceError, "'g'"),
    ],
)
def test_bad_data(change: dict[str, Any], error: type[Exception], words: str) -> None:
    data = table().assign(**change)
    with pytest.raises(error, match=words):
        dsl.dsl("y ~ x + g", Again(data, 300), **BASE, sample_prob="pi")


def test_more_labels_than_memory() -> None:
    with pytest.raises(e.DataError, match="memory="):
        dsl.dsl("y ~ x", Again(table(), 300), **BASE, memory=20_000)


def test_rows_that_change_between_passes(tmp_path: Path) -> None:
    data = table()

    class Growing(Again):
        passes = 0

        def __iter__(self) -> Any:
            self.passes += 1
            return iter([self.data, self.data.iloc[: 5 * (self.passes > 3)]])

    with pytest.raises(e.SourceError, match="900 rows when they were first read"):
        dsl.dsl("y ~ x", Growing(data, 1), **BASE)


def test_an_error_in_one_split_stops_all() -> None:
    data = table()
    data["x"] = data["llm"]
    with pytest.raises(e.EstimationError, match="separation"):
        dsl.dsl("y ~ x", Again(data.assign(y=data["y"].where(data["y"].isna(), data["x"])), 300), model="logit", **BASE)
