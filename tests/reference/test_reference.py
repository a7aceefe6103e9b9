"""Our stages against the reference's, case by case: parameters, Jacobian, meat, combination, learners."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

import dsl
from dsl.data.columns import Columns
from dsl.data.formula.matrices import build, parse
from dsl.data.sample import prepare
from dsl.engine.combine import combine_splits
from dsl.engine.fit import fit_split
from dsl.engine.models import MODELS
from dsl.engine.sums import Problem, column_scale, moment_sums
from dsl.estimators.blocks import Blocks
from tests.reference.cases import (
    ARITHMETIC,
    CASES,
    NAMES,
    R_OPTIM,
    R_OPTIM_MEDIAN,
    R_OPTIM_SE,
    SAME_ALGEBRA,
    arguments,
    full_splits,
    in_row_order,
    load_expected,
    load_table,
    meat_parts,
    table_md5,
)

pytestmark = pytest.mark.numeric

BY_NAME = {case["name"]: case for case in CASES}
SPLITS = [(name, s) for name in NAMES for s in range(2)]
OF_MEAN_WITH_ZEROS = "lm_outcome_mean"
"""Its split 1 has one fold of predictions 0: the reference's stacking dropped the only learner."""


class Stage:
    """One stored split of a case: our block at the reference's predictions, and its numbers."""

    def __init__(self, name: str, split: int) -> None:
        case = BY_NAME[name]
        data = load_table(case["data"])
        parsed = parse(case["formula"], list(data.columns))
        index = tuple(case.get("index", ()))
        columns = Columns(
            formula=parsed.variables,
            predicted=tuple(case["predicted_var"]),
            prediction=tuple(case.get("prediction", ())),
            feature=tuple(case.get("feature", ())),
            sample_prob=case.get("sample_prob"),
            cluster=case.get("cluster"),
            absorbed={name: (name,) for name in index},
        )
        self.sample = prepare(data, columns)
        self.design = build(parsed, self.sample.data, self.sample.labeled, columns.predicted, absorbed=bool(index))
        self.stored = full_splits(name)[split]
        values = {v: in_row_order(self.stored, g, self.sample.rows) for v, g in self.stored["g_hat"].items()}
        self.block = Blocks(self.design, self.sample).dsl(values)
        self.problem = Problem(
            link=MODELS[case["model"]].link,
            names=self.design.block_names,
            cluster=self.sample.cluster,
            n_clusters=self.sample.n_clusters,
        )
        self.order = self.design.order
        self.params = np.asarray(self.stored["coefficients"], dtype=float)
        self.bse = np.asarray(self.stored["standard_errors"], dtype=float)

    def to_block(self, params: np.ndarray) -> np.ndarray:
        """Parameters in the formula's order brought into the block's order."""
        out = np.empty_like(params)
        out[self.order] = params
        return out

    def moment_norm(self, params: np.ndarray) -> float:
        """Norm of the summed moment in scaled columns, at parameters in the block's order."""
        moment, _ = moment_sums(self.block, self.problem, params)
        return float(np.linalg.norm(moment * column_scale(self.block)))

    def standardised(self, sums: np.ndarray) -> np.ndarray:
        """A (k, k) sum in block order as the reference's mean in its standardised columns."""
        rescale = np.asarray(self.stored["rescale_D"], dtype=float)
        ordered = sums[np.ix_(self.order, self.order)]
        return rescale.T @ ordered @ rescale / len(self.block.outcome)


class DummyStage:
    """A fixed-effects split with explicit dummies as columns, which is how the reference stores it."""

    def __init__(self, name: str, split: int) -> None:
        self.stage = Stage(name, split)
        block = self.stage.block
        dummies = [np.eye(int(codes.max()) + 1)[codes] for codes in self.stage.sample.absorbed]
        columns = np.hstack([dummies[0], *(more[:, 1:] for more in dummies[1:])])
        self.block = replace(block, fixed=np.hstack([block.fixed, columns]), absorbed=None, absorbed_outcome=None)
        k_fixed, k_dummies = block.fixed.shape[1], columns.shape[1]
        k = k_fixed + k_dummies + block.predicted.shape[1]
        self.problem = replace(self.stage.problem, names=tuple(f"c{j}" for j in range(k)))
        in_block_order = np.array([*range(k_fixed), *range(k_fixed + k_dummies, k)])
        self.order = np.concatenate([in_block_order[self.stage.order], np.arange(k_fixed, k_fixed + k_dummies)])
        # the reference centres the covariates at the mean of the predicted columns before adding dummies
        self.rescale = np.eye(k)
        n_covariates = k - k_dummies
        means = np.hstack([block.fixed, block.predicted]).mean(axis=0)[self.stage.order]
        self.rescale[:n_covariates, :n_covariates] = self.stage.stored["rescale_D"]
        first = slice(n_covariates, n_covariates + dummies[0].shape[1])
        self.rescale[first, :n_covariates] = -means * np.diag(self.stage.stored["rescale_D"])

    def standardised(self, sums: np.ndarray) -> np.ndarray:
        ordered = sums[np.ix_(self.order, self.order)]
        return self.rescale.T @ ordered @ self.rescale / len(self.block.outcome)


def assert_close(ours: np.ndarray, stored: object, tolerance: float) -> None:
    """Largest difference relative to the largest stored entry."""
    reference = np.asarray(stored, dtype=float)
    assert ours.shape == reference.shape
    assert np.abs(ours - reference).max() <= tolerance * np.abs(reference).max()


def test_every_case_is_there() -> None:
    assert len(NAMES) == len(set(NAMES)) == 17
    for name in NAMES:
        assert len(full_splits(name)) == 2
        assert table_md5(BY_NAME[name]["data"]) == load_expected(name)["provenance"]["data_md5"]


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_parameters_given_predictions(name: str, split: int) -> None:
    stage = Stage(name, split)
    fit = fit_split(stage.block, stage.problem)
    assert np.abs((fit.params[stage.order] - stage.params) / stage.bse).max() <= R_OPTIM
    assert np.abs(np.sqrt(np.diag(fit.vcov))[stage.order] / stage.bse - 1).max() <= R_OPTIM_SE
    assert stage.moment_norm(fit.params) <= stage.moment_norm(stage.to_block(stage.params))


def test_median_distance_of_parameters() -> None:
    gaps = []
    for name, split in SPLITS:
        stage = Stage(name, split)
        gaps.extend(np.abs(fit_split(stage.block, stage.problem).params[stage.order] - stage.params) / stage.bse)
    assert np.median(gaps) <= R_OPTIM_MEDIAN


@pytest.mark.parametrize(("name", "split"), [(n, s) for n, s in SPLITS if not n.startswith("felm")])
def test_jacobian_and_meat_at_the_references_parameters(name: str, split: int) -> None:
    stage = Stage(name, split)
    params = stage.to_block(stage.params)
    _, jacobian = moment_sums(stage.block, stage.problem, params)
    main_1, main_23 = meat_parts(stage.block, stage.problem, params)
    assert_close(stage.standardised(jacobian), stage.stored["jacobian"], SAME_ALGEBRA)
    assert_close(stage.standardised(main_1), stage.stored["meat_main_1"], SAME_ALGEBRA)
    assert_close(stage.standardised(main_23), stage.stored["meat_main_23"], SAME_ALGEBRA)


@pytest.mark.parametrize(("name", "split"), [(n, s) for n, s in SPLITS if n.startswith("felm")])
def test_jacobian_and_meat_with_dummies(name: str, split: int) -> None:
    """The dummies' coefficients are not stored: they are those that solve the moment equation."""
    dummy = DummyStage(name, split)
    fit = fit_split(dummy.block, dummy.problem)
    main_1, main_23 = meat_parts(dummy.block, dummy.problem, fit.params)
    stored = dummy.stage.stored
    assert_close(dummy.standardised(fit.jacobian), stored["jacobian"], SAME_ALGEBRA)
    assert_close(dummy.standardised(main_1), stored["meat_main_1"], SAME_ALGEBRA)
    assert_close(dummy.standardised(main_23), stored["meat_main_23"], SAME_ALGEBRA)
    absorbed = fit_split(dummy.stage.block, dummy.stage.problem)
    covariates = np.flatnonzero(dummy.order.argsort() < len(absorbed.params))
    assert_close(absorbed.params, fit.params[covariates], SAME_ALGEBRA)
    assert_close(absorbed.vcov, fit.vcov[np.ix_(covariates, covariates)], SAME_ALGEBRA)


@pytest.mark.parametrize("name", NAMES)
def test_combination_given_the_splits(name: str) -> None:
    expected = load_expected(name)
    k = len(expected["coefficients"]) if isinstance(expected["coefficients"], list) else 1
    params = np.array([split["coefficients"] for split in expected["splits"]], dtype=float).reshape(-1, k)
    vcovs = np.array([split["vcov"] for split in expected["splits"]], dtype=float).reshape(-1, k, k)
    estimate, vcov = combine_splits(params, vcovs)
    assert_close(estimate, expected["coefficients"], ARITHMETIC)
    assert_close(np.sqrt(np.diag(vcov)), expected["standard_errors"], ARITHMETIC)
    assert_close(vcov, np.reshape(expected["vcov"], (k, k)), ARITHMETIC)


@pytest.mark.parametrize("name", NAMES)
def test_counts_names_and_probabilities(name: str) -> None:
    stage, expected = Stage(name, 0), load_expected(name)
    assert len(stage.sample.data) == expected["n_obs"]
    assert stage.sample.n_labeled == expected["n_labeled"]
    assert stage.sample.equal_prob == expected["equal_prob"]
    assert_close(stage.sample.sample_prob, expected["sample_prob_used"], ARITHMETIC)
    assert [r_name(term) for term in stage.design.covariates.names] == expected["term_names"]


def r_name(term: str) -> str:
    """R's name of one of our terms, for the terms that occur in these cases."""
    if term == "Intercept":
        return "(Intercept)"
    return re.sub(r"^as_factor\((\w+)\)\[(\w+)\]$", r"as.factor(\1)\2", term).replace(" ** ", "^")


def end_to_end(name: str) -> tuple[dsl.DSLResults, np.ndarray]:
    """`dsl.dsl` with the case's own arguments and the folds of its stored splits; the rows used."""
    case = BY_NAME[name]
    table = load_table(case["data"])
    rows = Stage(name, 0).sample.rows
    folds = np.zeros((2, len(table)), dtype=int)
    for split, stored in zip(folds, full_splits(name), strict=True):
        split[rows] = in_row_order(stored, stored["fold"], rows)
    given = {key: value for key, value in arguments(case).items() if key not in ("cross_fit", "sample_split")}
    with warnings.catch_warnings():
        if len(rows) < len(table):
            warnings.simplefilter("ignore", dsl.exceptions.DroppedRowsWarning)
        return dsl.dsl(data=table, folds=folds, **given), rows


@pytest.mark.parametrize("name", [n for n in NAMES if BY_NAME[n]["sl_method"] == "lm"])
def test_learner_and_end_to_end_given_folds(name: str) -> None:
    fit, rows = end_to_end(name)
    for s, stored in enumerate(full_splits(name)):
        for v, g_hat in enumerate(stored["g_hat"].values()):
            assert_close(fit.predictions[s, :, v], in_row_order(stored, g_hat, rows), SAME_ALGEBRA)
        bse = np.asarray(stored["standard_errors"], dtype=float)
        gap = (fit.split_params.iloc[s].to_numpy() - np.asarray(stored["coefficients"], dtype=float)) / bse
        assert np.abs(gap).max() <= R_OPTIM
        assert np.abs(fit.split_bse.iloc[s].to_numpy() / bse - 1).max() <= R_OPTIM_SE


def test_learner_mean_given_folds() -> None:
    fit, rows = end_to_end(OF_MEAN_WITH_ZEROS)
    for s, stored in enumerate(full_splits(OF_MEAN_WITH_ZEROS)):
        g_hat = in_row_order(stored, stored["g_hat"]["human_rating"], rows)
        zero = g_hat == 0.0
        fold = in_row_order(stored, stored["fold"], rows)
        assert sorted(set(fold[zero])) == ([2.0] if s == 0 else [])
        assert_close(fit.predictions[s, ~zero, 0], g_hat[~zero], SAME_ALGEBRA)


@pytest.mark.parametrize("stage_name", ["jacobian", "meat_main_1", "meat_main_23"])
def test_a_perturbed_row_is_seen(stage_name: str) -> None:
    """The comparison is able to fail: our sums with one labelled row's weight off by a millionth are not the reference's."""
    stage = Stage("lm_outcome_lm", 0)
    params = stage.to_block(stage.params)

    def ours(weight: np.ndarray) -> np.ndarray:
        block = replace(stage.block, weight=weight)
        if stage_name == "jacobian":  # linear: the weights cancel, but for rows whose covariates are predicted
            block = replace(block, fixed=block.fixed * (weight / stage.block.weight)[0] ** 0.5)
            return stage.standardised(moment_sums(block, stage.problem, params)[1])
        parts = dict(zip(["meat_main_1", "meat_main_23"], meat_parts(block, stage.problem, params), strict=True))
        return stage.standardised(parts[stage_name])

    stored, weight = stage.stored[stage_name], stage.block.weight.copy()
    assert_close(ours(weight), stored, SAME_ALGEBRA)
    residual = np.abs(stage.block.gold_outcome - stage.block.outcome[stage.block.gold_rows])
    weight[0 if stage_name == "jacobian" else residual.argmax()] *= 1 + 1e-4
    with pytest.raises(AssertionError):
        assert_close(ours(weight), stored, SAME_ALGEBRA)


def test_a_perturbed_label_is_seen() -> None:
    """One gold label of the wrong kind moves the estimates by more than the reference's optimiser leaves open."""
    stage = Stage("logit_outcome_lm", 0)
    gold = stage.block.gold_outcome.copy()

    def gap(gold_outcome: np.ndarray) -> float:
        fit = fit_split(replace(stage.block, gold_outcome=gold_outcome), stage.problem)
        return float(np.abs((fit.params[stage.order] - stage.params) / stage.bse).max())

    assert gap(gold) <= R_OPTIM
    gold[0] = 1.0 - gold[0]
    assert gap(gold) > R_OPTIM
