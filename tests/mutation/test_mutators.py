"""What is changed, and what is left alone."""

import ast
from pathlib import Path

import pytest

from tests.mutation.known import KNOWN, MissingAnchorError, known_mutants
from tests.mutation.mutators import mutants
from tests.mutation.order import Order

ROOT = Path(__file__).parents[2]


def changed(source: str) -> set[str]:
    """All versions of a file."""
    return {mutant.apply(source.encode()).decode() for mutant in mutants("dsl/a.py", source.encode())}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a <= b", {"(a < b)"}),
        ("a is None", {"(a is not None)"}),
        ("a + b * c", {"(a - b * c)", "a + (b / c)"}),
        ("a and b", {"(a or b)"}),
        ("-a", {"(a)"}),
        ("f(1, True, 0.5)", {"f(2, True, 0.5)", "f(1, False, 0.5)", "f(1, True, 1.0)", "pass"}),
        ("y = f(a, b=c, d=e)", {"y = f(a, d=e)", "y = f(a, b=c)"}),
        ("y = f(b=c,)", {"y = f(,)"}),
        ("if a:\n    b += c", {"if (not a):\n    b += c", "if a:\n    pass"}),
        ("y = [é + 1 for é in z]", {"y = [(é - 1) for é in z]", "y = [é + 2 for é in z]"}),
    ],
)
def test_changes(source: str, expected: set[str]) -> None:
    assert changed(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""Text of 1 + 2."""',
        "def f(x: int | None) -> dict[str, int]:\n    return x",
        "if a is y:\n    raise ValueError(f'{1 + 2} is {3 > 2}')",
        "if TYPE_CHECKING:\n    x = 1",
        "def __repr__(self):\n    return 1 + 2",
        "@dataclass(frozen=True)\nclass A:\n    x: int | str",
        "isinstance(x, int | np.number) is y",
        "TOLERANCE = 1e-12",
        "zip(a, b, strict=True) is y",
        "import a",
    ],
)
def test_what_is_left_alone(source: str) -> None:
    assert all("is not y" in text or "pass" in text for text in changed(source))


def test_names_move_with_the_line() -> None:
    before, after = b"x = a + b\n", b"z = 0\n\n\nx = a + b\n"
    assert {m.name for m in mutants("dsl/a.py", before)} <= {m.name for m in mutants("dsl/a.py", after)}
    twice = mutants("dsl/a.py", before + before)
    assert len({m.name for m in twice}) == len(twice) == 3  # the sum in both lines; the second line
    with pytest.raises(ValueError, match="has changed under"):
        twice[0].apply(b"nothing of it")


@pytest.mark.long
def test_every_file_can_be_changed_and_read() -> None:
    """One change of each file, the one whose name comes first."""
    for path in sorted(ROOT.glob("dsl/engine/**/*.py")):
        source = path.read_bytes()
        for mutant in mutants(path.relative_to(ROOT).as_posix(), source)[:3]:
            assert ast.dump(ast.parse(mutant.apply(source))) != ast.dump(ast.parse(source)), mutant


def test_a_missing_anchor_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingAnchorError, match=rf"'{KNOWN[0].name}'.* occurs 0 times in dsl/"):
        list(known_mutants(tmp_path))


def test_nearest_tests_first() -> None:
    order = Order(ROOT)
    own, near, rest = order.stages("dsl/engine/sums.py")
    assert own == ["dsl/engine/sums.py", "tests/engine/test_sums.py"]
    assert "tests/engine/test_fit.py" in near
    assert sorted([*own[1:], *near, *rest[:-1]]) == sorted(order.tests)
    assert not any("live_r" in path for path in rest)
