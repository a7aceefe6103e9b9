"""Scripts for shells: what bash completes, by bash."""

import shutil
import subprocess
from pathlib import Path

import pytest

from dsl.cli import main
from dsl.cli.command import COMMANDS
from dsl.engine.models import MODELS


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dsl.bash").write_text(script("bash", capsys), encoding="utf-8", newline="\n")

    def complete(*words: str) -> list[str]:
        given = " ".join(f"'{word}'" for word in ("dsl", *words))
        code = f'. ./dsl.bash; COMP_WORDS=({given}); COMP_CWORD={len(words)}; _dsl; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert not done.stderr
        return done.stdout.split()

    names = [module.__name__.rsplit(".", 1)[-1] for module in COMMANDS]
    assert set(complete("")) >= set(names)
    assert complete("mul") == ["multiverse"]
    assert complete("adaptive", "st") == ["start", "status"]
    assert complete("fit", "p.csv", "y ~ x", "--predi") == ["--predicted", "--predicted-var", "--prediction"]
    assert complete("fit", "p.csv", "y ~ x", "--model", "") == list(MODELS)
    assert complete("adaptive", "start", "--n-l") == ["--n-labels"]
    assert complete("completion", "f") == ["fish"]
    # file names, which bash adds
    assert complete("fit", "po") == []
    assert complete("fit", "p.csv", "--json", "f") == []


def test_other_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert "bashcompinit" in script("zsh", capsys).splitlines()[0]
    lines = script("fish", capsys).splitlines()
    assert any("-a fit -d 'fit a regression'" in line for line in lines)
    model = next(line for line in lines if "from fit'" in line and "-l model " in line)
    assert "negbin" in model
    assert any("from adaptive; and __fish_seen_subcommand_from start'" in line for line in lines)
