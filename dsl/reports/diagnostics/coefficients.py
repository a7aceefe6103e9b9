"""What carries each coefficient: labels behind it, single rows, outcomes of a logit, the Jacobian."""

from dataclasses import replace

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.engine.blocks import Block
from dsl.engine.labeling import finite_shares
from dsl.engine.moments import fitted_means, gold_weights
from dsl.engine.sums import moment_sums
from dsl.reports.diagnostics import limits
from dsl.reports.diagnostics.case import Case
from dsl.reports.diagnostics.results import Findings, judged

MOST_INFLUENTIAL = 10
"""Rows in the table of influential ones."""


def examine(case: Case) -> Findings:
    """Small samples, influence, the Jacobian."""
    return Findings.joined([_small_sample(case), _events(case), _separation(case), _carried(case), _jacobian(case)])


def _small_sample(case: Case) -> Findings:
    n, k = case.fit.n_labeled, len(case.fit.names)
    check = judged(
        "labels per coefficient",
        n / k,
        limits.PER_COEFFICIENT,
        finding=f"{k} coefficients rest on {n:,} labelled rows",
        remedy="label more rows, or take columns out of the formula; vcov='HC3' (CR3 with clusters) allows for small samples",
    )
    return Findings(checks=[check])


def _events(case: Case) -> Findings:
    name, design = "outcomes per coefficient", case.analysis.design
    if case.thinned and design.outcome.fixed is not None and (design.levels or case.fit.model.link.probability):
        return Findings(
            skipped={name: f"{case.thinned}: the outcome is known for all rows, and would be counted on all"}
        )
    if design.levels:
        return _classes_per_coefficient(case, name)
    if not case.fit.model.link.probability or not np.isin(design.gold_outcome, (0.0, 1.0)).all():
        return Findings(skipped={name: "only for models of probabilities with a 0/1 outcome"})
    counts, where = [], ""
    for level, each in zip(case.analysis.levels or ("",), case.analysis.designs, strict=True):
        # an outcome known for every row counts over all of them, a gold one over the labelled rows
        known = each.outcome.fixed
        outcome = each.gold_outcome if known is None else known[:, 0]
        # the rarer of 0 and 1
        counts.append((min(float(outcome.sum()), float((1.0 - outcome).sum())), level))
        where = "labelled rows" if known is None else "rows"
    rarer, level = min(counts)
    k = len(design.block_names)
    check = judged(
        name,
        rarer / k,
        limits.EVENTS,
        about=level,
        finding=f"{k} coefficients rest on {rarer:,.0f} {where} with the rarer outcome{f' of {level}' if level else ''}",
        remedy="label more rows that are likely to have it (dsl.sampling), or take columns out of the formula",
    )
    return Findings(checks=[check])


def _classes_per_coefficient(case: Case, name: str) -> Findings:
    """Rows of the rarest class for each coefficient of a linear predictor."""
    design = case.analysis.design
    known = design.outcome.fixed
    codes = (design.gold_outcome if known is None else known[:, 0]).astype(int)
    counts = np.bincount(codes, minlength=len(design.levels))
    rarest, k = int(counts.argmin()), len(design.block_names)
    where = "labelled rows" if known is None else "rows"
    check = judged(
        name,
        float(counts[rarest]) / k,
        limits.EVENTS,
        about=design.levels[rarest],
        finding=f"{k} coefficients rest on {counts[rarest]:,} {where} of the rarest class, {design.levels[rarest]}",
        remedy="label more rows that are likely to be of it (dsl.sampling), merge it with another class, or take columns out of "
        "the formula",
    )
    return Findings(checks=[check])


def _separation(case: Case) -> Findings:
    """Labelled rows whose fitted probability, at the gold values, is all but 0 or 1."""
    if not case.fit.model.link.probability:
        return Findings(skipped={"separation": "only for models of probabilities"})
    equations = case.analysis.blocks()
    shares = []
    for blocks, params in zip(equations, np.asarray(case.fit.params).reshape(len(equations), -1), strict=True):
        mean = fitted_means(blocks.gold_only(), params[case.analysis.places], case.analysis.link).gold
        # weightless: what matters is how many rows, not what they stand for. Of classes (K, n) the likeliest is all but certain.
        least = np.minimum(mean, 1.0 - mean) if mean.ndim == 1 else 1.0 - mean.max(axis=0)
        shares.append(float(np.mean(least < limits.EXTREME)))
    check = judged(
        "separation",
        max(shares),
        limits.SEPARATION,
        finding=f"{max(shares):.1%} of the labelled rows have a fitted probability of all but 0 or 1",
        remedy="look for a covariate that gives the outcome away and take it out, or merge rare categories; label more rows",
    )
    return Findings(checks=[check])


def _carried(case: Case) -> Findings:
    """Labels behind each coefficient, and the largest share of its variance that one labelled row has."""
    names = ("labels behind", "influence")
    scores = case.fit.splits.label_scores
    if not case.fit.estimator.uses_labels:
        return Findings(skipped=dict.fromkeys(names, "the naive estimator uses no labels"))
    if not len(scores):
        return Findings(skipped=dict.fromkeys(names, "remove_data() dropped the labelled rows' scores"))
    terms = list(case.fit.names)
    behind, shares = case.fit.labels_behind, _shares(case)
    few, most = str(behind.idxmin()), terms[int(shares.max(axis=0).argmax())]
    rows = shares.argmax(axis=0)
    labels = case.sample.labels[case.labeled]
    top = terms.index(most)
    table = pd.DataFrame(
        {"labels_behind": behind, "largest_share": shares.max(axis=0), "row": labels[rows]}, index=terms
    )
    checks = [
        judged(
            "labels behind",
            float(behind.min()),
            limits.BEHIND if case.fit.call.tune is None else limits.BEHIND_TUNED,
            about=few,
            finding=f"{behind.min():.0f} labelled rows are behind {few}, the fewest of {len(terms)} coefficients",
            remedy="label more rows that bear on it (dsl.sampling.targeted, AdaptiveDesign), and be wary of tuning",
        ),
        judged(
            "influence",
            float(shares.max()),
            limits.INFLUENCE,
            about=most,
            finding=f"labelled row {labels[rows[top]]} has {shares.max():.1%} of the variance of {most}",
            remedy="look at that row (table 'influential'): is its label right, its probability, its covariates? Label more rows "
            "like it",
        ),
    ]
    return Findings(checks=checks, details={"coefficients": table, "influential": _influential(case, shares, terms)})


def _shares(case: Case) -> FloatArray:
    """Share of each coefficient's variance that each labelled row adds, (n, k)."""
    splits = case.fit.splits
    scores = case.fit.contributions()
    # squares of J^-1 score (n, k). For a finite population only what the labelling leaves random of them
    square = finite_shares(scores, case.sample.labeling) if case.fit.call.target == "finite" else scores**2
    # over the median variance of the splits, as the standard errors are medians
    return np.asarray(square / np.median(np.diagonal(splits.vcovs, axis1=1, axis2=2), axis=0))


def _influential(case: Case, shares: FloatArray, terms: list[str]) -> pd.DataFrame:
    """The labelled rows with the largest shares: where, how much, gold values and weight."""
    # by the largest share that the row has in any coefficient
    order = np.argsort(-shares.max(axis=1), kind="stable")[:MOST_INFLUENTIAL]
    table = pd.DataFrame(
        {
            "coefficient": [terms[j] for j in shares[order].argmax(axis=1)],
            "share": shares[order].max(axis=1),
            "weight": case.weight[order],
        },
        index=case.sample.labels[case.labeled][order],
    )
    gold = case.analysis.gold
    for name in gold:
        table[str(name)] = gold[name].to_numpy()[order]
    return table


def _jacobian(case: Case) -> Findings:
    """What the gold correction leaves of the information in the covariates."""
    if not case.analysis.design.covariates.predicted_index:
        return Findings(skipped={"jacobian": "no covariate is predicted"})
    if not (case.fit.estimator.uses_labels and case.fit.estimator.uses_surrogates):
        why = f"estimator='{case.estimator}' does not combine predictions with gold values"
        return Findings(skipped={"jacobian": why})
    splits, k = case.fit.splits, len(case.analysis.places)
    values: list[float] = []
    for equation, blocks in enumerate(case.analysis.blocks()):
        # this equation's own block of the Jacobian
        own = slice(equation * k, (equation + 1) * k)
        gold = _gold_jacobian(case, blocks.gold_only(), splits.params[0][own])
        # a reference that is not positive definite has no Cholesky root
        if np.linalg.eigvalsh(gold)[0] <= 0.0:
            return Findings(skipped={"jacobian": "the labelled rows alone do not tell the covariates apart"})
        values += [_least_ratio(jacobian[own, own], gold) for jacobian in splits.jacobians]
    check = judged(
        "jacobian",
        min(values),
        limits.JACOBIAN,
        finding=(
            f"relative to the labelled rows alone, {min(values):.2f} of the information is left in the direction that has "
            "least of it"
        ),
        remedy="label more rows, improve the surrogates of the covariates, or use estimator='dsl+', which is stable here",
    )
    return Findings(checks=[check])


def _gold_jacobian(case: Case, block: Block, params: FloatArray) -> FloatArray:
    """Jacobian of the weighted labelled rows alone at `params`, both in the formula's order, (k, k)."""
    order = case.analysis.order
    problem = replace(case.analysis.problem(), labeling=None, weights=gold_weights)
    jacobian = moment_sums(block, problem, params[case.analysis.places])[1][np.ix_(order, order)]
    # symmetric but for rounding
    return np.asarray((jacobian + jacobian.T) / 2.0)


def _least_ratio(jacobian: FloatArray, reference: FloatArray) -> float:
    """Smallest eigenvalue of the symmetric part of one matrix relative to a positive definite one."""
    root = np.linalg.cholesky(reference)
    # L^-1 J L^-T with gold = L L': its smallest eigenvalue is the least of x'Jx / x'gold x
    half = np.linalg.solve(root, (jacobian + jacobian.T) / 2.0)
    return float(np.linalg.eigvalsh(np.linalg.solve(root, half.T))[0])
