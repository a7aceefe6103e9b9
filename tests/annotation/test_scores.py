"""Probabilities of labels from tokens: sums by hand, what is censored, what two labels share, and that order does not matter."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.annotation.exchange import Token
from dsl.annotation.scores import Scores, label_start, word_scores

pytestmark = pytest.mark.numeric

ROUNDING = 1e-12


def position(said: str, listed: dict[str, float], floor: float | None = None) -> Token:
    """A position with probabilities."""
    pairs = tuple((token, math.log(p)) for token, p in listed.items())
    least = None if floor is None else math.log(floor)
    return Token(said, math.log(listed.get(said, 0.01)), pairs, least)


def scores(tokens: list[Token], words: list[str], **more: Any) -> Scores:
    found = word_scores(tokens, words, **more)
    assert found is not None
    return found


def test_all_spellings_of_a_word_count() -> None:
    listed = {" yes": 0.4, "Yes": 0.2, " YES": 0.1, ' "yes': 0.05, "y": 0.04, " no": 0.1, " Yes.": 0.03, " I": 0.05}
    found = scores([position(" yes", listed, floor=0.03)], ["yes", "no"])
    assert found.probabilities == pytest.approx((0.82, 0.1), abs=ROUNDING)
    assert found.mass == pytest.approx(0.92, abs=ROUNDING)
    assert found.scaled() == pytest.approx((0.82 / 0.92, 0.1 / 0.92), abs=ROUNDING)
    assert found.censored == (False, False)
    assert found.shared == 0.0


@pytest.mark.parametrize("token", [" yesterday", "yes/no", "yes-man", " eyes", "no", " yess", "1"])
def test_tokens_that_are_another_word(token: str) -> None:
    found = scores([position(" yes", {" yes": 0.5, token: 0.2}, floor=0.01)], ["yes", "never"])
    assert found.probabilities[0] == pytest.approx(0.5, abs=ROUNDING)


@pytest.mark.parametrize("token", ["yes\n", "yes. ", 'yes"}', "**yes**", "yes,", "yes)"])
def test_signs_end_a_word(token: str) -> None:
    found = scores([position("no", {"no": 0.5, token: 0.2}, floor=0.01)], ["yes", "no"])
    assert found.probabilities == pytest.approx((0.2, 0.5), abs=ROUNDING)


def test_the_trap_of_short_lists() -> None:
    """A label outside the list is marked, and its probability is the bound that the list gives, not zero."""
    found = scores([position(" I", {" I": 0.5, " The": 0.3, " yes": 0.1}, floor=0.05)], ["yes", "no"])
    assert found.censored == (False, True)
    assert found.probabilities == pytest.approx((0.1, 0.05), abs=ROUNDING)
    assert found.mass == pytest.approx(0.1, abs=ROUNDING)
    neither = scores([position(" I", {" I": 0.5, " The": 0.3}, floor=0.3)], ["yes", "no"])
    assert neither.censored == (True, True)
    # not the smallest of the list (.3): the two listed tokens leave .2
    assert neither.probabilities == pytest.approx((0.2, 0.2), abs=ROUNDING)
    assert neither.mass == 0.0
    assert all(math.isnan(each) for each in neither.scaled())


def test_a_complete_list_censors_nothing() -> None:
    found = scores([position("yes", {"yes": 1.0})], ["yes", "no"])
    assert found.censored == (False, False)
    assert found.scaled() == (1.0, 0.0)


def test_what_is_left_bounds_what_is_not_listed() -> None:
    found = scores([position("yes", {"yes": 0.9}, floor=0.9)], ["yes", "no"])
    assert found.probabilities == pytest.approx((0.9, 0.1), abs=ROUNDING)


def test_words_along_several_tokens() -> None:
    """P(liberal) = P(lib) P(eral | lib): the chain rule, and the other way round for what the first token decides."""
    first = position("lib", {"lib": 0.6, "cons": 0.3, "x": 0.1}, floor=0.01)
    second = position("ert", {"ert": 0.7, "eral": 0.25, "rary": 0.05}, floor=0.01)
    words = ["liberal", "libertarian", "conservative"]
    found = scores([first, second], words)
    assert found.probabilities == pytest.approx((0.6 * 0.25, 0.6 * 0.7, 0.3), abs=ROUNDING)
    assert found.mass == pytest.approx(0.6 * 0.95 + 0.3, abs=ROUNDING)
    assert found.shared == 0.0


def test_shared_tokens_that_were_not_followed_are_seen() -> None:
    first = position("cons", {"cons": 0.6, "lib": 0.3}, floor=0.01)
    found = scores([first, position("erv", {"erv": 1.0})], ["liberal", "libertarian", "conservative"])
    assert found.shared == pytest.approx(0.3, abs=ROUNDING)
    assert found.rivals == (0, 1)
    assert found.probabilities == pytest.approx((0.0, 0.0, 0.6), abs=ROUNDING)
    assert found.censored == (False, False, False)


def test_a_label_that_begins_another_is_told_by_the_end() -> None:
    """llama.cpp lists the end of a text as an empty token."""
    first = position("hate", {"hate": 0.8, "other": 0.2}, floor=0.01)
    words = ["hate", "hate speech", "other"]
    ended = scores([first, position("", {"": 0.75, " speech": 0.25}, floor=0.01)], words)
    assert ended.probabilities == pytest.approx((0.6, 0.2, 0.2), abs=ROUNDING)
    cut = scores([first], words)
    assert cut.shared == pytest.approx(0.8, abs=ROUNDING)


def test_blanks_before_the_label_are_followed() -> None:
    found = scores([position("\n", {"\n": 0.9, " yes": 0.1}), position("yes", {"yes": 0.5, "no": 0.5})], ["yes", "no"])
    assert found.probabilities == pytest.approx((0.1 + 0.45, 0.45), abs=ROUNDING)
    # and no blank is taken for a label where nothing follows
    assert scores([position("\n", {"\n": 0.9, " yes": 0.1})], ["yes", "no"]).mass == pytest.approx(0.1, abs=ROUNDING)


def test_numbers() -> None:
    found = scores([position("1", {"1": 0.5, "-": 0.2, "0": 0.2, "1.": 0.05, "10": 0.05})], ["-1", "0", "1"])
    assert found.probabilities == pytest.approx((0.2, 0.2, 0.55), abs=ROUNDING)
    tens = scores([position("1", {"1": 0.5, "10": 0.3})], ["1", "10"])
    assert tens.shared == pytest.approx(0.5, abs=ROUNDING)
    split = scores([position("1", {"1": 0.5, "2": 0.5}), position("0", {"0": 0.4, "\n": 0.6})], ["1", "10", "2"])
    assert split.probabilities == pytest.approx((0.3, 0.2, 0.5), abs=ROUNDING)


def test_letters_in_several_tokens() -> None:
    """Half a letter is no text: bytes are compared, and joined before case is taken out."""
    word = "\u5426\u5b9a"
    bits = word.encode()
    parts = [bits[:2], bits[2:4], bits[4:]]
    texts = [part.decode("utf-8", "surrogateescape") for part in parts]
    other = "\u80af\u5b9a"
    found = scores([position(texts[0], {texts[0]: 0.7, other: 0.3})], [word, other])
    assert found.probabilities == pytest.approx((0.7, 0.3), abs=ROUNDING)
    shared = "\u5426\u5c31"
    steps = [position(t, {t: p, "?": 0.1}) for t, p in zip(texts, (0.7, 0.5, 0.9), strict=True)]
    walked = scores(steps, [word, shared, other])
    # the first four bytes are those of both words
    assert walked.probabilities == pytest.approx((0.7 * 0.5 * 0.9, 0.0, 0.0), abs=ROUNDING)


def test_labels_in_json() -> None:
    """Probabilities are conditional on what stands before the label, also within the same token."""
    before = [position(text, {text: 0.5, "yes": 0.5}) for text in ('{"', "label", '":')]
    for tokens in (
        [*before, position(' "', {' "': 1.0}), position("no", {"no": 0.75, "yes": 0.25})],
        [*before, position(' "no', {' "no': 0.75, ' "yes': 0.25})],
    ):
        start = label_start(tokens)
        assert start is not None
        found = scores(tokens, ["yes", "no"], start=start)
        assert found.probabilities == pytest.approx((0.25, 0.75), abs=ROUNDING)
    assert label_start([Token("yes", -0.1)]) is None
    number = [position('{"label": ', {'{"label": ': 1.0}), position("1", {"1": 0.9, "0": 0.1})]
    assert scores(number, ["0", "1"], start=label_start(number) or 0).probabilities == pytest.approx((0.1, 0.9))


@pytest.mark.parametrize("tokens", [[], [Token("yes", -0.1)], [Token("", 0.0)]])
def test_nothing_is_listed(tokens: list[Token]) -> None:
    assert word_scores(tokens, ["yes", "no"]) is None


def test_rounded_log_probabilities_add_up_to_no_more_than_one() -> None:
    found = scores([Token("yes", 0.0, (("yes", 0.0), ("no", -5.0)), -5.0)], ["yes", "no"])
    assert found.mass == 1.0
    assert math.fsum(found.scaled()) == pytest.approx(1.0, abs=ROUNDING)


PIECES = st.sampled_from(
    ["yes", " yes", "Yes", "y", "no", " n", "not", "not sure", " ", "\n", "", '"', "I", "sure", "."]
)


@st.composite
def positions(draw: st.DrawFn) -> Token:
    """A position whose listed tokens have a probability of at most one together."""
    texts = draw(st.lists(PIECES, min_size=1, max_size=8, unique=True))
    weights = draw(st.lists(st.floats(0.001, 1.0), min_size=len(texts), max_size=len(texts)))
    total = math.fsum(weights) * draw(st.floats(1.0, 3.0))
    pairs = tuple((text, math.log(weight / total)) for text, weight in zip(texts, weights, strict=True))
    said = draw(st.sampled_from(pairs))
    return Token(said[0], said[1], pairs, draw(st.sampled_from([None, min(p for _, p in pairs)])))


WORDS = ["yes", "no", "not sure", "not"]


@settings(max_examples=80, deadline=None)
@given(st.lists(positions(), min_size=1, max_size=4), st.permutations(range(len(WORDS))), st.randoms())
def test_mass_and_order(tokens: list[Token], order: list[int], random: Any) -> None:
    """Mass is a probability; neither the order of the words nor that of the lists changes anything."""
    found = scores(tokens, WORDS)
    assert 0.0 <= found.mass <= 1.0
    assert 0.0 <= found.shared <= 1.0
    assert found.mass + found.shared <= 1.0 + ROUNDING
    assert all(0.0 <= each <= 1.0 for each in found.probabilities)
    scaled = found.scaled()
    assert all(map(math.isnan, scaled)) or math.fsum(scaled) == pytest.approx(1.0, abs=ROUNDING)
    listed = math.fsum(p for p, gone in zip(found.probabilities, found.censored, strict=True) if not gone)
    assert listed == pytest.approx(found.mass, abs=ROUNDING)
    shuffled = [
        Token(each.token, each.logprob, tuple(random.sample(each.alternatives, len(each.alternatives))), each.floor)
        for each in tokens
    ]
    again = scores(shuffled, [WORDS[j] for j in order])
    assert again.probabilities == pytest.approx([found.probabilities[j] for j in order], abs=ROUNDING)
    assert again.censored == tuple(found.censored[j] for j in order)
    assert (again.mass, again.shared) == pytest.approx((found.mass, found.shared), abs=ROUNDING)
