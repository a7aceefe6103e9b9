"""Options with several values: repeated, divided by commas, or several words, one and the same list."""

import argparse

import pytest

from dsl.cli import main
from dsl.cli.command import parser
from dsl.cli.listed import Listed, parts
from tests.command_line import QUICK, read_json

POWER = ["power", "p.csv", "y ~ x", "--predicted", "y"]
FIT = ["fit", "p.csv", "y ~ x", "--predicted", "y"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", ["a"]),
        ("a,b , c", ["a", "b", "c"]),
        ("C(g, contr.sum)[T.x],b", ["C(g, contr.sum)[T.x]", "b"]),
        ("g[T.last, first]=0.05,x=0.1", ["g[T.last, first]=0.05", "x=0.1"]),
        ('"last, first",age', ["last, first", "age"]),
        ('y="a,b"', ['y="a,b"']),
        (":),b", [":)", "b"]),
        ("a,", ["a", ""]),
    ],
)
def test_parts(text: str, found: list[str]) -> None:
    assert parts(text) == found


@pytest.mark.parametrize(
    "given",
    [
        ["--prediction", "a", "--prediction", "b", "--prediction", "c"],
        ["--prediction", "a,b,c"],
        ["--prediction", "a", "--prediction", "b, c"],
    ],
)
def test_repeated_or_listed(given: list[str]) -> None:
    assert parser().parse_args([*FIT, *given]).prediction == ["a", "b", "c"]


@pytest.mark.parametrize(
    "given", [["--n-labels", "100", "200"], ["--n-labels", "100,200"], ["--labeled-size", "100", "--n-labels", "200"]]
)
def test_numbers(given: list[str]) -> None:
    """One word for sizes, and the one that R scripts have."""
    assert parser().parse_args([*POWER, *given]).labeled_size == [100, 200]


def test_every_option_that_may_be_repeated_may_be_listed() -> None:
    """But for labels with their meanings, which are sentences."""

    def options(of: argparse.ArgumentParser) -> list[argparse.Action]:
        below = [a for a in of._actions if isinstance(a, argparse._SubParsersAction)]
        return [*of._actions, *(x for a in below for each in a.choices.values() for x in options(each))]

    found = options(parser())
    assert not [a.option_strings for a in found if isinstance(a, argparse._AppendAction)]
    several = {a.option_strings[0] for a in found if a.nargs == "+" and not isinstance(a, Listed)}
    assert several == {"--codebook"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--n-labels", "100,many"], "'many' is not a whole number"),
        (["--se", "x=low"], "'x=low' is neither a number nor NAME=NUMBER"),
        (["--prediction", "a,,b"], "one of the values in 'a,,b' is empty"),
    ],
)
def test_refused(given: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*POWER, *given])
    assert left.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_the_same_fit() -> None:
    for name, given in (("a.json", ["--feature", "z,words"]), ("b.json", ["--feature", "z", "--feature", "words"])):
        assert main(["fit", "posts.csv", "y ~ x", *QUICK, *given, "--quiet", "--json", name]) == 0
    first, second = read_json("a.json"), read_json("b.json")
    assert first["call"]["feature"] == ["z", "words"]
    assert first["tidy"] == second["tidy"]
