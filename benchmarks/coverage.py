"""Do 95% intervals hold the truth when labels are few: every coefficient, three ways of drawing, three models.

    python -m benchmarks.coverage --draws 2000 --store coverage.csv       everything, hours
    python -m benchmarks.coverage --draws 500 --only clusters --labels 50 --store coverage.csv
    python -m benchmarks.coverage --store coverage.csv --show             the table of what was stored

Draws are stored as they are made, and a later call goes on from there. An entry of the table is the mean, the lowest and the
highest coverage over coefficients, models and predicted variables, and in brackets how wide intervals are beside what is needed:
the mean over draws of (half width / quantile), divided by the standard deviation of the estimates. A column is a design and a
number of labels.

- `simple`: 2,000 rows, simple random labels.
- `unequal`: the same rows, labelled independently with probabilities that rise with the covariate, fivefold.
- `clusters`: 20 clusters of 100 rows in which covariates and outcomes are alike (correlation .3, by a Gaussian copula, so that
  the models hold in the margin), simple random labels.

The predicted variable is a 0/1 covariate whose surrogate errs more where the outcome is small, or the outcome, whose surrogate
depends on that covariate.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

import dsl
from benchmarks import measure
from dsl.data.formula.caller import NOBODY, call_among
from dsl.estimators.kept import analyses_kept
from dsl.learners.crossfit import predictions_kept

ROWS, GROUPS, ALIKE = 2_000, 20, 0.3
TRUTH = pd.Series({"Intercept": 0.2, "X": -0.4, "D": 0.8})
MODELS, HIDDEN, LABELS = ("lm", "logit", "poisson"), ("D", "Y"), (50, 100, 200)
DESIGNS = ("simple", "unequal", "clusters")
CALLS: dict[str, dict[str, Any]] = {
    "gold_only, HC2 with t": {"estimator": "gold_only", "vcov": "HC2", "use_t": True},
    "dsl": {},
    "dsl with t": {"use_t": True},
    'tune="coef"': {"tune": "coef"},
    "dsl+": {"estimator": "dsl+"},
}
"""What is asked for beside the design; tuned estimators with their own defaults. Clusters take CR2 in the place of HC2."""


def draw(seed: int, design: str, model: str, hidden: str, n_labels: int) -> pd.DataFrame:
    """One table: Y, X, D, the surrogate S, the probability P of a label, the cluster G."""
    rng = np.random.default_rng([seed, DESIGNS.index(design), MODELS.index(model), HIDDEN.index(hidden), n_labels])
    group = np.arange(ROWS) % GROUPS
    alike = ALIKE if design == "clusters" else 0.0

    def normal() -> np.ndarray:
        return np.asarray(np.sqrt(alike) * rng.normal(size=GROUPS)[group] + np.sqrt(1 - alike) * rng.normal(size=ROWS))

    x = normal()
    d = (stats.norm.cdf(normal()) < expit(0.5 * x - 0.5)).astype(float)
    eta, noise = TRUTH["Intercept"] + TRUTH["X"] * x + TRUTH["D"] * d, normal()
    y = {
        "lm": lambda: eta + noise,
        "logit": lambda: (stats.norm.cdf(noise) < expit(eta)).astype(float),
        "poisson": lambda: stats.poisson.ppf(stats.norm.cdf(noise), np.exp(eta)),
    }[model]()
    if hidden == "D":
        surrogate = np.where(rng.random(ROWS) < 0.75 + 0.15 * (y > np.median(y)), d, 1.0 - d)
    elif model == "logit":
        surrogate = np.where(rng.random(ROWS) < 0.8 + 0.1 * d, y, 1.0 - y)
    else:
        surrogate = y + 0.7 * rng.normal(size=ROWS) + 0.3 * d
    if design == "unequal":
        size = 1.0 + 4.0 * expit(2.0 * x)
        chance = n_labels * size / size.sum()
        shown = rng.random(ROWS) < chance
    else:
        chance = np.full(ROWS, n_labels / ROWS)
        shown = rng.permutation(ROWS) < n_labels
    table = pd.DataFrame({"Y": y, "X": x, "D": d, "S": surrogate, "P": chance, "G": group})
    table[hidden] = table[hidden].where(shown)
    return table


def fitted(data: pd.DataFrame, design: str, model: str, hidden: str, call: dict[str, Any]) -> np.ndarray:
    """Error, standard error and half width of each coefficient, (k, 3); NaN where there is no estimate, which errors name."""
    known = {"simple": {}, "unequal": {"sample_prob": "P"}, "clusters": {"cluster": "G"}}[design]
    if design == "clusters" and call.get("vcov") == "HC2":
        call = {**call, "vcov": "CR2"}
    try:
        fit = call_among(
            NOBODY,
            dsl.dsl,
            {
                "formula": "Y ~ X + D",
                "data": data,
                "model": model,
                "predicted_var": hidden,
                "prediction": "S",
                "sl_method": "ridge",
                "sample_split": 1,
                "seed": 1,
                **known,
                **call,
            },
        )
    except dsl.exceptions.EstimationError:
        return np.full((len(TRUTH), 3), np.nan)
    own = fit.core
    assert own.names == tuple(TRUTH.index)
    low, high = own.conf_int().T
    return np.column_stack([own.params - TRUTH.to_numpy(), own.bse, (high - low) / 2])


def every_call(data: pd.DataFrame, design: str, model: str, hidden: str) -> pd.DataFrame:
    """`fitted` of all calls, which share what is prepared and predicted: one row for each call and coefficient."""
    with analyses_kept(), predictions_kept():
        values = np.vstack([fitted(data, design, model, hidden, call) for call in CALLS.values()])
    terms, calls = np.tile(TRUTH.index.to_numpy(), len(CALLS)), np.repeat(list(CALLS), len(TRUTH))
    return pd.DataFrame({"term": terms, **dict(zip(("error", "se", "half"), values.T, strict=True)), "call": calls})


def make_draws(args: argparse.Namespace) -> None:
    """Make the draws that are not stored yet."""
    cells = [(d, m, h, n) for d in args.only for m in MODELS for h in HIDDEN for n in args.labels]
    known: set[tuple[Any, ...]] = set()
    if args.store.exists():
        stored = pd.read_csv(args.store, usecols=["design", "model", "hidden", "n", "seed"])
        known = set(stored.itertuples(index=False, name=None))
    for seed in range(args.draws):
        for cell in cells:
            if (*cell, seed) in known:
                continue
            design, model, hidden, n_labels = cell
            data = draw(seed, *cell)
            about = {"design": design, "model": model, "hidden": hidden, "n": n_labels, "seed": seed}
            made = every_call(data, design, model, hidden).assign(**about)
            made.to_csv(args.store, mode="a", header=not args.store.exists(), index=False, float_format="%.10g")


def cells_of(stored: pd.DataFrame) -> pd.DataFrame:
    """Coverage and width of every cell: design, labels, call, model, predicted variable, coefficient."""
    keys = ["design", "n", "call", "model", "hidden", "term"]
    made = stored.dropna(subset="error").assign(
        covered=lambda t: (t["error"].abs() <= t["half"]).astype(float), quantile=lambda t: t["half"] / t["se"]
    )
    grouped = made.groupby(keys, sort=False)
    out = grouped.agg(coverage=("covered", "mean"), draws=("covered", "size"), se=("se", "mean"), sd=("error", "std"))
    out["width"] = grouped["half"].mean() / (grouped["quantile"].mean() * out["sd"])
    out["failed"] = stored.groupby(keys, sort=False)["error"].apply(lambda e: int(e.isna().sum()))
    return out.reset_index()


def table_of(stored: pd.DataFrame) -> pd.DataFrame:
    """Lowest to highest coverage; the mean width over what is needed in brackets."""
    cells = cells_of(stored)
    out: dict[str, dict[str, str]] = {}
    for (design, n, call), part in cells.groupby(["design", "n", "call"], sort=False):
        share = part["coverage"]
        text = f"{share.mean():.3f}: {share.min():.3f} to {share.max():.3f} ({part['width'].mean():.2f})"
        out.setdefault(str(call), {})[f"{design} {n} ({part['draws'].min()})"] = text
    return pd.DataFrame(out).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", nargs="*", choices=DESIGNS, default=list(DESIGNS))
    parser.add_argument("--labels", nargs="*", type=int, default=list(LABELS))
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    if not args.show:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            make_draws(args)
    measure.print_markdown(table_of(pd.read_csv(args.store)))


if __name__ == "__main__":
    main()
