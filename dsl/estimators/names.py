"""The named estimators."""

from typing import Any

import numpy as np

from dsl.engine.tuning import KINDS
from dsl.exceptions import ArgumentError

DEFAULT_TUNE: dict[str, str | float | None] = {
    "dsl": None,
    "dsl+": "coef",
    "cdi": "scalar",
    "ppi": 1.0,
    "ppi++": "scalar",
}


def resolve_tune(estimator: str, tune: Any) -> str | float | None:
    """What `tune` means for the estimator.

    Raises
    ------
    ArgumentError
        The estimator has nothing to tune in this way.
    """
    number = isinstance(tune, int | float | np.number) and not isinstance(tune, bool) and np.isfinite(tune)
    if tune is not None and not number and not (isinstance(tune, str) and tune in KINDS):
        raise ArgumentError(f"tune must be None, {', '.join(map(repr, KINDS))} or a number; found {tune!r}")
    if tune is None:
        return DEFAULT_TUNE.get(estimator)
    if estimator in ("gold_only", "naive"):
        raise ArgumentError(f"estimator='{estimator}' has no lambda to tune; leave tune out, or use estimator='dsl'")
    if estimator == "ppi++":
        raise ArgumentError("estimator='ppi++' chooses its own lambda; for a fixed one use estimator='ppi', tune=0.5")
    if estimator == "ppi" and not number:
        raise ArgumentError(f"estimator='ppi' has a fixed lambda; with tune={tune!r} use estimator='ppi++' or 'cdi'")
    return float(tune) if number else str(tune)


def resolve_use_t(estimator: str, tune: str | float | None, use_t: Any = None) -> bool:
    """Whether intervals are Student's; `tune` is resolved.

    Raises
    ------
    ArgumentError
        Neither None nor a bool.
    """
    if use_t is None:
        return isinstance(tune, str) and estimator != "ppi++"
    if not isinstance(use_t, bool | np.bool_):
        raise ArgumentError(f"use_t must be True, False or None (by the estimator); found {use_t!r}")
    return bool(use_t)


ESTIMATORS = ("dsl", "dsl+", "ppi", "ppi++", "cdi", "gold_only", "naive")


TITLES = {
    "dsl": "Design-based supervised learning",
    "dsl+": "Design-based supervised learning with score imputation (dsl+)",
    "ppi": "Prediction-powered inference (PPI)",
    "ppi++": "Prediction-powered inference, tuned (PPI++)",
    "cdi": "Confidence-driven inference (CDI)",
    "gold_only": "Labelled rows only (inverse-probability weighted)",
    "naive": "Predictions taken for the truth (naive; not valid unless they make no errors)",
}
