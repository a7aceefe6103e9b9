"""Gold labels as they might be, drawn from surrogates of an assumed accuracy."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.columns import NamedColumns, check_columns_exist
from dsl.data.messages import each_value
from dsl.data.tables import as_numbers, first_rows
from dsl.exceptions import ArgumentError, MissingColumnError, PredictionError

Accuracy: TypeAlias = float | str | Mapping[str | int, float]
"""A share of right surrogates, a column of them, those of 0 and of 1, or sensitivity and specificity."""
RATES = {"sensitivity", "specificity"}


def draw_gold(
    frame: pd.DataFrame,
    surrogate: str,
    accuracy: Accuracy | None,
    rmse: float | None,
    rng: np.random.Generator,
    *,
    positive: bool = False,
) -> FloatArray:
    """One gold value for every row of `frame`.

    Parameters
    ----------
    frame : DataFrame
    surrogate : str
        Its column of surrogates.
    accuracy : float, str or mapping, or None
        How often 0/1 surrogates are right, see `dsl.planning.power.plan_dsl`.
    rmse : float or None
        Root mean squared error of surrogates that are numbers, instead of `accuracy`.
    rng : Generator
    positive : bool
        Whether gold values are zero or more: numbers are then gamma variables with the surrogates as means.

    Returns
    -------
    (N,) array
    """
    values = _surrogates(frame, surrogate)
    if rmse is not None and positive:
        return _above_zero(frame, surrogate, values, rmse, rng)
    # gold = surrogate + e, e ~ N(0, rmse^2)
    if rmse is not None:
        return np.asarray(values + rmse * rng.standard_normal(len(values)))
    right = rng.random(len(values)) < probability_right(frame, surrogate, values, accuracy)
    # a wrong 0/1 surrogate is the other one
    return np.where(right, values, 1.0 - values)


def _above_zero(
    frame: pd.DataFrame, surrogate: str, values: FloatArray, rmse: float, rng: np.random.Generator
) -> FloatArray:
    """Gamma variables with the surrogates as means, variances in proportion to these, and `rmse` over all rows."""
    below = values < 0.0
    if below.any():
        raise ArgumentError(
            f"the outcome is zero or more, but its surrogate '{surrogate}' is "
            f"{each_value(pd.Series(values, index=frame.index)[below])}; set these to what they stand for"
        )
    if rmse == 0.0 or not values.any():
        return values
    # mean shape * scale = s, variance shape * scale^2 = s scale, which is rmse^2 on average
    scale = rmse**2 / values.mean()
    return np.asarray(rng.gamma(values / scale, scale))


def probability_right(frame: pd.DataFrame, surrogate: str, values: FloatArray, accuracy: Accuracy | None) -> FloatArray:
    """Probability that each 0/1 surrogate equals the gold label, (N,)."""
    other = ~np.isin(values, (0.0, 1.0))
    if other.any():
        raise ArgumentError(
            f"accuracy is for surrogates of 0 and 1; '{surrogate}' is {values[other][0]:g} in "
            f"{first_rows(other, frame.index)}. For numbers give their root mean squared error, rmse="
        )
    if isinstance(accuracy, str):
        return _column(frame, accuracy)
    if isinstance(accuracy, Mapping):
        # rates among gold labels are turned into rates among surrogates (Bayes)
        if set(accuracy) == RATES:
            at_0, at_1 = predictive_values(
                float(values.mean()), _share(accuracy["sensitivity"]), _share(accuracy["specificity"])
            )
        elif set(accuracy) == {0, 1}:
            at_0, at_1 = _share(accuracy[0]), _share(accuracy[1])
        else:
            raise ArgumentError(
                "accuracy as a dict is {0: share right among surrogates of 0, 1: among those of 1}, or {'sensitivity': ..., "
                f"'specificity': ...}}; found the keys {', '.join(map(repr, accuracy))}"
            )
        return np.where(values == 1.0, at_1, at_0)
    return np.full(len(values), _share(accuracy))


def predictive_values(positive: float, sensitivity: float, specificity: float) -> tuple[float, float]:
    """Share right among surrogates of 0 and among those of 1, given the share `positive` of 1 among all (Bayes)."""
    low, high = 1.0 - specificity, sensitivity
    if low >= high:
        raise ArgumentError(
            f"a sensitivity of {sensitivity:g} and a specificity of {specificity:g} are no better than chance; their sum must "
            "be above 1"
        )
    if not low < positive < high:
        raise ArgumentError(
            f"a sensitivity of {sensitivity:g} and a specificity of {specificity:g} are possible only if between {low:.3g} and "
            f"{high:.3g} of the surrogates are 1; found {positive:.3g}"
        )
    # P(surrogate 1) = low (1 - prevalence) + high prevalence, solved for the prevalence of gold 1
    prevalence = (positive - low) / (high - low)
    # P(gold 0 | surrogate 0) and P(gold 1 | surrogate 1)
    return specificity * (1.0 - prevalence) / (1.0 - positive), sensitivity * prevalence / positive


def _surrogates(frame: pd.DataFrame, name: str) -> FloatArray:
    check_columns_exist(NamedColumns(named={name: "prediction"}), [str(column) for column in frame.columns])
    values: FloatArray = as_numbers(frame[name], "prediction").to_numpy()
    missing = np.isnan(values)
    if missing.any():
        raise PredictionError(
            f"surrogate '{name}' is missing in {first_rows(missing, frame.index)}; every row needs one"
        )
    return values


def _column(frame: pd.DataFrame, name: str) -> FloatArray:
    if name not in frame.columns:
        raise MissingColumnError(f"column '{name}', named in accuracy, is not in the data")
    values: FloatArray = as_numbers(frame[name], "accuracy").to_numpy()
    bad = ~((values >= 0.0) & (values <= 1.0))
    if bad.any():
        raise ArgumentError(
            f"accuracy column '{name}' must hold probabilities of being right; found "
            f"{each_value(pd.Series(values, index=frame.index)[bad])}"
        )
    return values


def _share(value: object) -> float:
    """A number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 <= value <= 1.0:
        raise ArgumentError(f"accuracy must be a share of right surrogates between 0 and 1; found {value!r}")
    return float(value)
