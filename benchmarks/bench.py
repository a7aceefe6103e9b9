"""Speed and memory against their targets; one table.

    make bench                                   every line, a few minutes
    python -m benchmarks.bench --only b,f        some of them
    python -m benchmarks.bench --repeats 9       steadier medians

Seconds are medians of interleaved runs; ratios are taken within a round, then their median, so that a busy machine
distorts them little. Lines without a target are for orientation. `n_jobs` is 1 throughout; the linear algebra library
uses what threads it finds.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import formulaic
import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.miscmodels.ordinal_model import OrderedModel

import dsl
from benchmarks import coverage, learners, measure, tables
from benchmarks.tables import TEN

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table: what was measured, and how large it may be."""

    line: str
    what: str
    value: float
    target: float | None
    unit: str

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "met" if self.value <= self.target else "MISSED"

    def row(self) -> tuple[str, str, str, str, str]:
        target = "" if self.target is None else f"<= {self.target:g} {self.unit}"
        return self.line, self.what, f"{self.value:.3g} {self.unit}", target, self.verdict


def fit(table: pd.DataFrame, formula: str, **options: Any) -> Any:
    return dsl.dsl(formula, data=table, predicted_var="y", prediction="s", **options)


def small(repeats: int) -> Iterator[Figure]:
    """(a) A small study, 10 x 5 fits."""
    table, formula = tables.binary_table(2000, 400), "y ~ x1 + x2 + x3"
    calls = {method: partial(fit, table, formula, sl_method=method) for method in ("auto", "lm")}
    measure.interleaved(calls, 1)  # imports
    seconds = measure.interleaved(calls, max(repeats, 5))
    for method, target in (("auto", 0.4), ("lm", 0.15)):
        what = f"N = 2000, n = 400, binary surrogate, 10 x 5, {method}"
        yield Figure("a", what, statistics.median(seconds[method]), target, "s")
    # mostly checks of the data: .067 s before they were made cheap
    table = tables.binary_table(5000, 500)
    call = partial(fit, table, formula, sl_method="lm", sample_split=1)
    median = statistics.median(measure.interleaved({"": call}, max(repeats, 5))[""])
    yield Figure("a", "N = 5000, n = 500, lm, one split", median, 0.035, "s")


def linear(repeats: int) -> Iterator[Figure]:
    """(b) `lm` on a million rows against statsmodels."""
    table = tables.regression_table(MILLION, 10_000)
    matrix = _matrix(table)
    truth = table["truth"].to_numpy()
    calls: dict[str, Callable[[], Any]] = {
        "statsmodels": lambda: sm.OLS(truth, matrix).fit(cov_type="HC0").bse,
        "one": partial(fit, table, f"y ~ {TEN}", sl_method="lm", sample_split=1),
        "ten": partial(fit, table, f"y ~ {TEN}", sl_method="lm", sample_split=10),
    }
    # one split: 2.1 s before the checks of the data were made cheap
    yield from _against(calls, "b", "lm", "OLS HC0", 2.5, repeats, 0.8)


def logistic(repeats: int) -> Iterator[Figure]:
    """(c) `logit` on a million rows against statsmodels."""
    table = tables.regression_table(MILLION, 10_000, model="logit")
    matrix = _matrix(table)
    truth = table["truth"].to_numpy()
    options: dict[str, Any] = {"model": "logit", "sl_method": "lm"}
    calls: dict[str, Callable[[], Any]] = {
        "statsmodels": lambda: sm.Logit(truth, matrix).fit(disp=False).bse,
        "one": partial(fit, table, f"y ~ {TEN}", sample_split=1, **options),
        "ten": partial(fit, table, f"y ~ {TEN}", sample_split=10, **options),
    }
    yield from _against(calls, "c", "logit", "Logit", 2.0, repeats)


FAMILIES = {
    "poisson": sm.families.Poisson(),
    "probit": sm.families.Binomial(sm.families.links.Probit()),
    "cloglog": sm.families.Binomial(sm.families.links.CLogLog()),
    "gamma": sm.families.Gamma(sm.families.links.Log()),
}


def generalised(repeats: int) -> Iterator[Figure]:
    """(h) The other generalised linear models on a million rows against statsmodels' GLM."""
    for model, family in FAMILIES.items():
        table = tables.regression_table(MILLION, 10_000, model=model)
        matrix, truth = _matrix(table), table["truth"].to_numpy()
        calls: dict[str, Callable[[], Any]] = {
            "statsmodels": lambda y=truth, x=matrix, family=family: sm.GLM(y, x, family=family).fit().bse,
            "one": partial(fit, table, f"y ~ {TEN}", model=model, sl_method="lm", sample_split=1),
        }
        seconds = measure.interleaved(calls, repeats)
        what = f"{model}, N = 1e6, 11 columns, lm learner, one split"
        yield Figure("h", "statsmodels GLM", statistics.median(seconds["statsmodels"]), None, "s")
        yield Figure("h", what, statistics.median(seconds["one"]), None, "s")
        yield Figure("h", f"{what} / GLM", measure.ratio(seconds, "one", "statsmodels"), 2.0, "x")


SEVERAL: dict[str, tuple[int, str, Callable[[np.ndarray, np.ndarray], Any]]] = {
    "multinom": (MILLION, "MNLogit", lambda y, x: sm.MNLogit(y, x).fit(disp=False).bse),
    "negbin": (MILLION, "NegativeBinomial", lambda y, x: sm.NegativeBinomial(y, x).fit(disp=False).bse),
    "ologit": (100_000, "OrderedModel", lambda y, x: _ordered(y, x, "logit")),
    "oprobit": (100_000, "OrderedModel", lambda y, x: _ordered(y, x, "probit")),
}
"""Rows, and statsmodels' own fit: OrderedModel, whose derivatives are numerical, takes minutes for a million."""


def _ordered(y: np.ndarray, x: np.ndarray, distribution: str) -> Any:
    return OrderedModel(y, x[:, 1:], distr=distribution).fit(method="bfgs", maxiter=200, disp=False).bse


def several(repeats: int) -> Iterator[Figure]:
    """(i) Models with several linear predictors: three classes, or overdispersed counts."""
    for model, (rows, rival, rivals) in SEVERAL.items():
        table = tables.several_table(rows, rows // 100, model=model)
        matrix, truth = _matrix(table), table["code"].to_numpy()
        calls: dict[str, Callable[[], Any]] = {
            "statsmodels": partial(rivals, truth, matrix),
            "one": partial(fit, table, f"y ~ {TEN}", model=model, sl_method="lm", sample_split=1),
        }
        seconds = measure.interleaved(calls, max(1, repeats // 2))
        what = f"{model}, N = {rows:.0e}, 10 covariates, lm learner, one split"
        yield Figure("i", f"statsmodels {rival}", statistics.median(seconds["statsmodels"]), None, "s")
        yield Figure("i", what, statistics.median(seconds["one"]), None, "s")
        yield Figure("i", f"{what} / {rival}", measure.ratio(seconds, "one", "statsmodels"), 2.0, "x")


def absorbed_counts(repeats: int) -> Iterator[Figure]:
    """(j) Poisson with one factor of 1e4 levels against pyfixest's fepois, where pyfixest is installed."""
    if importlib.util.find_spec("pyfixest") is None:
        print("(j) left out: pyfixest is not installed")
        return
    fepois = importlib.import_module("pyfixest").fepois
    table = tables.count_panel(MILLION, 10_000, 10_000)
    calls: dict[str, Callable[[], Any]] = {
        "pyfixest": lambda: fepois("truth ~ x1 + x2 + x3 | unit", table, vcov="hetero"),
        "one": partial(fit, table, "y ~ x1 + x2 + x3 | unit", model="poisson", sl_method="lm", sample_split=1),
    }
    measure.interleaved(calls, 1)  # compilation
    seconds = measure.interleaved(calls, repeats)
    what = "poisson, N = 1e6, 1e4 levels, 3 columns, lm learner, one split"
    yield Figure("j", "pyfixest fepois", statistics.median(seconds["pyfixest"]), None, "s")
    yield Figure("j", what, statistics.median(seconds["one"]), None, "s")
    yield Figure("j", f"{what} / fepois", measure.ratio(seconds, "one", "pyfixest"), 2.0, "x")


def _matrix(table: pd.DataFrame) -> np.ndarray:
    """The design matrix as statsmodels' formula interface would make it: rows contiguous."""
    matrix = formulaic.Formula(f"1 + {TEN}").get_model_matrix(table, output="pandas")
    return np.ascontiguousarray(matrix.to_numpy(dtype=float))


def _against(
    calls: dict[str, Callable[[], Any]],
    line: str,
    model: str,
    rival: str,
    target: float,
    repeats: int,
    most: float | None = None,
) -> Iterator[Figure]:
    seconds = measure.interleaved(calls, repeats)
    what = f"{model}, N = 1e6, 11 columns, lm learner"
    for name, label, limit in (("statsmodels", f"statsmodels {rival}", None), ("one", f"{what}, one split", most)):
        yield Figure(line, label, statistics.median(seconds[name]), limit, "s")
    yield Figure(line, f"{what}, one split / {rival}", measure.ratio(seconds, "one", "statsmodels"), target, "x")
    ten_target = 4.0 if model == "lm" else None
    yield Figure(line, f"{model}, ten splits / one split", measure.ratio(seconds, "ten", "one"), ten_target, "x")


def fixed_effects(repeats: int) -> Iterator[Figure]:
    """(d) One factor with 1e5 levels."""
    table = tables.panel_table(MILLION, 10_000, 100_000)
    for splits, target in ((1, None), (10, 5.0)):
        options = {"model": "felm", "index": "unit", "sl_method": "lm", "sample_split": splits}
        seconds = measure.interleaved({"": partial(fit, table, "y ~ x1 + x2 + x3", **options)}, repeats)[""]
        what = f"felm, N = 1e6, 1e5 levels, 3 columns, lm learner, {splits} split{'s' if splits > 1 else ''}"
        yield Figure("d", what, statistics.median(seconds), target, "s")


LEARNER_DATA: tuple[str, ...] = ("curved", "curved+llm", "rules", "continuous")
SINGLE = ("lm", "glm", "ridge", "gam", "surface", "xgboost", "ranger")
"""Named learners that are no mixture of others, without the ones that are slow at n = 5000 and never best."""


def default_learner(repeats: int) -> Iterator[Figure]:
    """(e) The default learner: seconds of the whole call, and its error against the best single learner's."""
    slowest = {}
    for data in LEARNER_DATA:
        family, draw = learners.DATA[data]
        x, y, _ = draw(np.random.default_rng(5), 100_000)
        y[5000:] = np.nan
        table = pd.DataFrame(x, columns=[f"f{j}" for j in range(7)]).assign(y=y)
        call = partial(
            dsl.dsl, "y ~ f0 + f1", data=table, predicted_var="y", prediction="f6",
            feature=[f"f{j}" for j in range(6)], family=family,
        )  # fmt: skip
        slowest[data] = statistics.median(measure.interleaved({"": call}, max(1, repeats // 3))[""])
    data = max(slowest, key=slowest.__getitem__)
    yield Figure("e", f"N = 1e5, n = 5000, 7 features, auto, 10 x 5 (slowest: {data})", slowest[data], 15.0, "s")
    for n, draws in ((500, 3), (5000, 1)):
        ratios = {data: _error_ratios(data, n, draws) for data in LEARNER_DATA}
        for against, what, target in (
            ("gold", "out-of-fold MSE", 1.1),
            ("truth", "squared distance to the truth", None),
        ):
            data = max(ratios, key=lambda name: ratios[name][against])
            label = f"{what}, n = {n}, auto / best single (worst: {data})"
            yield Figure("e", label, ratios[data][against], target, "x")


def _error_ratios(data: str, n: int, draws: int) -> dict[str, float]:
    """Mean squared errors of "auto", averaged over draws, relative to the best of `SINGLE`.

    Against held-out gold labels, which hold noise that no learner can predict, and against the truth.
    """
    runs = {m: [learners.measure(data, m, n, i, 2000, None) for i in range(draws)] for m in ("auto", *SINGLE)}
    out = {}
    for against in ("gold", "truth"):
        error = {method: np.mean([float(run[against]) for run in of]) for method, of in runs.items()}
        out[against] = float(error["auto"] / min(error[method] for method in SINGLE))
    return out


PEAK = """
import dsl
from benchmarks import measure, tables
call = lambda t: dsl.dsl("y ~ {ten}", data=t, predicted_var="y", prediction="s", sl_method="lm", sample_split={splits})
call(tables.regression_table(2000, 400))
table = tables.regression_table(1_000_000, 10_000)
print(measure.peak_above(lambda: call(table)))
"""


def memory(repeats: int) -> Iterator[Figure]:
    """(f) Peak memory of the whole call in a fresh process, above what was there, in design matrices."""
    matrix = MILLION * 11 * 8
    for splits, target in ((1, 4.0), (10, None)):
        peak = int(measure.fresh_process(PEAK.format(ten=TEN, splits=splits)))
        yield Figure("f", f"peak memory of lm in (b), {splits} split(s) / design matrix", peak / matrix, target, "x")


def imports(repeats: int) -> Iterator[Figure]:
    """(g) Import time and what it drags in."""
    yield Figure("g", "import dsl, with the interpreter's start", measure.import_seconds("import dsl", 5), 1.5, "s")
    yield Figure("g", "import dsl; dsl.dsl", measure.import_seconds("import dsl; dsl.dsl", 3), None, "s")
    probe = "import sys, dsl; dsl.dsl; print(sum(m in sys.modules for m in ('matplotlib', 'rpy2', 'econml')))"
    heavy = int(measure.fresh_process(probe, "-W", "error"))
    yield Figure("g", "of matplotlib, rpy2, econml imported with it, dsl.dsl included", heavy, 0, "")


def embeddings(repeats: int) -> Iterator[Figure]:
    """(k) Learners of hundreds of columns. Before: ridge 3.0 s, auto 14.8, glmnet 62.9 (busy machine)."""
    table = tables.embedded_table(5000, 600, 384)
    feature = [name for name in table if name.startswith("e")]
    calls = {
        method: partial(
            dsl.dsl, "y ~ x", data=table, predicted_var="y", feature=feature, sl_method=method, sample_split=2
        )
        for method in ("ridge", "auto", "glmnet")
    }
    measure.interleaved({"": calls["ridge"]}, 1)  # imports
    seconds = measure.interleaved(calls, max(1, repeats // 3))
    for method, target in (("ridge", 0.5), ("auto", 3.0), ("glmnet", 5.0)):
        what = f"N = 5000, n = 600, 384 columns, 2 splits, {method}"
        yield Figure("k", what, statistics.median(seconds[method]), target, "s")


SIX = ("naive", "gold_only", "dsl", "tuned", "dsl+", "ppi++")


def evaluation(repeats: int) -> Iterator[Figure]:
    """(l) `dsl.evaluate` with the default learner, six estimators: seconds for a draw. Before: 4.9 s (busy machine)."""
    tweets = dsl.datasets.load_sentiment()
    call = partial(
        dsl.evaluate, "human_positive ~ negation + hedge", tweets, predicted_var="human_positive",
        prediction="vader_positive", feature=["vader_compound"], n_labels=500, estimators=SIX,
    )  # fmt: skip
    calls = {str(draws): partial(call, replications=draws) for draws in (2, 4)}
    measure.interleaved({"": calls["2"]}, 1)  # imports
    seconds = measure.interleaved(calls, max(1, repeats // 3))
    # the truth and the rehearsal are in both
    each = (statistics.median(seconds["4"]) - statistics.median(seconds["2"])) / 2.0
    yield Figure("l", "evaluate, N = 9390, n = 500, auto, six estimators, one draw", each, 0.3, "s")


def coverages(repeats: int) -> Iterator[Figure]:
    """(m) Small fits: one replication of all cells of `benchmarks.coverage`, 270 fits. Before: 19.5 s."""
    cells = list(product(coverage.DESIGNS, coverage.MODELS, coverage.HIDDEN, coverage.LABELS))

    def replicated() -> None:
        for design, model, hidden, n_labels in cells:
            coverage.every_call(coverage.draw(0, design, model, hidden, n_labels), design, model, hidden)

    coverage.every_call(coverage.draw(0, *cells[0]), *cells[0][:3])  # imports
    seconds = measure.processor_seconds({"": replicated}, max(1, repeats // 3))[""]
    yield Figure("m", "coverage, one replication of all cells (processor)", seconds, 6.5, "s")


CLI = ("human_positive ~ negation + hedge", "--model", "logit", "--predicted-var", "human_positive")
CLI_PREDICTIONS = ("--prediction", "vader_positive", "--cluster", "doc_id")


def tools(repeats: int) -> Iterator[Figure]:
    """(n) What stands around fits. Before (processor): plan 10 s, report 11, command line 7.8."""
    tweets, none = dsl.datasets.load_sentiment(n_labels=500, seed=1), dsl.datasets.load_sentiment(n_labels=0)
    formula, known = "human_positive ~ negation + hedge", ("human_positive", "vader_positive")
    call: dict[str, Any] = {"model": "logit", "predicted_var": known[0], "prediction": known[1]}
    own = dsl.dsl(formula, tweets, cluster="doc_id", feature=["vader_compound"], **call)
    with tempfile.TemporaryDirectory() as folder:
        tweets.to_csv(f"{folder}/tweets.csv", index=False)
        files = ("--table", f"{folder}/table.docx", "--report", f"{folder}/report.html")
        command = [sys.executable, "-m", "dsl", "fit", f"{folder}/tweets.csv", *CLI, *CLI_PREDICTIONS, *files]
        calls: dict[str, Callable[[], Any]] = {
            "plan_dsl, N = 9390, ten replications": lambda: dsl.plan_dsl(
                formula, none, labeled_size=500, accuracy=0.75, replications=10, **call
            ),
            "fit.report(), N = 9390, n = 500, auto": lambda: own.report(f"{folder}/report.html"),
            "dsl fit with a Word table and a report": lambda: subprocess.run(command, check=True, capture_output=True),
        }
        targets = (2.0, 3.0, 6.0)
        seconds = measure.processor_seconds(calls, max(2, repeats // 2))
    for (what, least), target in zip(seconds.items(), targets, strict=True):
        yield Figure("n", f"{what} (processor)", least, target, "s")


def covariances(repeats: int) -> Iterator[Figure]:
    """(o) Covariances beside the plain one, the wild bootstrap and the jackknife. Before: design+HC3 1.67 times."""
    table = tables.regression_table(100_000, 10_000)
    for tune in ("coef", "scalar"):
        options = {"sl_method": "lm", "sample_split": 1, "tune": tune}
        calls = {kind: partial(fit, table, f"y ~ {TEN}", vcov=kind, **options) for kind in ("robust", "design+HC3")}
        seconds = measure.processor_seconds(calls, max(repeats, 5))
        what = f"tune='{tune}', N = 1e5, 11 columns, design+HC3 / robust"
        yield Figure("o", what, seconds["design+HC3"] / seconds["robust"], 1.2, "x")
    own, few = fit(table, f"y ~ {TEN}", sl_method="lm", sample_split=1), tables.regression_table(2000, 100)
    more: dict[str, Callable[[], Any]] = {
        "wild_test, N = 1e5, 9,999 draws": lambda: own.wild_test("x1 = 0", seed=1),
        "jackknife, N = 2000, n = 100": partial(
            fit, few, "y ~ x1 + x2", vcov="jackknife", sl_method="lm", sample_split=1
        ),
    }
    least = measure.processor_seconds(more, max(2, repeats // 2))
    for (what, value), target in zip(least.items(), (2.0, 0.1), strict=True):
        yield Figure("o", f"{what} (processor)", value, target, "s")


LINES: dict[str, Callable[[int], Iterator[Figure]]] = {
    "a": small,
    "b": linear,
    "c": logistic,
    "d": fixed_effects,
    "e": default_learner,
    "f": memory,
    "g": imports,
    "h": generalised,
    "i": several,
    "j": absorbed_counts,
    "k": embeddings,
    "l": evaluation,
    "m": coverages,
    "n": tools,
    "o": covariances,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(LINES), help="lines, separated by commas")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    chosen = [line.strip() for line in args.only.split(",")]
    unknown = sorted(set(chosen) - set(LINES))
    if unknown:
        parser.error(f"unknown lines {unknown}; there are {', '.join(LINES)}")
    core = os.environ.get("OPENBLAS_CORETYPE", "not set")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, OPENBLAS_CORETYPE {core}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [figure.row() for line in chosen for figure in LINES[line](args.repeats)]
    print(pd.DataFrame(rows, columns=["line", "what", "figure", "target", ""]).to_string(index=False))


if __name__ == "__main__":
    main()
