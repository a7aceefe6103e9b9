"""Our terms beside R's, without R: names that look alike, words that only Python has, every frozen case."""

import pytest

from dsl.exceptions import DSLError
from dsl.r.compare import pair_terms
from dsl.r.reference import r_formula, r_words
from tests.posts import posts, run
from tests.reference.cases import NAMES, load_expected
from tests.reference.test_reference import Stage


@pytest.mark.parametrize("twin", ["xfactor", "factorx", "as_x", "x_", "x.", "Cx"])
def test_columns_whose_names_look_alike_stay_apart(twin: str) -> None:
    """Both used to be paired with the last of the two, silently."""
    assert pair_terms(["(Intercept)", "x", twin], ["(Intercept)", "x", twin]) == [0, 1, 2]
    assert pair_terms(["(Intercept)", twin, "x"], ["(Intercept)", "x", twin]) == [0, 2, 1]


def test_a_fit_with_such_columns() -> None:
    data = posts()
    fit = run(data.assign(xfactor=data["x"] ** 3), "y ~ x + xfactor + C(g) + I(x**2)")
    theirs = ["(Intercept)", "x", "xfactor", "as.factor(g)b", "as.factor(g)c", "I(x^2)"]
    assert pair_terms(fit.names_r, theirs) == list(range(6))


def test_a_level_that_looks_like_a_call_is_left_alone() -> None:
    assert pair_terms(["factor(g)C(x)", "factor(g)a**b"], ["factor(g)a**b", "factor(g)C(x)"]) == [1, 0]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (["x", "z"], ["x"]),
        (["x", "z"], ["x", "factor(z)"]),
        (["x", "x"], ["x", "x"]),
        (["C(g)b", "as_factor(g)b"], ["as.factor(g)b", "z"]),
    ],
    ids=["fewer", "another", "twice", "one and the same in R"],
)
def test_other_terms_are_refused(ours: list[str], theirs: list[str]) -> None:
    with pytest.raises(DSLError, match="the formula has other terms in R"):
        pair_terms(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_terms_of_the_frozen_cases(name: str) -> None:
    terms = load_expected(name)["term_names"]
    assert pair_terms(Stage(name, 0).design.covariates.r_names, terms) == list(range(len(terms)))


def test_words_of_the_formula_and_of_its_terms_are_the_same() -> None:
    assert r_formula("y ~ C(g) + as_factor(h) + I(x**2) | unit + year")[0] == "y ~ as.factor(g) + as.factor(h) + I(x^2)"
    assert r_words("C(g)b") == r_words("as_factor(g)b") == "as.factor(g)b"
    assert r_words("AC(g) + has_factor(h)") == "AC(g) + has_factor(h)"
