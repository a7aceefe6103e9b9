"""What a fitted estimator predicts: the probability of class 1 of a classifier, the value of a regressor."""

from typing import TypeGuard

import numpy as np

from dsl._typing import FloatArray
from dsl.exceptions import ArgumentError, EstimationError
from dsl.learners.auto import Classifier, Fittable
from dsl.learners.text.rows import Rows, is_text_learner


def zero_one(y: FloatArray) -> bool:
    """Whether all gold values are 0 or 1."""
    return bool(np.all((y == 0.0) | (y == 1.0)))


def probability_or_value(estimator: Fittable, x: Rows, name: str) -> FloatArray:
    """Predictions of rows x, one number each: (m,).

    Raises
    ------
    ArgumentError
        They are no such array.
    EstimationError
        Some are missing or infinite.
    """
    if is_classifier(estimator):
        column = list(estimator.classes_).index(1)
        out = np.asarray(estimator.predict_proba(x), dtype=np.float64)[:, column]
    else:
        out = np.asarray(estimator.predict(x), dtype=np.float64)
        if out.shape not in {(len(x),), (len(x), 1)}:
            raise ArgumentError(
                f"{name} predicted an array of shape {out.shape} for {len(x)} rows; one number a row is needed"
            )
        out = out.reshape(len(x))
    missing = np.count_nonzero(~np.isfinite(out))
    if missing:
        raise EstimationError(
            f"{name} predicted missing or infinite values for {missing} of {len(x)} rows; use another learner, "
            "or rescale the features"
        )
    return out


def check_classifier(estimator: Fittable, y: FloatArray, name: str) -> None:
    """Raise ArgumentError for gold values that a classifier cannot learn, or one without probabilities."""
    if not zero_one(y):
        found = ", ".join(f"{value:g}" for value in np.unique(y)[:5])
        raise ArgumentError(
            f"{name} is a classifier, but the gold values are not 0/1 (found {found}, ...); use a regressor"
        )
    if not hasattr(estimator, "predict_proba"):
        raise ArgumentError(
            f"the classifier {name} has no predict_proba; wrap it in sklearn.calibration.CalibratedClassifierCV, "
            "or use a regressor"
        )


def is_classifier(estimator: object) -> TypeGuard[Classifier]:
    """Whether an estimator predicts classes."""
    # of ours, those that read texts may be classifiers
    if type(estimator).__module__.startswith("dsl.") and not is_text_learner(estimator):
        return False
    from sklearn import base

    try:
        return bool(base.is_classifier(estimator))
    except (AttributeError, TypeError):  # not a scikit-learn object
        return hasattr(estimator, "predict_proba")
