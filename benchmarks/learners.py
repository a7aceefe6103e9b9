"""How well, and how fast, the named learners predict: the measurements behind ``sl_method="auto"``.

    python benchmarks/learners.py                      about a minute
    python benchmarks/learners.py --draws 10 --methods auto lm gam xgboost ranger --labels 500 5000
    python benchmarks/learners.py --time --rows 100000 seconds of a whole call: choice, 5 folds x 10 splits, prediction

Each data set has seven features. "truth" is the mean squared distance to E[gold | features], which is known here;
"gold" the cross-fitted mean squared error against the labels themselves, which includes their noise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit

from dsl.learners.auto import gold_folds
from dsl.learners.names import choose_auto, make_learner

Draw = tuple[np.ndarray, np.ndarray, np.ndarray]


def _features(rng: np.random.Generator, n: int) -> np.ndarray:
    """Four correlated normal features, one skewed, two binary."""
    z = rng.multivariate_normal(np.zeros(7), 0.3 + 0.7 * np.eye(7), size=n)
    z[:, 4] = np.exp(0.7 * z[:, 4])
    z[:, 5] = z[:, 5] > 0.5
    z[:, 6] = z[:, 6] > 0.0
    return z


def _curve(x: np.ndarray) -> np.ndarray:
    return (
        1.2 * np.sin(1.5 * x[:, 0])
        + 0.5 * x[:, 1] ** 2
        - 0.5
        + 1.0 * x[:, 2] * (2 * x[:, 5] - 0.6)
        + 0.6 * x[:, 0] * x[:, 3]
        + 0.8 * np.log(x[:, 4])
        - 0.8 * x[:, 6]
    )


def _appendix_e(x: np.ndarray) -> np.ndarray:
    """Index of DSL-2024 appendix E, on these features."""
    x2 = x[:, 5]
    return (
        0.1 / (1 + np.exp(0.5 * x[:, 2] - 0.5 * x2))
        + 1.3 * x[:, 3] / (1 + np.exp(-0.1 * x2))
        + 1.5 * x[:, 3] * np.log(x[:, 4])
        + 0.5 * x[:, 0] * x2
        + 1.3 * x[:, 0]
        + x2
    )


def _linear(x: np.ndarray) -> np.ndarray:
    return x[:, :4] @ np.array([0.8, -0.6, 0.4, 0.0]) + 0.7 * x[:, 5] - 0.5 * x[:, 6]


def _rules(x: np.ndarray) -> np.ndarray:
    """Steps and a three-way rule: what trees are made for."""
    low, high = x[:, 0] < 0.2, x[:, 1] > -0.3
    return (
        2.0 * (low & high & (x[:, 5] == 1))
        - 1.5 * ((x[:, 2] > 0.5) & (x[:, 6] == 1))
        + 1.5 * (np.abs(x[:, 3]) < 0.6)
        + 1.0 * (x[:, 4] > 1.5) * (1 - 2 * low)
        - 0.8
    )


def _binary(index: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.random.Generator, int], Draw]:
    def draw(rng: np.random.Generator, n: int) -> Draw:
        x = _features(rng, n)
        p = expit(index(x))
        return x, (rng.random(n) < p).astype(float), p

    return draw


def _with_surrogate(
    index: Callable[[np.ndarray], np.ndarray], accuracy: float
) -> Callable[[np.random.Generator, int], Draw]:
    """Last feature replaced by the gold label, right with probability ``accuracy``."""

    def draw(rng: np.random.Generator, n: int) -> Draw:
        x = _features(rng, n)
        x[:, 6] = 0.0
        w = index(x)
        y = (rng.random(n) < expit(w)).astype(float)
        x[:, 6] = np.where(rng.random(n) < accuracy, y, 1 - y)
        odds = np.log(accuracy / (1 - accuracy))
        return x, y, expit(w + (2 * x[:, 6] - 1) * odds)

    return draw


def _continuous(index: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.random.Generator, int], Draw]:
    def draw(rng: np.random.Generator, n: int) -> Draw:
        x = _features(rng, n)
        mean = index(x)
        return x, mean + 1.5 * rng.normal(size=n), mean

    return draw


DATA: dict[str, tuple[str, Callable[[np.random.Generator, int], Draw]]] = {
    "curved": ("binomial", _binary(_curve)),
    "curved+llm": ("binomial", _with_surrogate(_curve, 0.8)),
    "appendix E": ("binomial", _with_surrogate(_appendix_e, 0.9)),
    "rules": ("binomial", _binary(_rules)),
    "linear": ("binomial", _binary(_linear)),
    "llm+noise": ("binomial", _with_surrogate(lambda x: np.zeros(len(x)), 0.9)),
    "continuous": ("gaussian", _continuous(_curve)),
    "cont. rules": ("gaussian", _continuous(_rules)),
    "cont. linear": ("gaussian", _continuous(_linear)),
}


def measure(name: str, method: str, n: int, draw: int, test: int, family: str | None) -> dict[str, float | str | int]:
    """One draw: cross-fit once on n labelled rows, score on them and on ``test`` new rows."""
    default, make = DATA[name]
    family = family or default
    rng = np.random.default_rng([draw, n])
    x, y, _ = make(rng, n)
    x_new, _, truth = make(rng, test)
    start = time.perf_counter()
    chosen = choose_auto(x, y, family=family, seed=draw, n_rows=test).method if method == "auto" else method
    choice = time.perf_counter() - start
    folds = gold_folds(y, 5, draw + 1)
    gold = np.empty(n)
    error = 0.0
    for fold in range(5):
        out = folds == fold
        learner = make_learner(chosen, family=family, seed=draw).fit(x[~out], y[~out])
        gold[out] = learner.predict(x[out])
        error += float(np.mean((learner.predict(x_new) - truth) ** 2)) / 5
    seconds = time.perf_counter() - start
    return {
        "data": name, "n": n, "draw": draw, "method": method, "chosen": chosen, "truth": error,
        "gold": float(np.mean((gold - y) ** 2)), "choice_s": choice, "total_s": seconds,
    }  # fmt: skip


def whole_call(name: str, method: str, n: int, rows: int, family: str | None, splits: int = 10) -> dict[str, object]:
    """Seconds of choice + folds x splits fits + ``splits`` * rows predictions."""
    default, make = DATA[name]
    family = family or default
    rng = np.random.default_rng(n)
    x, y, _ = make(rng, rows)
    start, cpu = time.perf_counter(), time.process_time()
    chosen = choose_auto(x[:n], y[:n], family=family, seed=1, n_rows=rows).method if method == "auto" else method
    choice = time.perf_counter() - start
    for split in range(splits):
        folds = gold_folds(y, 5, split)
        for fold in range(5):
            train = np.flatnonzero(folds[:n] != fold)
            make_learner(chosen, family=family, seed=split).fit(x[train], y[train]).predict(x[folds == fold])
    total, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "data": name,
        "n": n,
        "method": method,
        "chosen": chosen,
        "choice_s": choice,
        "total_s": total,
        "cpu_s": cpu,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=["auto", "lm", "glm", "ridge", "gam", "surface", "xgboost"])
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--labels", nargs="+", type=int, default=[500])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--test", type=int, default=5000, help="new rows on which the truth is compared")
    parser.add_argument("--family", choices=["gaussian", "binomial"], help="instead of each data set's own")
    parser.add_argument("--time", action="store_true", help="time whole calls instead of measuring errors")
    parser.add_argument("--rows", type=int, default=100_000, help="rows predicted with --time")
    args = parser.parse_args()
    pd.set_option("display.width", 200, "display.max_columns", 30)
    if args.time:
        table = [
            whole_call(d, m, n, args.rows, args.family)
            for d in args.data for n in args.labels for m in args.methods
        ]  # fmt: skip
        print(pd.DataFrame(table).round(2).to_string(index=False))
        return
    rows = pd.DataFrame(
        measure(d, m, n, i, args.test, args.family)
        for d in args.data for n in args.labels for i in range(args.draws) for m in args.methods
    )  # fmt: skip
    for column in ("truth", "gold"):
        table = rows.pivot_table(index=["n", "data"], columns="method", values=column, sort=False)[args.methods]
        best = table.drop(columns="auto", errors="ignore").min(axis=1)
        if "auto" in table:
            table["auto/best"] = table["auto"] / best
        print(f"\nmean squared error against {column}\n{table.round(5).to_string()}")
    seconds = rows.pivot_table(index="n", columns="method", values="total_s")[args.methods]
    print(f"\nseconds for one split (auto: choice included)\n{seconds.round(2).to_string()}")
    if "auto" in args.methods:
        print("\nchosen\n" + rows[rows.method == "auto"].groupby(["n", "data"])["chosen"].value_counts().to_string())


if __name__ == "__main__":
    main()
