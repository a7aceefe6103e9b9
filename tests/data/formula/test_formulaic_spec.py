"""Formulas that are formulaic's own objects: formulaic's numbers and names, at gold values and at predictions."""

import pickle
from typing import Any

import formulaic
import numpy as np
import pandas as pd
import polars as pl
import pytest
from formulaic import Formula

import dsl
from dsl.data.formula.formulaic_spec import FormulaicColumns
from dsl.data.formula.matrices import Design, build, build_each, parse
from dsl.exceptions import (
    AllLabeledWarning,
    ArgumentError,
    CollinearityError,
    ColumnTypeError,
    DataError,
    DroppedRowsWarning,
    DSLError,
    FormulaError,
    InfiniteValueError,
    MissingColumnError,
)
from tests.posts import ROWS, posts, run

QUICK: dict[str, Any] = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1}
TOPICS: dict[str, Any] = {"predicted_var": "topic", "prediction": "guess"}


def table() -> pd.DataFrame:
    """`posts` with a predicted count, a predicted topic, and names that need quotes."""
    data, rng = posts(), np.random.default_rng(8)
    gold = data["lab"] == 1
    guess = rng.choice(["art", "law", "war"], ROWS)
    topic = np.where(rng.random(ROWS) < 0.7, guess, "law")
    return data.assign(
        count=np.where(gold, rng.poisson(6, ROWS) + 1.0, np.nan),
        topic=np.where(gold, topic, None),
        guess=guess,
        **{"a.b": rng.normal(size=ROWS), "my col": rng.normal(size=ROWS)},
    )


def test_dates_are_no_numbers_of_formulaic() -> None:
    data = posts().assign(day=pd.date_range("2020-01-01", periods=ROWS))
    with pytest.raises(ColumnTypeError, match=r"'day' \(formula\) holds dates, of which formulaic makes no numbers"):
        run(data, Formula("x ~ y + day"))
    with pytest.raises(FormulaError, match=r"formulaic cannot evaluate.*durations"):
        run(data, Formula("x ~ y + I(day - day.min())"))
    data["month"] = data["day"].dt.to_period("M")
    same = run(data, "x ~ y + factor(month)")
    # as text: not every version of formulaic knows its own levels of dates again
    text = data.assign(month=data["month"].astype(str))
    np.testing.assert_allclose(run(text, Formula("x ~ y + C(month)")).params, same.params, rtol=1e-9)


def design(formula: Any, predicted: tuple[str, ...] = ("y",), **caller: Any) -> Design:
    data = table().assign(topic=lambda d: d["topic"].astype("category"))
    parsed = parse(formula, list(data.columns), caller)
    return build(parsed, data, data["lab"].to_numpy() == 1, predicted)


def values_of(name: str) -> dict[str, Any]:
    """Predictions that no row has as its gold value."""
    return {name: np.random.default_rng(5).uniform(1.0, 9.0, ROWS)}


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x",
        "y ~ x * C(g) + np.log(words)",
        "x ~ y",
        "x ~ y * C(g) + y:words",
        "x ~ 0 + C(g) + y",
        "x ~ C(g, contr.sum):y + words",
        "x ~ scale(y) + bs(words, df=5) + poly(words, 2)",
        "np.exp(y) ~ x + g",
        "scale(y) ~ x",
        "x ~ np.exp(y / 3) + scale(words):y",
        "x ~ `my col` + y + `a.b`",
        "x ~ y + words + words:g",
    ],
)
def test_same_columns_as_the_string_where_the_languages_agree(formula: str) -> None:
    ours, theirs = design(formula), design(Formula(formula))
    assert theirs.covariates.names == ours.covariates.names
    assert theirs.covariates.r_names == theirs.covariates.names
    assert theirs.covariates.direct == ours.covariates.direct
    assert (theirs.beside, theirs.linear) == (ours.beside, ours.linear)
    assert theirs.covariates.spec.required == ours.covariates.spec.required
    assert theirs.outcome.variables == ours.outcome.variables
    assert theirs.outcome.predicted_index == ours.outcome.predicted_index
    np.testing.assert_array_equal(theirs.order, ours.order)
    at = values_of("y")
    pairs = [
        (theirs.covariates.fixed, ours.covariates.fixed),
        (theirs.gold, ours.gold),
        (theirs.gold_outcome, ours.gold_outcome),
        (theirs.covariates.at(at), ours.covariates.at(at)),
        (theirs.outcome_at(at), ours.outcome_at(at)),
    ]
    for their, our in pairs:
        np.testing.assert_allclose(their, our, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("estimator", ["dsl", "dsl+", "gold_only", "naive", "ppi++", "cdi"])
@pytest.mark.parametrize("formula", ["y ~ x + C(g)", "x ~ y * C(g)", "x ~ C(g, contr.sum):y + words"])
def test_same_fit_as_the_string(formula: str, estimator: str) -> None:
    ours, theirs = run(posts(), formula, estimator=estimator), run(posts(), Formula(formula), estimator=estimator)
    assert list(theirs.params.index) == list(ours.params.index)
    np.testing.assert_allclose(theirs.params, ours.params, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(theirs.bse, ours.bse, rtol=1e-11)


@pytest.mark.parametrize(
    "formula",
    [
        "x ~ y * C(g, contr.sum)",
        "x ~ C(g, contr.treatment(base='b')) + y",
        "x ~ C(g, contr.helmert) + y:words",
        "x ~ C(g, contr.poly) + I(y**2 + words)",
        "x ~ y + I(words^2)",
        "{y + 2 * x} ~ C(g, levels=['c', 'a', 'b']) + bs(words, df=4)",
    ],
)
def test_fully_labelled_data_give_least_squares_on_formulaics_matrix(formula: str) -> None:
    data = posts().assign(y=lambda d: d["llm"])
    with pytest.warns(AllLabeledWarning):
        fit = run(data, Formula(formula))
    left, right = formulaic.model_matrix(formula, data)
    x, outcome = right.to_numpy(dtype=float), left.to_numpy(dtype=float)[:, 0]
    expected, *_ = np.linalg.lstsq(x, outcome)
    residuals = outcome - x @ expected
    bread = np.linalg.inv(x.T @ x)
    assert list(fit.params.index) == list(right.columns)
    np.testing.assert_allclose(fit.params, expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(fit.cov_params(), bread @ (x.T * residuals**2) @ x @ bread, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(fit.predict(data.iloc[:7]), (x @ expected)[:7], rtol=1e-9, atol=1e-10)


def test_exclusive_or_is_formulaics() -> None:
    made = design(Formula("y ~ I(words^2)")).covariates
    words = posts()["words"].to_numpy()
    np.testing.assert_array_equal(made.fixed[:, 1], words ^ 2)
    assert design("y ~ I(words^2)").covariates.fixed[3, 1] == words[3] ** 2


def test_states_of_predicted_terms_are_those_of_the_gold_values() -> None:
    """Formulaic's own spec of the labelled rows, evaluated by formulaic at the predictions."""
    right = "scale(count) + bs(count, df=4, lower_bound=0, upper_bound=20) + poly(count, 2) + center(count):words"
    made = design(Formula(f"x ~ {right}"), ("count",)).covariates
    data = table()
    spec = formulaic.model_matrix(right, data[data["lab"] == 1]).model_spec
    for values in (values_of("count"), {"count": np.full(ROWS, 3.0)}):
        expected = spec.get_model_matrix(data.assign(**values))
        assert list(expected.columns) == list(made.names)
        np.testing.assert_allclose(
            made.at(values), expected.iloc[:, list(made.predicted_index)], rtol=1e-12, atol=1e-12
        )


def test_states_of_other_terms_are_those_of_all_rows() -> None:
    data = table()
    made = design(Formula("x ~ scale(words) + y:C(g)")).covariates
    expected = (data["words"] - data["words"].mean()) / data["words"].std(ddof=1)
    np.testing.assert_allclose(made.fixed[:, made.names.index("scale(words)")], expected, rtol=1e-12)


@pytest.mark.parametrize("convert", [lambda frame: frame, pl.from_pandas], ids=["pandas", "polars"])
def test_fitted_specification_keeps_its_states(convert: Any) -> None:
    other = posts().assign(y=1.0, words=lambda d: d["words"] * 3.0 + 7.0, g=np.resize(["a", "b", "c", "d"], ROWS))
    formula = "x ~ scale(words) + C(g, contr.sum) + y:scale(words)"
    spec = formulaic.model_matrix(formula, convert(other[["x", "y", "words", "g"]])).model_spec
    before = pickle.dumps(spec.rhs.transform_state)
    made = design(spec).covariates
    mean, deviation = other["words"].mean(), other["words"].std(ddof=1)
    scaled = (posts()["words"].to_numpy() - mean) / deviation
    at = values_of("y")
    assert [name for name in made.names if name.startswith("C(")] == [f"C(g, contr.sum)[S.{level}]" for level in "abc"]
    np.testing.assert_allclose(made.fixed[:, 1], scaled, rtol=1e-12)
    np.testing.assert_allclose(made.at(at)[:, 0], scaled * at["y"], rtol=1e-12)
    assert pickle.dumps(spec.rhs.transform_state) == before


def test_specification_without_states_keeps_its_options() -> None:
    spec = formulaic.ModelSpec.from_spec(Formula("y ~ x + C(g)"), ensure_full_rank=False)
    assert design(spec).covariates.names == ("Intercept", "x", "C(g)[a]", "C(g)[b]", "C(g)[c]")


@pytest.mark.parametrize(
    "formula", ["topic ~ x * g", "x ~ topic", "x ~ C(topic, contr.sum) * words", "x ~ topic:words + g"]
)
def test_categories_as_predicted_variables(formula: str) -> None:
    ours, theirs = run(table(), formula, **TOPICS), run(table(), Formula(formula), **TOPICS)
    assert list(theirs.params.index) == list(ours.params.index)
    np.testing.assert_allclose(theirs.params, ours.params, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(theirs.bse, ours.bse, rtol=1e-10)


def test_numbers_made_categories_are_averaged_over_their_classes() -> None:
    data = table().assign(code=lambda d: np.where(d["lab"] == 1, d["words"] % 3 + 1.0, np.nan))
    asked = {"predicted_var": "code", "prediction": "z"}
    ours, theirs = run(data, "x ~ C(code)", **asked), run(data, Formula("x ~ C(code)"), **asked)
    assert list(theirs.params.index) == list(ours.params.index) == ["Intercept", "C(code)[T.2.0]", "C(code)[T.3.0]"]
    np.testing.assert_allclose(theirs.params, ours.params, rtol=1e-10)


def test_outcome_of_two_categories_has_one_equation() -> None:
    data = table().assign(topic=lambda d: d["topic"].replace("art", "law").astype("category"))
    labeled = data["lab"].to_numpy() == 1
    (made,), levels = build_each(parse(Formula("topic ~ x"), list(data.columns)), data, labeled, ("topic",))
    assert levels == ()
    assert made.outcome.name == "I(topic == 'war')"
    np.testing.assert_array_equal(made.gold_outcome, (data["topic"][labeled] == "war").to_numpy(dtype=float))


def test_logit_and_fixed_effects() -> None:
    logit = run(posts(), Formula("y ~ x + g"), model="logit")
    np.testing.assert_allclose(logit.params, run(posts(), "y ~ x + g", model="logit").params, rtol=1e-9)
    for formula in ("x ~ y + words", "x ~ 0 + words + y", "x ~ words + y:C(g)"):
        effects = run(posts(), Formula(formula), model="felm", index="cl")
        string = run(posts(), f"{formula} | cl", model="felm")
        assert list(effects.params.index) == list(string.params.index)
        np.testing.assert_allclose(effects.params, string.params, rtol=1e-10, atol=1e-12)
    fitted = formulaic.model_matrix("x ~ y + words", posts().assign(y=1.0)).model_spec
    again = run(posts(), fitted, model="felm", index="cl")
    np.testing.assert_allclose(again.params[["y", "words"]], run(posts(), "x ~ y + words | cl", model="felm").params)


def test_missing_values_are_dropped_with_the_warning() -> None:
    data = posts()
    data.loc[[1, 2, 3], "words"] = np.nan
    data.loc[[3, 4], "g"] = None
    formula = Formula("x ~ y + bs(words, df=4) + C(g, contr.sum)")
    with pytest.warns(
        DroppedRowsWarning, match=r"4 of 200 rows left out.*'words' \(3\).*'g' \(2\)|'g' \(2\).*'words' \(3\)"
    ):
        fit = run(data, formula)
    left = run(data.drop(index=[1, 2, 3, 4]), formula)
    np.testing.assert_array_equal(fit.params, left.params)


def doubled(column: Any) -> Any:
    return 2 * column


def test_the_callers_functions_and_numbers() -> None:
    import numpy as numbers

    by = 3.0
    weights = {"first": [1.0, 0.0, -1.0]}
    fit = dsl.dsl(Formula("x ~ doubled(y) + {numbers.log(words) * by} + C(g, weights)"), posts(), **QUICK)
    assert list(fit.params.index)[1] == "doubled(y)"
    plain = run(
        posts().assign(w=lambda d: 3 * np.log(d["words"]), v=lambda d: (d["g"] == "a") * 1.0 - (d["g"] == "c")),
        "x ~ y + w + v",
    )
    assert fit.params["doubled(y)"] == pytest.approx(plain.params["y"] / 2, rel=1e-9)
    assert np.isfinite(fit.predict(posts().assign(y=1.0))).all()
    assert set(fit.compare(posts(), estimators="gold_only").fits) == {"dsl", "gold_only"}
    assert by == 3.0
    assert numbers is np
    assert weights


@pytest.mark.parametrize(
    ("formula", "error", "words"),
    [
        (Formula("y ~ x | g"), FormulaError, ["one right-hand side", "index='unit'"]),
        (Formula("x + z"), FormulaError, ["no outcome", "two sides"]),
        (formulaic.model_matrix("x", posts()).model_spec, FormulaError, ["no outcome", "model_matrix('y ~ x', data)"]),
        (formulaic.model_matrix("x ~ z", posts()), ArgumentError, ["ModelMatrices", ".model_spec"]),
        (3, ArgumentError, ["string", "formulaic", "int"]),
        (Formula("y + x ~ z"), FormulaError, ["one outcome", "{y + x}"]),
        (Formula("1 ~ z"), FormulaError, ["one outcome"]),
        (Formula(lhs="y", rhs="x", weights="z"), FormulaError, ["part(s) weights"]),
        (Formula("y ~ 0"), FormulaError, ["no columns"]),
        (Formula("y ~ x + offset(z)"), FormulaError, ["'offset'", "as a string"]),
        (Formula("y ~ x + {z.foo + 1}"), FormulaError, ["z.foo"]),
        (Formula("y ~ x + z.foo"), MissingColumnError, ["z.foo"]),
        (Formula("y ~ nothere"), MissingColumnError, ["'nothere'", "formula"]),
        (Formula("y ~ scale(wrds)"), MissingColumnError, ["'wrds'", "words"]),
        (Formula("x ~ z"), FormulaError, ["'y' does not occur", "x ~ 1 + z"]),
        (Formula("x ~ y + I(y^2)"), FormulaError, ["I(y ^ 2)", "a power is '**'"]),
        (Formula("g ~ y"), FormulaError, ["'g' of", "holds categories", "I(g == 'c')"]),
        (Formula("C(words > 30) ~ y"), FormulaError, ["2 columns", "0/1"]),
        (Formula("poly(x, 2) ~ y"), FormulaError, ["2 columns"]),
        (Formula("x ~ y + I(words - words.mean())"), FormulaError, ["which other rows", "center()"]),
        (Formula("x ~ I(y / np.max(y))"), FormulaError, ["which other rows"]),
        (Formula("x ~ y:I(words / np.max(words))"), FormulaError, ["which other rows"]),
        (Formula("I(y - np.mean(y)) ~ x"), FormulaError, ["which other rows"]),
        (Formula("I(x - np.mean(x)) ~ y"), FormulaError, ["which other rows"]),
        (Formula("x ~ y + np.log(x)"), InfiniteValueError, ["'np.log(x)'", "undefined"]),
        (Formula("x ~ y + np.log(z)"), InfiniteValueError, ["'np.log(z)'", "infinite"]),
        (Formula("x ~ np.log(y)"), InfiniteValueError, ["'np.log(y)'"]),
        (Formula("y ~ lag(x)"), InfiniteValueError, ["lag(x)"]),
        (Formula("y ~ x + C(z >= 0)"), CollinearityError, ["same value in every row"]),
        (Formula("y ~ x + I(2 * x)"), CollinearityError, ["'x'", "I(2 * x)"]),
        (Formula("x ~ C(g, levels=['a', 'b']) + y"), DataError, ["'c'", "recode"]),
    ],
)
def test_misuse_is_explained(formula: Any, error: type[DSLError], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        dsl.dsl(formula, posts(), **QUICK)
    for word in words:
        assert word in str(caught.value)


def test_columns_may_be_called_as_functions_are() -> None:
    data = posts().assign(scale=1.0, np=2.0, log=lambda d: d["words"])
    fit = run(data, Formula("x ~ y + scale(words) + np.sqrt(words)"))
    plain = run(posts(), Formula("x ~ y + scale(words) + np.sqrt(words)"))
    np.testing.assert_array_equal(fit.params, plain.params)
    assert list(run(data, Formula("x ~ y + log")).params.index) == ["Intercept", "y", "log"]


def test_arrays_of_the_callers_are_no_columns() -> None:
    outside = posts()["z"].to_numpy() * np.resize([1.0, 2.0, 3.0], ROWS)
    big = np.resize(outside, 2000)
    assert outside.size < big.size
    with pytest.raises(MissingColumnError, match="'big'"):
        dsl.dsl(Formula("y ~ x + big"), posts(), **QUICK)


def test_saved_results_predict_for_new_rows(tmp_path: Any) -> None:
    fit = run(posts(), Formula("x ~ y * C(g, contr.sum) + scale(words) + np.sqrt(words) + g:np.log(words)"))
    assert pickle.loads(pickle.dumps(run(posts(), Formula("x ~ y + I(np.pi * words)")))).nobs == ROWS
    fit.save(str(tmp_path / "fit.pickle"))
    again = dsl.DSLResults.load(str(tmp_path / "fit.pickle"), trusted=True)
    new = posts().iloc[[5, 3]].assign(y=[0.0, 1.0])
    np.testing.assert_array_equal(again.predict(new), fit.predict(new))
    whole = fit.predict(posts().assign(y=np.resize([0.0, 1.0], ROWS)))
    assert fit.predict(posts().assign(y=np.resize([0.0, 1.0], ROWS)).iloc[:1]).iloc[0] == pytest.approx(whole.iloc[0])
    assert again.call.formula_text == fit.call.formula_text
    with pytest.raises(DataError, match=r"did not have: 'zebra'"):
        again.predict(new.assign(g="zebra"))
    with pytest.raises(DataError, match="missing"):
        again.predict(new.assign(words=np.nan))
    contrasts = run(posts(), Formula("x ~ y + C(g, contr.sum)"))
    with pytest.raises(DataError, match="zebra"):
        contrasts.predict(new.assign(g="zebra"))
    assert fit.params_r.index.tolist() == fit.params.index.tolist()


def test_missing_categories_never_become_the_base_level() -> None:
    spec = design(Formula("y ~ g + C(z)")).covariates.spec
    assert isinstance(spec, FormulaicColumns)
    for change in ({"g": None}, {"z": np.nan}):
        with pytest.raises((InfiniteValueError, DataError)):
            spec.columns(posts().assign(**change))
    assert spec.kinds["g"] is not None
    assert spec.kinds["g"].levels == ("a", "b", "c")


def test_what_terms_are_made_of() -> None:
    spec = design(Formula("x ~ y:C(g) + `a.b` * words + topic"), ("y", "topic")).covariates.spec
    found = {name for term in spec.term_columns for part in term for name in part[0]}
    assert found == {"y", "g", "a.b", "words", "topic"}
    assert (frozenset({"a.b"}), False) in {part for term in spec.term_columns for part in term}
    assert (frozenset({"g"}), True) in {part for term in spec.term_columns for part in term}
    assert design(Formula("x ~ y:C(g) + `a.b`:y + words"), ("y",)).beside == ("a.b", "g")


def test_columns_are_found_in_any_expression() -> None:
    """Formulaic's own list of required variables leaves out those of the first three."""
    for formula in (
        "x ~ y + bs(words, df=4)",
        "x ~ y + {(words + z).abs()}",
        "x ~ y + I(words**2)",
        "x ~ y + C(words > 9)",
    ):
        data = posts()
        data.loc[[0, 1], "words"] = np.nan
        with pytest.warns(DroppedRowsWarning, match="'words'"):
            fit = run(data, Formula(formula))
        assert fit.nobs == ROWS - 2
    assert design(Formula("x ~ {(y + words).abs()}")).covariates.predicted_index == (1,)
