"""Learners that read texts: what is asked of one, and those that there are.

``dsl.dsl(..., text="body", sl_method=learner)`` hands the texts of the column ``body`` to a learner that reads them, beside the
numbers that every learner sees (predictions and features). A learner that reads texts is a scikit-learn estimator with one
method more, `dsl.learners.text.rows.TextLearner`. Its classes are loaded on first use.
"""

from typing import TYPE_CHECKING, Any

from dsl.learners.text.rows import TextLearner, TextRows

if TYPE_CHECKING:
    from dsl.learners.text.classifier import TextClassifier
    from dsl.learners.text.embedding import Embedding
    from dsl.learners.text.tfidf import Tfidf

__all__ = ["Embedding", "TextClassifier", "TextLearner", "TextRows", "Tfidf"]


def __getattr__(name: str) -> Any:
    if name == "Tfidf":
        from dsl.learners.text.tfidf import Tfidf

        return Tfidf
    if name == "Embedding":
        from dsl.learners.text.embedding import Embedding

        return Embedding
    if name == "TextClassifier":
        from dsl.learners.text.classifier import TextClassifier

        return TextClassifier
    raise AttributeError(f"module 'dsl.learners.text' has no attribute {name!r}")
