"""What coders are not shown: predictions, and how sure of them the model was."""

import re
from collections.abc import Mapping, Sequence

from dsl.exceptions import ArgumentError

SUSPECT = {
    *("llm", "gpt", "pred", "preds", "prediction", "predictions", "predicted", "surrogate", "surrogates"),
    *("conf", "confidence", "confidences", "logprob", "logprobs", "prob", "probs", "probability", "probabilities"),
}
"""Words in the names of columns with predictions or confidences."""
NAMED = ("prediction", "confidence")
"""Settings of a design that name such columns."""
WHY = (
    "coders who see what a model says tend to agree with it (anchoring), and labels that follow the predictions cannot correct "
    "them"
)


def check_hidden(shown: Sequence[str], settings: Mapping[str, object], made: Sequence[str] = ()) -> None:
    """Raise ArgumentError if a coder would see a prediction or a confidence.

    Parameters
    ----------
    shown : sequence of str
        Columns that the coder is to see.
    settings : mapping
        Of the design: what it was drawn by names predictions and confidences.
    made : sequence of str
        What the names of columns begin with that `dsl.annotate` made.

    Examples
    --------
    >>> check_hidden(["text", "probing"], {})
    >>> check_hidden(["text", "llm_label"], {})
    Traceback (most recent call last):
    ...
    dsl.exceptions.ArgumentError: columns names 'llm_label', which looks like a prediction or a confidence: ...
    """
    known = {str(name) for key in NAMED for name in _names(settings.get(key))}
    for name in shown:
        words = set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
        if name in known:
            what = "by which the rows were drawn"
        elif any(name == each or name.startswith(f"{each}_") for each in made):
            what = "which a model made (dsl.annotate)"
        elif words & SUSPECT:
            what = "which looks like a prediction or a confidence"
        else:
            continue
        raise ArgumentError(
            f"columns names '{name}', {what}: {WHY}. Leave it out, or pass show_predictions=True if coders should see it"
        )


def names_made(data: object) -> list[str]:
    """What the names of columns begin with that `dsl.annotate` made, as a pandas table remembers it."""
    record = getattr(data, "attrs", {}).get("annotation")
    trails = record.get("trails") if isinstance(record, Mapping) else None
    found = [each.get("name") for each in trails if isinstance(each, Mapping)] if isinstance(trails, list) else []
    return [name for name in found if isinstance(name, str) and name]


def _names(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else () if value is None else (value,)
