"""Stata's command reads the command line's JSON: its own rules, run by a stand-in for Mata, find every number."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from dsl.cli import main
from dsl.cli.command import parser
from tests.command_line import QUICK, exactly
from tests.posts import run

pytestmark = pytest.mark.usefixtures("folder")
FOLDER = Path(__file__).parents[2] / "stata"
ADO = (FOLDER / "dsl.ado").read_text(encoding="utf-8")
RULE = re.compile(r"""if \((?:section == "(\w+)" & )?ustrregexm\(line, `"(.*?)"'\)\)""")


def read_as_stata(path: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Values by section, and facts, in the order of the file: each line by the first rule of dsl.ado that fits it."""
    rules = [(section, re.compile(pattern)) for section, pattern in RULE.findall(ADO)]
    assert [section for section, _ in rules] == ["", "names_r", "tidy", "tidy", "cov", "glance"]
    values: dict[str, list[str]] = {"names_r": [], "estimate": [], "df": [], "cov": []}
    facts, section = {}, ""
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        for number, (wanted, rule) in enumerate(rules):
            found = rule.search(line)
            if found is None or wanted not in ("", section):
                continue
            if number == 0:
                section = found[1]
            elif wanted == "glance":
                facts[found[1]] = found[2]
            else:
                values[{2: "estimate", 3: "df"}.get(number, wanted)].append(found[1])
            break
    return values, facts


@pytest.mark.parametrize("estimator", ["dsl", "dsl+", "naive"])
def test_every_number_is_found(estimator: str) -> None:
    data = exactly("posts.csv")
    more = ["--estimator", estimator, "--cluster", "cl", "--json", "fit.json", "--quiet"]
    assert main(["fit", "posts.csv", "y ~ x + factor(g)", *QUICK, *more]) == 0
    values, facts = read_as_stata("fit.json")
    expected = run(data, "y ~ x + factor(g)", estimator=estimator, cluster="cl")
    assert [float(each) for each in values["estimate"]] == expected.params.tolist()
    k = len(expected.params)
    np.testing.assert_array_equal(np.array(values["cov"], dtype=float).reshape(k, k), expected.cov_params())
    assert [name.replace('\\"', '"') for name in values["names_r"]] == list(expected.names_r)
    assert [float(each) for each in values["df"]] == (expected.df.tolist() if expected.use_t else [])
    assert (facts["nobs"], facts["n_labeled"]) == ("200", "80")
    assert (facts["n_clusters"], facts["model"], facts["estimator"]) == ("20", "lm", estimator)
    assert all(math.isfinite(float(each)) for each in values["cov"])


def test_no_clusters_are_null() -> None:
    assert main(["fit", "posts.csv", "y ~ x", *QUICK, "--json", "fit.json", "--quiet"]) == 0
    assert read_as_stata("fit.json")[1]["n_clusters"] == "null"


def test_its_options_are_those_of_the_command_line() -> None:
    known = set(parser()._subparsers._group_actions[0].choices["fit"]._option_string_actions)  # type: ignore[union-attr, index]
    listed = re.search(r"foreach option in (.*?) \{\n\s+if `\"``option''\"'", ADO)
    assert listed is not None
    assert {f"--{name}" for name in listed[1].split()} <= known
    assert set(re.findall(r"--[a-z-]+", ADO)) - {"--"} <= known
    # every option of the syntax stands in the help, and nothing else
    syntax = ADO[ADO.index("syntax [if] [in]") : ADO.index("marksample")]
    options = {name.lower() for name in re.findall(r"(\w+)\(", syntax)}
    shown = re.findall(r"\{opt ([a-z:]+)\(", (FOLDER / "dsl.sthlp").read_text(encoding="utf-8"))
    assert {name.replace(":", "") for name in shown} - {"exec"} == options - {"exec"}


def test_brackets_and_quotes_of_the_file_pair_up() -> None:
    code = "\n".join(line for line in ADO.splitlines() if not line.lstrip().startswith(("*", "//")))
    assert code.count("{") == code.count("}")
    assert code.count('`"') == code.count("\"'")
    assert len(ADO.splitlines()) < 150
