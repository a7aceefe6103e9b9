"""The named estimators: one file for each kind, one line here for each name. And what `tune` and `use_t` mean for them."""

import numpy as np

from dsl.data.arguments import as_lambda, check_choice
from dsl.engine.covariance import BY_DESIGN_HC3
from dsl.engine.lambdas import KINDS
from dsl.estimators.cross_fitted import DSL, DSL_PLUS
from dsl.estimators.estimator import Estimator
from dsl.estimators.gold_only import GOLD_ONLY
from dsl.estimators.naive import NAIVE
from dsl.estimators.raw import CDI
from dsl.estimators.two_sample import PPI, PPI_TUNED
from dsl.exceptions import ArgumentError

ESTIMATORS: dict[str, Estimator] = {each.name: each for each in (DSL, DSL_PLUS, PPI, PPI_TUNED, CDI, GOLD_ONLY, NAIVE)}
"""By the name in ``dsl.dsl(estimator=...)``."""


def known_estimator(name: str) -> Estimator:
    """The registry's entry. Raises ArgumentError, which lists the names, if there is none."""
    check_choice("estimator", name, tuple(ESTIMATORS))
    return ESTIMATORS[name]


def resolve_tune(estimator: str, tune: object) -> str | float | None:
    """What `tune` means for the estimator.

    Raises
    ------
    ArgumentError
        The estimator has nothing to tune in this way.
    """
    entry = ESTIMATORS[estimator]
    number = as_lambda(tune)
    if tune is not None and number is None and not (isinstance(tune, str) and tune in KINDS):
        raise ArgumentError(f"tune must be None, {', '.join(map(repr, KINDS))} or a number; found {tune!r}")
    if tune is None:
        return entry.default_tune
    if not (tune in entry.kinds if number is None else entry.numbers):
        raise ArgumentError(f"tune={tune!r}: {entry.advice}")
    return str(tune) if number is None else number


def resolve_vcov(
    estimator: str, tune: str | float | None, target: str, vcov: str | None = None, across: str | None = None
) -> str:
    """The covariance, for `tune` as `resolve_tune` gives it. What is named stays.

    By default plain estimates have the reference's, and those whose Lambda was chosen from the data that of the draw, with each
    unit left out of the choice. With clusters in two ways (`across`) there is no one unit.
    """
    if vcov is not None:
        return vcov
    entry = ESTIMATORS[estimator]
    # two samples have it anyway, and that of a finite population is of the draw alone
    chosen = isinstance(tune, str) and not entry.two_sample and target != "finite" and across is None
    return BY_DESIGN_HC3 if chosen else "robust"


def resolve_use_t(estimator: str, tune: str | float | None, use_t: object = None) -> bool:
    """Whether intervals are Student's, for `tune` as `resolve_tune` gives it.

    Raises
    ------
    ArgumentError
        Neither None nor a bool.
    """
    if use_t is None:
        # a kind of Lambda is a text, a Lambda that the user fixed a number: only the first is chosen from the data
        return isinstance(tune, str) and ESTIMATORS[estimator].t_if_tuned
    if not isinstance(use_t, bool | np.bool_):
        raise ArgumentError(f"use_t must be True, False or None (by the estimator); found {use_t!r}")
    return bool(use_t)
