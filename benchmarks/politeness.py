"""The lecture's evaluation: is a request polite? Coverage and effective labels against the number of labels, by method.

    python -m benchmarks.politeness politeness.csv.gz --store runs --draws 40 --out politeness.csv
    python -m benchmarks.politeness politeness.csv.gz --store runs --draws 500 --labels 200,547 --figure politeness.svg

The data are those of the tutorial of Gligoric, Zrnic, Lee, Candes and Jurafsky, "Can unconfident LLM annotations be used for
confident conclusions?", NAACL 2025 (github.com/kristinagligoric/cdi-tutorial): 5,480 requests with human labels, GPT-4o's labels
and its stated confidence. They have no licence and are no part of this project: pass the path of a table with the columns
``polite``, ``gpt``, ``confidence`` and the strategies (``hedge``, ``first_person_plural``).

Each analysis is a logit of politeness on one strategy, with intervals of level .90 for the requests at hand. Draws are stored as
they are made, and a later call goes on from there. The same seed gives the same draws.

LLM only: GPT's labels for the truth. Human only: a simple random sample. Human + LLM: the same sample and GPT's labels, one
lambda (``estimator="cdi"``, ``tune="scalar"``). CDI: the same estimator on rows drawn by the paper's rule (`ConfidenceDriven`).
Ours: tuned DSL on `dsl.AdaptiveDesign`, with label, confidence and their product for the learner.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingRegressor

import dsl
from dsl.planning.evaluation import Adaptive
from dsl.sampling import LabelDesign

OUTCOME, SURROGATE, CONFIDENCE = "polite", "gpt", "confidence"
COEFFICIENTS = ("hedge", "first_person_plural")
LABELS = (200, 547, 1000)
ALPHA, SEED = 0.10, 1
FLOOR = 0.1
"""Smallest probability of a row, as a share of the mean one."""
COLUMNS = ("coverage", "coverage_se", "bias", "rmse", "rmse_se", "effective", "effective_se", "replications", "failed")


@dataclass(frozen=True)
class ConfidenceDriven:
    """Rows drawn where GPT's label is likely to be wrong and the row counts for the coefficient, as in the paper.

    Rows are visited in random order. The first are labelled with certainty, the others with probabilities in proportion to
    sqrt(e(x)) |x'h| and, for a share `tau`, evenly: e is the squared error of GPT's label that boosted trees learn from label and
    confidence on the rows labelled so far (again after each step), and h the coefficient's row of the inverse Jacobian at GPT's
    labels. Each probability rests on rows visited before, so that labels divided by it are right in the mean.
    """

    coefficient: str
    burn_in: float = 0.2
    tau: float = 0.2
    steps: int = 5

    def draw(self, data: pd.DataFrame, n_labels: int, rng: np.random.Generator, ask: Any) -> LabelDesign:
        count, order = len(data), rng.permutation(len(data))
        first = round(self.burn_in * n_labels)
        prob, drawn = np.ones(count), np.zeros(count, dtype=bool)
        drawn[order[:first]] = True
        influence, left = self.influence(data), n_labels - first
        parts = np.array_split(order[first:], self.steps)
        for step, rows in enumerate(parts):
            open_rows = np.concatenate(parts[step:])
            score = np.sqrt(self.expected_error(data, drawn, ask)[open_rows]) * influence[open_rows]
            even = max(left, 1) / len(open_rows)
            mixed = self.tau * even + (1 - self.tau) * even * score / score.mean()
            prob[rows] = np.clip(mixed, FLOOR * n_labels / count, 1.0)[: len(rows)]
            drawn[rows] = rng.random(len(rows)) < prob[rows]
            left -= int(drawn[rows].sum())
        return LabelDesign(kind="bernoulli", rows=data.index, prob=prob, drawn=drawn, fixed_size=False)

    def influence(self, data: pd.DataFrame) -> np.ndarray:
        """What each row counts for the coefficient, (N,)."""
        x = np.column_stack([np.ones(len(data)), data[self.coefficient]])
        theta = np.zeros(2)
        for _ in range(25):
            mean = expit(x @ theta)
            jacobian = (x * (mean * (1 - mean))[:, None]).T @ x / len(x)
            theta = theta + np.linalg.solve(jacobian, x.T @ (data[SURROGATE].to_numpy() - mean) / len(x))
        return np.asarray(np.abs(x @ np.linalg.inv(jacobian)[1]))

    @staticmethod
    def expected_error(data: pd.DataFrame, drawn: np.ndarray, ask: Any) -> np.ndarray:
        """The squared error of GPT's labels, as labels so far tell it, (N,)."""
        features = data[[SURROGATE, CONFIDENCE]].to_numpy(dtype=float)
        gold = ask(data.index[drawn]).to_numpy(dtype=float)
        trees = HistGradientBoostingRegressor(max_iter=50, max_depth=3, min_samples_leaf=10, random_state=0)
        trees.fit(features[drawn], (gold - features[drawn, 0]) ** 2)
        return np.clip(trees.predict(features), 0.01, 1.0)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to an estimate: a design, an estimator, and what its learner sees."""

    design: Any
    design_name: str
    estimator: str | dict[str, Any]
    call: dict[str, Any]


def methods(coefficient: str) -> dict[str, Method]:
    scalar = {"estimator": "cdi", "tune": "scalar"}
    plain = {"prediction": SURROGATE}
    ours = {"prediction": [SURROGATE, CONFIDENCE], "sl_method": "ridge", "sample_split": 1}
    adaptive = Adaptive(coefficient=coefficient, prediction=SURROGATE, confidence=CONFIDENCE)
    return {
        "LLM only": Method(design="srs", design_name="srs", estimator="naive", call=plain),
        "human only": Method(design="srs", design_name="srs", estimator="gold_only", call=plain),
        "human + LLM": Method(design="srs", design_name="srs", estimator=scalar, call=plain),
        "CDI": Method(design=ConfidenceDriven(coefficient), design_name="confidence", estimator=scalar, call=plain),
        "ours": Method(design=adaptive, design_name="adaptive", estimator="tuned", call=ours),
    }


def measured(
    data: pd.DataFrame, coefficient: str, draws: int, labels: list[int], store: Path, jobs: int
) -> Iterator[pd.DataFrame]:
    """Measures of each method, a row for each number of labels."""
    for name, method in methods(coefficient).items():
        result = dsl.evaluate(
            f"{OUTCOME} ~ {coefficient}",
            data,
            model="logit",
            predicted_var=OUTCOME,
            n_labels=labels,
            designs={method.design_name: method.design},
            estimators={"it": method.estimator} if method.estimator != "gold_only" else "gold_only",
            replications=draws,
            alpha=ALPHA,
            seed=SEED,
            n_jobs=jobs,
            checkpoint=store / f"{coefficient}-{name.replace(' ', '')}.jsonl",
            **method.call,
        )
        table = result.summary()
        own = table[(table["design"] == method.design_name) & (table["estimator"] != "gold_only")]
        if method.estimator == "gold_only":
            own = table[table["estimator"] == "gold_only"]
        own = own[own["term"] == coefficient]
        yield own[["n_labels", *COLUMNS]].assign(coefficient=coefficient, method=name)


def figure(table: pd.DataFrame, path: Path) -> None:
    """Coverage and effective labels against labels, with two Monte Carlo errors up and down."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained", sharex=True)
    for row, (coefficient, part) in zip(axes, table.groupby("coefficient", sort=False), strict=True):
        for ax, measure in zip(row, ("coverage", "effective"), strict=True):
            for marker, (name, line) in zip("osD^v", part.groupby("method", sort=False), strict=True):
                ax.errorbar(line["n_labels"], line[measure], yerr=2 * line[f"{measure}_se"], marker=marker, label=name)
            ax.set_title(f"{coefficient}: {measure}", fontsize="medium")
        row[0].axhline(1 - ALPHA, color="0.6")
        row[1].axline((0, 0), slope=1, color="0.6")
    axes[0, 1].legend(frameon=False)
    for ax in axes[1]:
        ax.set_xlabel("labels")
    fig.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the table (CSV, perhaps compressed)")
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--labels", default=",".join(map(str, LABELS)), help="numbers of labels, divided by commas")
    parser.add_argument("--coefficients", default=",".join(COEFFICIENTS))
    parser.add_argument("--store", type=Path, required=True, help="folder of the draws made so far")
    parser.add_argument("--out", type=Path, help="CSV: the measures")
    parser.add_argument("--figure", type=Path, help="picture of them")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    given.store.mkdir(parents=True, exist_ok=True)
    data = pd.read_csv(given.data)
    labels = [int(each) for each in given.labels.split(",")]
    parts = [
        part
        for coefficient in given.coefficients.split(",")
        for part in measured(data, coefficient, given.draws, labels, given.store, given.jobs)
    ]
    table = pd.concat(parts, ignore_index=True)[["coefficient", "method", "n_labels", *COLUMNS]]
    print(table.to_string(index=False, float_format="{:.3f}".format))
    if given.out is not None:
        table.to_csv(given.out, index=False)
    if given.figure is not None:
        figure(table, given.figure)


if __name__ == "__main__":
    main()
