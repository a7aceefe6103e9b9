"""What the package says about itself in several files is one thing."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import dsl

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(path: Path) -> Any:
    """A YAML file; `BaseLoader` leaves every value text, so that ``on`` is no boolean and 3.10 no 3.1."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def steps(workflow: Any) -> list[dict[str, str]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def names(jobs: Any) -> set[str]:
    """Targets of the Makefile that the jobs call."""
    return {target for step in steps({"jobs": jobs}) for target in re.findall(r"make ([\w-]+)", step.get("run", ""))}


def test_one_version() -> None:
    assert PROJECT["project"]["version"] == dsl.__version__
    assert read(ROOT / "CITATION.cff")["version"] == dsl.__version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == dsl.__version__
    assert read(ROOT / ".ci" / "conda" / "meta.yaml")["package"]["version"] == dsl.__version__
    for name in ("dsl.ado", "dsl.sthlp"):
        assert f"version {dsl.__version__}" in (ROOT / "stata" / name).read_text(encoding="utf-8")[:60]


def test_conda_recipe() -> None:
    """It needs what the package needs, and makes the same command."""
    recipe, project = read(ROOT / ".ci" / "conda" / "meta.yaml"), PROJECT["project"]
    plain = [each.replace(" ", "") for each in recipe["requirements"]["run"]]
    assert plain == [f"python{project['requires-python']}", *project["dependencies"]]
    assert recipe["requirements"]["host"][2:] == PROJECT["build-system"]["requires"]
    scripts = [f"{name} = {target}" for name, target in project["scripts"].items()]
    assert recipe["build"]["entry_points"] == scripts
    assert (recipe["about"]["summary"], recipe["about"]["license"]) == (project["description"], project["license"])
    assert recipe["about"]["license_file"] == project["license-files"]


def test_citation() -> None:
    citation = read(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["project"]["authors"]
    ]
    assert citation["license"] in PROJECT["project"]["license"].split(" AND ")
    for paper in citation["references"]:
        assert {"type", "title", "authors", "year"} <= set(paper)
        assert all({"family-names", "given-names"} <= set(author) for author in paper["authors"])


def test_python_versions() -> None:
    """Those that are tested are those that are promised, and the oldest is the one that pip, ruff and mypy know."""
    promised = [
        version[1]
        for line in PROJECT["project"]["classifiers"]
        if (version := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line))
    ]
    workflow = read(ROOT / ".github" / "workflows" / "ci.yml")
    assert workflow["jobs"]["tests"]["strategy"]["matrix"]["python"] == promised
    oldest = promised[0]
    assert PROJECT["project"]["requires-python"] == f">={oldest}"
    assert PROJECT["tool"]["mypy"]["python_version"] == oldest
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    used = {step["with"]["python-version"] for step in steps(workflow) if "python-version" in step.get("with", {})}
    assert used - {"${{ matrix.python }}"} <= set(promised)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_few_rights(path: Path) -> None:
    """They may read, and only publishing may show who it is; actions stand with a version; nothing needs a secret."""
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    rights = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert rights == ({"publish": {"id-token": "write"}} if path.name == "release.yml" else {})
    assert "secrets." not in path.read_text(encoding="utf-8")
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(release/)?v\d+", step["uses"])


def test_workflows_call_targets_that_exist() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]
    called = names(read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"])
    defined = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"lint", "test", "coverage", "docs", "package"} <= called <= defined


def test_release_publishes_what_was_checked() -> None:
    workflow = read(ROOT / ".github" / "workflows" / "release.yml")
    assert workflow["on"] == {"release": {"types": ["published"]}}
    assert workflow["jobs"]["checks"]["uses"] == "./.github/workflows/ci.yml"
    assert workflow["jobs"]["publish"]["needs"] == "checks"
    assert workflow["jobs"]["publish"]["environment"]["name"] == "pypi"
    kept = [step["with"] for step in steps(read(WORKFLOWS[0])) if "upload-artifact" in step.get("uses", "")]
    taken = [step["with"] for step in steps(workflow) if "download-artifact" in step.get("uses", "")]
    assert [(one["name"], one["path"]) for one in kept] == [(one["name"], one["path"]) for one in taken]


@pytest.mark.parametrize("path", [path for path in FORMS if path.name != "config.yml"], ids=lambda path: path.name)
def test_issue_forms(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)


def test_sdist_has_what_tests_and_readers_need() -> None:
    listed = set(PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    assert all((ROOT / name).exists() for name in listed)
    documents = {path.name for path in ROOT.iterdir() if path.suffix in (".md", ".cff")} | {"LICENSE"}
    assert documents | {"dsl", "tests", "vignettes", ".github", "Makefile"} <= listed
