"""The labelled sample: how many, how unequal, how representative, in how many clusters and cells."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from dsl._typing import FloatArray, Record
from dsl.data.drawn import remedy
from dsl.engine.intervals import kish
from dsl.reports.diagnostics import limits
from dsl.reports.diagnostics.case import Case, is_discrete, text_of
from dsl.reports.diagnostics.results import Findings, judged

LABEL_MORE = "label more rows (power_dsl says how many)"


def examine(case: Case) -> Findings:
    """Number and weights of the labels, clusters, balance, cells."""
    return Findings.joined([_weights(case), _clusters(case), _balance(case), _cells(case)])


def _weights(case: Case) -> Findings:
    # rows that the predictions' maker has seen are known, and stand for no others
    weight, prob = case.judging().weight, case.sample.sample_prob[~case.sample.trained]
    n = len(weight)
    # (sum w)^2 / sum w^2
    effective = float(kish(weight))
    lowest = float(prob.min()) / case.mean_prob
    checks = [
        judged(
            "labels",
            effective,
            limits.LABELS,
            finding=f"{n:,} labelled rows count for {effective:,.0f}",
            remedy=LABEL_MORE + ("" if np.ptp(prob) == 0.0 else ", with less unequal probabilities"),
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
        remedy="label rows of further clusters; with few clusters in all, vcov='CR2' with use_t=True, or fit.wild_test",
    )
    return Findings(checks=[check])


def _balance(case: Case) -> Findings:
    """Number of labelled rows in parts of each column, against the draw as it was stated: the test that every fit makes."""
    looked = case.fit.sample.looked
    if not looked:
        why = "the fit did not look at its labels" if case.fit.estimator.uses_labels else "the estimator uses no labels"
        if case.thinned and case.unit is not None:
            why = f"{case.thinned}: with clusters the test needs all rows"
        return Findings(skipped={"balance": "every row is labelled" if case.labeled.all() else why})
    worst = looked[0]
    alarms = [each for each in looked if each.alarm]
    check = judged(
        "balance",
        worst.p_value,
        limits.BALANCE,
        about=worst.column or "order of the rows",
        finding=f"{worst.finding}; adjusted p = {worst.p_value:.2g}, the smallest of {len(looked)} columns",
        remedy=remedy(alarms or [worst]),
    )
    table = pd.DataFrame(
        {
            "column": each.column or f"({each.role})",
            "part": each.part,
            "rows": each.rows,
            "n_labeled": each.n_labeled,
            "expected": each.expected,
            "p_adjusted": each.p_value,
        }
        for each in looked
    )
    return Findings(checks=[check], details={"balance": table})


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
    outcomes, skipped = _outcomes(case, table), {}
    if case.thinned:
        table = table.drop(columns="rows")
        skipped["rows of cells"] = (
            f"{case.thinned}: how many rows a cell has is not known, nor cells that none of them has"
        )
    return Findings.joined([Findings(checks=[check], details={"cells": table}, skipped=skipped), outcomes])


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
