"""How often rows are split anew where the user does not say: by what a learner costs."""

from dsl.learners.auto import Method
from dsl.learners.names import as_estimator

SPLITS, SPLITS_OF_COSTLY = 10, 1
"""Splits of learners, and of those that take minutes for each fold."""


def is_costly(sl_method: Method) -> bool:
    """Whether a learner says of itself (``costly``) that a fold of it takes minutes. A stack does where one of its members does.

    Examples
    --------
    >>> from dsl.learners.text import TextClassifier
    >>> is_costly(["ridge", TextClassifier()]), is_costly("ridge")
    (True, False)
    """
    if isinstance(sl_method, str):
        return False
    if isinstance(sl_method, list | tuple):
        return any(is_costly(member) for member in sl_method)
    return bool(getattr(as_estimator(sl_method), "costly", False))


def default_splits(sl_method: Method) -> int:
    """Number of splits where none is asked for."""
    return SPLITS_OF_COSTLY if is_costly(sl_method) else SPLITS


def notes_on_splits(sl_method: Method, sample_split: int) -> tuple[str, ...]:
    """What a fit says where rows were split once for a costly learner."""
    if sample_split > 1 or not is_costly(sl_method):
        return ()
    return ("rows are split once, as each fold trains a model; sample_split=3 shows how much the split matters",)
