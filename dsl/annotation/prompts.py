"""Prompts: templates that can be read, printed and changed, and the requests' messages and texts that they make.

A template has placeholders in braces. They are replaced in one pass, so that a text that holds braces, or the name of a
placeholder, stays as it is. Paragraphs (parts between empty lines) whose placeholders are all empty are left out, such as that
of the examples where the codebook has none, or of the text where an image is asked about.
"""

import json
import re
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal, Self, TypeAlias, get_args

from dsl._typing import JSON
from dsl.annotation.codebook import Codebook, plain
from dsl.annotation.exchange import Code, Item, Message
from dsl.data.arguments import check_choice
from dsl.exceptions import ArgumentError

Kind: TypeAlias = Literal["chat", "completion"]
Options: TypeAlias = Literal["words", "letters"]
Form: TypeAlias = Literal["plain", "json"]
LETTER = re.compile(r"([a-z])(?:[.):]\s*|\s+|$)(.*)")
"""A letter, and what may stand after it."""
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
ALLOWED = {
    "system": {"question", "labels", "words", "examples", "instruction"},
    "template": {"question", "labels", "words", "examples", "instruction", "text"},
    "example": {"text", "label"},
    "instruction": {"words"},
    "both": {"words"},
    "follow_up": {"question", "words", "label", "definition"},
}
"""Placeholders of each template."""
TEXT = "{text}"
OPTIONAL = {"labels", "examples", "instruction"}
"""Placeholders that may be empty, and their paragraph with them."""
INSTRUCTION = "Answer with one of these and nothing else: {words}."
BOTH = (
    "Answer in two lines and nothing else. The first line is one of these: {words}. The second line is the probability, a number "
    "between 0 and 1, that this answer is right."
)
INSTRUCTION_JSON = 'Answer in JSON, as {"label": ...}. The label is one of these: {words}.'
BOTH_JSON = (
    'Answer in JSON, as {"label": ..., "probability": ...}. The label is one of these: {words}. The probability is a number '
    "between 0 and 1: how likely it is that this label is right."
)
FOLLOW_UP = 'How likely is it that "{label}" is the right answer? Say a probability between 0 and 1, and nothing else.'


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """How a model is asked.

    Parameters
    ----------
    kind : {"chat", "completion"}
        Messages to an assistant, or a text that the model goes on with: what small models without training as an assistant
        need, with examples.
    system : str
        Template of the chat's first message. Placeholders: ``{question}``, ``{labels}`` (a line for each, with its definition),
        ``{words}`` (the labels in a row), ``{examples}``, ``{instruction}``. Empty: no such message.
    template : str
        Template of the question about one text: the same placeholders, and ``{text}``.
    example : str
        Template of an example: ``{text}``, ``{label}``.
    instruction : str
        What the answer should look like: ``{words}``.
    both : str
        The same where label and probability are asked at once. Empty where the probability is asked in a second stage.
    follow_up : str
        Template of a second question: ``{label}``, its ``{definition}``, ``{question}``, ``{words}``. Empty for one stage.
    options : {"words", "letters"}
        Whether the model answers with a label or with a letter that stands for it: for labels that begin alike, or are long.
    form : {"plain", "json"}
        Whether the answer is the label, or JSON after a schema that is sent with the request (chat only).

    Raises
    ------
    ArgumentError
        A template has a placeholder that it may not have, or lacks one that it needs, or the other arguments contradict each
        other.

    Examples
    --------
    >>> from dsl.annotation import Codebook, Prompt
    >>> book = Codebook("Is the tweet positive?", {"yes": "joy, praise", "no": "anything else"}, [("I love it", "yes")])
    >>> print(Prompt.one_stage().render(book, "So {text} it is"))
    [system]
    Is the tweet positive?
    <BLANKLINE>
    - yes: joy, praise
    - no: anything else
    <BLANKLINE>
    Examples:
    Text: I love it
    Answer: yes
    <BLANKLINE>
    Answer with one of these and nothing else: yes, no.
    <BLANKLINE>
    [user]
    Text: So {text} it is
    >>> print(Prompt.one_stage(kind="completion").render(book, "So it is"))
    Is the tweet positive?
    <BLANKLINE>
    - yes: joy, praise
    - no: anything else
    <BLANKLINE>
    Text: I love it
    Answer: yes
    <BLANKLINE>
    Text: So it is
    Answer:
    >>> Prompt.one_stage().change(template="Tweet: {text}").template
    'Tweet: {text}'
    """

    template: str
    kind: Kind = "chat"
    system: str = ""
    example: str = "Text: {text}\nAnswer: {label}"
    instruction: str = ""
    both: str = ""
    follow_up: str = ""
    options: Options = "words"
    form: Form = "plain"

    @classmethod
    def one_stage(cls, *, kind: Kind = "chat", options: Options = "words", form: Form = "plain") -> Self:
        """One question: the label or, where a probability in words is wanted, label and probability.

        Parameters
        ----------
        kind, options, form
            As of the class.
        """
        return cls._standard(kind, options, form, both=BOTH_JSON if form == "json" else BOTH, follow_up="")

    @classmethod
    def two_stage(cls, *, kind: Kind = "chat", options: Options = "words", form: Form = "plain") -> Self:
        """Two questions: the label, then "How likely is it that ..." about the label that was given.

        Parameters
        ----------
        kind, options, form
            As of the class.
        """
        return cls._standard(kind, options, form, both="", follow_up=FOLLOW_UP)

    @classmethod
    def text_only(cls) -> Self:
        """The text and nothing else: for callables that classify texts."""
        return cls(template="{text}", kind="completion")

    @classmethod
    def _standard(cls, kind: Kind, options: Options, form: Form, *, both: str, follow_up: str) -> Self:
        shown = "{question}\n\n{labels}\n\n"
        instruction = INSTRUCTION_JSON if form == "json" else INSTRUCTION
        more = {"options": options, "form": form, "both": both, "follow_up": follow_up}
        if kind == "completion":
            # examples say better than an instruction what is to be written
            return cls(template=shown + "{examples}\n\nText: {text}\nAnswer:", kind=kind, **more)  # type: ignore[arg-type]
        return cls(
            system=shown + "Examples:\n{examples}\n\n{instruction}",
            template="Text: {text}",
            kind=kind,
            instruction=instruction,
            **more,  # type: ignore[arg-type]
        )

    def __post_init__(self) -> None:
        """Check the templates."""
        check_choice("kind", self.kind, get_args(Kind))
        check_choice("options", self.options, get_args(Options))
        check_choice("form", self.form, get_args(Form))
        for name, allowed in ALLOWED.items():
            _check_template(getattr(self, name), name, allowed)
        if self.kind == "completion" and (self.system or self.form == "json"):
            raise ArgumentError(
                "a text to complete has neither a system message nor JSON after a schema; use kind='chat'"
            )
        if self.both and self.follow_up:
            raise ArgumentError(
                "both asks label and probability at once, follow_up in a second stage; give one of them"
            )

    def change(self, **parts: str) -> Self:
        """The same prompt with other parts.

        Parameters
        ----------
        **parts : str
            Arguments of the class.
        """
        unknown = [name for name in parts if name not in asdict(self)]
        if unknown:
            raise ArgumentError(f"a prompt has no part {unknown[0]!r}; its parts are {', '.join(asdict(self))}")
        return replace(self, **parts)  # type: ignore[arg-type]

    def words(self, book: Codebook) -> tuple[str, ...]:
        """What the model may answer, in the order of the labels: the labels themselves, or letters.

        Parameters
        ----------
        book : Codebook

        Raises
        ------
        ArgumentError
            There are more labels than letters, or a label is a letter that stands for another one.
        """
        if self.options == "words":
            return book.words
        if len(book.codes) > len(string.ascii_uppercase):
            raise ArgumentError(f"options='letters' offers at most 26 labels; the codebook has {len(book.codes)}")
        letters = tuple(string.ascii_uppercase[: len(book.codes)])
        for letter, code in zip(letters, book.codes, strict=True):
            other = book.code_of(letter)
            if other is not None and other != code:
                raise ArgumentError(
                    f"options='letters': the answer {letter} would be the letter of {code!r} and the label {other!r}; put the "
                    "labels in another order, or use options='words'"
                )
        return letters

    def code_of(self, said: str, book: Codebook) -> Code | None:
        """The label that an answer is, or None: the label, its letter, or both ("A. positive").

        Parameters
        ----------
        said : str
        book : Codebook
        """
        found = book.code_of(said)
        if found is not None or self.options == "words":
            return found
        letters = dict(zip(self.words(book), book.codes, strict=True))
        parts = LETTER.fullmatch(plain(said))
        code = letters.get(parts[1].upper()) if parts else None
        return code if parts and (not parts[2] or book.code_of(parts[2]) == code) else None

    def script(self, book: Codebook, *, ask_both: bool = False) -> "Script":
        """The prompt with a codebook: what is left to say is the text.

        Parameters
        ----------
        book : Codebook
        ask_both : bool
            Ask for label and probability at once (``confidence="verbal"``).
        """
        return Script(self, book, ask_both=ask_both)

    def second(self, book: Codebook, label: Code) -> str:
        """The second question.

        Parameters
        ----------
        book : Codebook
        label : str or int
            The label that was given.
        """
        word = dict(zip(book.codes, self.words(book), strict=True))[label]
        shown = str(label) if word == str(label) else f"{word}. {label}"
        values = {
            "question": book.question,
            "words": ", ".join(self.words(book)),
            "label": shown,
            "definition": book.labels[label],
        }
        return _fill(self.follow_up, values)

    def render(self, book: Codebook, text: str, *, ask_both: bool = False) -> str:
        """What is sent about a text, to read.

        Parameters
        ----------
        book : Codebook
        text : str
        ask_both : bool
            Ask for label and probability at once (``confidence="verbal"``).
        """
        script, item = self.script(book, ask_both=ask_both), Item(text=text)
        if self.kind == "completion":
            return script.text(item)
        return "\n\n".join(f"[{each['role']}]\n{each['content']}" for each in script.messages(item))

    def schema(self, book: Codebook, *, ask_both: bool = False) -> JSON:
        """The form of an answer in JSON, as `response_format` has it.

        Parameters
        ----------
        book : Codebook
        ask_both : bool
            Ask for label and probability at once.
        """
        parts: dict[str, JSON] = {"label": {"type": "string", "enum": list(self.words(book))}}
        if ask_both:
            parts["probability"] = {"type": "number"}
        schema: JSON = {
            "type": "object",
            "properties": parts,
            "required": list(parts),
            "additionalProperties": False,
        }
        return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}

    def to_json(self) -> dict[str, JSON]:
        """All parts, for a record of how labels came about."""
        return asdict(self)


class Script:
    """A prompt with a codebook.

    Parameters
    ----------
    prompt : Prompt
    book : Codebook
    ask_both : bool
        Ask for label and probability at once.
    """

    def __init__(self, prompt: Prompt, book: Codebook, *, ask_both: bool = False) -> None:
        self.prompt = prompt
        self.words = prompt.words(book)
        row = ", ".join(self.words)
        by_code = dict(zip(book.codes, self.words, strict=True))
        answers = {code: json.dumps({"label": word}, ensure_ascii=False) for code, word in by_code.items()}
        shown = [
            _fill(prompt.example, {"text": self._text(text), "label": answers[code] if self._json else by_code[code]})
            for text, code in book.examples
        ]
        self.values: dict[str, str | None] = {
            "question": book.question,
            "labels": "\n".join(_line(code, word, book, prompt.options) for code, word in by_code.items()),
            "words": row,
            "examples": "\n\n".join(shown),
            "instruction": _fill(prompt.both if ask_both else prompt.instruction, {"words": row}),
        }
        self.system = _fill(prompt.system, self.values)

    @property
    def _json(self) -> bool:
        return self.prompt.form == "json"

    def messages(self, item: Item, image_url: str = "") -> tuple[Message, ...]:
        """The chat about one text or image.

        Parameters
        ----------
        item : Item
        image_url : str
            The image, as an address or a ``data:`` URL.

        Raises
        ------
        ArgumentError
            The template has no place for the text.
        """
        words = self.text(item)
        asked: JSON = words
        if image_url:
            image: JSON = {"type": "image_url", "image_url": {"url": image_url}}
            asked = [{"type": "text", "text": words}, image] if words else [image]
        turn: Message = {"role": "user", "content": asked}
        return ({"role": "system", "content": self.system}, turn) if self.system else (turn,)

    def text(self, item: Item) -> str:
        """What is said about one text. In a text to complete, lines of the item's text are joined: a line has a meaning there.

        Parameters
        ----------
        item : Item

        Raises
        ------
        ArgumentError
            The template has no place for the text.
        """
        if item.text is not None and TEXT not in self.prompt.template:
            raise ArgumentError("the prompt's template has no {text}: the model would be asked without the text")
        text = None if item.text is None else self._text(item.text)
        return _fill(self.prompt.template, {**self.values, "text": text})

    def _text(self, text: str) -> str:
        # half of a sign, which no server takes
        whole = text if text.isascii() else text.encode("utf-8", "replace").decode()
        return " ".join(whole.split()) if self.prompt.kind == "completion" and self.prompt.template != TEXT else whole


def _line(code: Code, word: str, book: Codebook, options: Options) -> str:
    about = f": {book.labels[code]}" if book.labels[code] else ""
    return f"{word}. {code}{about}" if options == "letters" else f"- {code}{about}"


def _fill(template: str, values: Mapping[str, str | None]) -> str:
    """The template with its placeholders replaced, in one pass, without paragraphs that have nothing to say."""
    kept = []
    for paragraph in template.split("\n\n"):
        names = set(PLACEHOLDER.findall(paragraph))
        silent = names and all(values[name] is None or (name in OPTIONAL and not values[name]) for name in names)
        if not silent:
            kept.append(PLACEHOLDER.sub(lambda found: values[found[1]] or "", paragraph))
    return "\n\n".join(kept)


def _check_template(template: object, name: str, allowed: set[str]) -> None:
    if not isinstance(template, str):
        raise ArgumentError(f"{name} of a prompt must be a text; found {template!r}")
    unknown = set(PLACEHOLDER.findall(template)) - allowed
    if unknown:
        raise ArgumentError(
            f"{name} of a prompt has the placeholder {{{min(unknown)}}}; it may have {', '.join(sorted(allowed))}"
        )
    if name == "template" and not template.strip():
        raise ArgumentError("template of a prompt is empty; it needs {text}, or what is to be said about an image")
