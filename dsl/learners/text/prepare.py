"""Texts made ready for all folds: what each text learner of a call makes of them, once."""

from dsl._typing import FloatArray
from dsl.data.texts import Texts
from dsl.exceptions import EstimationError
from dsl.learners.auto import Fittable, Method
from dsl.learners.names import as_estimator, method_label, text_learners
from dsl.learners.text.rows import Prepared, Represented, TextLearner, TextRows, is_text_learner


def prepare_texts(method: Method, numbers: FloatArray, texts: Texts) -> tuple[Method, TextRows]:
    """The rows as the text learners of a method see them, and the method with the keys of what they made of the texts.

    Parameters
    ----------
    method : str, list, estimator or callable
        As in ``dsl.dsl``.
    numbers : (N, p) array
        Predictions and features.
    texts : Texts
        Of the same rows.

    Raises
    ------
    EstimationError
        A learner made something other than a row for each text.

    Examples
    --------
    >>> import numpy as np
    >>> words = Texts.of(np.array(["good day", "bad day", "good"], dtype=object))
    >>> method, rows = prepare_texts("tfidf", np.zeros((3, 0)), words)
    >>> method, rows.shape, list(rows.made)
    ('tfidf', (3, 0), ['tfidf'])
    """
    made: dict[str, Represented] = {}

    def keyed(own: Method) -> Method:
        if isinstance(own, str):
            for name, learner in text_learners(own).items():
                if name not in made:
                    made[name] = _represented(learner, texts)
            return own
        if isinstance(own, list | tuple):
            return [keyed(member) for member in own]
        estimator: Fittable = as_estimator(own)
        if not is_text_learner(estimator):
            return own
        key = f"{len(made)}: {method_label(own)}"
        made[key] = _represented(estimator, texts)
        return Prepared(own, key)

    return keyed(method), TextRows(numbers, texts.values, None, made)


def _represented(learner: TextLearner, texts: Texts) -> Represented:
    matrix = learner.represent(texts)
    if matrix.shape[:1] != (len(texts),):
        raise EstimationError(
            f"{type(learner).__name__}.represent made something of shape {tuple(matrix.shape)} of {len(texts)} texts; it must "
            "have one row for each"
        )
    return matrix
