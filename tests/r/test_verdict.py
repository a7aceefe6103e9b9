"""An early stop of the reference is told from a real difference: its frozen stages, as they are and perturbed."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from dsl.engine.fit import fit_split
from dsl.estimators.splits import fit_splits
from dsl.r.verdict import AGREES, DIFFERS, EARLY, KNOWN, ROUNDING, SAME_EQUATION, SplitCheck, check_split, judge
from tests.reference.cases import NAMES
from tests.reference.test_reference import Stage

pytestmark = pytest.mark.numeric

OPTIM = 1e-4
"""Mean moment that R's optim leaves at most: help(optim) gives its tolerance, of the sum of squares, as about 1e-8."""
SLIGHT = 5e-3
"""Standard errors: as far as the reference is from the root where it stops early, so that size tells nothing."""
TINY = 1e-3


@dataclass(frozen=True)
class Frozen:
    """One split: our equation and solution, R's parameters and covariance, in the block's order."""

    stage: Stage
    ours: np.ndarray
    ours_bse: np.ndarray
    theirs: np.ndarray
    vcov: np.ndarray

    @property
    def bse(self) -> np.ndarray:
        return np.sqrt(np.diag(self.vcov))

    def check(self) -> SplitCheck:
        return check_split(self.stage.block, self.stage.problem, self.ours, self.theirs, self.vcov)

    def judged(self) -> pd.DataFrame:
        size = np.abs((self.ours - self.theirs) / self.bse)
        return judge(size, np.abs(self.ours_bse / self.bse - 1.0), [self.check()], combination_gap=0.0)


@cache
def frozen(name: str, split: int = 0) -> Frozen:
    stage = Stage(name, split)
    fit, back = fit_split(stage.block, stage.problem), np.argsort(stage.order)
    k = len(back)
    return Frozen(
        stage=stage,
        ours=fit.params,
        ours_bse=np.sqrt(np.diag(fit.vcov)),
        theirs=stage.params[back],
        vcov=np.reshape(np.asarray(stage.stored["vcov"], dtype=float), (k, k))[np.ix_(back, back)],
    )


@pytest.mark.parametrize("split", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_every_frozen_split_agrees(name: str, split: int) -> None:
    case = frozen(name, split)
    judged, check = case.judged(), case.check()
    assert set(judged["verdict"]) <= {AGREES, EARLY}, judged
    assert (judged["reason"] == "").equals(judged["verdict"] == AGREES)
    assert check.covariance_gap <= 1e-12
    assert np.abs(check.moment).max() <= np.abs(check.their_moment).max() <= OPTIM
    assert np.abs(check.unexplained).max() <= 1e-11


@pytest.mark.parametrize("name", NAMES)
def test_a_coefficient_of_r_that_is_slightly_off_is_found(name: str) -> None:
    """Each in turn. The distance stays below that of other early stops, and Newton's step explains it: the covariance tells."""
    case = frozen(name)
    for j in range(len(case.theirs)):
        for distance in (TINY, SLIGHT):
            moved = case.theirs.copy()
            moved[j] += distance * case.bse[j]
            judged = replace(case, theirs=moved).judged()
            assert judged["verdict"][j] == DIFFERS, (j, distance, judged)
            assert "different equations" in judged["reason"][j]


@pytest.mark.parametrize("name", NAMES)
def test_a_coefficient_of_ours_that_is_slightly_off_is_found(name: str) -> None:
    """By our moment, or, where R's is still larger, because R's moment does not lead there."""
    case = frozen(name)
    for j in range(len(case.ours)):
        moved = case.ours.copy()
        moved[j] += TINY * case.bse[j]
        judged = replace(case, ours=moved).judged()
        assert judged["verdict"][j] == DIFFERS, judged


def test_our_moment_tells_and_newtons_step_does() -> None:
    case = frozen("logit_outcome_lm")
    reasons = []
    for distance in (1e-5, 0.1):
        moved = case.ours.copy()
        moved[1] += distance * case.bse[1]
        reasons.append(replace(case, ours=moved).judged()["reason"][1])
    assert "explains all but" in reasons[0]
    assert "is larger than R's" in reasons[1]


@pytest.mark.parametrize("name", NAMES)
def test_other_data_are_found(name: str) -> None:
    """The outcome of one labelled row is off by a tenth of a standard deviation."""
    case = frozen(name)
    block = case.stage.block
    gold = block.gold_outcome.copy()
    gold[0] += 0.1 * gold.std()
    fit = fit_split(replace(block, gold_outcome=gold), case.stage.problem)
    stage = Stage(name, 0)
    stage.block = replace(block, gold_outcome=gold)
    judged = replace(case, stage=stage, ours=fit.params, ours_bse=np.sqrt(np.diag(fit.vcov))).judged()
    assert (judged["verdict"] == DIFFERS).all(), judged


@pytest.mark.parametrize("name", ["lm_outcome_lm", "logit_cluster_lm"])
def test_another_covariance_is_found(name: str) -> None:
    """Standard errors off by a hundred-thousandth, as with a small-sample factor of n / (n - k) on a million rows."""
    case = frozen(name)
    judged = replace(case, vcov=case.vcov * (1 + 1e-5)).judged()
    assert (judged["verdict"] == DIFFERS).all(), judged


def test_splits_that_are_combined_otherwise() -> None:
    case = frozen("lm_outcome_lm")
    size = np.full(len(case.ours), SLIGHT)
    check = case.check()
    honest = replace(check, unexplained=np.zeros(len(size)))
    assert (judge(size, size, [honest], combination_gap=0.0)["verdict"] == EARLY).all()
    judged = judge(size, size, [honest], combination_gap=SLIGHT)
    assert (judged["verdict"] == DIFFERS).all()
    assert judged["reason"].str.contains("combines its splits otherwise").all()
    # where it is known why, and what is left is explained
    assert (judge(size, size, [honest], combination_gap=SLIGHT, combined="nearPD")["verdict"] == KNOWN).all()
    wrong = replace(check, unexplained=size)
    assert (judge(size, size, [wrong], combination_gap=SLIGHT, combined="nearPD")["verdict"] == DIFFERS).all()


def test_a_design_that_is_nearly_collinear_is_judged_by_what_rounding_leaves() -> None:
    """A calendar year and its square: the covariance is known to fewer digits, and the check asks for no more."""
    case = frozen("lm_outcome_lm")
    check = case.check()
    assert SAME_EQUATION < check.rounding < 2 * SAME_EQUATION
    block, problem = case.stage.block, case.stage.problem
    year = 2000.0 + np.arange(len(block.outcome)) % 10
    columns = np.column_stack([np.ones(len(year)), year, year**2])
    block = replace(block, fixed=columns, offset=None)
    problem = replace(problem, names=("Intercept", "year", "year2"))
    (fit,) = fit_splits(problem, [[block]]).fits
    # the parameters of the same fit with the year counted from 2004
    shifted = np.column_stack([np.ones(len(year)), year - 2004.0, (year - 2004.0) ** 2])
    there = fit_split(replace(block, fixed=shifted), problem)
    back = np.array([[1.0, -2004.0, 2004.0**2], [0.0, 1.0, -2.0 * 2004.0], [0.0, 0.0, 1.0]])
    found = check_split(block, problem, fit.params, back @ there.params, back @ there.vcov @ back.T)
    assert found.covariance_gap * 1e3 > SAME_EQUATION
    assert found.covariance_gap <= found.rounding <= 1e-5


def test_one_split_of_several_counts() -> None:
    case = frozen("lm_outcome_lm")
    size = np.full(len(case.ours), SLIGHT)
    good = replace(case.check(), unexplained=np.zeros(len(size)))
    bad = replace(good, covariance_gap=10 * SAME_EQUATION)
    assert (judge(size, size, [good, bad, good], combination_gap=0.0)["verdict"] == DIFFERS).all()
    known = judge(size, size, [good, bad], combination_gap=0.0, known="additive means")
    assert (known["verdict"] == KNOWN).all()
    assert (known["reason"] == "additive means").all()
    # a reason that is known does not cover what an early stop explains
    assert (judge(size, size, [good], combination_gap=0.0, known="additive means")["verdict"] == EARLY).all()


def test_a_covariance_that_is_no_number_differs() -> None:
    case = frozen("lm_outcome_lm")
    size = np.full(len(case.ours), SLIGHT)
    assert (
        judge(size, size, [replace(case.check(), covariance_gap=np.nan)], combination_gap=0.0)["verdict"] == DIFFERS
    ).all()


def test_far_from_the_root_is_said() -> None:
    """An optimiser that gave up solves the same equation, and its results are not those of the equation."""
    case = frozen("lm_outcome_lm")
    good = replace(case.check(), unexplained=np.zeros(len(case.ours)))
    judged = judge(np.full(len(case.ours), 0.2), np.zeros(len(case.ours)), [good], combination_gap=0.0)
    assert (judged["verdict"] == KNOWN).all()
    assert judged["reason"].str.contains("optimiser stopped").all()


def test_rounding_needs_no_reason() -> None:
    case = frozen("felm_oneway_lm")
    assert (case.judged()["verdict"] == AGREES).all()
    bad = replace(case.check(), covariance_gap=1.0)
    size = np.full(len(case.ours), ROUNDING)
    assert (judge(size, size, [bad], combination_gap=1.0)["verdict"] == AGREES).all()
    assert (judge(2 * size, size, [bad], combination_gap=1.0)["verdict"] == DIFFERS).all()
    assert (judge(size, 2 * size, [bad], combination_gap=1.0)["verdict"] == DIFFERS).all()
