"""The README shows real output, and its blocks run as they are written."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.cli.demo import comparison, estimate

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
PYTHON = [code for kind, code in BLOCKS if kind == "python"]
ROWS = 2400


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def archive() -> tuple[pd.DataFrame, pd.Series]:
    """The table that the README speaks of, without gold labels, and these."""
    rng = np.random.default_rng(4)
    right = rng.random(ROWS) < 0.5
    toxic = (rng.random(ROWS) < 0.2 + 0.15 * right).astype(float)
    posts = pd.DataFrame(
        {
            "text": [f"post {j}" for j in range(ROWS)],
            "party": np.where(right, "right", "left"),
            "year": rng.integers(2019, 2023, ROWS),
            "district": rng.integers(0, 40, ROWS),
            "age": rng.integers(18, 80, ROWS),
            "llm_toxic": np.where(rng.random(ROWS) < 0.85, toxic, 1.0 - toxic),
            "pi": np.where(right, 0.3, 0.2),
        }
    )
    posts["turnout"] = 0.5 - 0.1 * toxic + 0.001 * posts["age"] + rng.normal(scale=0.1, size=ROWS)
    return posts, pd.Series(toxic, index=posts.index)


def coders_fill_in(path: str, truth: pd.Series) -> None:
    """The experts' part, who know the texts."""
    sheet = pd.read_excel(path)
    sheet["toxic"] = [truth[int(text.removeprefix("post "))] for text in sheet["text"]]
    sheet.to_excel(path, index=False)


def test_first_example_prints_what_the_readme_shows() -> None:
    (kind, code), (_, shown) = BLOCKS[0], BLOCKS[1]
    assert kind == "python"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert lines(printed.getvalue()) == lines(shown)


def test_comparison_is_the_demos() -> None:
    shown = next(text for kind, text in BLOCKS if "truth" in text)
    assert lines(comparison(estimate()).to_string()) == lines(shown)


def test_models() -> None:
    posts, toxic = archive()
    shown = np.random.default_rng(5).random(ROWS) < posts["pi"]
    exec(PYTHON[1], {"dsl": dsl, "posts": posts.assign(toxic=toxic.where(shown))})


@pytest.mark.long
def test_a_study_from_sheet_to_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    posts, toxic = archive()
    names: dict[str, Any] = {"dsl": dsl, "posts": posts}
    label, draw, fit, publish, best = PYTHON[2:]
    compile(label, "README.md", "exec")  # a server is asked: tests/annotation has the call against one
    exec(draw, names)
    coders_fill_in("coder.xlsx", toxic)
    exec(fit, names)
    assert abs(names["fit"].params["party[T.right]"] - 0.15) < 4.0 * names["fit"].bse["party[T.right]"]
    exec(publish, names)
    assert {"coder.xlsx", "report.html", "table.docx"} == {path.name for path in tmp_path.iterdir()}
    exec(best, names | {"known": posts.assign(toxic=toxic).iloc[:700]})


@pytest.mark.parametrize("name", ["demo", "test", "test-slow"])
def test_commands_exist(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"make {name}" in README
    assert f"\n{name}: " in makefile
