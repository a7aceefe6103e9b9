"""What a learner is called in a sentence of a paper: what ran, and whose it is."""

import re
from collections.abc import Sequence

from dsl.learners.auto import Method
from dsl.learners.text.rows import is_text_learner

SKLEARN = "scikit-learn"
CALLED: dict[str, tuple[str, str]] = {
    "lm": ("least squares", ""),
    "glm": ("least squares", ""),
    "logit": ("logistic regression", SKLEARN),
    "mean": ("the mean of the labelled rows", ""),
    "isotonic": ("monotone regression on the prediction", SKLEARN),
    "ridge": ("ridge regression", SKLEARN),
    "glmnet": ("the elastic net", SKLEARN),
    "gam": ("ridge regression on splines of the features", SKLEARN),
    "surface": ("ridge regression on splines and products of the features", SKLEARN),
    "ranger": ("a random forest", SKLEARN),
    "grf": ("an honest regression forest", "EconML"),
    "xgboost": ("gradient boosting", SKLEARN),
    "knn": ("ten nearest neighbours", SKLEARN),
    "svm": ("a support vector machine", SKLEARN),
    "nnet": ("a neural network with one hidden layer", SKLEARN),
    "tfidf": ("ridge regression on weighted counts of words and parts of words", SKLEARN),
    "embedding": ("ridge regression on embeddings of the texts by all-MiniLM-L6-v2", SKLEARN),
    "stack": ("a weighted average of ridge regression, a response surface and gradient boosting", SKLEARN),
    "auto": ("a learner chosen by cross-validation", SKLEARN),
}
"""By the names that ``sl_method`` takes: what is fitted, and the package that fits it (empty: this one)."""
BINOMIAL = {
    "glm": ("logistic regression", SKLEARN),
    "ridge": ("logistic regression with a ridge penalty", SKLEARN),
    "tfidf": ("logistic regression with a ridge penalty on weighted counts of words and parts of words", SKLEARN),
    "gam": ("logistic regression with a ridge penalty on splines of the features", SKLEARN),
    "surface": ("logistic regression with a ridge penalty on splines and products of the features", SKLEARN),
    "glmnet": ("logistic regression with an elastic net penalty", SKLEARN),
}
"""The same with ``family="binomial"``, where it is another model."""


def learner_words(labels: Sequence[str], sl_method: object, family: str) -> list[str]:
    """The learners behind a fit, as sentences name them, each once.

    Parameters
    ----------
    labels : list of str
        Their labels in the fit (`dsl.learners.names.method_label`), ``"auto"`` resolved.
    sl_method : str, list, estimator or callable
        As in the call: says whose an estimator is.
    family : {"gaussian", "binomial"}

    Examples
    --------
    >>> learner_words(["xgboost", "lm", "xgboost"], "auto", "gaussian")
    ['gradient boosting (scikit-learn)', 'least squares']
    >>> learner_words(["stack(lm, ranger)"], ["lm", "ranger"], "gaussian")
    ['a weighted average of least squares and a random forest (scikit-learn)']
    """
    # a distribution of several parts has several labels in one
    each = [part for label in labels for part in _split(label) if part != "(one value)"]
    own = _described(sl_method)
    return list(dict.fromkeys(_words(label, own, family) for label in each))


def _words(label: str, own: dict[str, tuple[str, str]], family: str) -> str:
    stack = re.fullmatch(r"stack\((.*)\)", label)
    if stack is not None:
        return f"a weighted average of {joined([_words(part, own, family) for part in _split(stack[1])])}"
    known = (BINOMIAL if family == "binomial" else CALLED).get(label) or CALLED.get(label)
    what, whose = known or own.get(label, (label, ""))
    return f"{what} ({whose})" if whose else what


def _split(label: str) -> list[str]:
    """Parts between commas that no parentheses enclose."""
    return re.findall(r"(?:[^,()]|\([^()]*\))+", label.replace(", ", ","))


def _described(sl_method: object) -> dict[str, tuple[str, str]]:
    """What each estimator of the user is and the package that it comes from, by the estimator's label."""
    members: Sequence[Method] = sl_method if isinstance(sl_method, list | tuple) else [sl_method]  # type: ignore[list-item]
    out: dict[str, tuple[str, str]] = {}
    for member in members:
        steps = getattr(member, "steps", None)
        kind = type(steps[-1][1] if steps else member)
        package = kind.__module__.split(".")[0]
        if is_text_learner(member):
            out[kind.__name__] = str(getattr(member, "words", kind.__name__)), ""
        elif package not in ("builtins", "__main__"):
            # our own kind of estimator hands the work to R, whose learner it names
            own = f"R: {getattr(member, 'learner', '')}" if package == "dsl" else package
            out[kind.__name__] = kind.__name__, SKLEARN if package == "sklearn" else own
    return out


def joined(names: Sequence[str]) -> str:
    """Names as a sentence lists them: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
