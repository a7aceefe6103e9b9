"""Templates: what is sent, word by word, that texts are data, and what is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.annotation import Codebook, Prompt
from dsl.annotation.exchange import Item
from dsl.exceptions import ArgumentError

BOOK = Codebook("Is it positive?", {"yes": "joy", "no": ""}, [("I love {words}", "yes"), ("At\n\nnine", "no")])
BARE = Codebook("Is it positive?", [0, 1])

CHAT = """\
[system]
Is it positive?

- yes: joy
- no

Examples:
Text: I love {words}
Answer: yes

Text: At

nine
Answer: no

Answer with one of these and nothing else: yes, no.

[user]
Text: So {text}
it is"""
COMPLETION = """\
Is it positive?

- yes: joy
- no

Text: I love {words}
Answer: yes

Text: At nine
Answer: no

Text: So {text} it is
Answer:"""
LETTERS = """\
[system]
Is it positive?

A. yes: joy
B. no

Examples:
Text: I love {words}
Answer: A

Text: At

nine
Answer: B

Answer with one of these and nothing else: A, B.

[user]
Text: So it is"""
JSON_BOTH = """\
[system]
Is it positive?

- 0
- 1

Answer in JSON, as {"label": ..., "probability": ...}. The label is one of these: 0, 1. The probability is a number \
between 0 and 1: how likely it is that this label is right.

[user]
Text: So it is"""


def test_what_is_sent() -> None:
    assert Prompt.one_stage().render(BOOK, "So {text}\nit is") == CHAT
    assert Prompt.one_stage(kind="completion").render(BOOK, "So {text}\nit is") == COMPLETION
    assert Prompt.one_stage(options="letters").render(BOOK, "So it is") == LETTERS
    assert Prompt.one_stage(form="json").render(BARE, "So it is", ask_both=True) == JSON_BOTH
    assert Prompt.text_only().render(BOOK, "So\n\nit {is}") == "So\n\nit {is}"


def test_examples_in_json_are_answers_in_json() -> None:
    assert 'Answer: {"label": "yes"}' in Prompt.one_stage(form="json").render(BOOK, "So it is")


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(["{text}", "{words}{", "\\1 \\g<0>", "%s {0}"])
)
def test_texts_are_data(text: str) -> None:
    """Whatever the text is: it stands in the message as it is, once, and nothing else changes."""
    before, after = Prompt.one_stage().change(template="<{text}>").render(BARE, "@").split("@")
    assert Prompt.one_stage().change(template="<{text}>").render(BARE, text) == before + text + after
    script = Prompt.one_stage(kind="completion").script(BARE)
    assert script.text(Item(text=text)) == script.text(Item(text="@")).replace("@", " ".join(text.split()))


def test_halves_of_signs_are_replaced() -> None:
    assert Prompt.text_only().render(BARE, "a\ud83d") == "a?"


def test_two_stages() -> None:
    prompt = Prompt.two_stage(options="letters").change(follow_up="{question} {label} ({definition}) of {words}?")
    assert prompt.second(BOOK, "yes") == "Is it positive? A. yes (joy) of A, B?"
    assert Prompt.two_stage().second(BARE, 1) == (
        'How likely is it that "1" is the right answer? Say a probability between 0 and 1, and nothing else.'
    )


def test_images_in_a_chat() -> None:
    script = Prompt.one_stage().script(BARE)
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    # without a text its paragraph is left out
    assert script.messages(Item(image="a"), "https://example.org/a.png")[-1]["content"] == [image]
    assert script.messages(Item(text="so", image="a"), "https://example.org/a.png")[-1]["content"] == [
        {"type": "text", "text": "Text: so"},
        image,
    ]


def test_no_system_message_where_there_is_none() -> None:
    prompt = Prompt(template="{question} {words}: {text}")
    assert prompt.script(BARE).messages(Item(text="so")) == ({"role": "user", "content": "Is it positive? 0, 1: so"},)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("A", "yes"),
        ("b.", "no"),
        ("(A)", None),
        ("A. yes", "yes"),
        ("A) Yes.", "yes"),
        ("A: yes", "yes"),
        ("yes", "yes"),
        ("A. no", None),
        ("A or B", None),
        ("C", None),
        ("", None),
        ("a yes", "yes"),
        ("ayes", None),
    ],
)
def test_letters_as_answers(said: str, code: str | None) -> None:
    assert Prompt.one_stage(options="letters").code_of(said, BOOK) == code
    assert Prompt.one_stage().code_of(said, BOOK) == (code if said == "yes" else None)


def test_a_label_is_not_taken_for_a_letter() -> None:
    assert Prompt.one_stage(options="letters").words(Codebook("Which?", ["a", "b"])) == ("A", "B")
    book = Codebook("Which?", ["b", "a"])
    with pytest.raises(ArgumentError, match="answer A would be the letter of 'b' and the label 'a'"):
        Prompt.one_stage(options="letters").script(book)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"template": "{body}"}, r"template of a prompt has the placeholder \{body\}; it may have examples"),
        ({"system": "{text}"}, r"system of a prompt has the placeholder \{text\}"),
        ({"follow_up": "{text}", "both": ""}, r"follow_up of a prompt has the placeholder \{text\}"),
        ({"template": " "}, "template of a prompt is empty"),
        ({"template": 3}, "template of a prompt must be a text"),
        ({"kind": "chats"}, "unknown kind 'chats'.*did you mean 'chat'"),
        ({"options": "numbers"}, "unknown options"),
        ({"form": "xml"}, "unknown form"),
        ({"kind": "completion"}, "neither a system message nor JSON"),
        ({"follow_up": "How likely?"}, "give one of them"),
        ({"prefix": "x"}, "no part 'prefix'; its parts are template, kind"),
    ],
)
def test_what_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Prompt.one_stage().change(**change)


def test_a_template_without_the_text() -> None:
    prompt = Prompt.one_stage().change(template="What is it?")
    with pytest.raises(ArgumentError, match=r"has no \{text\}"):
        prompt.render(BARE, "so")
    assert prompt.script(BARE).messages(Item(image="a"), "https://x.org")[-1]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "https://x.org"}},
    ]


def test_more_labels_than_letters() -> None:
    with pytest.raises(ArgumentError, match="at most 26 labels; the codebook has 27"):
        Prompt.one_stage(options="letters").words(Codebook("Which?", range(27)))


def test_schema() -> None:
    """The form that OpenAI's documentation gives: strict needs every key required and no others."""
    assert Prompt.one_stage(form="json").schema(BARE, ask_both=True) == {
        "type": "json_schema",
        "json_schema": {
            "name": "answer",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": {"label": {"type": "string", "enum": ["0", "1"]}, "probability": {"type": "number"}},
                "required": ["label", "probability"],
                "additionalProperties": False,
            },
        },
    }
    assert Prompt(**Prompt.two_stage(form="json").to_json()) == Prompt.two_stage(form="json")  # type: ignore[arg-type]
