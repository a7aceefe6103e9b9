"""Learners and texts that belong together."""

from dsl.exceptions import ArgumentError
from dsl.learners.auto import Method
from dsl.learners.names import method_label, reads_texts


def check_reads(sl_method: Method, text: str | None) -> None:
    """Raise ArgumentError for a learner that reads no texts where texts are given, and for one that does where none are.

    Parameters
    ----------
    sl_method : str, list, estimator or callable
    text : str or None
        The column with the texts.

    Examples
    --------
    >>> check_reads("ridge", "body")
    Traceback (most recent call last):
    ...
    dsl.exceptions.ArgumentError: sl_method 'ridge' does not read texts, and text='body' is given: ...
    """
    label, reads = method_label(sl_method), reads_texts(sl_method)
    if text is not None and not reads:
        raise ArgumentError(
            f"sl_method {label!r} does not read texts, and text={text!r} is given: use one that does ('tfidf', 'auto', or one of "
            "dsl.learners.text), stack it with one, as in ['tfidf', 'ridge'], or leave text out"
        )
    if text is None and reads and label != "auto":
        raise ArgumentError(
            f"sl_method {label!r} reads texts, and none are given: name their column, as in text='body'"
        )
