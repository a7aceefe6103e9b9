"""Whatever the package is told, it answers with numbers or with an error of its own, and warns of nothing foreign."""

import datetime
import enum
import warnings
from collections.abc import Callable
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, seed, settings

import dsl
from dsl.exceptions import DSLError, DSLWarning

from .cases import CONTAINED, Case, arguments_of, formula_of, frame_of

COLUMNS = ("x", "v", "g", "unit", "who", "f", "y", "d", "sy", "sd", "p")
Spoil = Callable[[pd.Series, np.random.Generator], object]


class Answer(enum.Enum):
    """What a careless reader of a codebook makes."""

    NO = 0
    YES = 1


def _some(column: pd.Series, r: np.random.Generator, value: object, share: float = 0.2) -> pd.Series:
    out = column.astype(object)
    out[r.random(len(out)) < share] = value
    return out


SPOILS: dict[str, Spoil] = {
    "constant": lambda c, r: 1.0,
    "zero": lambda c, r: 0.0,
    "missing": lambda c, r: np.nan,
    "none": lambda c, r: [None] * len(c),
    "half missing": lambda c, r: c.where(r.random(len(c)) < 0.5),
    "infinite": lambda c, r: _some(c, r, np.inf),
    "huge": lambda c, r: r.normal(size=len(c)) * 1e200,
    "tiny": lambda c, r: r.normal(size=len(c)) * 1e-200,
    "one huge": lambda c, r: np.where(np.arange(len(c)) == 3, 1e300, r.normal(size=len(c))),
    "negative": lambda c, r: -r.random(len(c)) - 1.0,
    "code -99": lambda c, r: _some(c, r, -99.0),
    "code 9": lambda c, r: _some(c, r, 9.0, 0.7),
    "text": lambda c, r: c.astype(str),
    "text with blanks": lambda c, r: _some(c.astype(str), r, " "),
    "yes and no": lambda c, r: np.where(r.random(len(c)) < 0.5, "yes", "no"),
    "mixed": lambda c, r: _some(c, r, "a"),
    "date": lambda c, r: [datetime.date(2020, 1, 1) + datetime.timedelta(int(i) % 40) for i in range(len(c))],
    "datetime": lambda c, r: pd.date_range("2020-01-01", periods=len(c), freq="h"),
    "period": lambda c, r: pd.period_range("2000-01", periods=len(c), freq="M"),
    "duration": lambda c, r: pd.to_timedelta(np.arange(len(c)), unit="h"),
    "enum": lambda c, r: [Answer(int(b)) for b in r.integers(0, 2, len(c))],
    "bytes": lambda c, r: [b"a", *[b"b"] * (len(c) - 1)],
    "tuples": lambda c, r: [(1, i) for i in range(len(c))],
    "lists": lambda c, r: [[1, i] for i in range(len(c))],
    "dicts": lambda c, r: [{"a": i} for i in range(len(c))],
    "complex": lambda c, r: r.normal(size=len(c)) + 1j,
    "decimal": lambda c, r: [Decimal(i % 2) for i in range(len(c))],
    "bool": lambda c, r: r.random(len(c)) < 0.5,
    "bool with missing": lambda c, r: pd.Series(r.random(len(c)) < 0.5, dtype="boolean").mask(r.random(len(c)) < 0.3),
    "category": lambda c, r: pd.Categorical(r.integers(1, 4, len(c))),
    "ordered": lambda c, r: pd.Categorical(
        r.choice(["low", "mid", "high"], len(c)), ["low", "mid", "high"], ordered=True
    ),
    "interval": lambda c, r: pd.cut(r.normal(size=len(c)), 3),
    "unused level": lambda c, r: pd.Categorical(r.choice(["a", "b"], len(c)), ["a", "b", "c"]),
    "sparse": lambda c, r: pd.arrays.SparseArray(r.integers(0, 2, len(c)).astype(float)),
    "huge integers": lambda c, r: r.integers(2**62, 2**63 - 1, len(c)),
    "bigger integers": lambda c, r: [2**70 + int(i) for i in r.integers(0, 9, len(c))],
    "probability": lambda c, r: r.random(len(c)),
    "percent": lambda c, r: 100.0 * r.random(len(c)),
    "free text": lambda c, r: [f"post {i} says {i * i}" for i in range(len(c))],
    "copy of gold": lambda c, r: c,
}
"""By name: the values that replace a column's."""

SAY: dict[str, tuple[str, object]] = {
    "nothing": ("", None),
    "unknown column": ("cluster", "nobody"),
    "empty cluster": ("cluster", ""),
    "number for a name": ("cluster", 3),
    "probability of text": ("sample_prob", "g"),
    "labelled by covariate": ("labeled", "v"),
    "empty label": ("labeled", ""),
    "prediction unknown": ("predicted_var", {"y": "nobody"}),
    "not in the formula": ("predicted_var", {"sd": "sy"}),
    "no folds": ("cross_fit", 1),
    "many folds": ("cross_fit", 10**6),
    "no splits": ("sample_split", 0),
    "seed of text": ("seed", "1"),
    "tune NaN": ("tune", float("nan")),
    "tune huge": ("tune", 1e300),
    "tune unknown": ("tune", "best"),
    "estimator": ("estimator", "ols"),
    "model": ("model", "poisson?"),
    "vcov": ("vcov", "HC9"),
    "target": ("target", "everyone"),
    "learner": ("sl_method", "oracle"),
    "feature twice": ("feature", ["f", "f", "x"]),
    "folds of one": ("folds", np.zeros((1, 200), dtype=int)),
    "folds too short": ("folds", np.zeros((1, 20), dtype=int)),
    "family": ("family", "binomial"),
    "jobs": ("n_jobs", 0),
    "index": ("index", ["unit", "g"]),
    "design": ("design", "design.npz"),
}
"""By name: an argument of ``dsl.dsl`` that replaces the right one."""

FORMULAS = (
    None,
    "",
    "y",
    "~ x",
    "y ~",
    "y ~ x +",
    "y ~ nobody",
    "y ~ log(x)",
    "y ~ x / 0",
    "y ~ 0",
    "y ~ x + x",
    "y ~ y",
    "y ~ factor(x)",
    "y ~ poly(x, 3)",
    "y ~ poly(x, 1000000)",
    "y ~ g * unit * x",
    "log(y) ~ x",
    "y ~ I(d > 2) + x",
    "y ~ offset(x) + v",
    "y ~ x | g | f",
    "y ~ (x + v + g + f)^4",
    "y ~ ns(x, 3)",
    "y ~ as.numeric(g)",
    "y ~ import os",
    "y ~ x.__class__",
    "y ~ x[0]",
)


def _base(seed: int, model: str, estimator: str, predicted: str) -> Case:
    return Case(
        seed=seed,
        n=200,
        model=model,
        estimator=estimator,
        tune=None,
        predicted=predicted,
        binary=True,
        square=False,
        group=True,
        product=False,
        unequal=False,
        cluster=False,
        finite=False,
        corrected=False,
        feature=True,
        missing=False,
        splits=1,
        scale=1.0,
        shift=0.0,
        container="pandas",
    )


def answers(call: Callable[[], list[object]], what: str) -> None:
    """Raise AssertionError for a foreign exception or warning, or a number that is none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = call()
        except DSLError:
            found = []
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{what}") from error
    foreign = [
        f"{each.category.__name__}: {each.message}" for each in caught if not issubclass(each.category, DSLWarning)
    ]
    assert not foreign, f"{foreign}\n{what}"
    for values in found:
        assert np.isfinite(np.asarray(values, dtype=float)).all(), f"{values}\n{what}"


@st.composite
def calls(draw: st.DrawFn) -> tuple[Callable[[], list[object]], str]:
    """A call that is wrong in one to three ways, and its description."""
    model = draw(st.sampled_from(("lm", "logit", "felm")))
    estimator = draw(st.sampled_from(("dsl", "dsl+", "ppi", "ppi++", "cdi", "gold_only", "naive")))
    case = _base(draw(st.integers(0, 999)), model, estimator, draw(st.sampled_from(("outcome", "covariate", "both"))))
    r = np.random.default_rng(case.seed + 7)
    spoiled = draw(
        st.lists(st.tuples(st.sampled_from(COLUMNS), st.sampled_from(sorted(SPOILS))), min_size=0, max_size=2)
    )
    said = draw(st.sampled_from(("nothing",) * 3 * len(SAY) + tuple(sorted(SAY))))
    formula = draw(st.sampled_from((formula_of(case),) * 3 * len(FORMULAS) + FORMULAS))
    frame = frame_of(case)
    for name, how in spoiled:
        frame[name] = SPOILS[how](frame["y" if how == "copy of gold" else name], r)
    container = draw(st.sampled_from(("pandas", "pandas", "dict", "nullable")))
    index = draw(st.sampled_from(("as it is", "repeated", "text")))
    if index == "repeated":
        frame.index = pd.Index([0] * len(frame))
    elif index == "text":
        frame.index = pd.Index([f"r{i}" for i in range(len(frame))])
    arguments = arguments_of(case)
    name, value = SAY[said]
    if name:
        arguments[name] = value
    by = draw(st.sampled_from((None, "g", "unit", "x")))
    call = draw(st.sampled_from(("dsl", "dsl", "dsl", "compare", "proportions")))
    drawn = (spoiled, said, container, index, model, estimator, case.predicted, case.seed)
    what = f"{call}({formula!r}): {drawn}"

    def run() -> list[object]:
        try:
            data = CONTAINED[container](frame)
        except (TypeError, ValueError, OverflowError, pd.errors.OutOfBoundsDatetime):
            return []  # pandas itself refuses to convert it
        if call == "dsl":
            fit = dsl.dsl(formula, data, **arguments)
            str(fit.summary())
            return [fit.params, fit.bse, fit.cov_params()]
        if call == "compare":
            chosen = {k: v for k, v in arguments.items() if k not in ("estimator", "tune")}
            return [dsl.compare(formula, data, **chosen).table["estimate"]]
        table = dsl.proportions(data, gold="y", prediction="sy", by=by).table
        return [table["share"], table["std_error"]]

    return run, what


@pytest.mark.long
def test_bad_input_is_answered() -> None:
    """In `make test`: few, always the same."""

    @settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(calls())
    def run(drawn: tuple[Callable[[], list[object]], str]) -> None:
        answers(*drawn)

    run()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_much_bad_input_is_answered(part: int) -> None:
    """In `make test-slow`: 300 in each part."""

    @seed(part)
    @settings(max_examples=300, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(calls())
    def run(drawn: tuple[Callable[[], list[object]], str]) -> None:
        answers(*drawn)

    run()
