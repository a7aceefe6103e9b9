"""The command line: the same numbers as the functions, every format, exit codes, files whole or not at all."""

import inspect
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.cli import main
from dsl.data.arguments import TARGETS
from dsl.data.trail import Trail
from dsl.engine.models import MODELS
from dsl.estimators.names import ESTIMATORS
from dsl.estimators.options import VCOVS
from tests.command_line import QUICK, exactly, names, read_exact, read_json
from tests.posts import posts, run

pytestmark = pytest.mark.usefixtures("folder")


def fit(*more: str, data: str = "posts.csv", formula: str = "y ~ x") -> int:
    return main(["fit", data, formula, *QUICK, *more])


def test_fit_writes_the_numbers_of_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--cluster", "cl", "--json", "fit.json", "--out-csv", "fit.csv") == 0
    expected = run(exactly("posts.csv"), cluster="cl")
    assert str(expected.summary()) in capsys.readouterr().out
    pd.testing.assert_frame_equal(read_exact("fit.csv"), expected.tidy(), check_exact=True)
    record = read_json("fit.json")
    pd.testing.assert_frame_equal(pd.DataFrame(record["tidy"]), expected.tidy(), check_exact=True)
    np.testing.assert_array_equal(record["cov"], expected.cov_params())
    assert record["glance"]["n_labeled"] == 80
    assert record["glance"]["tune"] is None
    assert record["version"] == dsl.__version__
    assert record["call"]["cluster"] == "cl"
    assert record["fit_quality"][0]["learner"] == "lm"


def test_other_scales(capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--json", "fit.json", "--out-csv", "fit.csv", "--report", "fit.html"]
    assert fit("--model", "logit", "--exponentiate", "--margins", *files) == 0
    expected = run(exactly("posts.csv"), model="logit")
    out, record = capsys.readouterr().out, read_json("fit.json")
    assert "Odds ratios" in out
    assert str(expected.get_margeff().summary()) in out
    pd.testing.assert_frame_equal(read_exact("fit.csv"), expected.tidy(exponentiate=True), check_exact=True)
    pd.testing.assert_frame_equal(pd.DataFrame(record["margins"]), expected.get_margeff().tidy(), check_exact=True)
    assert record["scale"] == "odds ratio"
    assert "margins-table" in Path("fit.html").read_text(encoding="utf-8")
    assert fit("--model", "logit", "--exponentiate", "--table", "fit.md", "--quiet") == 0
    assert "Odds ratios" in Path("fit.md").read_text(encoding="utf-8")
    assert fit("--exponentiate") == 2
    assert "no ratios in --model lm" in capsys.readouterr().err


def test_scales_of_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model", "logit", "--exponentiate", "--margins", "--estimators", "naive", "dsl", "--json", "c.json"]
    assert main(["compare", "posts.csv", "y ~ x", *QUICK, *options]) == 0
    assert "Average marginal effects" in capsys.readouterr().out
    record = read_json("c.json")
    assert record["scale"] == "odds ratio"
    assert [row["estimator"] for row in record["margins"]] == ["naive", "dsl"]


def test_hash_of_the_data() -> None:
    from hashlib import sha256

    assert fit("--json", "fit.json") == 0
    assert read_json("fit.json")["data"] == {
        "path": "posts.csv",
        "sha256": sha256(Path("posts.csv").read_bytes()).hexdigest(),
        "rows": 200,
        "columns": 10,
    }


def test_same_command_same_bytes() -> None:
    assert fit("--json", "fit.json") == 0
    first = Path("fit.json").read_bytes()
    assert fit("--json", "fit.json") == 0
    assert Path("fit.json").read_bytes() == first


def test_every_argument_has_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that `dsl.dsl` takes but folds, with the values given."""
    design = dsl.sampling.simple_random(exactly("posts.csv"), 20)
    design.save("design.npz")
    seen: dict[str, Any] = {}

    def record(formula: str, data: Any, **arguments: Any) -> None:
        seen.update(arguments, formula=formula, data=data)
        raise dsl.exceptions.ArgumentError("enough")

    monkeypatch.setattr("dsl.analyses.regression.dsl", record)
    given = {
        "predicted-var": "y=llm",
        "prediction": "llm",
        "model": "felm",
        "labeled": "lab",
        "sample-prob": "pi",
        "cluster": "cl",
        "index": "g",
        "fixed-effect": "twoways",
        "sl-method": "ridge",
        "feature": "words",
        "text": "text",
        "trained-on": "lab",
        "family": "binomial",
        "cross-fit": 3,
        "sample-split": 4,
        "seed": 5,
        "estimator": "dsl+",
        "tune": 0.5,
        "target": "finite",
        "design": "design.npz",
        "vcov": "CR1",
        "n-jobs": 2,
        "stage": "crowd=p",
    }
    options = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
    assert main(["fit", "posts.csv", "y ~ x", *options, "--progress"]) == 2
    # memory and checkpoint count where a file is read in blocks, which a .csv is not
    assert set(seen) | {"folds", "memory", "checkpoint"} == set(inspect.signature(dsl.dsl).parameters)
    assert seen.pop("design").fingerprint == design.fingerprint
    assert seen.pop("predicted_var") == {"y": ["llm"]}
    assert seen.pop("stages") == [("crowd", "p")]
    assert seen.pop("progress") is True
    assert seen.pop("use_t") is None
    for name, value in given.items():
        argument = name.replace("-", "_")
        assert seen.get(argument, value) == value, name


@pytest.mark.parametrize(("option", "column"), [("--use-t", True), ("--no-use-t", False)])
def test_t_or_normal_intervals(option: str, column: bool) -> None:
    assert fit("--estimator", "dsl+", option, "--out-csv", "fit.csv") == 0
    assert ("df" in read_exact("fit.csv")) is column


def test_options_default_as_the_function_does(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def record(formula: str, data: Any, **arguments: Any) -> None:
        seen.update(arguments)
        raise dsl.exceptions.ArgumentError("enough")

    defaults = {name: p.default for name, p in inspect.signature(dsl.dsl).parameters.items()}
    monkeypatch.setattr("dsl.analyses.regression.dsl", record)
    assert main(["fit", "posts.csv", "y ~ x", "--predicted", "y"]) == 2
    assert seen.pop("predicted_var") == ["y"]
    assert seen == {name: defaults[name] for name in seen}


def test_repeated_options_are_lists() -> None:
    data = exactly("posts.csv").assign(gpt=lambda d: d["llm"] + d["x"])
    data.to_csv("two.csv", index=False)
    assert fit("--prediction", "gpt", "--json", "fit.json", data="two.csv") == 0
    expected = run(exactly("two.csv"), prediction=["llm", "gpt"])
    assert read_json("fit.json")["tidy"] == expected.tidy().to_dict("records")


@pytest.mark.parametrize("command", ["fit", "compare", "power", "sample", "collect"])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert f"dsl {command} posts.csv" in text or f"dsl {command} pilot.csv" in text
    if command == "fit":
        flat = " ".join(text.split())
        for choice in (*ESTIMATORS, *MODELS, *VCOVS, *TARGETS):
            assert choice in flat


def write_rds(data: pd.DataFrame, path: str) -> None:
    import rdata

    rdata.write_rds(path, data)


WRITERS = {
    "p.csv": lambda d, path: d.to_csv(path, index=False),
    "p.tsv": lambda d, path: d.to_csv(path, index=False, sep="\t"),
    "p.csv.gz": lambda d, path: d.to_csv(path, index=False),
    "p.parquet": lambda d, path: d.to_parquet(path),
    "p.dta": lambda d, path: d.to_stata(path, write_index=False),
    "p.rds": write_rds,
}


@pytest.mark.parametrize("path", WRITERS)
def test_formats(path: str) -> None:
    data = posts()[["y", "llm", "x", "cl"]].astype(float)
    WRITERS[path](data, path)
    assert fit("--out-csv", "fit.csv", data=path) == 0
    found = read_exact("fit.csv")
    np.testing.assert_allclose(found["estimate"], run(data).params, rtol=1e-12)


def test_stata_value_labels() -> None:
    """Labelled numbers stay numbers unless categories are asked for."""
    data = posts()[["y", "llm", "x", "z"]]
    data.to_stata("p.dta", write_index=False, value_labels={"z": {0: "no", 1: "some", 2: "many"}})
    for more, terms in (([], ["Intercept", "z"]), (["--value-labels", "z"], ["Intercept", "z[T.some]", "z[T.many]"])):
        assert fit("--out-csv", "fit.csv", *more, data="p.dta", formula="y ~ z") == 0
        assert pd.read_csv("fit.csv")["term"].tolist() == terms


def test_separators_and_encodings(capsys: pytest.CaptureFixture[str]) -> None:
    data = posts().rename(columns={"x": "größe"})
    data.to_csv("semi.csv", index=False, sep=";", encoding="latin-1")
    assert fit(data="semi.csv", formula="y ~ größe") == 2
    assert "--encoding latin-1" in capsys.readouterr().err
    assert fit("--encoding", "latin-1", data="semi.csv", formula="y ~ größe") == 2
    assert "pass --sep ';'" in capsys.readouterr().err
    assert fit("--encoding", "latin-1", "--sep", ";", data="semi.csv", formula="y ~ größe") == 0


BAD: dict[str, tuple[list[str], list[str]]] = {
    "no file": (["nope.csv", "y ~ x", *QUICK], ["no file 'nope.csv'"]),
    "folder": ([".", "y ~ x", *QUICK], ["is a folder"]),
    "unknown ending": (["notes.doc", "y ~ x", *QUICK], ["unknown ending", ".parquet"]),
    "empty": (["empty.csv", "y ~ x", *QUICK], ["'empty.csv' is empty"]),
    "not Parquet": (["text.parquet", "y ~ x", *QUICK], ["'text.parquet' cannot be read as .parquet"]),
    "not Stata": (["text.dta", "y ~ x", *QUICK], ["'text.dta' cannot be read as .dta"]),
    "not R": (["text.rds", "y ~ x", *QUICK], ["'text.rds' cannot be read"]),
    "encoding": (["posts.csv", "y ~ x", *QUICK, "--encoding", "klingon"], ["unknown encoding 'klingon'"]),
    "id": (["posts.csv", "y ~ x", *QUICK, "--id", "cl"], ["--id 'cl'", "repeated in 200 rows"]),
    "no id": (["posts.csv", "y ~ x", *QUICK, "--id", "doc"], ["--id names 'doc'", "'y', 'llm'"]),
    "column": (["posts.csv", "y ~ zz", *QUICK], ["'zz'", "did you mean 'z'"]),
    "estimator": (["posts.csv", "y ~ x", *QUICK, "--estimator", "dls"], ["did you mean 'dsl'"]),
    "pairs": (["posts.csv", "y ~ x", "--predicted", "y=llm", "--predicted", "x"], ["every predicted variable"]),
    "design": (["posts.csv", "y ~ x", *QUICK, "--design", "no.npz"], ["no.npz"]),
    "no folder": (["posts.csv", "y ~ x", *QUICK, "--json", "no/fit.json"], ["--json 'no/fit.json'", "no folder"]),
    "input": (["posts.csv", "y ~ x", *QUICK, "--out-csv", "./posts.csv"], ["also an input"]),
    "twice": (["posts.csv", "y ~ x", *QUICK, "--out-csv", "f", "--json", "f"], ["--json 'f' is also --out-csv"]),
    "two on stdout": (["posts.csv", "y ~ x", *QUICK, "--out-csv", "-", "--json", "-"], ["only one output"]),
    "ending": (["posts.csv", "y ~ x", *QUICK, "--table", "t.pdf"], ["--table 't.pdf' must end in .txt"]),
    "packed": (["posts.csv", "y ~ x", *QUICK, "--out-csv", "f.csv.gz"], ["not be compressed"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, words = BAD[case]
    (folder / "empty.csv").touch()
    for name in ("notes.doc", "text.parquet", "text.dta", "text.rds"):
        (folder / name).write_text("just text")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    outputs = [] if "--json" in arguments else ["--json", "out.json"]
    assert main(["fit", *arguments, *outputs]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("dsl fit: error: ")
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "arguments", [[], ["fit"], ["fit", "posts.csv", "y ~ x"], ["fti"], ["fit", "posts.csv", "y ~ x", "--predict", "y"]]
)
def test_commands_that_cannot_be_parsed(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    posts().to_parquet("p.parquet")
    posts().to_csv("p.rds")

    def absent(*_: Any, **__: Any) -> None:
        raise ImportError("Unable to find a usable engine; tried using: 'pyarrow', 'fastparquet'")

    monkeypatch.setattr(pd, "read_parquet", absent)
    monkeypatch.setitem(sys.modules, "rdata", None)
    assert fit(data="p.parquet") == 2
    assert "pip install pyarrow" in capsys.readouterr().err
    assert fit(data="p.rds") == 2
    assert "pip install rdata" in capsys.readouterr().err


def test_files_are_written_whole_or_not_at_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output that fails leaves the others as they were, and nothing half done."""
    Path("fit.json").write_text("old", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "docx", None)
    assert fit("--json", "fit.json", "--out-csv", "fit.csv", "--table", "t.docx") == 2
    assert "pip install python-docx" in capsys.readouterr().err
    assert Path("fit.json").read_text(encoding="utf-8") == "old"
    assert names(folder) == {"posts.csv", "fit.json"}


def test_a_link_stays_a_link() -> None:
    Path("real.json").write_text("old", encoding="utf-8")
    Path("link.json").symlink_to("real.json")
    assert fit("--json", "link.json") == 0
    assert Path("link.json").is_symlink()
    assert read_json("real.json")["glance"]["nobs"] == 200


def test_unexpected_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("dsl.analyses.regression.dsl", broken)
    assert fit() == 1
    said = capsys.readouterr().err
    assert "unexpected error: RuntimeError: a bug" in said
    assert "Traceback" not in said
    assert fit("--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dsl.analyses.regression.dsl", stopped)
    assert fit() == 130
    assert capsys.readouterr().err == "dsl fit: interrupted\n"


def test_warnings_are_lines_and_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    data = exactly("posts.csv")
    data.loc[3, "x"] = np.nan
    data.to_csv("gap.csv", index=False)
    assert fit("--json", "fit.json", data="gap.csv") == 0
    said = capsys.readouterr()
    assert said.err.startswith("dsl: warning: 1 of 200 rows")
    assert read_json("fit.json")["warnings"][0].startswith("DroppedRowsWarning: 1 of 200 rows")
    assert fit("--quiet", "--json", "fit.json", data="gap.csv") == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    assert len(read_json("fit.json")["warnings"]) == 1


def test_stdout_takes_one_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["glance"]["nobs"] == 200


def test_tables_and_summaries() -> None:
    for name in ("t.txt", "t.md", "t.tex", "t.html", "t.docx"):
        assert fit("--table", name) == 0
        assert Path(name).stat().st_size > 100
    expected = run(exactly("posts.csv"))
    for name, text in (("s.txt", str(expected.summary())), ("s.tex", expected.summary().as_latex())):
        assert fit("--summary", name, "--quiet") == 0
        assert Path(name).read_text(encoding="utf-8") == f"{text}\n"


def test_report(folder: Path) -> None:
    assert fit("--report", "page.html", "--design", "none.npz") == 2
    assert fit("--report", "page.html", "--predicted", "y=llm") == 2  # y twice, once without its surrogate
    assert fit("--report", "page.pdf") == 2
    Trail(name="llm", model="a-model", versions={}, texts=3, distinct=3, answers=3).save("t.json")
    assert fit("--trail", "t.json") == 2
    assert fit("--report", "page.html", "--trail", "none.json") == 2
    assert names(folder) == {"posts.csv", "t.json"}
    assert fit("--report", "page.html", "--trail", "t.json") == 0
    assert "the model a-model" in Path("page.html").read_text(encoding="utf-8")
    assert fit("--report", "page.html") == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert f"{run(pd.read_csv('posts.csv')).params['x']:.3f}" in page
    assert "gold_only" in page


def test_compare() -> None:
    from dsl.analyses.compare import compare

    assert main(["compare", "posts.csv", "y ~ x", *QUICK, "--json", "c.json", "--out-csv", "c.csv", "--quiet"]) == 0
    expected = compare(
        "y ~ x", exactly("posts.csv"), predicted_var="y", prediction="llm", sl_method="lm", sample_split=1
    )
    found = read_exact("c.csv")
    pd.testing.assert_frame_equal(found, expected.table, check_exact=True)
    record = read_json("c.json")
    assert expected.hausman is not None
    assert record["hausman"]["p_value"] == expected.hausman.p_value
    assert list(record["fits"]) == ["naive", "gold_only", "dsl", "dsl+"]
    assert main(["compare", "posts.csv", "y ~ x", *QUICK, "--estimators", "gold_only", "ppi++", "--table", "c.md"]) == 0
    assert "ppi++" in Path("c.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "term", ["np.f2py.os.system('touch OWNED')", "I(data.to_csv('OWNED'))", "function.__class__(x)"]
)
@pytest.mark.parametrize("command", ["fit", "compare", "power"])
def test_a_formula_from_a_shell_is_no_code(capsys: pytest.CaptureFixture[str], command: str, term: str) -> None:
    before = names(Path())
    assert main([command, "posts.csv", f"y ~ x + {term}", *QUICK[:6]]) == 2
    assert "calls" in capsys.readouterr().err
    assert names(Path()) == before
    assert fit("--quiet", formula="y ~ np.exp(x) + np.where(x > 0.5, 1, 0)") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_signals_leave_no_drafts() -> None:
    """A signal while the second file is written: neither is there, and no draft."""
    before = names(Path())
    sent = ["SIGTERM", "SIGINT", "SIGHUP"]
    code = f"""
import os, signal, sys
from dsl.cli import main
from dsl.cli import write
def slow(path, content, done=write._write):
    done(path, content)
    if path.suffix == ".csv":
        assert len([n for n in os.listdir() if n.startswith(".dsl-")]) == 2
        os.kill(os.getpid(), number)
        signal.pause()
assert main({["fit", "posts.csv", "y ~ x", *QUICK, "--quiet"]!r}) == 0  # all is imported before the forks
write._write = slow
for name in {sent}:
    number = getattr(signal, name)
    if (one := os.fork()) == 0:
        if signal.getsignal(number) is signal.SIG_IGN:  # as nohup leaves it to what it starts
            signal.signal(number, signal.SIG_DFL)
        sys.exit(main({["fit", "posts.csv", "y ~ x", *QUICK, "--json", "fit.json", "--out-csv", "fit.csv", "--quiet"]!r}))
    print(os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]), *os.listdir(), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    found = [line.split() for line in done.stdout.splitlines()]
    expected = [str(130 if name == "SIGINT" else 128 + getattr(signal, name)) for name in sent]
    assert [each[0] for each in found] == expected, done.stderr
    assert [set(each[1:]) for each in found] == [before] * len(sent)
