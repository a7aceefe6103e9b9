"""Every named error and warning: its class, and what its message must tell."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e

from .posts import LABELED, ROWS, posts, run

Change = Callable[[pd.DataFrame], dict[str, Any]]


def first(column: str, rows: list[int], value: float) -> Change:
    """The column with `value` in some rows."""
    return lambda d: {column: d[column].astype(float).mask(d.index.isin(rows), value)}


def labeled_rows(d: pd.DataFrame) -> np.ndarray:
    return d.index[d["lab"] == 1].to_numpy()


DATA: dict[str, tuple[Change, dict[str, Any], type[Exception], list[str]]] = {
    "missing column": (
        lambda d: {},
        {"formula": "y ~ zz"},
        e.MissingColumnError,
        ["'zz'", "formula", "did you mean 'z'"],
    ),
    "missing prediction column": (
        lambda d: {},
        {"prediction": "gpt"},
        e.MissingColumnError,
        ["'gpt'", "prediction", "the columns are 'y', 'llm'"],
    ),
    "missing cluster column": (
        lambda d: {},
        {"cluster": "clu"},
        e.MissingColumnError,
        ["'clu'", "cluster", "did you mean 'cl'"],
    ),
    "prediction missing": (
        first("llm", [3, 5, 9, 11], np.nan),
        {},
        e.PredictionError,
        ["'llm'", "4 rows", "3, 5, 9", "dropna"],
    ),
    "prediction missing off the labels": (
        lambda d: {"llm": d["llm"].where(d["lab"] == 1)},
        {},
        e.PredictionError,
        ["'llm'", f"{ROWS - LABELED} rows", "all of them unlabelled"],
    ),
    "leak": (lambda d: {"llm": d["y"]}, {}, e.LeakError, ["'llm'", "'y'", "copy of the gold label", "every row"]),
    "leak in feature": (
        lambda d: {"f": d["y"]},
        {"feature": "f"},
        e.LeakError,
        ["feature 'f'", "'y'", "copy of the gold label"],
    ),
    "leak, filled": (
        lambda d: {"llm": d["y"].fillna(0.0)},
        {},
        e.LeakError,
        ["'llm'", "'y'", "0.0 on all others", "gaps filled"],
    ),
    "gold as prediction": (lambda d: {}, {"prediction": "y"}, e.LeakError, ["'y'", "surrogate labels"]),
    "probability NaN": (
        lambda d: first("pi", list(labeled_rows(d)[:2]), np.nan)(d),
        {"sample_prob": "pi"},
        e.SampleProbabilityError,
        ["'pi'", "missing in 2 labelled rows", "supply the probability"],
    ),
    "probability NaN off the labels": (
        lambda d: {"pi": d["pi"].where(d["lab"] == 1)},
        {"sample_prob": "pi"},
        e.SampleProbabilityError,
        ["missing in 120 rows", "for unlabelled rows too"],
    ),
    "probability zero": (
        lambda d: first("pi", list(labeled_rows(d)[:1]), 0.0)(d),
        {"sample_prob": "pi"},
        e.SampleProbabilityError,
        ["'pi'", "zero in 1 labelled row (first:", "drawn for labelling"],
    ),
    "probability negative": (
        first("pi", [1, 2], -0.1),
        {"sample_prob": "pi"},
        e.SampleProbabilityError,
        ["outside (0, 1]", "2 rows (first: 1, 2)"],
    ),
    "probability infinite": (
        first("pi", [1], np.inf),
        {"sample_prob": "pi"},
        e.SampleProbabilityError,
        ["outside (0, 1]", "1 row (first: 1)"],
    ),
    "probability in percent": (
        lambda d: {"pi": 40},
        {"sample_prob": "pi"},
        e.SampleProbabilityError,
        ["outside (0, 1]", "200 rows", "percentages: pass pi / 100"],
    ),
    "probability text": (
        lambda d: {"pi": "40%"},
        {"sample_prob": "pi"},
        e.ColumnTypeError,
        ["'pi'", "sample_prob", "'40%'"],
    ),
    "labeled not 0/1": (
        lambda d: {"lab": d["lab"] + 1},
        {"labeled": "lab"},
        e.LabelError,
        ["'lab'", f"found 2 in {LABELED} rows", "leave `labeled` out"],
    ),
    "labeled NaN": (
        first("lab", [4], np.nan),
        {"labeled": "lab"},
        e.LabelError,
        ["'lab'", "missing in 1 row (first: 4)"],
    ),
    "labeled text": (
        lambda d: {"lab": np.where(d["lab"] == 1, "yes", "no")},
        {"labeled": "lab"},
        e.ColumnTypeError,
        ["'lab'", "'yes'", "map({'no': 0, 'yes': 1})"],
    ),
    "gold NaN on labelled": (
        lambda d: first("y", list(labeled_rows(d)[:3]), np.nan)(d),
        {"labeled": "lab"},
        e.LabelError,
        ["'y'", "3 rows", "lab = 1", "set lab to 0"],
    ),
    "gold on unlabelled": (
        lambda d: {"y": d["y"].fillna(0.0)},
        {"labeled": "lab"},
        e.LabelError,
        ["'y'", f"{ROWS - LABELED} rows", "lab = 0", "set 'y' to missing"],
    ),
    "gold of one variable only": (
        lambda d: {"w": d["y"].where(d.index != labeled_rows(d)[0])},
        {"formula": "y ~ w", "predicted_var": ["y", "w"]},
        e.LabelError,
        ["1 row", "not of all", "'y', 'w'"],
    ),
    "no labelled rows": (lambda d: {"y": np.nan}, {}, e.LabelError, ["no labelled rows", "'y'", "random part"]),
    "no labelled rows, by column": (
        lambda d: {"y": np.nan, "lab": 0},
        {"labeled": "lab"},
        e.LabelError,
        ["no labelled rows"],
    ),
    "no labelled rows left": (
        lambda d: {"x": d["x"].where(d["lab"] == 0)},
        {},
        e.LabelError,
        ["every labelled row", "'x' (80)"],
    ),
    "no unlabelled rows left": (
        lambda d: {"x": d["x"].where(d["lab"] == 1)},
        {},
        e.DataError,
        ["every unlabelled row", "'x' (120)"],
    ),
    "no rows left": (lambda d: {"x": np.nan}, {}, e.DataError, ["no row is complete", "'x' (200)"]),
    "fewer labelled rows than folds": (
        lambda d: {"y": d["y"].where(d.index.isin(labeled_rows(d)[:4]) | (d["lab"] == 0))},
        {},
        e.FoldError,
        ["4 labelled rows", "cross_fit=5", "smaller cross_fit"],
    ),
    "fewer clusters than folds": (
        lambda d: {"cl": np.arange(ROWS) % 3},
        {"cluster": "cl"},
        e.FoldError,
        ["3 clusters", "cross_fit=5"],
    ),
    "logit outcome": (
        lambda d: {"y": d["y"] + 1},
        {"model": "logit"},
        e.OutcomeError,
        ["'y'", "is 2 in", "0 and 1", "model='lm'"],
    ),
    "logit outcome not predicted": (
        lambda d: {},
        {"model": "logit", "formula": "z ~ y"},
        e.OutcomeError,
        ["'z' is 2 in", "Recode"],
    ),
    "gold numbers as text": (
        lambda d: {"y": d["y"].map({0.0: "0", 1.0: "1"}).fillna("later")},
        {},
        e.ColumnTypeError,
        ["'y'", "pd.to_numeric(data['y'], errors='coerce')"],
    ),
    "gold numbers and blanks": (
        lambda d: {"y": d["y"].map({0.0: "0", 1.0: "1"}).fillna("")},
        {},
        e.MissingCodeError,
        ["'y' (predicted_var)", "is '' in 120 rows", "data['y'].mask(data['y'].str.strip() == '')"],
    ),
    "constant outcome": (lambda d: {"y": d["y"] * 0}, {}, e.OutcomeError, ["'y' is 0", "80 labelled rows"]),
    "constant column": (
        lambda d: {"k": 3.0},
        {"formula": "y ~ x + k"},
        e.CollinearityError,
        ["'k'", "constant", "take them out"],
    ),
    "zero column": (lambda d: {"k": 0.0}, {"formula": "y ~ x + k"}, e.CollinearityError, ["'k'", "zero in every row"]),
    "constant category": (
        lambda d: {"g": "a"},
        {"formula": "y ~ x + g"},
        e.CollinearityError,
        ["'g'", "same value", "take it out"],
    ),
    "constant predicted covariate": (
        lambda d: {"y": d["y"] * 0 + 1},
        {"formula": "x ~ y"},
        e.CollinearityError,
        ["'y'", "constant"],
    ),
    "collinear columns": (
        lambda d: {"k": 2 * d["x"] - 1},
        {"formula": "y ~ z + x + k"},
        e.CollinearityError,
        ["'x', 'k'", "linear combinations"],
    ),
    "constant within fixed effects": (
        lambda d: {"k": d["cl"] * 2.0},
        {"formula": "y ~ x + k | cl", "model": "felm"},
        e.CollinearityError,
        ["'k'", "within the fixed effects"],
    ),
    "separation": (
        lambda d: {"k": (d["y"].fillna(d["llm"]) > 0) * 1.0},
        {"formula": "y ~ k", "model": "logit"},
        e.SeparationError,
        ["'k'", "perfect separation", "Label more rows"],
    ),
    "infinite covariate": (
        first("x", [4, 7], np.inf),
        {},
        e.InfiniteValueError,
        ["'x'", "2 rows (first: 4, 7)", "set these values to missing"],
    ),
    "infinite gold": (
        lambda d: first("y", list(labeled_rows(d)[:1]), -np.inf)(d),
        {},
        e.InfiniteValueError,
        ["'y'", "1 row"],
    ),
    "infinite prediction": (first("llm", [0], np.inf), {}, e.InfiniteValueError, ["'llm'", "1 row (first: 0)"]),
    "infinite term": (lambda d: {}, {"formula": "y ~ log(z)"}, e.InfiniteValueError, ["'log(z)'", "log1p"]),
    "no rows": (lambda d: {}, {"rows": 0}, e.DataError, ["no rows"]),
    "numbers as text": (
        lambda d: {"x": d["x"].map(str).where(d.index != 7, "n/a")},
        {},
        e.ColumnTypeError,
        ["'x'", "199 different numbers", "'n/a'", "pd.to_numeric"],
    ),
    "free text covariate": (
        lambda d: {"t": [f"post {i}" for i in range(ROWS)]},
        {"formula": "y ~ t"},
        e.ColumnTypeError,
        ["'t'", "200 different text values", "broader categories"],
    ),
    "free text feature": (
        lambda d: {"t": [f"post {i}" for i in range(ROWS)]},
        {"feature": "t"},
        e.ColumnTypeError,
        ["'t'", "200 different", "embeddings"],
    ),
    "lists in a column": (
        lambda d: {"t": [[1, 2]] * ROWS},
        {"feature": "t"},
        e.ColumnTypeError,
        ["'t'", "feature", "a list", "several columns"],
    ),
    "complex covariate": (lambda d: {"x": d["x"] + 1j}, {}, e.ColumnTypeError, ["'x'", "complex"]),
    "dates": (
        lambda d: {"y": pd.Series(pd.date_range("2020-01-01", periods=ROWS)).where(d["lab"] == 1)},
        {},
        e.ColumnTypeError,
        ["'y'", "predicted_var", "dates", ".dt.days"],
    ),
    "durations": (
        lambda d: {"t": pd.to_timedelta(np.arange(ROWS), unit="D")},
        {"formula": "y ~ x + t"},
        e.ColumnTypeError,
        ["'t'", "durations in 200 rows (first: 0, 1, 2)", ".dt.total_seconds()"],
    ),
    "naive from text": (
        lambda d: {"llm": d["llm"].map({0.0: "no", 1.0: "yes"})},
        {"estimator": "naive"},
        e.ColumnTypeError,
        ["'llm'", "prediction", "'yes'"],
    ),
}


@pytest.mark.filterwarnings("ignore::dsl.exceptions.FewLabelsWarning")
@pytest.mark.parametrize("case", DATA)
def test_data_errors(case: str) -> None:
    change, arguments, error, words = DATA[case]
    arguments = dict(arguments)
    data = posts()
    data = data.assign(**change(data)).iloc[: arguments.pop("rows", ROWS)]
    with pytest.raises(error) as caught:
        run(data, **arguments)
    assert type(caught.value) is error
    assert isinstance(caught.value, dsl.DSLError)
    for word in words:
        assert word in str(caught.value)


def test_duplicate_column_names() -> None:
    data = posts()
    twice = pd.concat([data, data[["x"]]], axis=1)
    with pytest.raises(e.DataError, match=r"more than one column named 'x'.*duplicated"):
        run(twice)
    np.testing.assert_allclose(run(twice, "y ~ z").params, run(data, "y ~ z").params)  # unused: no harm


def test_all_rows_labelled_is_the_ordinary_regression() -> None:
    data = posts().assign(y=lambda d: (d["x"] + d["llm"] > 0.5).astype(float))
    with pytest.warns(e.AllLabeledWarning, match="ordinary regression"):
        fit = run(data)
    ordinary = np.linalg.lstsq(np.column_stack([np.ones(ROWS), data["x"]]), data["y"], rcond=None)[0]
    np.testing.assert_allclose(fit.params, ordinary, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")  # probabilities by which nothing was drawn
def test_uneven_weights_warn() -> None:
    data = posts()
    rare = labeled_rows(data)[:2]
    data["pi"] = np.where(data.index.isin(rare), 0.001, 0.9)
    with pytest.warns(e.FewLabelsWarning, match=r"80 labelled rows count for only 2\.\d \(the weights vary from"):
        run(data, sample_prob="pi")


def test_few_labels_warn() -> None:
    data = posts().drop(columns="lab")
    data.loc[np.random.default_rng(1).permutation(labeled_rows(posts()))[29:], "y"] = np.nan
    with pytest.warns(e.FewLabelsWarning, match=r"29 labelled rows count for only 29\.0: .*label more rows"):
        run(data)


def test_more_coefficients_than_labels_warn() -> None:
    data = posts().assign(h=lambda d: d.index % 90)
    with pytest.warns(e.FewLabelsWarning, match="90 coefficients rest on 80 labelled rows"):
        run(data, "y ~ factor(h)")
    with pytest.raises(e.FormulaError, match="200 coefficients for 200 rows"):
        run(data.assign(h=range(ROWS)), "y ~ factor(h)")


def test_singular_jacobian() -> None:
    """The gold correction cancels the variation of the predicted covariate."""
    from dsl.engine.blocks import Block
    from dsl.engine.fit import fit_split
    from dsl.engine.models.linear import LINEAR
    from dsl.engine.sums import Problem

    rows = np.arange(2)
    block = Block(
        fixed=np.ones((4, 1)),
        predicted=np.array([[1.0], [-1.0], [1.0], [-1.0]]),
        outcome=np.arange(4.0),
        gold_rows=rows,
        gold=np.zeros((2, 1)),
        gold_outcome=np.zeros(2),
        weight=np.full(2, 2.0),
    )
    with pytest.raises(e.SingularJacobianError, match=r"cannot be inverted.*'label'.*label more rows"):
        fit_split(block, Problem(link=LINEAR, names=("Intercept", "label")))


@pytest.mark.parametrize(
    ("seed", "error", "words"),
    [
        (22, e.ConvergenceError, "no root.*too small for 2 coefficients"),
        (0, e.SeparationError, "'Intercept'.*infinite"),
    ],
)
def test_moments_without_a_root(seed: int, error: type[Exception], words: str) -> None:
    """Six labelled rows with weight ten and predictions that have nothing to do with them."""
    from dsl.engine.blocks import Block
    from dsl.engine.fit import fit_split
    from dsl.engine.models.logistic import LOGISTIC
    from dsl.engine.sums import Problem

    rng = np.random.default_rng(seed)
    predicted = rng.normal(size=(60, 1))
    rows = np.sort(rng.choice(60, 6, replace=False))
    block = Block(
        fixed=np.ones((60, 1)),
        predicted=predicted,
        outcome=rng.random(60),
        gold_rows=rows,
        gold=rng.normal(size=(6, 1)),
        gold_outcome=(rng.random(6) < 0.5) * 1.0,
        weight=np.full(6, 10.0),
    )
    with pytest.raises(error, match=words):
        fit_split(block, Problem(link=LOGISTIC, names=("Intercept", "label")))


def test_warnings_point_at_the_caller() -> None:
    data = posts()
    data.loc[3, "x"] = np.nan
    with pytest.warns(e.DroppedRowsWarning) as caught:
        run(data)
    assert caught[0].filename.endswith("posts.py")


def test_one_root() -> None:
    for name, thing in vars(e).items():
        if isinstance(thing, type):
            assert issubclass(thing, (e.DSLError, e.DSLWarning)), name
            assert thing.__doc__


@pytest.mark.parametrize("formula", ["y ~ log(x)", "log(x) ~ y", "y ~ z + offset(log(x))"])
def test_rows_are_named_by_their_labels(formula: str) -> None:
    """Also after rows were dropped: the label in the message is the one in the user's table."""
    data = posts().set_axis([f"post{j}" for j in range(ROWS)])
    data["x"] = data["x"] - data["x"].min() + 1
    data.loc["post7", "x"] = 0.0
    data["z"] = data["z"].astype(float)
    data.loc["post2", "x"] = np.nan
    with (
        pytest.warns(dsl.exceptions.DroppedRowsWarning),
        pytest.raises(dsl.exceptions.InfiniteValueError, match=r"1 row \(first: post7\)"),
    ):
        run(data, formula=formula)
