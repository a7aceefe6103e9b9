"""Surrogates and learners against the gold labels: quality by group, differential error, calibration."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dsl._typing import AnyArray, BoolArray, FloatArray, Record
from dsl.data.sample import Sample
from dsl.data.tables import is_category
from dsl.engine.covariance import variance_of_sum
from dsl.estimators.surrogates import raw_versions
from dsl.exceptions import ArgumentError, DataError
from dsl.reports.diagnostics import limits
from dsl.reports.diagnostics.case import LEAST, MOST_GROUPS, Case, dummies, groups
from dsl.reports.diagnostics.results import Check, Findings, judged
from dsl.reports.diagnostics.tests import holm, score_test, weighted_slope

EVERYONE = "(all rows)"
FEW_CLASSES = 8
"""Distinct gold values up to which errors are judged within each of them."""
POWERS = 4
"""Powers of a continuous gold value, from the zeroth, that the surrogate may depend on."""
BINS = 10
"""Groups of a calibration table."""


@dataclass(frozen=True, slots=True)
class _One:
    """One predicted variable, for `raw_versions`."""

    sample: Sample
    predicted: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Gold values and surrogates of one predicted variable on the labelled rows."""

    name: str
    gold: pd.Series
    """(n,) numbers or categories."""
    surrogate: AnyArray | pd.Categorical
    """(n,) of the same kind."""

    @property
    def category(self) -> bool:
        """Whether they are categories."""
        return is_category(self.gold)

    @property
    def binary(self) -> bool:
        """Whether both are 0/1."""
        return not self.category and all(bool(np.isin(v, (0.0, 1.0)).all()) for v in (self.gold, self.surrogate))

    @property
    def error(self) -> FloatArray:
        """Surrogate less gold, or 1 for a wrong category and 0 for a right one, (n,)."""
        if self.category:
            # as objects, since two sets of categories cannot be compared
            named = np.asarray(self.surrogate).astype(object) != self.gold.to_numpy().astype(object)
            return np.asarray(named, dtype=float)
        return np.asarray(np.asarray(self.surrogate, dtype=float) - self.gold.to_numpy(dtype=float))


def examine(case: Case) -> Findings:
    """Surrogates, then learners."""
    own = case.judging()
    return Findings.joined([_surrogates(own), _learners(own)])


def _pairs(case: Case) -> Iterator[Pair | tuple[str, str]]:
    """Each predicted variable with its surrogate, or its name and why there is none."""
    sample, pairs = case.sample, case.fit.call.pairs
    for name in case.analysis.columns.predicted:
        try:
            versions = raw_versions(_One(sample, (name,)), pairs, "naive")
        except (ArgumentError, DataError) as error:
            yield name, str(error)
            continue
        gold = sample.data.loc[sample.labeled, name]
        # no share: one version of values for every row
        if versions[0][1] is None:
            yield Pair(name=name, gold=gold, surrogate=versions[0][0][name][sample.labeled])
            continue
        # several surrogates of a category come as versions with shares, of which the largest names the category
        shares = np.column_stack([share[sample.labeled] for _, share in versions if share is not None])
        levels = np.array([values[name][0] for values, _ in versions], dtype=object)
        yield Pair(name=name, gold=gold, surrogate=levels[shares.argmax(axis=1)])


def _surrogates(case: Case) -> Findings:
    out = Findings()
    rows: list[Record] = []
    tests: list[Record] = []
    # one group of all rows comes first
    everyone = pd.Series(EVERYONE, index=case.sample.labels[case.labeled])
    cut = {str(name): groups(case.covariates[name], case.labeled) for name in case.covariates}
    for pair in _pairs(case):
        if isinstance(pair, tuple):
            out.skipped[f"surrogate of {pair[0]}"] = pair[1]
            continue
        out.checks.append(_skill(case, pair))
        for covariate, group in {"": everyone, **cut}.items():
            rows += [{"variable": pair.name, "covariate": covariate, **row} for row in _quality(case, pair, group)]
        tests += [_differential(case, pair, name, group) for name, group in cut.items()]
    if rows:
        out.details["surrogates"] = pd.DataFrame(rows)
    if tests:
        table = pd.DataFrame(tests)
        # the smallest of many p values is small by chance
        table["p_adjusted"] = holm(table["p_value"].to_numpy())
        out.details["differential"] = table
        out.checks.extend(_differential_check(case, row) for _, row in table.iterrows())
    return out


def _skill(case: Case, pair: Pair) -> Check:
    """Correlation of surrogate and gold values, or Cohen's kappa for categories."""
    # all measures are those of all rows: labelled rows weighted by 1 / pi, here to sum to one
    share = case.weight / case.weight.sum()
    # |error| is 0 or 1 for categories and for 0/1 values
    right = 1.0 - float(share @ np.abs(pair.error))
    if pair.category:
        value = _kappa(pair, right, share)
        finding = f"the surrogate of {pair.name} names the right category in {right:.1%} of rows (kappa {value:.2f})"
    else:
        value = _correlation(pair, share)
        also = f"; it is right in {right:.1%} of rows" if pair.binary else ""
        finding = f"the surrogate of {pair.name} correlates with the gold values by {value:.2f}{also}"
    return judged(
        "surrogate",
        value,
        limits.SURROGATE,
        about=pair.name,
        finding=finding,
        remedy="look at errors with the codebook in hand, improve the prompt or the model, check the coding (1 for what?)",
    )


def _kappa(pair: Pair, right: float, share: FloatArray) -> float:
    """Agreement beyond chance, relative to the most there can be."""
    labels = np.asarray(pair.surrogate).astype(object)
    marginals = [
        (float(share @ (labels == level)), float(share @ (pair.gold == level).to_numpy()))
        for level in pair.gold.cat.categories
    ]
    # agreement by chance: sum of the products of the marginal shares
    chance = sum(one * other for one, other in marginals)
    return (right - chance) / (1.0 - chance) if chance < 1.0 else 0.0


def _correlation(pair: Pair, share: FloatArray) -> float:
    gold, surrogate = pair.gold.to_numpy(dtype=float), np.asarray(pair.surrogate, dtype=float)
    # Pearson's correlation with weights
    x, y = surrogate - share @ surrogate, gold - share @ gold
    size = float(np.sqrt((share @ x**2) * (share @ y**2)))
    return float(share @ (x * y)) / size if size > 0.0 else 0.0


def _quality(case: Case, pair: Pair, group: pd.Series) -> Iterator[Record]:
    """Error measures of each group, weighted by inverse probability."""
    mine = group.to_numpy()
    predicted = _predicted_mean(case, pair.name)
    for label in pd.unique(np.sort(mine.astype(str))):
        rows = mine == label
        share = case.weight[rows] / case.weight[rows].sum()
        error = pair.error[rows]
        out: Record = {"group": label, "n": int(rows.sum())}
        if pair.category or pair.binary:
            out["accuracy"] = 1.0 - float(share @ np.abs(error))
        if pair.binary:
            gold = pair.gold.to_numpy()[rows]
            out["false_positive_rate"] = _share_of(error == 1.0, gold == 0.0, share)
            # NaN where no row of the group has that gold value
            out["false_negative_rate"] = _share_of(error == -1.0, gold == 1.0, share)
        if not pair.category:
            out["bias"], out["rmse"] = float(share @ error), float(np.sqrt(share @ error**2))
            out["gold_mean"] = float(share @ pair.gold.to_numpy(dtype=float)[rows])
            if predicted is not None:
                out["predicted_mean"] = float(share @ predicted[rows])
        yield out


def _share_of(event: BoolArray, among: BoolArray, share: FloatArray) -> float:
    total = float(share @ among)
    return float(share @ (event & among)) / total if total > 0.0 else np.nan


def _predicted_mean(case: Case, name: str) -> FloatArray | None:
    """Out-of-fold predictions, mean over splits, (n,)."""
    targets = case.fit.splits.targets
    if case.out_of_fold is None or name not in targets:
        return None
    return np.asarray(case.out_of_fold[:, :, targets.index(name)].mean(axis=0))


def _differential(case: Case, pair: Pair, covariate: str, group: pd.Series) -> Record:
    """Test that the surrogate, given the gold value, does not depend on the covariate."""
    # for categories the test is about being wrong, as the categories have no mean
    response = pair.error if pair.category else np.asarray(pair.surrogate, dtype=float)
    tested = dummies(group)
    gold = pair.gold
    if pair.category or gold.nunique() <= FEW_CLASSES:
        classes = pd.get_dummies(gold.astype(object).map(str), dtype=float).to_numpy()
        # gold values of few rows are one class together: each needs rows enough to show its own errors
        common = classes.sum(axis=0) >= LEAST
        null = np.column_stack([classes[:, common], classes[:, ~common].sum(axis=1)]) if not common.all() else classes
        null = null[:, null.any(axis=0)]
        # a surrogate may depend on the gold value in any way, and the covariate may matter differently at each value
        tested = np.hstack([tested * column[:, None] for column in null.T])
    else:
        scaled = gold.to_numpy(dtype=float) - gold.mean()
        # cubic in the gold value, scaled to [-1, 1] so that powers stay comparable
        null = np.vander(scaled / (np.abs(scaled).max() or 1.0), POWERS)
    test = score_test(response=response, null=null, tested=tested, weight=case.weight, unit=case.unit)
    return {
        "variable": pair.name,
        "covariate": covariate,
        "groups": int(group.nunique()),
        "statistic": test.statistic,
        "df": test.df,
        "p_value": test.p_value,
    }


def _differential_check(case: Case, row: pd.Series) -> Check:
    p = float(row["p_adjusted"])
    found = "differ" if p < limits.DIFFERENTIAL.note else "show no differences"
    return judged(
        "differential error",
        p,
        limits.DIFFERENTIAL,
        about=f"{row['variable']} by {row['covariate']}",
        finding=(
            f"errors of the surrogate of {row['variable']} {found} across {row['groups']} groups of {row['covariate']} "
            f"(chi2({row['df']}) = {row['statistic']:.1f}, adjusted p = {p:.2g})"
        ),
        remedy=(
            "do not take surrogates for the truth: use estimator='dsl', with this covariate among the features; the table "
            "'surrogates' shows the groups"
        ),
        # estimators that use labels correct these errors, so that they only cost precision
        at_most="note" if case.fit.estimator.uses_labels else "alarm",
    )


def _learners(case: Case) -> Findings:
    if case.out_of_fold is None:
        why = f"estimator='{case.estimator}' has no learner"
        return Findings(skipped=dict.fromkeys(("learner", "calibration", "learner against surrogate"), why))
    assert case.fit.fit_quality is not None  # there is a learner
    out = Findings(details={"learner": case.fit.fit_quality})
    tables = []
    pairs = {pair.name: pair for pair in _pairs(case) if isinstance(pair, Pair) and not pair.category}
    for v, name in enumerate(case.fit.splits.targets):
        gold, predicted = case.fit.sample.judged_gold[:, v], case.out_of_fold[:, :, v]
        out.checks.append(_learner_check(case, name))
        if name in pairs:
            out.checks.append(_against_surrogate(case, pairs[name], predicted))
        # a slope on predictions that hardly vary is noise
        if predicted.mean(axis=0).std() < limits.MINIMUM_SPREAD * gold.std():
            out.skipped[f"calibration of {name}"] = "the predictions hardly vary"
            continue
        out.checks.append(_calibration(case, name, gold, predicted.mean(axis=0)))
        tables.append(_calibration_table(case, name, gold, predicted.mean(axis=0)))
    if tables:
        out.details["calibration"] = pd.concat(tables, ignore_index=True)
    return out


def _learner_check(case: Case, name: str) -> Check:
    table = case.fit.fit_quality
    assert table is not None  # where there is a learner
    quality = table.loc[name]
    # a tuned estimate gives bad predictions little weight
    tuned = case.fit.call.tune is not None
    return judged(
        "learner",
        float(np.nan_to_num(quality["r2"])),
        limits.LEARNER,
        about=name,
        finding=f"out of fold, {quality['learner']} explains {quality['r2']:.1%} of the variance of {name}",
        remedy="better surrogates or features, more labels, a simpler learner; tune='coef' relies on predictions only as far as "
        "they help",
        at_most="note" if tuned else "alarm",
    )


def _against_surrogate(case: Case, pair: Pair, predicted: FloatArray) -> Check:
    """Squared errors of the learner less those of the raw surrogate, row by row."""
    # squared errors, mean over splits, less those of the surrogate
    gap = ((predicted - pair.gold.to_numpy(dtype=float)) ** 2).mean(axis=0) - pair.error**2
    share = case.weight / case.weight.sum()
    mean = float(share @ gap)
    error = float(np.sqrt(variance_of_sum(share * (gap - mean), case.unit)))
    z = mean / error if error > 0.0 else 0.0
    return judged(
        "learner against surrogate",
        z,
        limits.LEARNER_Z,
        about=pair.name,
        finding=(
            f"squared errors of the learner out of fold are {'larger' if mean > 0.0 else 'no larger'} than those of the "
            f"surrogate of {pair.name} itself (difference {mean:.3g}, z = {z:.1f})"
        ),
        remedy="a simpler learner (sl_method='lm'), or fewer features; estimator='cdi' uses the surrogate as it is",
    )


def _calibration(case: Case, name: str, gold: FloatArray, predicted: FloatArray) -> Check:
    slope, se = weighted_slope(response=gold, predictor=predicted, weight=case.weight, unit=case.unit)
    # 2.576: both tails of 1%
    beyond = max(0.0, abs(slope - 1.0) - 2.576 * se)
    way = "too extreme" if slope < 1.0 else "too timid"
    return judged(
        "calibration",
        beyond,
        limits.CALIBRATION,
        about=name,
        finding=(
            f"gold values of {name} rise by {slope:.2f} (SE {se:.2f}) per unit of the out-of-fold prediction"
            + (f": predictions are {way}" if beyond > 0.0 else "")
        ),
        remedy="another learner (sl_method='auto' or a list to stack), or tune='coef'",
    )


def _calibration_table(case: Case, name: str, gold: FloatArray, predicted: FloatArray) -> pd.DataFrame:
    """Mean gold value and mean prediction in groups of the prediction."""
    # bins of at least twenty labelled rows, two of them at least
    bins = min(BINS, max(2, len(gold) // (2 * MOST_GROUPS)))
    edges = np.unique(np.quantile(predicted, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    place = np.searchsorted(edges, predicted, side="right")
    rows = []
    for code in np.unique(place):
        mine = place == code
        share = case.weight[mine] / case.weight[mine].sum()
        rows.append(
            {
                "variable": name,
                "n": int(mine.sum()),
                "predicted_mean": float(share @ predicted[mine]),
                "gold_mean": float(share @ gold[mine]),
            }
        )
    return pd.DataFrame(rows)
