"""The site's sources: links lead somewhere, names are those of the package, every page is in the navigation."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[1] / "vignettes"
SOURCES = {str(path.relative_to(PAGES)): path.read_text(encoding="utf-8") for path in sorted(PAGES.rglob("*.md"))
           if not {"_build", "_texts", "generated"} & set(path.parts)}  # fmt: skip


def found(name: str) -> object:
    """What a dotted name stands for, by the longest module in it."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            value: object = import_module(".".join(parts[:k]))
        except ModuleNotFoundError:
            continue
        for part in parts[k:]:
            value = getattr(value, part)
        return value
    raise AssertionError(name)


@pytest.mark.parametrize("page", SOURCES)
def test_names_in_the_text_exist(page: str) -> None:
    """``dsl.this`` in running text, code left out: names of options and files are no attributes."""
    prose = re.sub(r"```.*?```", "", SOURCES[page], flags=re.S)
    for name in set(re.findall(r"`(dsl(?:\.[A-Za-z_]\w*)+)(?:\(.*?\))?`", prose)):
        found(name)


@pytest.mark.parametrize("page", SOURCES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"```\{code-cell\}.*?```", "", SOURCES[page], flags=re.S)
    here = (PAGES / page).parent
    targets = [
        *re.findall(r"\]\(([^)#:\s]+?)(?:#[\w-]+)?\)", text),
        *(f"{name}.md" for name in re.findall(r"\{doc\}`(?:[^`<]*<)?([\w/]+)>?`", text)),
    ]
    for target in targets:
        assert (here / target).exists(), target


def test_every_page_is_in_the_navigation() -> None:
    listed = {"index.md"}
    for page, text in SOURCES.items():
        for block in re.findall(r"```\{toctree\}\n(.*?)```", text, flags=re.S):
            names = [line.strip() for line in block.splitlines() if line.strip() and not line.startswith(":")]
            listed |= {str((Path(page).parent / f"{name}.md").as_posix()) for name in names}
    assert listed == set(SOURCES)


def test_the_glossary_is_in_order_and_says_each_word_once() -> None:
    text = SOURCES["glossary.md"]
    terms = re.findall(r"^(\S.*)\n: ", text, flags=re.M)
    assert len(terms) > 25
    assert terms == sorted(terms, key=str.lower)
