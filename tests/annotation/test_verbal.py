"""What a model puts in words is read strictly: a table of what is read and what is not."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.annotation import Codebook
from dsl.annotation.verbal import probability_in, read_both, read_json, read_label

READ = Codebook("Which?", ["hate speech", "other", "no, never"]).code_of


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("0.8", 0.8),
        (" .8\n", 0.8),
        ("0,8", 0.8),
        ("0.80.", 0.8),
        ("1", 1.0),
        ("0", 0.0),
        ("1.0", 1.0),
        ("80%", 0.8),
        ("80 %", 0.8),
        ("12.5 percent", 0.125),
        ("100%", 1.0),
        ("1%", 0.01),
        ("0.5%", 0.005),
        ("80", 0.8),
        ("100", 1.0),
        ("11", 0.11),
        ("8 out of 10", 0.8),
        ("8/10", 0.8),
        ("80 / 100", 0.8),
        ("Probability: 0.8", 0.8),
        ("confidence = 80%", 0.8),
        ("**0.8**", 0.8),
        ('"0.8"', 0.8),
    ],
)
def test_probabilities_that_are_read(said: str, value: float) -> None:
    assert probability_in(said) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize(
    "said",
    [
        "",
        ".",
        "The probability of the text is 1",
        "1000000000000",
        "101",
        "120%",
        "2",
        "8",
        "10",
        "1.5",
        "1.01",
        "80.5",
        "-0.5",
        "+0.5",
        "0.5 to 0.7",
        "0.5-0.7",
        "about 0.8",
        "0.8 (high)",
        "0.8 0.9",
        "8 out of 5",
        "11 out of 10",
        "8/1000",
        "8 out of 10.5",
        "nan",
        "inf",
        "1e-3",
        "high",
        "eighty percent",
        "\u0668",
        "0.8\n0.9",
        "0..8",
        "0.8..",
        "80%%",
    ],
)
def test_what_is_no_probability(said: str) -> None:
    assert probability_in(said) is None


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("0123456789.,% /outf-\n"), max_size=14) | st.text(max_size=10))
def test_nothing_outside_zero_and_one(said: str) -> None:
    value = probability_in(said)
    assert value is None or 0.0 <= value <= 1.0


@settings(max_examples=50, deadline=None)
@given(st.floats(0.0, 1.0).map(lambda p: round(p, 3)))
def test_every_way_to_write_a_probability(p: float) -> None:
    for said in (f"{p:.3f}", f"{100 * p:.1f}%", f"{p:.3f}".replace(".", ",")):
        assert probability_in(said) == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize(
    ("said", "label", "reason"),
    [
        ("Hate speech.", "hate speech", ""),
        ("no, never", "no, never", ""),
        ("", None, "empty answer"),
        (" \n ", None, "empty answer"),
        ("hate", None, "not a label"),
        ("hate speach", None, "not a label"),
        ("It is hate speech", None, "not a label"),
        ("hate speech, other", None, "not a label"),
    ],
)
def test_labels(said: str, label: str | None, reason: str) -> None:
    found = read_label(said, READ)
    assert (found.label, found.reason) == (label, reason)


@pytest.mark.parametrize(
    ("said", "label", "value", "kept"),
    [
        ("other\n0.7", "other", 0.7, "0.7"),
        ("Other.\n\nProbability: 70%\n", "other", 0.7, "Probability: 70%"),
        ("other, 0.7", "other", 0.7, "0.7"),
        ("other, 0,7", "other", 0.7, "0,7"),
        ("no, never\n0.7", "no, never", 0.7, "0.7"),
        ("no, never", "no, never", None, ""),
        ("other", "other", None, ""),
        ("other\nfairly sure", "other", None, "fairly sure"),
        ("other\n0.7\nsince it is", "other", None, "0.7\nsince it is"),
        ("maybe\n0.7", None, None, ""),
        ("0.7\nother", None, None, ""),
        ("", None, None, ""),
    ],
)
def test_label_and_probability(said: str, label: str | None, value: float | None, kept: str) -> None:
    found = read_both(said, READ)
    assert (found.label, found.probability, found.said) == (label, value, kept)
    assert bool(found.reason) == (label is None)


@pytest.mark.parametrize(
    ("said", "label", "value", "reason"),
    [
        ('{"label": "other", "probability": 0.7}', "other", 0.7, ""),
        ('{"label": "Other", "probability": "70%", "why": "so"}', "other", 0.7, ""),
        ('```json\n{"label": "other", "probability": 0.7}\n```', "other", 0.7, ""),
        ('{"label": "other"}', "other", None, ""),
        ('{"label": "other", "probability": 7}', "other", None, ""),
        ('{"label": "other", "probability": NaN}', "other", None, ""),
        ('{"label": "other", "probability": [0.7]}', "other", None, ""),
        ('{"label": "other", "probability": true}', "other", None, ""),
        ('{"label": "others", "probability": 0.7}', None, None, "not a label"),
        ('{"label": "", "probability": 0.7}', None, None, "empty answer"),
        ('{"label": "other", "label": "hate speech"}', None, None, "broken JSON"),
        ('{"label": "other", "probab', None, None, "broken JSON"),
        ('The answer: {"label": "other"}', None, None, "broken JSON"),
        ("[" * 100_000, None, None, "broken JSON"),
        ('{"label": ["other"]}', None, None, "no label in the JSON"),
        ('{"label": null}', None, None, "no label in the JSON"),
        ('{"label": true}', None, None, "no label in the JSON"),
        ('["other"]', None, None, "no label in the JSON"),
        ('"other"', None, None, "no label in the JSON"),
        ("", None, None, "empty answer"),
    ],
)
def test_json(said: str, label: str | None, value: float | None, reason: str) -> None:
    found = read_json(said, READ, probability=True)
    assert (found.label, found.probability, found.reason) == (label, value, reason)


def test_what_was_said_is_kept() -> None:
    found = read_json('{"label": "other", "probability": {"low": 0.2}}', READ, probability=True)
    assert json.loads(found.said) == {"low": 0.2}
    assert read_json('{"label": "other", "probability": 0.7}', READ, probability=False).said == ""


def test_whole_numbers_are_labels_too() -> None:
    read = Codebook("Is it?", [0, 1]).code_of
    assert read_json('{"label": 1}', read, probability=False).label == 1
    assert read_json('{"label": "1"}', read, probability=False).label == 1
    assert read_json('{"label": 1.0}', read, probability=False).label is None
