"""What a call of `dsl.annotate` is about: its texts, and the models and prompts that are asked."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypedDict, Unpack, get_args

import numpy as np
import pandas as pd

from dsl._typing import JSON
from dsl.annotation.asking import Patience
from dsl.annotation.cache import PACKED
from dsl.annotation.client import CallableModel
from dsl.annotation.codebook import Codebook
from dsl.annotation.collect import Gathered, Items
from dsl.annotation.cost import Price
from dsl.annotation.images import check_images
from dsl.annotation.labels import Confidence, LabelInterview
from dsl.annotation.prompts import Prompt
from dsl.data.arguments import as_name, check_choice, check_flags
from dsl.data.files import PathLike, resolved
from dsl.data.tables import TableLike, column_names, first_rows, to_pandas
from dsl.exceptions import ArgumentError, ColumnTypeError, MissingColumnError

Model: TypeAlias = str | Callable[..., object]
"""A model's name at a server, or a function that is asked."""
Models: TypeAlias = Model | Sequence[Model] | Mapping[str, Model]
Prompts: TypeAlias = Prompt | Mapping[str, Prompt]
MOST_THREADS = 1024
SECRETS = {"apikey", "key", "authorization", "auth", "password", "secret", "accesstoken", "bearer", "headers"}
"""Names, without signs and case, of what belongs into no file."""
FIRST_PAUSE = 1.0
"""Seconds before a question is asked again for the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One set of new columns: a model that is asked with a prompt."""

    name: str
    model: Model
    prompt: Prompt

    @property
    def model_name(self) -> str:
        """The model's name, or the function's."""
        return self.model if isinstance(self.model, str) else as_model(self.model).name


class Given(TypedDict, total=False):
    """Arguments that make `Settings`."""

    base_url: str | None
    confidence: Confidence
    repeats: int
    cache: PathLike
    concurrency: int
    max_retries: int
    timeout: float
    budget: float | None
    price: tuple[float, float] | None
    temperature: float | None
    max_tokens: int | None
    extra_body: Mapping[str, JSON] | None
    seed: int | None
    progress: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Arguments of a call besides the data and what is asked."""

    base_url: str | None = None
    confidence: Confidence = "logprobs"
    repeats: int = 5
    cache: PathLike = "labels.jsonl"
    concurrency: int = 8
    max_retries: int = 6
    timeout: float = 60.0
    budget: float | None = None
    price: tuple[float, float] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    extra_body: Mapping[str, JSON] | None = None
    seed: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        """Check each by itself."""
        check_choice("confidence", self.confidence, get_args(Confidence))
        check_flags(progress=self.progress)
        for name, least, most in (
            ("repeats", 2, 1000),
            ("concurrency", 1, MOST_THREADS),
            ("max_retries", 0, 100),
            ("max_tokens", 1, 100_000),
            ("seed", 0, 2**63 - 1),
        ):
            _check_whole(name, getattr(self, name), least, most)
        for name in ("timeout", "budget", "temperature"):
            _check_number(name, getattr(self, name), positive=name != "temperature")
        if self.price is not None:
            Price.of(self.price)
        _check_extra(self.extra_body)
        if self.budget is not None and self.price is None:
            raise ArgumentError(
                "`budget` is in dollars, and needs `price`: dollars for a million tokens sent, and for a million that come back"
            )
        if self.base_url is not None and (not isinstance(self.base_url, str) or "://" not in self.base_url):
            raise ArgumentError("base_url must be the address of a server, such as 'http://localhost:8080/v1'")

    @property
    def dollars(self) -> Price | None:
        """The price."""
        return None if self.price is None else Price.of(self.price)

    @property
    def patience(self) -> Patience:
        """How often a question is asked again."""
        return Patience(max_retries=self.max_retries, first=FIRST_PAUSE)

    @property
    def trail(self) -> Path | None:
        """Where the trail is written: beside the cache. None for one that is only read."""
        path = resolved(self.cache, "cache")
        if path.suffix.lower() == PACKED:
            return None
        return path.with_name(re.sub(r"\.jsonl?$", "", path.name, flags=re.IGNORECASE) + ".trail.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked about which rows."""

    items: Items
    labels: pd.Index
    """Labels of the table's rows."""
    book: Codebook
    parts: tuple[Part, ...]
    settings: Settings

    def interview(self, part: Part) -> LabelInterview:
        """What a part's model is asked about each text."""
        settings = self.settings
        usual = 1.0 if settings.confidence == "repeat" else 0.0
        return LabelInterview(
            book=self.book,
            prompt=part.prompt,
            model=part.model_name,
            confidence=settings.confidence,
            repeats=settings.repeats,
            temperature=usual if settings.temperature is None else settings.temperature,
            max_tokens=settings.max_tokens,
            seed=settings.seed,
            extra_body=settings.extra_body or {},
        )


def planned(
    data: TableLike,
    *,
    text: str | None = None,
    image: str | None = None,
    codebook: Codebook | PathLike,
    model: Models,
    name: str = "llm",
    prompt: Prompts | None = None,
    **settings: Unpack[Given],
) -> Plan:
    """Check the arguments of a call of `dsl.annotate`, one by one and together.

    Raises
    ------
    ArgumentError
        An argument cannot be used, or the data have a column that would be made.
    MissingColumnError, ColumnTypeError
        The columns of texts or images are not there, or hold no texts.
    """
    given = Settings(**settings)
    book = codebook if isinstance(codebook, Codebook) else _read_book(codebook)
    columns = column_names(data)
    texts, images = _column(data, columns, text, "text"), _column(data, columns, image, "image")
    if texts is None and images is None:
        raise ArgumentError(
            "name what is to be labelled: text='body', a column of texts, or image=, one of paths or addresses"
        )
    base = as_name(name, "name")
    if not base:
        raise ArgumentError("name must be what the new columns' names begin with, such as 'llm'")
    parts = _parts(base, model, prompt, images=image is not None)
    made = [each for part in parts for each in Gathered.names(book.codes, part.name, given.confidence)]
    twice = sorted({each for each in made if made.count(each) > 1})
    if twice:
        raise ArgumentError(
            f"two columns would be named '{twice[0]}': rename the label, or pass names of your own, as in model={{'small': ..., "
            "'large': ...}"
        )
    taken = [each for each in made if each in columns]
    if taken:
        raise ArgumentError(
            f"the data have a column '{taken[0]}', which would be made; pass another name=, or drop the column if it is from an "
            "earlier call"
        )
    if images is not None:
        check_images(images.tolist(), images.index, str(image))
    one = images if texts is None else texts
    assert one is not None
    out = Plan(items=Items.of(texts, images), labels=one.index, book=book, parts=parts, settings=given)
    for part in parts:
        # prompt, confidence and temperature must go together
        out.interview(part)
    return out


def as_model(function: Callable[..., object]) -> CallableModel:
    """A function as a model.

    Raises
    ------
    ArgumentError
        It has no name by which stored answers could be told from another's.
    """
    found = function if isinstance(function, CallableModel) else CallableModel(function)
    if "<lambda>" in found.name:
        raise ArgumentError(
            "a lambda has no name by which its stored answers could be told from those of another; define it with def, or pass "
            "dsl.annotation.CallableModel(function, name='...')"
        )
    return found


def _read_book(given: object) -> Codebook:
    if isinstance(given, str) or hasattr(given, "__fspath__"):
        return Codebook.from_yaml(str(given))
    raise ArgumentError(
        "codebook must be a dsl.annotation.Codebook(question=..., labels={...}), or the path of one in YAML; found "
        f"{type(given).__name__}"
    )


def _column(data: TableLike, columns: Sequence[str], name: str | None, argument: str) -> pd.Series | None:
    """A column of texts, None where none is named."""
    wanted = as_name(name, argument)
    if wanted is None:
        return None
    if wanted not in columns:
        shown = ", ".join(f"'{each}'" for each in columns[:10])
        raise MissingColumnError(f"{argument} names '{wanted}', which the data do not have; the columns are {shown}")
    column = to_pandas(data, [wanted])[wanted]
    if not isinstance(column.dtype, pd.StringDtype):
        column = column.astype(object)
    wrong = np.fromiter((not isinstance(value, str) for value in column), bool, len(column)) & column.notna().to_numpy()
    if wrong.any():
        found = column[wrong].iloc[0]
        raise ColumnTypeError(
            f"column '{wanted}' ({argument}) holds other values than text in {first_rows(wrong, column.index)}, such as "
            f"{found!r}; data['{wanted}'].astype(str) makes text of them"
        )
    return column


def _parts(name: str, model: Models, prompt: Prompts | None, *, images: bool) -> tuple[Part, ...]:
    """Every model with every prompt, each with the name of its columns."""
    out = []
    for called, one in _models(model).items():
        # a function of one's own gets the text alone, and not a question about it; images come in messages
        usual = Prompt.one_stage() if images or isinstance(one, str) else Prompt.text_only()
        for labelled, asked in _prompts(usual if prompt is None else prompt).items():
            full = "_".join(each for each in (name, called, labelled) if each)
            out.append(Part(name=full, model=one, prompt=asked))
    return tuple(out)


def _models(given: Models) -> dict[str, Model]:
    if isinstance(given, str) or callable(given):
        _check_model(given)
        return {"": given}
    if isinstance(given, Mapping):
        named = {str(name): each for name, each in given.items()}
    elif isinstance(given, Sequence):
        for each in given:
            _check_model(each)
        names = [
            re.sub(r"\W+", "_", each if isinstance(each, str) else as_model(each).name.rpartition(".")[2]).strip("_")
            for each in given
        ]
        twice = sorted({each for each in names if names.count(each) > 1})
        if twice:
            raise ArgumentError(
                f"two models would be named '{twice[0]}'; name them yourself, model={{'one': ..., 'two': ...}}"
            )
        named = dict(zip(names, given, strict=True))
    else:
        named = {}
    if not named:
        raise ArgumentError(
            f"model must be the name of a model, a function, or a list or dict of several; found {given!r:.80}"
        )
    for each in named.values():
        _check_model(each)
    return named


def _check_model(given: object) -> None:
    if callable(given):
        as_model(given)
    if not callable(given) and not (isinstance(given, str) and given.strip()):
        raise ArgumentError(f"model must be the name of a model, or a function that is asked; found {given!r:.80}")


def _prompts(given: Prompts) -> dict[str, Prompt]:
    named = {"": given} if isinstance(given, Prompt) else dict(given) if isinstance(given, Mapping) else {}
    if not named or not all(isinstance(each, Prompt) for each in named.values()):
        raise ArgumentError(
            f"prompt must be a dsl.annotation.Prompt, such as Prompt.two_stage(), or a dict of several; found {given!r:.80}"
        )
    return {str(name): each for name, each in named.items()}


def _check_extra(given: object) -> None:
    """A mapping without keys: what is sent besides is in the trail, for everybody to read."""
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise ArgumentError(
            "extra_body must be a dict of what the server takes besides, such as {'n_probs': 4000}; found "
            f"{type(given).__name__}"
        )
    secret = [name for name in given if re.sub(r"[-_ ]", "", str(name)).lower() in SECRETS]
    if secret:
        raise ArgumentError(
            f"extra_body has '{secret[0]}', and would be written to the trail; keys are taken from the environment alone: set "
            "OPENAI_API_KEY"
        )


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if value is None and name in ("max_tokens", "seed"):
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise ArgumentError(f"{name} must be a whole number from {least:,} to {most:,}; found {value!r}")


def _check_number(name: str, value: object, *, positive: bool) -> None:
    if value is None and name != "timeout":
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value < 0.0
        or (positive and value == 0.0)
    ):
        raise ArgumentError(f"{name} must be a number {'above' if positive else 'of at least'} 0; found {value!r}")
