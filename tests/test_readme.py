"""The README shows real output, and its blocks, its shell lines and its claims about us hold as they are written."""

import contextlib
import io
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from PIL import Image

import dsl
from dsl.cli.command import main
from dsl.cli.demo import FORMULA, LABELS, comparison, fitted

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
PYTHON = [code for kind, code in BLOCKS if kind == "python"]
SHELL = [
    line.partition(" #")[0].strip()
    for line in re.findall(r"^    (\S.*)$", re.sub(r"```.*?```", "", README, flags=re.S), re.M)
]
ROWS = 2100
LONGEST = 120


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.fixture(scope="module")
def first() -> tuple[str, dict[str, Any]]:
    """What the first example prints and leaves."""
    printed, names = io.StringIO(), dict[str, Any]()
    with contextlib.redirect_stdout(printed):
        exec(PYTHON[0], names)
    return printed.getvalue(), names


def archive() -> tuple[pd.DataFrame, pd.Series]:
    """The table that the README speaks of, without gold labels, and these."""
    rng = np.random.default_rng(4)
    right = rng.random(ROWS) < 0.5
    toxic = (rng.random(ROWS) < 0.2 + 0.15 * right).astype(float)
    posts = pd.DataFrame(
        {
            "text": [f"post {j}" for j in range(ROWS)],
            "party": np.where(right, "right", "left"),
            "year": rng.integers(2021, 2023, ROWS),
            "llm_toxic": np.where(rng.random(ROWS) < 0.85, toxic, 1.0 - toxic),
        }
    )
    return posts, pd.Series(toxic, index=posts.index)


def coders_fill_in(path: str, truth: pd.Series) -> None:
    """The experts' part, who know the texts."""
    sheet = pd.read_excel(path)
    sheet["toxic"] = [truth[int(text.removeprefix("post "))] for text in sheet["text"]]
    sheet.to_excel(path, index=False)


def test_it_is_short_and_the_two_commands_come_first() -> None:
    assert len(README.splitlines()) <= LONGEST
    assert SHELL[:2] == ["make demo", "make test"]


def test_first_example_prints_what_the_readme_shows(first: tuple[str, dict[str, Any]]) -> None:
    assert [kind for kind, _ in BLOCKS[:2]] == ["python", ""]
    assert lines(first[0]) == lines(BLOCKS[1][1])


def test_the_picture_is_the_demos(first: tuple[str, dict[str, Any]]) -> None:
    """It carries its numbers: those of the first example's call, of the other estimators, and of all human labels."""
    names = first[1]
    tweets = names["tweets"]
    fits = {name: names["fit"] if name == "dsl" else fitted(tweets, name) for name in LABELS}
    fits["truth"] = smf.logit(FORMULA, dsl.datasets.load_sentiment()).fit(disp=0)
    path = ROOT / re.findall(r"!\[[^]]+\]\((\S+)\)", README)[0]
    assert path.stat().st_size < 100_000
    with Image.open(path) as picture:
        assert picture.info["Description"] == comparison(fits).to_string()
    # what it is shown for
    truth = fits.pop("truth").params
    held = {name: fit.conf_int()[0].lt(truth) & fit.conf_int()[1].gt(truth) for name, fit in fits.items()}
    assert held["naive"].sum() < 2
    assert held["dsl"].all()


@pytest.mark.long
def test_a_study_from_sheet_to_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "dsl.reports.page.figures._svg", lambda draw, size, salt: "PHN2Zy8+"
    )  # pictures have tests of their own
    mpl.use("Agg")
    posts, toxic = archive()
    names: dict[str, Any] = {"dsl": dsl, "posts": posts}
    (study,) = PYTHON[1:]
    draw, word, rest = study.partition("coded = ")
    exec(draw, names)
    coders_fill_in("coder.xlsx", toxic)
    exec(word + rest, names)
    plt.close("all")
    assert abs(names["fit"].params["party[T.right]"] - 0.15) < 4.0 * names["fit"].bse["party[T.right]"]
    assert {"coder.xlsx", "report.html"} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("line", SHELL)
def test_shell_lines(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *arguments = shlex.split(line)
    if program == "make":  # what it would do; `make package` tries the rest
        subprocess.run([program, "-n", *arguments], cwd=ROOT, check=True, capture_output=True)
    elif program == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert arguments[0] == "install"
        others = re.findall(r"# others: (.*)", README)[0]
        assert set(re.findall(r"[\w-]+", f"{arguments[1]} {others}")) <= set(project["optional-dependencies"])
    else:
        assert program == "dsl"
        monkeypatch.chdir(tmp_path)
        posts, toxic = archive()
        posts.assign(toxic=toxic.where(posts.index < 300)).sample(frac=1.0, random_state=1).to_csv(
            "posts.csv", index=False
        )
        assert main(arguments) == 0
        assert (tmp_path / "fit.json").exists()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:\s]+)\)", README):
        assert (ROOT / target).exists(), target


# The table of features: our column, by trying.


def table_of(kind: str) -> pd.DataFrame:
    """Rows for a call of each kind."""
    rng = np.random.default_rng(2)
    n = 240
    x, unit = rng.normal(size=n), np.arange(n) % 8
    truth = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(float)
    value = {
        "binary": truth,
        "count": rng.poisson(np.exp(0.3 * x)).astype(float),
        "number": x + rng.normal(size=n),
        "class": np.array(["a", "b", "c"], dtype=object)[rng.integers(0, 3, n)],
    }[kind]
    shown = rng.random(n) < 0.5
    llm = np.where(rng.random(n) < 0.85, value, rng.permutation(value))
    return pd.DataFrame(
        {
            "y": pd.Series(value).where(shown),
            "llm": llm,
            "x": x,
            "o": x + truth,
            "z": x + rng.normal(size=n),
            "unit": unit,
            "pi": 0.5,
        }
    )


def regression(kind: str = "binary", formula: str = "y ~ x", **more: Any) -> Any:
    call = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1, "cross_fit": 3}
    data = table_of(kind)
    if more.get("model") == "ologit":
        for name in ("y", "llm"):
            data[name] = pd.Categorical(data[name], ["a", "b", "c"], ordered=True)
    return dsl.dsl(formula, data, **{**call, **more})


def adaptive() -> None:
    data = table_of("binary").drop(columns="y")
    study = dsl.AdaptiveDesign(
        "y ~ x", data, predicted_var="y", prediction="llm", coefficient="x", n_labels=80, batches=2, sl_method="lm"
    )  # fmt: skip
    assert len(study.next_batch()) > 0


def weighted_mean(data: pd.DataFrame, weights: np.ndarray) -> float:
    return float(np.average(data["y"], weights=weights))


def asks_and_writes() -> None:
    data = table_of("binary").assign(text=[f"text {j}" for j in range(240)])
    book = dsl.annotation.Codebook("Is it?", {"yes": "It is.", "no": "It is not."})

    def model(text: str) -> dict[str, float]:
        return {"yes": 0.7, "no": 0.3}

    with TemporaryDirectory() as folder:
        dsl.annotate(
            data, text="text", codebook=book, model=model, name="asked", cache=f"{folder}/labels.jsonl", progress=False
        )
        design = dsl.sampling.simple_random(data, 40, seed=1)
        sheet = design.to_coder(f"{folder}/coder.csv", data, columns="text", label="code", codebook=[0, 1])
        sheet.assign(code=1).to_csv(f"{folder}/coder.csv", index=False)
        assert design.from_coder(f"{folder}/coder.csv", data, label="code")["code"].notna().sum() == 40
        regression().report(f"{folder}/report.html", data, compare=False, diagnose=False)


TRIED: dict[str, Callable[[], object]] = {
    "means, linear and logistic regression": lambda: (
        dsl.proportions(table_of("binary"), gold="y", prediction="llm", sl_method="lm", sample_split=1),
        regression("number"),
        regression(model="logit"),
    ),
    "absorbed fixed effects": lambda: regression("number", "y ~ x | unit", model="felm"),
    "Poisson regression": lambda: regression("count", model="poisson"),
    "probit, ordered, multinomial, negative binomial, instruments": lambda: (
        regression(model="probit"),
        regression("class", model="ologit"),
        regression("class", model="multinom"),
        regression("number", "y ~ 1 | x ~ z", model="iv"),
    ),
    "quantiles, and any statistic by bootstrap": lambda: (
        dsl.ppi_quantile(table_of("number"), gold="y", prediction="llm", q=0.5),
        dsl.ppi_statistic(weighted_mean, table_of("number"), gold="y", prediction="llm", n_boot=50),
    ),
    "predicted covariates": lambda: regression(formula="o ~ y + x"),
    "categories of more than two values": lambda: regression("class", estimator="dsl+"),
    "predictions learnt from the gold labels, out of fold": lambda: np.isfinite(regression().predictions).all(),
    "unequal probabilities of labelling": lambda: regression(sample_prob="pi"),
    "clusters": lambda: regression(cluster="unit"),
    "intervals for a finite population": lambda: regression(target="finite"),
    "labels drawn in batches where they tell most": adaptive,
    "how many labels are needed": lambda: dsl.power_dsl(regression(), labeled_size=[200]).predicted_se,
    "asks language models, reads coders' files, writes reports": asks_and_writes,
    "monitoring, intervals valid at every look": lambda: regression(monitor=True),
}
SHOWN = [line.split(" | ") for line in re.findall(r"^\| (\S.+) \|$", README, re.MULTILINE)]
ROWS_SHOWN = {cells[0]: cells[1:] for cells in SHOWN if len(cells) == 7 and cells[1] in ("yes", "-")}


def test_every_feature_of_the_table_is_tried() -> None:
    assert list(ROWS_SHOWN) == list(TRIED)
    assert "| | `dsl` |" in README


@pytest.mark.parametrize("feature", TRIED)
@pytest.mark.filterwarnings("ignore::dsl.exceptions.DSLWarning")
def test_our_column_of_the_feature_table(feature: str) -> None:
    try:
        TRIED[feature]()
    except dsl.DSLError:
        works = "-"
    else:
        works = "yes"
    assert ROWS_SHOWN[feature][0] == works
