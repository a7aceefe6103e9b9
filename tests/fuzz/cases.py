"""Random analyses: a frame, a call, and what the oracle makes of the same rows."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from dsl._typing import Arguments

from . import oracle
from .oracle import Answer, Array, Problem, Version

CONTAINERS = ("pandas", "nullable", "arrow", "polars", "pyarrow", "dict")
CONTAINED = {
    "pandas": lambda frame: frame,
    "nullable": lambda frame: frame.convert_dtypes(),
    "arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda frame: pl.from_pandas(frame),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "dict": lambda frame: {name: column.tolist() for name, column in frame.items()},
}
PREDICTED = {"outcome": ("y",), "covariate": ("d",), "both": ("y", "d")}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is drawn. Everything else follows from it."""

    seed: int
    n: int
    model: str
    estimator: str
    tune: str | float | None
    predicted: str
    """Key of `PREDICTED`."""
    binary: bool
    """Whether y has two values. A logit's always has."""
    square: bool
    group: bool
    product: bool
    """d:x among the covariates."""
    unequal: bool
    cluster: bool
    finite: bool
    corrected: bool
    """HC1 or CR1."""
    feature: bool
    missing: bool
    splits: int
    scale: float
    """Units of x."""
    shift: float
    """x's distance from zero, in its standard deviations."""
    container: str

    @property
    def with_d(self) -> bool:
        return self.predicted != "outcome" or self.product

    @property
    def logit(self) -> bool:
        return self.model == "logit"


def allowed(case: Case) -> bool:
    """Whether the call is one that the package takes and the oracle can answer."""
    two_sample = case.estimator in ("ppi", "ppi++")
    felm = case.model == "felm"
    if two_sample and (felm or case.unequal):
        return False
    if case.estimator == "naive" and case.finite:
        return False
    # effects within the factor: only the oracle's form without a finite population, and no fixed Lambda
    return not (felm and (tune_of(case) is not None) and (case.finite or isinstance(case.tune, float)))


def tune_of(case: Case) -> str | float | None:
    """What is tuned, with the estimators' defaults."""
    return case.tune if case.tune is not None else {"dsl+": "coef", "cdi": "coef"}.get(case.estimator)


def frame_of(case: Case) -> pd.DataFrame:
    """Gold values where labelled, surrogates everywhere."""
    r = np.random.default_rng(case.seed)
    n = case.n
    z = r.normal(size=n)
    g, u = r.choice(["a", "b", "c"], n), r.integers(0, 8, n)
    v = r.integers(0, 2, n).astype(float)
    d = (r.random(n) < expit(0.4 * z - 0.1)).astype(float)
    eta = 0.2 + 0.5 * z - 0.4 * v + 0.7 * d + 0.2 * (g == "b")
    y = (r.random(n) < expit(eta)).astype(float) if case.binary else eta + r.normal(size=n)
    sy = np.where(r.random(n) < 0.15, 1.0 - y, y) if case.binary else y + 0.5 * r.normal(size=n)
    prob = 0.25 + 0.5 * expit(z + r.normal(size=n)) if case.unequal else np.full(n, 0.5)
    labeled = r.random(n) < prob
    frame = pd.DataFrame(
        {
            "x": case.scale * (z + case.shift),
            "v": v,
            "g": g,
            "unit": u,
            "who": r.integers(0, max(n // 6, 12), n),
            "f": z + r.normal(size=n),
            "y": y,
            "d": d,
            "sy": sy,
            "sd": np.where(r.random(n) < 0.15, 1.0 - d, d),
            "p": prob,
        }
    )
    for name in PREDICTED[case.predicted]:
        frame.loc[~labeled, name] = np.nan
    if case.missing:
        frame.loc[r.choice(n, 5, replace=False), "x"] = np.nan
    return frame


def formula_of(case: Case) -> str:
    """Columns in the order of `covariates`."""
    terms = ["x", "v", *["I(x^2)"] * case.square, *["g"] * case.group, *["d"] * case.with_d, *["d:x"] * case.product]
    return f"y ~ {' + '.join(terms)}" + " | unit" * (case.model == "felm")


def folds_of(case: Case) -> NDArray[np.int64]:
    """(S, n). Clusters whole."""
    r = np.random.default_rng(case.seed + 1)
    who = frame_of(case)["who"].to_numpy()
    units = r.integers(0, 4, (case.splits, who.max() + 1))
    return units[:, who] if case.cluster else r.integers(0, 4, (case.splits, case.n))


def arguments_of(case: Case) -> Arguments:
    """Arguments of ``dsl.dsl``."""
    names = PREDICTED[case.predicted]
    return {
        "model": case.model,
        "estimator": case.estimator,
        "tune": case.tune,
        "predicted_var": {name: f"s{name}" for name in names},
        "sample_prob": "p" if case.unequal else None,
        "cluster": "who" if case.cluster else None,
        "vcov": ("CR1" if case.cluster else "HC1") if case.corrected else "robust",
        "target": "finite" if case.finite else "superpopulation",
        "feature": "f" if case.feature else None,
        "sl_method": "lm",
        "folds": folds_of(case),
    }


def expected(case: Case) -> tuple[Array, Array, float]:
    """Coefficients, standard errors and condition number by the oracle.

    Raises
    ------
    NoAnswerError
    """
    every = frame_of(case)
    keep = every["x"].notna().to_numpy()
    data, folds = every[keep].reset_index(drop=True), folds_of(case)[:, keep]
    names = PREDICTED[case.predicted]
    labeled = data[list(names)].notna().all(axis=1).to_numpy()
    n = len(data)
    prob = data["p"].to_numpy() if case.unequal else np.full(n, labeled.mean())
    weight = np.where(labeled, 1.0 / (prob * labeled.mean() / prob.mean()), 0.0)
    every_split = range(case.splits) if case.estimator in ("dsl", "dsl+") else range(1)
    answers = []
    for split in every_split:
        problem = _problem(case, data, labeled, prob, weight, folds[split])
        answers.append(_answer(case, problem))
    k = _width(case)
    centre, se = oracle.combine(answers, _factor(case, data, labeled, k))
    return centre[:k], se[:k], max(answer.condition for answer in answers)


def _width(case: Case) -> int:
    return (case.model != "felm") + 2 + case.square + 2 * case.group + case.with_d + case.product


def _factor(case: Case, data: pd.DataFrame, labeled: NDArray[np.bool_], k: int) -> float:
    if not case.corrected:
        return 1.0
    used = data[labeled] if case.estimator == "gold_only" else data
    n = len(used)
    # a gold-only fit too counts all levels of the absorbed factor
    k = k + (data["unit"].nunique() if case.model == "felm" else 0)
    if not case.cluster:
        return n / (n - k)
    groups = used["who"].nunique()
    return groups / (groups - 1) * (n - 1) / (n - k)


def _design(case: Case, data: pd.DataFrame, d: Array) -> Array:
    x = data["x"].to_numpy()
    columns = [x, data["v"].to_numpy()]
    if case.model != "felm":
        columns.insert(0, np.ones(len(x)))
    if case.square:
        columns.append(x**2)
    if case.group:
        columns += [(data["g"] == level).to_numpy(dtype=float) for level in ("b", "c")]
    if case.with_d:
        columns.append(d)
    if case.product:
        columns.append(d * x)
    return np.column_stack(columns)


def _problem(
    case: Case, data: pd.DataFrame, labeled: NDArray[np.bool_], prob: Array, weight: Array, folds: NDArray[np.int64]
) -> Problem:
    names = PREDICTED[case.predicted]
    gold = data[list(names)].to_numpy(dtype=float)[labeled]
    y, d = data["y"].to_numpy(), data["d"].to_numpy()
    versions = [
        Version(
            _design(case, data, values.get("d", d)),
            values.get("y", y) + np.zeros(len(data)),
            np.broadcast_to(share, len(data)),
        )
        for values, share in _imputations(case, data, names, gold, labeled, folds)
    ]
    gold_x, gold_y = np.zeros_like(versions[0].x), np.zeros(len(data))
    gold_x[labeled] = _design(case, data, d)[labeled]
    gold_y[labeled] = y[labeled]
    dummies = None
    if case.model == "felm":
        dummies = pd.get_dummies(data["unit"], dtype=float).to_numpy()
    cluster = data["who"].to_numpy().astype(float) if case.cluster else None
    return Problem(case.logit, versions, gold_x, gold_y, weight, prob, cluster, dummies, case.finite)


def _imputations(
    case: Case, data: pd.DataFrame, names: tuple[str, ...], gold: Array, labeled: NDArray[np.bool_], folds: Array
) -> list[tuple[dict[str, Array], Array]]:
    """Values of the predicted variables (N,) and probability (N,) of each version of the rows."""
    one = np.ones(len(data))
    surrogates = [f"s{name}" for name in names]
    if case.estimator not in ("dsl", "dsl+"):
        return [({name: data[f"s{name}"].to_numpy() for name in names}, one)]
    features = data[[*surrogates, *["f"] * case.feature]].to_numpy()
    if case.estimator == "dsl":
        means = oracle.out_of_fold(features, gold, labeled, folds, clip=False)
        return [(dict(zip(names, means.T, strict=True)), one)]
    # score imputation: the observed variables of the analysis are evidence too
    observed = [data["x"].to_numpy(), data["v"].to_numpy()]
    observed += [data["x"].to_numpy() ** 2] * case.square
    observed += [(data["g"] == level).to_numpy(dtype=float) for level in ("b", "c")] * case.group
    if "d" not in names and case.with_d:
        observed += [data["d"].to_numpy(), *[data["d"].to_numpy() * data["x"].to_numpy()] * case.product]
    if "y" not in names:
        observed.append(data["y"].to_numpy())
    evidence = np.column_stack([features, *observed])
    if names == ("y",):
        means = oracle.out_of_fold(evidence, gold, labeled, folds, clip=False)
        return [({"y": means[:, 0]}, one)]
    cells, shares = oracle.joint_shares(evidence, gold, labeled, folds)
    return [
        ({name: np.full(len(data), value) for name, value in zip(names, cell, strict=True)}, share)
        for cell, share in zip(cells, shares.T, strict=True)
    ]


def _answer(case: Case, problem: Problem) -> Answer:
    tune = tune_of(case)
    if case.estimator == "ppi":
        return oracle.two_sample(problem, 1.0 if tune is None else float(tune))
    if case.estimator == "ppi++":
        return oracle.two_sample(problem, None)
    within = problem.dummies is not None and case.estimator in ("dsl", "dsl+", "cdi")
    if within and (tune is not None or not case.finite):
        return oracle.absorbed(problem, None if tune is None else str(tune))
    if problem.dummies is not None:
        problem = oracle.with_dummies(problem)
    if case.estimator == "naive":
        return oracle.naive(problem)
    if case.estimator == "gold_only":
        return oracle.fixed_lambda(problem, 0.0)
    if isinstance(tune, str):
        return oracle.tuned(problem, tune)
    return oracle.fixed_lambda(problem, 1.0 if tune is None else tune)


def described(case: Case) -> str:
    """The case as it can be pasted into a test."""
    return f"Case(**{asdict(case)!r})"
