"""R's formulas without R: names in both spellings, the meaning of numbers, and every refusal with its advice."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.data.formula.matrices import Design, build, parse
from dsl.data.formula.rlang.functions import REFUSED
from dsl.data.formula.rlang.syntax import REFUSED as REFUSED_SYNTAX
from dsl.exceptions import CollinearityError, DataError, FormulaError
from tests.posts import posts

ROWS = 40


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "y": rng.normal(size=ROWS),
            "x": rng.normal(size=ROWS) + 4,
            "z": rng.uniform(1, 5, size=ROWS),
            "k": rng.integers(0, 5, ROWS),
            "year": rng.choice([1999, 2001, 2004], ROWS),
            "share": rng.choice([1.0, 2.5], ROWS),
            "b": rng.random(ROWS) > 0.5,
            "g": rng.choice(["a", "b", "c"], ROWS),
            "o": pd.Categorical(rng.choice(list("lmh"), ROWS), categories=list("lmh"), ordered=True),
            "a.b": rng.normal(size=ROWS),
            "my var": rng.normal(size=ROWS),
            "day": pd.to_datetime(rng.choice(["2020-01-01", "2020-01-02"], ROWS)),
        }
    )


def design(formula: str, data: pd.DataFrame, predicted: tuple[str, ...] = (), **caller: Any) -> Design:
    labeled = np.ones(len(data), dtype=bool)
    return build(parse(formula, list(data.columns), {"np": np, **caller}), data, labeled, predicted)


@pytest.mark.parametrize(
    ("side", "python", "r"),
    [
        ("x", ["Intercept", "x"], ["(Intercept)", "x"]),
        ("g", ["Intercept", "g[T.b]", "g[T.c]"], ["(Intercept)", "gb", "gc"]),
        ("g - 1", ["g[a]", "g[b]", "g[c]"], ["ga", "gb", "gc"]),
        ("b", ["Intercept", "b"], ["(Intercept)", "bTRUE"]),
        ("b - 1", ["b[False]", "b[True]"], ["bFALSE", "bTRUE"]),
        ("o", ["Intercept", "o[.L]", "o[.Q]"], ["(Intercept)", "o.L", "o.Q"]),
        (
            "as.factor(year)",
            ["Intercept", "as_factor(year)[T.2001]", "as_factor(year)[T.2004]"],
            ["(Intercept)", "as.factor(year)2001", "as.factor(year)2004"],
        ),
        ("factor(share)", ["Intercept", "factor(share)[T.2.5]"], ["(Intercept)", "factor(share)2.5"]),
        ("factor(day)", ["Intercept", "factor(day)[T.2020-01-02 00:00:00]"], None),
        ("I(x^2)", ["Intercept", "I(x ** 2)"], ["(Intercept)", "I(x^2)"]),
        ("I(x**2)", ["Intercept", "I(x ** 2)"], ["(Intercept)", "I(x^2)"]),
        ("{x + 1}", ["Intercept", "x + 1"], None),
        ("poly(x,2)", ["Intercept", "poly(x, 2)[1]", "poly(x, 2)[2]"], ["(Intercept)", "poly(x, 2)1", "poly(x, 2)2"]),
        ("bs(x,df=3)", ["Intercept", *(f"bs(x, df=3)[{j}]" for j in (1, 2, 3))],
         ["(Intercept)", *(f"bs(x, df = 3){j}" for j in (1, 2, 3))]),
        ("np.log1p(z)", ["Intercept", "np.log1p(z)"], ["(Intercept)", "np.log1p(z)"]),
        ("`my var` + a.b", ["Intercept", "my var", "a.b"], ["(Intercept)", "`my var`", "a.b"]),
        ("year == 2001", ["Intercept", "year == 2001"], ["(Intercept)", "year == 2001TRUE"]),
        ("g:x", ["Intercept", "g[a]:x", "g[b]:x", "g[c]:x"], ["(Intercept)", "ga:x", "gb:x", "gc:x"]),
        ("C(g, contr.sum)", ["Intercept", "C(g, contr.sum)[S.a]", "C(g, contr.sum)[S.b]"],
         ["(Intercept)", "C(g, contr.sum)1", "C(g, contr.sum)2"]),
        ("C(g, contr.treatment(base='b'))", ["Intercept", "C(g, contr.treatment(base='b'))[T.a]",
                                             "C(g, contr.treatment(base='b'))[T.c]"], None),
        ("C(g, Treatment('c'))", ["Intercept", "C(g, Treatment('c'))[T.a]", "C(g, Treatment('c'))[T.b]"], None),
        ("C(g, contr.helmert)", ["Intercept", "C(g, contr.helmert)[H.b]", "C(g, contr.helmert)[H.c]"], None),
        ("C(g, contr.diff)", ["Intercept", "C(g, contr.diff)[D.b]", "C(g, contr.diff)[D.c]"], None),
        ("C(g, contr.poly)", ["Intercept", "C(g, contr.poly)[.L]", "C(g, contr.poly)[.Q]"], None),
        ("cr(x, df=3)", ["Intercept", *(f"cr(x, df=3)[{j}]" for j in (1, 2, 3))], None),
        ("center(x) + standardize(x)", ["Intercept", "center(x)", "standardize(x)"], None),
        ("Q('my var')", ["Intercept", "Q('my var')"], None),
        ("x.z", None, None),
    ],
)  # fmt: skip
def test_names(data: pd.DataFrame, side: str, python: list[str] | None, r: list[str] | None) -> None:
    if python is None:
        assert "x.z" in parse(f"y ~ {side}", list(data.columns)).variables  # a column with a dot in its name
        return
    made = design(f"y ~ {side}", data)
    assert list(made.covariates.names) == python
    if r is not None:
        assert list(made.r_names) == r


def test_columns_are_in_rs_order(data: pd.DataFrame) -> None:
    made = design("y ~ b:x + g*x + z", data)
    assert made.r_names == ("(Intercept)", "gb", "gc", "x", "z", "bTRUE:x", "x:gb", "x:gc")


def test_powers_quotients_and_large_numbers_are_those_of_numbers(data: pd.DataFrame) -> None:
    big = data.assign(k=data["k"] + 10**9)
    column = design("y ~ I(k^2) + I(k * k) + I(k / 2) + I(k %/% 2) + I(-k %% 3) + I(2^-1 * k)", big).covariates.fixed[
        :, 1:
    ]
    k = big["k"].to_numpy(dtype=float)
    np.testing.assert_array_equal(column.T, [k**2, k * k, k / 2, k // 2, np.mod(-k, 3), k / 2])


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_functions_refused_with_the_reason(name: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(f"y ~ x + {name}(z)", ["y", "x", "z"])
    assert f"calls '{name}': {REFUSED[name]}" in str(caught.value)
    assert len(REFUSED[name]) > 15


@pytest.mark.parametrize(
    ("sign", "formula"),
    [("$", "y ~ d$x"), ("@", "y ~ d@x"), ("[", "y ~ x[1]"), ("[[", 'y ~ d[["x"]]'), ("<-", "m <- y ~ x"), ("->", "y ~ x -> m"),
     ("|>", "y ~ x |> log()"), ("\\", "y ~ (\\(u) u)(x)"), ("?", "y ~ ?x"), ("=", "y ~ x = 2")],
)  # fmt: skip
def test_syntax_refused_with_the_reason(sign: str, formula: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(formula, ["y", "x", "z"])
    assert REFUSED_SYNTAX[sign] in str(caught.value)


def test_every_refused_sign_is_tried() -> None:
    assert set(REFUSED_SYNTAX) == {"$", "@", "[", "[[", "<-", "->", "|>", "\\", "?", "="}


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ x + (1 | g)", ["random effects", "cluster='g'", "'y ~ x | g'", "I(a | b)"]),
        ("y ~ (x | g)", ["random effects"]),
        ("y ~ x | k | 0", ["several parts behind '|'", "cluster="]),
        ("y ~ x %o% z", ["'%o%' cannot be used", "compute the column first"]),
        ("cbind(y, x) ~ z", ["one outcome", "cbind()"]),
        ("y + x ~ z", ["one outcome", "I(y + x)"]),
        ("y ~ x ~ z", ["more than one '~'"]),
        ("y ~ y + x", ["'y' stands on both sides"]),
        ("y ~ 2", ["the number 2", "I(2 * x)"]),
        ("y ~ 2 * x", ["the number 2", "I(2 * x)"]),
        ("y ~ 2:x", ["the number 2"]),
        ("y ~ (x + 1)^2", ["the number 1"]),
        ("y ~ x^1.5", ["I(x^1.5)"]),
        ("y ~ x^z", ["I(x^z)"]),
        ("y ~ g %in% c('a', 'b')", ['I(g %in% c("a", "b"))']),
        ("y ~ x * offset(z)", ["offset is added with '+'"]),
        ("y ~ x - offset(z)", ["offset is added with '+'"]),
        ("y ~ offset(x, z)", ["one argument"]),
        ("y ~ 'x'", ['"x" is not a variable', "backticks"]),
        ("y ~ TRUE", ["TRUE is not a variable"]),
        ("y ~ log(.)", ["'.' stands for all other columns"]),
        ("y ~ mgcv::s(x)", ["'mgcv::s'", "unknown"]),
        ("y ~ dplyr::lag(x)", ["'dplyr::lag'"]),
        ("y ~ frobnicate(x)", ["'frobnicate'", "define it before the call"]),
        ("y ~ sqtr(x)", ["did you mean sqrt"]),
        ("y ~ function(u) u", ["define it in Python before the call"]),
    ],
)
def test_formulas_refused_with_the_reason(data: pd.DataFrame, formula: str, words: list[str]) -> None:
    with pytest.raises(FormulaError) as caught:
        design(formula, data)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("side", "error", "words"),
    [
        ("log(g)", FormulaError, ["needs numbers", "found text"]),
        ("I(g + 1)", FormulaError, ["'+' needs numbers"]),
        ("I(factor(k) + 1)", FormulaError, ["found a factor", "as.numeric(as.character(x))"]),
        ("log(day)", FormulaError, ["log() is not defined for dates", "as.numeric()"]),
        ("as.numeric(g)", FormulaError, ["text that is no number", "as.numeric(factor(x))"]),
        ("as.logical(g)", FormulaError, ["does not understand"]),
        ("g < 'b'", None, []),
        ("(factor(g) < 'b')", FormulaError, ["not meaningful for factors without an order"]),
        ("factor(g, levels = c('a', 'b'))", FormulaError, ["leave out 'c'"]),
        ("factor(g, labels = c('a', 'b'))", FormulaError, ["2 labels for 3 levels"]),
        ("factor(g, exclude = 'a')", FormulaError, ["exclude"]),
        ("relevel(g, ref = 'q')", FormulaError, ["'q'", "a, b, c"]),
        ("relevel(g, ref = 7)", FormulaError, ["3 levels"]),
        ("relevel(o, ref = 'm')", FormulaError, ["without an order"]),
        ("cut(x, c(4, 5))", FormulaError, ["leaves out", "c(-Inf, 0, Inf)"]),
        ("cut(x, c(1, 1, 9))", FormulaError, ["must differ"]),
        ("cut(x, 1)", FormulaError, ["at least 2 intervals"]),
        ("cut(x, 3, labels = 'a')", FormulaError, ["1 labels for 3 intervals"]),
        ("poly(k, 9)", FormulaError, ["needs more than 9 different values"]),
        ("poly(x, 0)", FormulaError, ["at least 1"]),
        ("poly(x, z)", FormulaError, ["must be a single number"]),
        ("bs(x, df = 1)", FormulaError, ["df of bs() is too small"]),
        ("bs(x, wrong = 1)", FormulaError, ["no argument 'wrong'", "knots"]),
        ("log(x, 2, 3)", FormulaError, ["wrong arguments"]),
        ("scale(x, scale = 'a')", FormulaError, ["needs numbers"]),
        ("C(g, contr.unheard)", FormulaError, ["contr.treatment"]),
        ("C(g, contr.treatment(base = 'q'))", FormulaError, ["'q'", "a, b, c"]),
        ("seq(1, 3, by = -1)", FormulaError, ["wrong sign"]),
        ("I(c(1, 2))", FormulaError, ["2 values for 40 rows"]),
        ("I(x + c(1, 2))", FormulaError, ["40 values on its left and 2 on its right"]),
        ("mean(x)", FormulaError, ["1 values for 40 rows"]),
        ("factor(ifelse(x > -99, 'a', 'b'))", CollinearityError, ["same value"]),
        ("offset(g)", FormulaError, ["needs numbers"]),
    ],
)
def test_terms_refused_with_the_reason(
    data: pd.DataFrame, side: str, error: type[Exception] | None, words: list[str]
) -> None:
    if error is None:
        assert design(f"y ~ {side}", data).r_names[1] == 'g < "b"TRUE'
        return
    with pytest.raises(error) as caught:
        design(f"y ~ x + {side}", data)
    for word in words:
        assert word in str(caught.value)


def test_offsets(data: pd.DataFrame) -> None:
    made = design("y ~ x + offset(log(z)) + offset(k)", data)
    assert made.covariates.names == ("Intercept", "x")
    np.testing.assert_allclose(made.offset, np.log(data["z"]) + data["k"])
    assert design("y ~ x", data).offset is None
    assert parse("y ~ x + offset(log(z))", list(data.columns)).variables == ("x", "y", "z")
    with pytest.raises(FormulaError, match="'x' is predicted and cannot be an offset"):
        design("y ~ z + x + offset(x)", data, ("x",))


def test_constants_and_functions_of_the_caller(data: pd.DataFrame) -> None:
    def doubled(column: pd.Series) -> pd.Series:
        return column * 2

    made = design(
        "y ~ bs(x, knots = my_knots, Boundary.knots = c(0, 9)) + doubled(z)", data, my_knots=[3.0, 4.5], doubled=doubled
    )
    same = design("y ~ bs(x, knots = c(3, 4.5), Boundary.knots = c(0, 9)) + I(2 * z)", data)
    np.testing.assert_allclose(made.covariates.fixed, same.covariates.fixed)


def test_levels_and_states_survive_new_rows(data: pd.DataFrame) -> None:
    spec = pickle.loads(
        pickle.dumps(design("y ~ factor(year) + g + scale(x) + as.numeric(factor(g)):z", data).covariates.spec)
    )
    new = data[(data["year"] == 2004) & (data["g"] == "b")].reset_index(drop=True)
    got = pd.DataFrame(spec.columns(new), columns=spec.r_names)
    assert (got["factor(year)2004"] == 1).all()
    assert (got["gb"] == 1).all()
    np.testing.assert_allclose(got["scale(x)"], (new["x"] - data["x"].mean()) / data["x"].std())
    np.testing.assert_allclose(got["as.numeric(factor(g)):z"], 2 * new["z"])
    with pytest.raises(DataError, match=r"categories outside those of the analysis: 1990; it had 1999, 2001, 2004"):
        spec.columns(new.assign(year=1990))


def test_an_r_call_end_to_end() -> None:
    def fit(formula: str) -> dsl.DSLResults:
        return dsl.dsl(formula, posts(), predicted_var="y", prediction="llm", sl_method="lm", sample_split=2, seed=3)

    r = fit("y ~ relevel(factor(g), ref = 'b') + I(words^2) + ifelse(x > 0, 1, 0) + ns(words, 3)")
    python = fit("y ~ C(g, Treatment('b')) + I(words**2) + np.where(x > 0, 1, 0) + ns(words, df=3)")
    np.testing.assert_allclose(r.params, python.params, rtol=1e-10)
    assert list(r.params.index)[:3] == [
        "Intercept",
        "relevel(factor(g), ref='b')[T.a]",
        "relevel(factor(g), ref='b')[T.c]",
    ]


def test_new_rows_need_only_columns(data: pd.DataFrame) -> None:
    spec = design("y ~ C(g, contr.sum) + I(pi * x) + offset(log(z)) + k - k", data, scale=3.0).covariates.spec
    assert spec.required == ("g", "x", "z")
