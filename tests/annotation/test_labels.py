"""From a row to its questions, and from answers to a label: right, wrong, empty, refused, broken and cut off."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dsl.annotation import Codebook, Prompt
from dsl.annotation.client import CallableModel, ServerModel
from dsl.annotation.exchange import Answer, Ask, Item, Outcome, Request, Token
from dsl.annotation.labels import LabelInterview
from dsl.exceptions import ArgumentError, FileError

from .server import Fake, probability

BOOK = Codebook("Is it positive?", ["yes", "no"])
THREE = Codebook("Which?", {"war": "armed", "peace": "talks", "trade": ""})
ITEM = Item(text="So it is")


def interview(book: Codebook = BOOK, prompt: Prompt | None = None, **more: Any) -> LabelInterview:
    return LabelInterview(book=book, prompt=prompt or Prompt.one_stage(), model="m", **more)


def listed(*pairs: tuple[str, float], text: str = "", floor: float = 0.01, **more: Any) -> Answer:
    """An answer with the probabilities of its first position."""
    tops = tuple((token, math.log(p)) for token, p in pairs)
    said = text or pairs[0][0]
    return Answer(text=said, tokens=(Token(pairs[0][0], tops[0][1], tops, math.log(floor)),), **more)


def ask_all(questions: LabelInterview, model: Ask, item: Item) -> tuple[list[Request], Outcome]:
    answers: list[Answer] = []
    sent: list[Request] = []
    while asked := questions.questions(item, answers):
        sent += asked
        answers += [model(each) for each in asked]
    return sent, questions.outcome(answers)


def test_what_a_chat_is_sent() -> None:
    [asked] = interview(seed=3).questions(ITEM, [])
    assert asked.parameters == {
        "temperature": 0.0,
        "seed": 3,
        "max_tokens": 7,
        "logprobs": True,
        "top_logprobs": 20,
    }
    assert asked.words == ("yes", "no")
    assert asked.messages is not None
    assert [each["role"] for each in asked.messages] == ["system", "user"]


def test_what_a_completion_is_sent() -> None:
    """One token decides where no two labels begin alike."""
    [asked] = interview(prompt=Prompt.one_stage(kind="completion"), extra_body={"n_probs": 4000}).questions(ITEM, [])
    assert asked.parameters == {
        "temperature": 0.0,
        "max_tokens": 1,
        "logprobs": 20,
        "stop": ["\n"],
        "extra_body": {"n_probs": 4000},
    }
    alike = Codebook("Which?", ["liberal", "libertarian"])
    [asked] = interview(alike, Prompt.one_stage(kind="completion")).questions(ITEM, [])
    assert asked.parameters["max_tokens"] == 15


def test_long_lists_in_a_chat() -> None:
    """llama.cpp takes top_logprobs before n_probs: the number asked for is the one that counts."""
    [asked] = interview(extra_body={"n_probs": 4000, "top_k": 1}).questions(ITEM, [])
    assert asked.parameters["top_logprobs"] == 4000
    assert asked.parameters["extra_body"] == {"top_k": 1}


def test_what_a_server_calls_otherwise_is_not_sent_twice() -> None:
    extra = {"max_completion_tokens": 50, "temperature": 1}
    [asked] = interview(confidence="verbal", extra_body=extra).questions(ITEM, [])
    assert asked.parameters == {"extra_body": extra}
    [bare] = interview(confidence="verbal", temperature=None, max_tokens=9).questions(ITEM, [])
    assert bare.parameters == {"max_tokens": 9}
    assert bare.words == ()


def test_scores_decide() -> None:
    """The most probable label, whatever was said, with probabilities that add up to one."""
    found = interview().outcome([listed((" I", 0.5), (" no", 0.3), (" yes", 0.1), floor=0.1)])
    assert found.label == "no"
    assert found.probabilities == pytest.approx((0.25, 0.75))
    assert found.confidence == pytest.approx(0.75)
    assert found.mass == pytest.approx(0.4)
    assert not found.censored
    assert found.reason == ""


def test_a_label_off_the_list_is_marked() -> None:
    found = interview().outcome([listed(("yes", 0.8), ("I", 0.1), floor=0.05)])
    assert found.label == "yes"
    assert found.censored
    assert found.probabilities == pytest.approx((0.8 / 0.85, 0.05 / 0.85))


def test_letters_stand_for_labels() -> None:
    questions = interview(THREE, Prompt.one_stage(options="letters"))
    assert questions.questions(ITEM, [])[0].words == ("A", "B", "C")
    found = questions.outcome([listed(("B", 0.7), ("A", 0.2), ("C", 0.1))])
    assert (found.label, found.probabilities) == ("peace", pytest.approx((0.2, 0.7, 0.1)))


def test_whole_numbers_stay_numbers() -> None:
    found = interview(Codebook("Is it?", [0, 1])).outcome([listed(("1", 0.7), ("0", 0.2))])
    assert found.label == 1
    assert type(found.label) is int


MISSING: dict[str, tuple[LabelInterview, list[Answer], str]] = {
    "no text": (interview(), [], "no text"),
    "refused": (interview(), [Answer(text="", finish="refusal")], "refused"),
    "filtered": (interview(), [Answer(text="", finish="content_filter")], "refused (content filter)"),
    "too long": (interview(), [Answer(text="", finish="too_long")], "text too long for the model"),
    "empty": (interview(), [Answer(text=" ")], "empty answer"),
    "all censored": (interview(), [listed(("I", 0.9), floor=0.01)], "no label among the listed tokens"),
    "nothing on labels": (
        interview(),
        [Answer(text="I", tokens=(Token("I", 0.0, (("I", 0.0),)),))],
        "no label among the listed tokens",
    ),
    "shared tokens": (
        interview(Codebook("Which?", ["liberal", "libertarian", "other"])),
        [listed(("other", 0.5), ("lib", 0.4), floor=0.05)],
        "labels begin with the same token",
    ),
    "no label in JSON": (interview(prompt=Prompt.one_stage(form="json")), [Answer(text="yes")], "broken JSON"),
    "JSON with a list elsewhere": (
        interview(prompt=Prompt.one_stage(form="json")),
        [Answer(text='{"label": "yes"}', tokens=(Token('{"label": "', -0.1), Token('yes"}', -0.1)))],
        "no log probabilities where the label stands",
    ),
    "wrong in words": (interview(confidence="verbal"), [Answer(text="maybe\n0.9")], "not a label"),
    "refused in words": (interview(confidence="verbal"), [Answer(text="", finish="refusal")], "refused"),
    "cut off in words": (
        interview(confidence="verbal", prompt=Prompt.one_stage(form="json")),
        [Answer(text='{"label": "ye', finish="length")],
        "answer cut off",
    ),
    "the beginning of another": (
        interview(Codebook("Which?", ["hate", "hate speech"]), Prompt.two_stage(), confidence="verbal"),
        [Answer(text="hate", finish="length")],
        "answer cut off",
    ),
    "all repeats wrong": (
        interview(confidence="repeat", temperature=1),
        [Answer(text="maybe"), Answer(text=""), Answer(text="perhaps")],
        "not a label",
    ),
    "both, wrong label": (interview(confidence="both"), [listed(("yes", 0.9), text="maybe\n.9")], "not a label"),
    "both, refused": (interview(confidence="both"), [Answer(text="", finish="refusal")], "refused"),
    "a callable's own label": (interview(), [Answer(text="", scores=(("maybe", 1.0),))], "not a label"),
    "a callable's zeros": (interview(), [Answer(text="", scores=(("yes", 0.0),))], "no probability on any label"),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_with_a_reason(case: str) -> None:
    questions, answers, reason = MISSING[case]
    found = questions.outcome(answers)
    assert found.label is None
    assert found.reason == reason
    assert all(map(math.isnan, (*found.probabilities, found.confidence)))
    assert len(found.probabilities) == len(questions.book.codes)


def test_labels_that_the_model_cannot_tell_apart_are_an_error() -> None:
    """Seen at the first such answer, rather than guessed for all of them."""
    questions = interview(Codebook("Which?", ["hate", "hate speech", "other"]))
    with pytest.raises(ArgumentError, match=r"'hate' and 'hate speech' cannot be told apart.*options='letters'"):
        questions.outcome([listed(("hate", 0.6), ("other", 0.3), floor=0.05)])
    # where the end is listed, it tells
    first = listed(("hate", 0.6), ("other", 0.3), floor=0.05)
    ended = replace(first, tokens=(*first.tokens, Token("", -0.1, (("", -0.1), (" speech", -2.4)), -9.0)))
    assert questions.outcome([ended]).label == "hate"
    # and a rare one does not matter
    assert questions.outcome([listed(("hate", 0.01), ("other", 0.9), floor=0.005)]).label == "other"


def test_servers_without_log_probabilities_are_an_error() -> None:
    for questions, text in (
        (interview(), "yes"),
        (interview(prompt=Prompt.one_stage(form="json")), '{"label": "yes"}'),
    ):
        with pytest.raises(ArgumentError, match="gives no log probabilities with this model; use confidence='verbal'"):
            questions.outcome([Answer(text=text)])
    with pytest.raises(ArgumentError, match="gives no log probabilities"):
        interview().outcome([Answer(text="yes", tokens=(Token("yes", -0.1),))])


def test_what_is_no_label_is_kept() -> None:
    found = interview(confidence="verbal").outcome([Answer(text=" I would say yes" + "!" * 900)])
    assert found.said == "I would say yes" + "!" * 185


def test_rows_without_text_are_not_asked_about() -> None:
    for item in (Item(), Item(text=""), Item(text=" \n")):
        assert interview().questions(item, []) == ()


def test_words_at_once() -> None:
    found = interview(confidence="verbal").outcome([Answer(text="No\n90%")])
    assert (found.label, found.probabilities, found.verbal, found.said) == ("no", pytest.approx((0.1, 0.9)), 0.9, "90%")
    three = interview(THREE, confidence="verbal").outcome([Answer(text="peace\n0.6")])
    assert three.probabilities[1] == 0.6
    # nobody said how the rest divides
    assert math.isnan(three.probabilities[0])
    assert math.isnan(three.probabilities[2])


def test_confidence_that_cannot_be_read_leaves_the_label() -> None:
    found = interview(confidence="verbal").outcome([Answer(text="no\nThe probability of the text is 1")])
    assert (found.label, found.said, found.reason) == ("no", "The probability of the text is 1", "")
    assert all(map(math.isnan, (*found.probabilities, found.confidence, found.verbal)))


def test_two_stages() -> None:
    """The second question stands behind the first answer, and is not asked where that is no label."""
    questions = interview(prompt=Prompt.two_stage(), confidence="verbal")
    first = Answer(text="No.")
    [asked] = questions.questions(ITEM, [first])
    assert asked.messages is not None
    assert [each["content"] for each in asked.messages[-3:]] == [
        "Text: So it is",
        "No.",
        'How likely is it that "no" is the right answer? Say a probability between 0 and 1, and nothing else.',
    ]
    assert "logprobs" not in asked.parameters
    found = questions.outcome([first, Answer(text=" 0.75 ")])
    assert (found.label, found.confidence, found.said) == ("no", 0.75, "0.75")
    assert questions.questions(ITEM, [first, Answer(text="0.75")]) == ()
    assert questions.questions(ITEM, [Answer(text="maybe")]) == ()
    refused = questions.outcome([first, Answer(text="", finish="refusal")])
    assert (refused.label, refused.said) == ("no", "")
    assert math.isnan(refused.confidence)


def test_two_stages_of_a_completion() -> None:
    questions = interview(prompt=Prompt.two_stage(kind="completion"), confidence="verbal")
    [asked] = questions.questions(ITEM, [Answer(text=" yes\n")])
    assert asked.prompt is not None
    assert asked.prompt.endswith(
        'Text: So it is\nAnswer: yes\nHow likely is it that "yes" is the right answer? Say a probability between 0 and 1, and '
        "nothing else.\nProbability:"
    )


def test_both() -> None:
    questions = interview(confidence="both")
    found = questions.outcome([listed(("yes", 0.8), ("no", 0.2), text="yes\n0.6")])
    assert (found.label, found.confidence, found.verbal) == ("yes", pytest.approx(0.8), 0.6)
    # what was said about "no" says it of "yes", but not of one of two others
    other = questions.outcome([listed(("yes", 0.8), ("no", 0.2), text="no\n0.6")])
    assert (other.label, other.verbal, other.said) == ("yes", pytest.approx(0.4), "0.6")
    three = interview(THREE, confidence="both")
    assert math.isnan(three.outcome([listed(("war", 0.8), ("peace", 0.2), text="peace\n0.6")]).verbal)


def test_repeats() -> None:
    questions = interview(THREE, confidence="repeat", temperature=1, repeats=4, seed=7)
    asked = questions.questions(ITEM, [])
    assert [each.repeat for each in asked] == [0, 1, 2, 3]
    assert [each.parameters["seed"] for each in asked] == [7, 8, 9, 10]
    assert len({each.key() for each in asked}) == 4
    found = questions.outcome([Answer(text=text) for text in ("peace", "War.", "peace", "both")])
    assert found.label == "peace"
    assert found.probabilities == pytest.approx((1 / 3, 2 / 3, 0.0))
    assert (found.confidence, found.mass) == (pytest.approx(2 / 3), 0.75)


def test_labels_in_json() -> None:
    said = ['{"', "label", '":', ' "', "no", '"}']
    tokens = [Token(token, -0.1) for token in said[:4]]
    tokens += [Token("no", math.log(0.7), (("no", math.log(0.7)), ("yes", math.log(0.3)))), Token(said[5], 0.0)]
    answer = Answer(text="".join(said), tokens=tuple(tokens))
    found = interview(prompt=Prompt.one_stage(form="json")).outcome([answer])
    assert (found.label, found.probabilities) == ("no", pytest.approx((0.3, 0.7)))
    [asked] = interview(prompt=Prompt.one_stage(form="json"), confidence="both").questions(ITEM, [])
    assert "probability" in json.dumps(asked.parameters["response_format"])


def test_images(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(b"GIF89a...")
    [asked] = interview().questions(Item(image=str(tmp_path / "a.gif")), [])
    assert asked.messages is not None
    assert asked.messages[-1]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlhLi4u"}}
    ]
    with pytest.raises(FileError, match="cannot be read"):
        interview().questions(Item(image=str(tmp_path / "b.gif")), [])
    with pytest.raises(ArgumentError, match="images are asked about in a chat"):
        interview(prompt=Prompt.one_stage(kind="completion")).questions(Item(text="a", image="https://a.org"), [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"confidence": "sure"}, "unknown confidence 'sure'"),
        ({"confidence": "repeat"}, "temperature 0 gives none; pass temperature=1"),
        ({"confidence": "repeat", "temperature": 1, "repeats": 1}, "repeats is 1; it must be at least 2"),
        ({"prompt": Prompt.two_stage()}, "confidence='logprobs' does not use; pass confidence='verbal' or 'both'"),
        ({"prompt": Prompt.text_only(), "confidence": "verbal"}, "give it both= or follow_up="),
        (
            {"prompt": Prompt.one_stage(kind="completion"), "confidence": "verbal"},
            r"no place \(\{instruction\}\); use Prompt.two_stage\(kind='completion'\)",
        ),
        ({"max_tokens": 0}, "max_tokens is 0; it must be at least 1"),
    ],
)
def test_what_does_not_go_together(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        interview(**change)


def test_callables() -> None:
    def judge(text: str) -> object:
        return {"yes": 0.2, "no": 0.2, "NO": 0.4} if "love" in text else "yes"

    questions = interview(prompt=Prompt.text_only())
    sent, found = ask_all(questions, CallableModel(judge), Item(text="I love it"))
    assert [each.prompt for each in sent] == ["I love it"]
    assert (found.label, found.probabilities, found.mass) == ("no", pytest.approx((0.25, 0.75)), pytest.approx(0.8))


@pytest.fixture(scope="module")
def model() -> Any:
    with Fake(labels=("yes", "no")) as fake:
        server = ServerModel(fake.url)
        yield server
        server.close()


PROMPTS: Sequence[tuple[Prompt, str]] = [
    (Prompt.one_stage(), "logprobs"),
    (Prompt.one_stage(kind="completion"), "logprobs"),
    (Prompt.two_stage(), "both"),
    (Prompt.two_stage(), "verbal"),
    (Prompt.one_stage(), "verbal"),
    (Prompt.one_stage(form="json"), "verbal"),
]


@pytest.mark.parametrize(("prompt", "confidence"), PROMPTS)
def test_all_the_way(model: ServerModel, prompt: Prompt, confidence: Any) -> None:
    """Through the wire of a fake server, whose probability of "yes" is a function of the text's number."""
    questions = interview(prompt=prompt, confidence=confidence)
    for number in (1, 2, 3, 4):
        _, found = ask_all(questions, model, Item(text=f"#{number} I love it"))
        chance = probability(number)
        assert found.label == ("yes" if chance > 0.5 else "no")
        if confidence != "logprobs":
            assert found.verbal == pytest.approx(max(chance, 1.0 - chance), abs=0.005)
        if confidence == "verbal":
            assert found.confidence == found.verbal
        else:
            assert found.probabilities == pytest.approx((chance, 1.0 - chance))
            # the fake server leaves .04 to other tokens
            assert found.mass == pytest.approx(0.96)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("refusal", "refused"),
        ("filter", "refused (content filter)"),
        ("wrong", "not a label"),
        ("empty", "empty answer"),
    ],
)
def test_answers_that_are_none(model: ServerModel, fault: str, reason: str) -> None:
    questions = interview(prompt=Prompt.two_stage(), confidence="verbal")
    sent, found = ask_all(questions, model, Item(text=f"#9 so [{fault}]"))
    assert (found.label, found.reason) == (None, reason)
    assert len(sent) == 1
