"""The labelled sample: how many, how unequal, how representative, in how many clusters and cells."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, Record
from dsl.engine.covariance import variance_of_sum
from dsl.engine.intervals import kish, wald_pvalue
from dsl.engine.labeling import finite_deviations
from dsl.reports.diagnostics import limits
from dsl.reports.diagnostics.case import Case, is_discrete, text_of
from dsl.reports.diagnostics.results import Findings, judged
from dsl.reports.diagnostics.tests import holm

MOST_COLUMNS = 50
"""Columns looked at for balance."""
EXPECTED = 5.0
"""Expected labelled rows with a 1 (or a 0) below which a 0/1 column is left out of the test of balance."""
LABEL_MORE = "label more rows (power_dsl says how many)"


def examine(case: Case) -> Findings:
    """Number and weights of the labels, clusters, balance, cells."""
    return Findings.joined([_weights(case), _clusters(case), _balance(case), _cells(case)])


def _weights(case: Case) -> Findings:
    weight, prob = case.weight, case.sample.sample_prob
    n = len(weight)
    # (sum w)^2 / sum w^2
    effective = float(kish(weight))
    lowest = float(prob.min() / prob.mean())
    checks = [
        judged(
            "labels",
            effective,
            limits.LABELS,
            finding=f"{n:,} labelled rows count for {effective:,.0f}",
            remedy=LABEL_MORE + ("" if case.sample.equal_prob else ", with less unequal probabilities"),
        ),
        judged(
            "weights",
            effective / n,
            limits.WEIGHTS,
            finding=(
                f"weights vary from {weight.min():.3g} to {weight.max():.3g}; the largest is {weight.max() / weight.sum():.1%} "
                f"of their sum, and {effective / n:.0%} of the labels are left"
            ),
            remedy="draw further labels with less unequal probabilities; mix the next draw with a uniform one",
        ),
        judged(
            "smallest probability",
            lowest,
            limits.SMALLEST,
            finding=f"the smallest sampling probability is {prob.min():.3g}, {lowest:.3g} of the mean",
            remedy="raise the floor of the sampling probabilities in the next draw; look whether the smallest ones are mistakes",
        ),
    ]
    return Findings(checks=checks)


def _clusters(case: Case) -> Findings:
    if case.unit is None:
        return Findings(skipped={"clusters": "the fit has no clusters"})
    count = len(np.unique(case.unit))
    check = judged(
        "clusters",
        count,
        limits.CLUSTERS,
        finding=f"labelled rows lie in {count:,} of {case.sample.n_clusters:,} clusters",
        remedy="label rows of further clusters; with few clusters in all, vcov='CR1' and wider margins",
    )
    return Findings(checks=[check])


def _balance(case: Case) -> Findings:
    """Weighted labelled rows against all rows, column by column."""
    if case.labeled.all():
        return Findings(skipped={"balance": "every row is labelled"})
    table = pd.DataFrame(_gaps(case))
    if table.empty:
        return Findings(skipped={"balance": "no column that is known for all rows varies enough"})
    # z statistics against the normal distribution
    table["p_value"] = wald_pvalue(table["statistic"], 1.0)
    # the smallest of many p values is small by chance
    table["p_adjusted"] = holm(table["p_value"].to_numpy())
    worst = table.iloc[int(table["p_adjusted"].argmin())]
    check = judged(
        "balance",
        float(worst["p_adjusted"]),
        limits.BALANCE,
        about=str(worst["column"]),
        finding=(
            f"the mean of {worst['column']} is {worst['labeled_mean']:.3g} by the weighted labelled rows and {worst['mean']:.3g} "
            f"over all rows (z = {worst['statistic']:.1f}, adjusted p = {worst['p_adjusted']:.2g}), the largest gap of "
            f"{len(table)} columns"
        ),
        remedy=(
            "check how labelled rows were drawn: pass their true probabilities (sample_prob, design), the clusters that were "
            "drawn together (cluster), and leave no drawn row unlabelled"
        ),
    )
    return Findings(checks=[check], details={"balance": table})


def _gaps(case: Case) -> Iterator[Record]:
    """Mean over labelled rows (Hajek), over all rows, and the z statistic of their difference."""
    sample, weight = case.sample, case.weight
    for name, values in _known_columns(case):
        mean = float(values.mean())
        binary = bool(np.isin(values, (0.0, 1.0)).all())
        # the normal approximation needs a few expected labelled rows with the rarer value
        rarer = min(mean, 1.0 - mean) * sample.n_labeled if binary else np.inf
        if np.ptp(values) == 0.0 or rarer < EXPECTED:
            continue
        # Hajek's mean of x - mean(x): its numerator's variance is that of w (x - mean(x) - gap)
        mine = values[sample.labeled] - mean
        gap = float(weight @ mine / weight.sum())
        parts = finite_deviations((weight * (mine - gap))[:, None], sample.labeling)
        unit = (
            case.unit if sample.labeling.unit is None else None
        )  # without a design clusters are taken to be drawn whole
        # the variances of both stages of the draw, if there are two, add up
        error = float(np.sqrt(sum(variance_of_sum(part, unit).sum() for part in parts)) / weight.sum())
        if error > 0.0:
            yield {"column": name, "labeled_mean": mean + gap, "mean": mean, "statistic": gap / error}


def _known_columns(case: Case) -> list[tuple[str, FloatArray]]:
    """Covariates, outcome, surrogates and features that are known for all rows."""
    design, sample = case.analysis.design, case.sample
    part = design.covariates
    # columns of the design matrix that no gold label changes
    out = {part.names[j]: column for j, column in zip(part.fixed_index, part.fixed.T, strict=True)}
    if design.outcome.fixed is not None:
        out.setdefault(design.outcome.names[0], design.outcome.fixed[:, 0])
    # the first of a name wins: the formula's own column before the feature
    for name, column in zip(sample.feature_names, sample.features.T, strict=True):
        out.setdefault(name, column)
    return list(out.items())[:MOST_COLUMNS]


def _cells(case: Case) -> Findings:
    """Labelled rows in the cells of factors, and with each value of the predicted variables."""
    table = pd.DataFrame(_cell_counts(case))
    if table.empty:
        why = "the formula has no factor, and no predicted variable with few values"
        return Findings(skipped={"labels per cell": why, "outcomes per cell": why})
    least = table.iloc[int(table["n_labeled"].argmin())]
    check = judged(
        "labels per cell",
        float(least["n_labeled"]),
        limits.CELLS,
        about=str(least["cell"]),
        finding=f"{least['n_labeled']:,} labelled rows have {least['cell']}, the fewest of {len(table)} cells",
        remedy="label more rows of that cell (stratify the next draw by it), or merge it with another",
    )
    outcomes = _outcomes(case, table)
    return Findings.joined([Findings(checks=[check], details={"cells": table}), outcomes])


def _outcomes(case: Case, table: pd.DataFrame) -> Findings:
    if "rarer_outcome" not in table:
        why = "only for models of probabilities with a 0/1 outcome that is predicted"
        return Findings(skipped={"outcomes per cell": why})
    least = table.iloc[int(table["rarer_outcome"].argmin())]
    return Findings(
        checks=[
            judged(
                "outcomes per cell",
                float(least["rarer_outcome"]),
                limits.OUTCOMES,
                about=str(least["cell"]),
                finding=(
                    f"of {least['n_labeled']:,.0f} labelled rows with {least['cell']}, the rarer outcome has "
                    f"{least['rarer_outcome']:,.0f}"
                ),
                remedy="label more rows of that cell, merge it with another, or take the factor out of the formula",
            )
        ]
    )


def _cell_counts(case: Case) -> Iterator[Record]:
    """All cells: rows, labelled rows and, for a logit, how many of these have the rarer outcome."""
    labeled, outcome = case.labeled, _binary_outcome(case)
    counted = pd.DataFrame({"_labeled": labeled.astype(int), "_ones": 0.0}, index=case.sample.data.index)
    if outcome is not None:
        counted.loc[labeled, "_ones"] = outcome
    own = case.analysis.design.outcome.variables
    for factors in (*_known_factors(case), *_gold_factors(case)):
        frame = pd.concat([case.sample.data[list(factors)], counted], axis=1)
        sums = frame.groupby(list(factors), observed=True).agg(
            rows=("_labeled", "size"), n_labeled=("_labeled", "sum"), ones=("_ones", "sum")
        )
        for levels, row in sums.iterrows():
            each = levels if isinstance(levels, tuple) else (levels,)
            cell = {"cell": ", ".join(f"{name} = {text_of(level)}" for name, level in zip(factors, each, strict=True))}
            rest = {"rows": int(row["rows"]), "n_labeled": int(row["n_labeled"])}
            # the outcome's own variable makes cells, in which the outcome does not vary
            if outcome is not None and not own & set(factors):
                rest["rarer_outcome"] = int(min(row["ones"], row["n_labeled"] - row["ones"]))
            yield {**cell, **rest}


def _binary_outcome(case: Case) -> FloatArray | None:
    """(n,) gold outcome of a logit that is predicted, or None otherwise."""
    design = case.analysis.design
    if not case.fit.model.link.probability or design.outcome.fixed is not None or case.analysis.levels:
        return None
    return design.gold_outcome if np.isin(design.gold_outcome, (0.0, 1.0)).all() else None


def _known_factors(case: Case) -> list[tuple[str, ...]]:
    """The factors among the covariates, and pairs of those that interact."""
    part = case.analysis.design.covariates
    out: dict[tuple[str, ...], None] = {}
    for term in part.spec.term_columns:
        # None stands for a variable that is no factor: its interactions make no cells
        used = [_factor(case, columns, levels) for columns, levels in term]
        found = sorted({name for name in used if name is not None})
        out |= {(name,): None for name in found}
        if None not in used:
            out |= dict.fromkeys(combinations(found, 2))
    return list(out)


def _factor(case: Case, columns: frozenset[str], levels: bool) -> str | None:
    """The column behind a variable of the formula, if it is one known factor."""
    known = columns - set(case.analysis.columns.predicted)
    if len(columns) != 1 or not known:
        return None
    name = next(iter(known))
    return name if levels or is_discrete(case.sample.data[name]) else None


def _gold_factors(case: Case) -> list[tuple[str, ...]]:
    """The predicted variables with few values."""
    data = case.sample.data
    return [(name,) for name in case.analysis.columns.predicted if is_discrete(data[name])]
