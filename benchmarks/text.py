"""What learners that read texts gain and cost.

    python -m benchmarks.text                                  seconds, on texts of made-up words: about two minutes
    python -m benchmarks.text --archive vaderSentiment-3.3.2.tar.gz --model all-MiniLM-L6-v2 --draws 200

The second draws 600 of 4,200 tweets for labelling, again and again, and fits with a surrogate alone, with the words of the tweets
and with embeddings of them: effective labels, out-of-fold R2, seconds of the processor, and coverage of intervals about
the coefficients of all tweets. `--model` is a model of sentence-transformers or the folder of one, `--surrogate` a column of the
table, whose rows are left out where it is missing. Embeddings are kept in `--cache`.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dsl
from benchmarks.measure import interleaved, ratio
from dsl.learners.names import make_learner
from dsl.learners.ridge import PENALTIES
from dsl.learners.text import Embedding, memory

FORMULA = "gold ~ negation + hedge + n_words"
LABELS = 600


def made_up(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Texts of twenty words out of 20,000, common ones more often; an outcome on which the words bear; a surrogate."""
    words = np.minimum(rng.zipf(1.3, (n, 20)), 20_000) - 1
    truth = rng.normal(size=20_000)[words].mean(axis=1) + 0.1 * rng.normal(size=n)
    body = [" ".join(f"word{word}" for word in row) for row in words]
    shown = np.isin(np.arange(n), rng.choice(n, LABELS, replace=False))
    x = rng.normal(size=n)
    return pd.DataFrame(
        {"gold": np.where(shown, truth, np.nan), "x": x, "llm": truth + 0.2 * rng.normal(size=n), "body": body}
    )


def seconds() -> None:
    """Ridge against scikit-learn's, and whole calls."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(480, 384))
    y = x[:, :5].sum(axis=1) + rng.normal(size=480)
    theirs = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    found = interleaved(
        {"RidgeCV": lambda: theirs.fit(x, y), "ours": lambda: make_learner("ridge").fit(x, y)}, repeats=15
    )
    print(f"ridge, 480 rows, 384 columns: {ratio(found, 'ours', 'RidgeCV'):.2f} of the time of scikit-learn's RidgeCV")
    for n, splits in ((5_000, 2), (10_000, 10)):
        data = made_up(n, rng)
        matrix = rng.normal(size=(n, 384)).astype(np.float32)
        columns = pd.DataFrame(matrix.astype(float), columns=[f"e{j}" for j in range(384)])
        call = {"predicted_var": "gold", "prediction": "llm", "sample_split": splits}
        learners: dict[str, dict[str, Any]] = {
            "lm": {"sl_method": "lm"},
            "ridge on 384 features": {"sl_method": "ridge", "feature": list(columns)},
            "embedding (a matrix)": {"sl_method": Embedding(matrix), "text": "body"},
            "tfidf": {"sl_method": "tfidf", "text": "body"},
            "tfidf, counted before": {"sl_method": "tfidf", "text": "body"},
        }
        for name, more in learners.items():
            if name == "tfidf":
                memory.forget()
            table = data.join(columns) if "feature" in more else data
            start, processor = time.perf_counter(), time.process_time()
            dsl.dsl("gold ~ x", table, **call, **more)
            took, used = time.perf_counter() - start, time.process_time() - processor
            print(f"N = {n:,}, {LABELS} labels, {splits} splits, {name}: {took:.1f} s ({used:.1f} s of the processor)")


def tweets(options: argparse.Namespace) -> pd.DataFrame:
    """The tweets with their texts and the surrogate."""
    data = dsl.datasets.load_sentiment("all", texts=options.archive)
    data = data[(data["source"] == "tweets") & data[options.surrogate].notna()].reset_index(drop=True)
    return data.rename(columns={"text": "body"})


def draws(options: argparse.Namespace) -> pd.DataFrame:
    """One row for each draw, learner and coefficient."""
    data, rng = tweets(options), np.random.default_rng(options.seed)
    learners: dict[str, dict[str, Any]] = {
        "surrogate alone": {"sl_method": "auto"},
        "tfidf": {"sl_method": "tfidf", "text": "body"},
        "embedding": {"sl_method": Embedding(options.model, cache=options.cache), "text": "body"},
    }
    call = {"predicted_var": "gold", "prediction": options.surrogate, "tune": "coef", "sample_split": 2}
    everything = {"predicted_var": "gold", "estimator": "gold_only", "target": "finite"}
    out = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dsl.DSLWarning)
        truth = dsl.dsl(
            FORMULA, data.assign(gold=data["human_positive"]), prediction=options.surrogate, **everything
        ).params
        for seed in range(options.draws):
            shown = np.isin(np.arange(len(data)), rng.choice(len(data), LABELS, replace=False))
            labelled = data.assign(gold=data["human_positive"].where(shown))
            for name, more in learners.items():
                start = time.process_time()
                fit = dsl.dsl(FORMULA, labelled, seed=seed, **call, **more)
                took = time.process_time() - start
                # the draw is all that is random here
                ends = dsl.dsl(FORMULA, labelled, seed=seed, target="finite", **call, **more).conf_int()
                table = fit.tuning[["effective_labels"]].assign(
                    learner=name,
                    covered=(ends[0] <= truth) & (truth <= ends[1]),
                    r2=fit.fit_quality["r2"].iloc[0],
                    seconds=took,
                )
                out.append(table.rename_axis("term").reset_index())
    return pd.concat(out, ignore_index=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", help="source distribution of vaderSentiment 3.3.2")
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--cache", help="file of embeddings")
    parser.add_argument("--surrogate", default="vader_positive")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if options.archive is None:
        seconds()
        return
    found = draws(options).groupby(["term", "learner"], sort=False)
    table = found[["effective_labels", "covered", "r2", "seconds"]].mean().unstack()
    for name in ("effective_labels", "covered", "r2", "seconds"):
        print(f"{name}\n{table[name].round(3).to_string()}\n")


if __name__ == "__main__":
    main()
