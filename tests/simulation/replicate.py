"""Repeated labelling of the same design: coverage, bias and RMSE of the estimators, with Monte Carlo errors."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

import dsl

ESTIMATORS = ("naive", "gold_only", "dsl")


def replicate(
    draw: Callable[[int], pd.DataFrame],
    truth: pd.Series,
    seeds: Iterable[int],
    call: dict[str, Any],
    estimators: Iterable[str] = ESTIMATORS,
) -> pd.DataFrame:
    """Estimate on one drawn table per seed; one row per seed, estimator and coefficient.

    ``"tuned"`` is ``"dsl"`` with a lambda for each coefficient.
    """
    parts = []
    for seed in seeds:
        data = draw(seed)
        for estimator in estimators:
            given = {"estimator": "dsl", "tune": "coef"} if estimator == "tuned" else {"estimator": estimator}
            fit = dsl.dsl(data=data, seed=seed, **given, **call)
            table = fit.tidy().set_index("term").loc[truth.index]
            parts.append(
                pd.DataFrame(
                    {
                        "seed": seed,
                        "estimator": estimator,
                        "error": table["estimate"] - truth,
                        "covered": (table["conf_low"] <= truth) & (truth <= table["conf_high"]),
                        "bse": table["std_error"],
                    }
                )
            )
    return pd.concat(parts).rename_axis("term").reset_index()


def score(results: pd.DataFrame) -> pd.DataFrame:
    """Coverage, bias, RMSE and mean standard error per estimator and coefficient."""
    grouped = results.groupby(["estimator", "term"], sort=False)
    return pd.DataFrame(
        {
            "coverage": grouped["covered"].mean(),
            "bias": grouped["error"].mean(),
            "rmse": grouped["error"].agg(lambda error: float(np.sqrt(np.mean(error**2)))),
            "bse": grouped["bse"].mean(),
        }
    )


def coverage_error(replications: int, level: float = 0.95) -> float:
    """Monte Carlo standard error of a coverage."""
    return float(np.sqrt(level * (1 - level) / replications))
