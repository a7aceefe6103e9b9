"""How close to the bound: effective labels of our estimators and of peers, on the same draws with the same features.

    python -m benchmarks.power --draws 200 --store power.csv              everything, hours
    python -m benchmarks.power --draws 50 --only "lm .6" "count" --store power.csv
    python -m benchmarks.power --store power.csv --show                   the table of what was stored

Draws are stored as they are made, and a later call goes on from there. A column is a design, its entries geometric means over
coefficients of n (se of the labelled rows alone / se)^2, with se^2 the mean of the estimated variances over draws, and in
brackets per cent of the bound; `--rmse` takes the errors' mean squares in their place, which need many more draws. Monte Carlo
errors are those of the jackknife over draws. The bound augments the labelled rows' scores with their true conditional means given
all that is observed, where a design has them; of the bundled texts with what all human labels show.

`ppi++` and `dsl` are the package's, with one split, the default learner, and variances given the draw (`vcov="design"`). Peers
are written by their influence functions: predict-then-debias (Kluger et al. 2025), the regression on the surrogate taken off as
far as the labelled rows advise, coefficient by coefficient; RePPI (Ji, Lei, Zrnic 2025), the score regressed on the features,
their squares and products (ridge, cross-fitted), with a lambda for each coefficient.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import dsl
from benchmarks import measure
from dsl.learners.names import make_learner

ROWS, LABELS, FOLDS = 5000, 500, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One draw: the table, the call, the truth, and what peers and the bound need."""

    data: pd.DataFrame
    call: dict[str, Any]
    truth: np.ndarray  # (k,)
    model: str
    gold: tuple[np.ndarray, np.ndarray]  # outcome (N,), covariates (N, k), at gold values
    surrogate: tuple[np.ndarray, np.ndarray] | None  # the same at the surrogate
    features: np.ndarray  # (N, p) what a learner sees
    mean_score: Callable[[np.ndarray], np.ndarray]  # theta to E[m | observed] (N, k)
    drawn: np.ndarray  # (N,) bool


def mean_of(model: str, eta: np.ndarray) -> np.ndarray:
    return {"lm": lambda e: e, "logit": expit, "poisson": np.exp}[model](eta)


def slope_of(model: str, mean: np.ndarray) -> np.ndarray:
    return {"lm": np.ones_like, "logit": lambda m: m * (1 - m), "poisson": lambda m: m}[model](mean)


def regress(model: str, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate (k,) and the Jacobian's mean (k, k), by Newton's method."""
    theta = np.zeros(x.shape[1])
    if model == "poisson":
        theta[0] = np.log(y.mean())
    for _ in range(50):
        mean = mean_of(model, x @ theta)
        jacobian = (x * slope_of(model, mean)[:, None]).T @ x / len(y)
        step = np.linalg.solve(jacobian, x.T @ (y - mean) / len(y))
        theta = theta + step
        if np.abs(step).max() < 1e-10:
            break
    return theta, jacobian


def scores(model: str, y: np.ndarray, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
    return x * (y - mean_of(model, x @ theta))[:, None]


def augmented(
    gold: np.ndarray, every: np.ndarray, drawn: np.ndarray, theta: np.ndarray, lam: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate and standard errors with influences gold (n, k) of the labelled rows and augmentations every (N, k).

    theta - lam (mean of the labelled rows' augmentation less that of all), lam for each coefficient, chosen if None.
    """
    share, own = drawn.mean(), every[drawn]
    n = len(own)
    if lam is None:
        centred = gold - gold.mean(axis=0), own - own.mean(axis=0)
        lam = (centred[0] * centred[1]).sum(axis=0) / np.maximum(every.var(axis=0) * n, 1e-300)
    estimate = theta - lam * (own.mean(axis=0) - every.mean(axis=0))
    rest = gold - lam * own
    # two phases: the gold score's own variance over all rows, and that of what is left over the draw
    variance = (1 - share) * rest.var(axis=0, ddof=1) / n + gold.var(axis=0, ddof=1) * share / n
    return estimate, np.sqrt(variance)


def peers(draw: Draw) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, estimate, standard errors of the labelled rows, of peers, and of the bound."""
    y, x = draw.gold
    rows, model = draw.drawn, draw.model
    theta, jacobian = regress(model, y[rows], x[rows])
    bread = np.linalg.inv(jacobian)
    gold = scores(model, y[rows], x[rows], theta) @ bread.T
    zero = np.zeros((len(rows), len(theta)))
    yield "gold", *augmented(gold, zero, rows, theta, np.zeros(len(theta)))
    if draw.surrogate is not None:
        hat_y, hat_x = draw.surrogate
        hat, hat_jacobian = regress(model, hat_y, hat_x)
        yield (
            "predict-then-debias",
            *augmented(gold, scores(model, hat_y, hat_x, hat) @ np.linalg.inv(hat_jacobian).T, rows, theta, None),
        )
    yield "RePPI (ridge)", *augmented(gold, recalibrated(draw, gold), rows, theta, None)
    at = draw.mean_score(draw.truth) @ bread.T
    yield "bound", *augmented(gold, at, rows, theta, np.ones(len(theta)))


def recalibrated(draw: Draw, gold: np.ndarray) -> np.ndarray:
    """Each row's influence as the features say, out of fold on labelled rows, mean over folds on others, (N, k)."""
    positions, out = np.flatnonzero(draw.drawn), np.zeros((len(draw.drawn), gold.shape[1]))
    fold = np.arange(len(positions)) % FOLDS
    for each in range(FOLDS):
        learner = make_pipeline(
            PolynomialFeatures(2, include_bias=False), StandardScaler(), RidgeCV(np.logspace(-2, 4, 13))
        )
        learner.fit(draw.features[positions[fold != each]], gold[fold != each])
        predicted = learner.predict(draw.features)
        out[~draw.drawn] += predicted[~draw.drawn] / FOLDS
        out[positions[fold == each]] = predicted[positions[fold == each]]
    return out


OURS: dict[str, dict[str, Any]] = {
    "ppi++": {"estimator": "ppi++"},
    "dsl": {"vcov": "design"},
    "dsl, tuned": {"tune": "coef", "vcov": "design"},
    "dsl+": {"estimator": "dsl+", "vcov": "design"},
    "dsl+, ridge": {"estimator": "dsl+", "sl_method": "ridge", "vcov": "design"},
    "dsl+, surface": {"estimator": "dsl+", "sl_method": "surface", "vcov": "design"},
}


def ours(draw: Draw, names: list[str]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for name in names:
        arguments = {"sample_split": 1, **draw.call, **OURS[name]}
        if arguments.get("estimator") == "dsl+":
            arguments["feature"] = arguments.pop("seen", None)
        else:
            own = [*arguments.pop("told", ()), *(arguments.pop("seen", None) or ())]
            arguments["feature"] = own or None
        arguments.pop("told", None)
        fit = dsl.dsl(data=draw.data, **arguments)
        yield name, fit.params.to_numpy(), fit.bse.to_numpy()


def covariate(model: str, accuracy: float, effect: float) -> Callable[[int], Draw]:
    """A predicted 0/1 covariate."""

    def draw(seed: int) -> Draw:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=ROWS)
        chance = expit(0.5 * x - 1)
        d = (rng.random(ROWS) < chance).astype(float)
        eta = 0.2 + effect * d - 0.5 * x
        y = eta + rng.normal(size=ROWS) if model == "lm" else (rng.random(ROWS) < expit(eta)).astype(float)
        s = np.where(rng.random(ROWS) < accuracy, d, 1 - d)
        drawn = np.isin(np.arange(ROWS), rng.choice(ROWS, LABELS, replace=False))
        truth = np.array([0.2, effect, -0.5])
        one = np.ones(ROWS)

        def likelihood(value: float) -> np.ndarray:
            at = 0.2 + effect * value - 0.5 * x
            outcome = np.exp(-0.5 * (y - at) ** 2) if model == "lm" else np.where(y == 1, expit(at), expit(-at))
            label = np.where(s == value, accuracy, 1 - accuracy)
            return np.asarray(outcome * label * (chance if value else 1 - chance))

        first = likelihood(1.0)
        p = first / (first + likelihood(0.0))

        def mean_score(theta: np.ndarray) -> np.ndarray:
            parts = [scores(model, y, np.column_stack([one, value * one, x]), theta) for value in (0.0, 1.0)]
            return (1 - p)[:, None] * parts[0] + p[:, None] * parts[1]

        return Draw(
            data=pd.DataFrame({"y": y, "x": x, "d": np.where(drawn, d, np.nan), "s": s}),
            call={"formula": "y ~ d + x", "predicted_var": "d", "prediction": "s", "model": model, "told": ("y", "x")},
            truth=truth,
            model=model,
            gold=(y, np.column_stack([one, d, x])),
            surrogate=(y, np.column_stack([one, s, x])),
            features=np.column_stack([s, y, x]),
            mean_score=mean_score,
            drawn=drawn,
        )

    return draw


def counts(seed: int) -> Draw:
    """A predicted count, skewed, with a surrogate that is a noisy count, and a covariate that one row in fifty has."""
    rng = np.random.default_rng(seed)
    x, rare = rng.normal(size=ROWS), (rng.random(ROWS) < 0.02).astype(float)
    rate = np.exp(0.3 + 0.5 * x + 0.7 * rare) * rng.gamma(2.0, 0.5, ROWS)
    y = rng.poisson(rate).astype(float)
    s = rng.binomial(y.astype(int), 0.8) + rng.poisson(0.5, ROWS).astype(float)
    drawn = np.isin(np.arange(ROWS), rng.choice(ROWS, LABELS, replace=False))
    mean = expected_count(s, np.exp(0.3 + 0.5 * x + 0.7 * rare))
    design = np.column_stack([np.ones(ROWS), x, rare])
    return Draw(
        data=pd.DataFrame({"y": np.where(drawn, y, np.nan), "x": x, "rare": rare, "s": s}),
        call={
            "formula": "y ~ x + rare",
            "predicted_var": "y",
            "prediction": "s",
            "model": "poisson",
            "told": ("x", "rare"),
        },
        truth=np.array([0.3, 0.5, 0.7]),
        model="poisson",
        gold=(y, design),
        surrogate=(s, design),
        features=np.column_stack([s, x, rare]),
        mean_score=lambda theta: scores("poisson", mean, design, theta),
        drawn=drawn,
    )


def expected_count(s: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """E[y | s, covariates], by the negative binomial distribution of y and the surrogate's binomial and Poisson parts."""
    from scipy import stats

    top = int(max(80.0, 3 * s.max()))
    y = np.arange(top + 1)
    likely = np.zeros((int(s.max()) + 1, top + 1))
    for kept in range(int(s.max()) + 1):
        likely[kept:] += stats.poisson.pmf(np.arange(len(likely) - kept), 0.5)[:, None] * stats.binom.pmf(kept, y, 0.8)
    prior = stats.nbinom.pmf(y, 2.0, 2.0 / (2.0 + rate[:, None]))
    joint = prior * likely[s.astype(int)]
    return np.asarray(joint @ y / joint.sum(axis=1))


def texts(seed: int) -> Draw:
    """The bundled texts: is a text positive, by VADER; what all human labels show stands for the truth."""
    table = _texts()
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(table), len(table))  # texts like these: drawn anew, with replacement
    table = table.iloc[rows].reset_index(drop=True)
    n = len(table)
    drawn = np.isin(np.arange(n), rng.choice(n, LABELS, replace=False))
    design = np.column_stack(
        [np.ones(n), table[["negation", "hedge", "first_person_plural"]], table["log_words"], table["nyt"]]
    )
    mean, y = table["mean"].to_numpy(), table["human_positive"].to_numpy()
    seen = ["vader_compound", "log_words", "n_exclaim"]
    return Draw(
        data=table.assign(human_positive=np.where(drawn, y, np.nan)),
        call={
            "formula": "human_positive ~ negation + hedge + first_person_plural + log_words + nyt",
            "predicted_var": "human_positive",
            "prediction": "vader_positive",
            "model": "logit",
            "seen": ("vader_compound", "n_exclaim"),
            "told": ("negation", "hedge", "first_person_plural", "log_words", "nyt"),
        },
        truth=_texts.truth,  # type: ignore[attr-defined]
        model="logit",
        gold=(y, design),
        surrogate=(table["vader_positive"].to_numpy(), design),
        features=np.column_stack([table["vader_positive"], table[seen], design[:, 1:]]),
        mean_score=lambda theta: scores("logit", mean, design, theta),
        drawn=drawn,
    )


def _texts(found: list[pd.DataFrame] = []) -> pd.DataFrame:  # noqa: B006 - read once
    if not found:
        table = dsl.datasets.load_sentiment()
        table = table.assign(log_words=np.log1p(table["n_words"]), nyt=(table["source"] == "nyt").astype(float))
        covariates = ["negation", "hedge", "first_person_plural", "log_words", "nyt"]
        x = table[["vader_positive", "vader_compound", "n_exclaim", *covariates]].to_numpy(dtype=float)
        y, fold = table["human_positive"].to_numpy(), np.arange(len(table)) % FOLDS
        mean = np.empty(len(y))
        for each in range(FOLDS):
            learner = make_learner("surface", family="binomial")
            mean[fold == each] = learner.fit(x[fold != each], y[fold != each]).predict(x[fold == each])
        one = np.column_stack([np.ones(len(y)), table[covariates]])
        _texts.truth = regress("logit", y, one)[0]  # type: ignore[attr-defined]
        found.append(table.assign(mean=mean)[[*table.columns, "mean"]])
    return found[0]


DESIGNS: dict[str, Callable[[int], Draw]] = {
    "sentiment": texts,
    "lm .6": covariate("lm", 0.6, 2.0),
    "lm .8": covariate("lm", 0.8, 2.0),
    "logit .6": covariate("logit", 0.6, 1.5),
    "logit .8": covariate("logit", 0.8, 1.5),
    "count": counts,
}


def make_draws(args: argparse.Namespace) -> None:
    """Make the draws that are not stored yet."""
    known = set()
    if args.store.exists():
        stored = pd.read_csv(args.store)
        known = set(zip(stored["design"], stored["seed"], stored["estimator"], strict=True))
    for seed in range(args.draws):
        for design in args.only or DESIGNS:
            missing = [name for name in args.ours if (design, seed, name) not in known]
            if not missing and (design, seed, "gold") in known:
                continue
            draw = DESIGNS[design](seed)
            found = [*(() if (design, seed, "gold") in known else peers(draw)), *ours(draw, missing)]
            rows = [
                {"design": design, "seed": seed, "estimator": name, "term": j, "error": error, "se": se}
                for name, estimate, errors in found
                for j, (error, se) in enumerate(zip(estimate - draw.truth, errors, strict=True))
            ]
            pd.DataFrame(rows).to_csv(args.store, mode="a", header=not args.store.exists(), index=False)


def table_of(stored: pd.DataFrame, rmse: bool) -> pd.DataFrame:
    """Effective labels, per cent of the bound in brackets, Monte Carlo errors: each over the draws that it shares with gold."""
    stored = stored.assign(square=stored["error"] ** 2 if rmse else stored["se"] ** 2)
    out: dict[str, dict[str, str]] = {}
    for design, part in stored.groupby("design", sort=False):
        squares = part.pivot_table(index="seed", columns=["estimator", "term"], values="square")
        title = f"{design} ({squares['gold'].notna().all(axis=1).sum()})"
        for name in dict.fromkeys(part["estimator"]):
            mine = pd.concat({key: squares[key] for key in dict.fromkeys(("gold", "bound", name))}, axis=1).dropna()
            value, error = jackknifed(lambda rows, name=name: LABELS * gain(rows, "gold", name), mine)
            share, share_error = jackknifed(lambda rows, name=name: 100 * gain(rows, "bound", name), mine)
            out.setdefault(name, {})[title] = f"{value:.0f} ±{error:.0f} ({share:.0f} ±{share_error:.0f})"
    order = ["gold", "ppi++", "predict-then-debias", "RePPI (ridge)", *[n for n in OURS if n != "ppi++"], "bound"]
    return pd.DataFrame(out).T.reindex([name for name in order if name in out]).fillna("-")


def gain(rows: pd.DataFrame, one: str, other: str) -> float:
    """Geometric mean over coefficients of one's mean square over another's."""
    return float(np.exp(np.log(rows[one].mean() / rows[other].mean()).mean()))


def jackknifed(of: Callable[[pd.DataFrame], float], rows: pd.DataFrame) -> tuple[float, float]:
    """A number and its Monte Carlo error, from leaving out each draw."""
    each = np.array([of(rows.drop(index=seed)) for seed in rows.index])
    return of(rows), float(np.sqrt((len(rows) - 1) * each.var()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--only", nargs="*", choices=list(DESIGNS))
    parser.add_argument("--ours", nargs="*", choices=list(OURS), default=["ppi++", "dsl", "dsl, tuned", "dsl+"])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--rmse", action="store_true")
    args = parser.parse_args()
    if not args.show:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            make_draws(args)
    measure.print_markdown(table_of(pd.read_csv(args.store), args.rmse))


if __name__ == "__main__":
    main()
