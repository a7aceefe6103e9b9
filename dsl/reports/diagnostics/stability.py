"""Stability: out-of-fold errors over folds, estimates over splits."""

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, IntArray, Record
from dsl.reports.diagnostics import limits
from dsl.reports.diagnostics.case import Case
from dsl.reports.diagnostics.results import Findings, judged
from dsl.reports.diagnostics.tests import equal_means


def examine(case: Case) -> Findings:
    """Folds and splits."""
    return Findings.joined([_folds(case.judging()), _splits(case)])


def _folds(case: Case) -> Findings:
    """Out-of-fold squared errors, fold against fold."""
    folds, predictions = case.fit.splits.folds, case.out_of_fold
    if folds is None or predictions is None:
        return Findings(skipped={"folds": f"estimator='{case.estimator}' has no folds"})
    gold = case.fit.sample.judged_gold
    rows: list[Record] = []
    p_values = np.ones((len(folds), gold.shape[1]))
    for s, split in enumerate(folds[:, case.labeled]):
        # (n, q) squared errors out of fold
        square = (predictions[s] - gold) ** 2
        for v, name in enumerate(case.fit.splits.targets):
            p_values[s, v] = equal_means(*_by_unit(case, square[:, v], split)).p_value
            each = pd.Series(square[:, v]).groupby(split)
            rows += [
                {
                    "variable": name,
                    "split": s + 1,
                    "fold": int(fold),
                    "n": len(part),
                    "rmse": float(np.sqrt(part.mean())),
                }
                for fold, part in each
            ]
    # Meinshausen, Meier and Buehlmann: twice the median of p values that are not independent, times the variables (Bonferroni)
    combined = np.minimum(2.0 * np.median(p_values, axis=0) * gold.shape[1], 1.0)
    worst = int(combined.argmin())
    table = pd.DataFrame(rows)
    mine = table[table["variable"] == case.fit.splits.targets[worst]].groupby("split")["rmse"]
    check = judged(
        "folds",
        float(combined[worst]),
        limits.FOLDS,
        about=case.fit.splits.targets[worst],
        finding=(
            f"out-of-fold errors (RMSE) range from {mine.min().median():.3g} to {mine.max().median():.3g} over the folds of a "
            f"split (p = {combined[worst]:.2g})"
        ),
        remedy="draw folds at random (folds=None) rather than by time or place; look at the table 'folds' for the fold where the "
        "learner fails",
    )
    return Findings(checks=[check], details={"folds": table})


def _by_unit(case: Case, values: FloatArray, fold: IntArray) -> tuple[FloatArray, IntArray]:
    """Values and folds of the rows, or means over clusters, which lie in one fold each."""
    if case.unit is None:
        return values, fold
    # a cluster lies in one fold: that of its first row
    _, first, code = np.unique(case.unit, return_index=True, return_inverse=True)
    return np.bincount(code, values) / np.bincount(code), fold[first]


def _splits(case: Case) -> Findings:
    """How far estimates move from split to split."""
    params = case.fit.splits.params
    if case.fit.splits.folds is None:
        return Findings(skipped={"splits": f"estimator='{case.estimator}' does not split the rows"})
    if len(params) < 2:
        return Findings(skipped={"splits": "one split only: pass sample_split=10 to see how much its folds matter"})
    spread, se = params.std(axis=0, ddof=1), case.fit.bse
    # sd of a median over S splits, about 1.25 sd / sqrt(S), in standard errors of the estimate
    shift = limits.MEDIAN_ERROR * spread / np.sqrt(len(params)) / se
    terms = list(case.fit.names)
    # 1.25 sd / sqrt(S) = threshold, solved for S
    needed = np.ceil((limits.MEDIAN_ERROR * spread / se / limits.SPLITS.note) ** 2)
    table = pd.DataFrame(
        {"sd": spread, "std_error": se, "shift": shift, "splits_needed": np.maximum(needed, 1)}, index=terms
    )
    worst = terms[int(shift.argmax())]
    check = judged(
        "splits",
        float(shift.max()),
        limits.SPLITS,
        about=worst,
        finding=(
            f"over {len(params)} splits the estimate of {worst} varies by {spread[shift.argmax()]:.3g}; another seed would "
            f"move the result by {shift.max():.2f} standard errors"
        ),
        remedy=f"sample_split={max(int(needed.max()), 2)}, a simpler learner, or more labels",
    )
    return Findings(checks=[check], details={"splits": table})
