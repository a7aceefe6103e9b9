"""The record of how labels were made, and warnings about what they are worth."""

import json
import os
from collections.abc import Iterator

import numpy as np
import pandas as pd

from dsl._typing import JSON
from dsl._version import __version__
from dsl.annotation.asking import Tally
from dsl.annotation.cache import Cache
from dsl.annotation.client import ADDRESS
from dsl.annotation.codebook import Codebook
from dsl.annotation.collect import LISTED, WORDED, Gathered, count_reasons
from dsl.annotation.exchange import Answer, Interview, Item, Request
from dsl.annotation.labels import NO_TEXT, LabelInterview
from dsl.annotation.plan import Part, Plan, Settings
from dsl.data.arguments import warn_caller
from dsl.data.tables import first_rows
from dsl.data.trail import Trail, public_address
from dsl.exceptions import AnnotationWarning

TEXT, IMAGE = "{text}", "data:image/{image}"
"""What stands for text and image where a prompt is recorded."""
OPENAI = "https://api.openai.com/v1"
"""Where the client asks without another address."""
ROUNDS = 20
"""Most questions after one another that a dry run imagines for a row."""
LOW_MASS = 0.5
"""Median probability of all labels together below which there is a warning."""
MOST_CENSORED = 0.01
"""Share of rows with a label outside the server's list above which there is a warning."""


def trail_of(
    what: Plan,
    part: Part,
    interview: LabelInterview,
    answers: Cache,
    tally: Tally,
    found: Gathered,
    table: pd.DataFrame,
) -> Trail:
    """The trail of one set of columns.

    Parameters
    ----------
    what : Plan
    part : Part
    interview : LabelInterview
    answers : Cache
    tally : Tally
        Of all answers of the part, stored ones included.
    found : Gathered
        Outcomes of different texts.
    table : DataFrame
        The new columns.
    """
    settings, name = what.settings, part.name
    sent = list(_stages(what, part, interview, answers))
    price = settings.dollars
    mass = found.mass[~np.isnan(found.mass)] if settings.confidence in LISTED else np.zeros(0)
    worded = settings.confidence in WORDED
    return Trail(
        name=name,
        model=part.model_name,
        server=_server(settings) if isinstance(part.model, str) else "",
        versions=dict(tally.versions.most_common()),
        first=tally.first,
        last=tally.last,
        codebook=_book(what.book),
        prompts=tuple(each.prompt if each.messages is None else list(each.messages) for each in sent),
        parameters=dict(sent[0].parameters) if sent and isinstance(part.model, str) else {},
        confidence=settings.confidence,
        texts=len(table),
        distinct=len(what.items),
        missing=count_reasons(table, name),
        unreadable=int((table[name].notna() & table[f"{name}_verbal"].isna()).sum()) if worded else None,
        mass=float(np.median(mass)) if len(mass) else None,
        censored=float(table[f"{name}_censored"].mean()) if len(mass) else None,
        answers=tally.asked + tally.stored,
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        cost=None if price is None else price.dollars(tally.prompt_tokens, tally.completion_tokens),
        package=__version__,
    )


def _server(settings: Settings) -> str:
    return public_address(settings.base_url or os.environ.get(ADDRESS) or OPENAI)


def imagined(item: Item, interview: Interview, cache: Cache, word: str) -> Iterator[tuple[Request, Answer | None]]:
    """Questions about a row, each with its stored answer, as if the model said `word` where there is none."""
    answers: list[Answer] = []
    for _ in range(ROUNDS):
        asked = interview.questions(item, answers)
        if not asked:
            return
        for request in asked:
            record = cache.get(request.key())
            answer = None if record is None else Answer.from_json(record)
            yield request, answer
            answers.append(Answer(text=word) if answer is None else answer)


def imagined_word(part: Part, book: Codebook) -> str:
    """What a model may be imagined to say: the first label, in the prompt's form."""
    word = part.prompt.words(book)[0]
    return json.dumps({"label": word}) if part.prompt.form == "json" else word


def _stages(what: Plan, part: Part, interview: LabelInterview, answers: Cache) -> Iterator[Request]:
    """The requests about an imagined row, equal ones once."""
    item = Item(text=None if what.items.texts is None else TEXT, image=None if what.items.images is None else IMAGE)
    seen: list[object] = []
    for request, _ in imagined(item, interview, answers, imagined_word(part, what.book)):
        content = (request.messages, request.prompt)
        if content not in seen:
            seen.append(content)
            yield request


def _book(book: Codebook) -> dict[str, JSON]:
    return {
        "question": book.question,
        "labels": {str(code): meaning for code, meaning in book.labels.items()},
        "examples": [[text, code] for text, code in book.examples],
    }


def warn_of_examples(what: Plan) -> None:
    """Warn where texts of the table are examples in the prompt: the model was told their labels."""
    if what.items.texts is None or not what.book.examples:
        return
    examples = {text for text, _ in what.book.examples}
    shown = np.fromiter((item.text in examples for item in what.items), bool, len(what.items))
    rows = (what.items.rows >= 0) & np.append(shown, False)[what.items.rows]
    if rows.any():
        warn_caller(
            AnnotationWarning,
            f"examples of the codebook are among the texts, in {first_rows(rows, what.labels)}: the model is told their labels. "
            "They count as training data: leave these rows out before gold labels are drawn (exclude= of dsl.sampling), or name "
            "those that were drawn (dsl.dsl(..., trained_on=))",
        )


def warn_of_labels(table: pd.DataFrame, trail: Trail) -> None:
    """Warn of missing labels, of labels that the model hardly thinks of, and of those outside the server's list."""
    name, missing = trail.name, dict(trail.missing or {})
    missing.pop(NO_TEXT, None)
    if missing:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in missing.items())
        warn_caller(
            AnnotationWarning,
            f"{sum(missing.values()):,} of {len(table):,} rows have no label in '{name}' ({reasons}); '{name}_reason' says why. "
            "dsl.dsl(..., refusals='indicator') takes the rows as they are",
        )
    if trail.mass is not None and trail.mass < LOW_MASS:
        warn_caller(
            AnnotationWarning,
            f"'{name}': the labels together have a probability of {trail.mass:.2g} in the median, so that the model mostly wants "
            "to say something else. Look at the prompt (Prompt.render), give the codebook examples, or use another model",
        )
    if trail.censored is not None and trail.censored > MOST_CENSORED:
        warn_caller(
            AnnotationWarning,
            f"'{name}': in {trail.censored:.1%} of rows a label is outside the server's list of tokens, and its probability is "
            "the bound that the list gives. Ask for a longer list where the server has one, such as "
            "extra_body={'n_probs': 4000} of llama.cpp",
        )
    unreadable = trail.unreadable or 0
    if unreadable:
        warn_caller(
            AnnotationWarning,
            f"'{name}': what the model said about its confidence cannot be read in {unreadable:,} of {len(table):,} rows; "
            f"'{name}_said' has it. Log probabilities are the better confidence where a server has them",
        )
