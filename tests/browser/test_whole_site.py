"""All pages of the site, not executed: links and anchors lead somewhere, and readers without eyes or mouse find their way."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from .chromium import Chromium

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
MADE = ("_build", "_texts", "jupyter_execute", "generated")
NAMED = {"button", "checkbox", "image", "link", "navigation", "searchbox", "table", "textbox"}
"""Roles that are of no use to a screen reader without a name. A table's may be its caption."""


class Parsed(HTMLParser):
    """Anchors and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.repeated: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        for name, value in attrs:
            if name == "id":
                self.repeated += [value] if value in self.anchors else []
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.addresses.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    shutil.copytree(ROOT / "vignettes", root / "vignettes", ignore=shutil.ignore_patterns(*MADE))
    shutil.copy(ROOT / "CHANGELOG.md", root)
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-D", "nb_execution_mode=off"]
    subprocess.run([*command, root / "vignettes", root / "site"], check=True, capture_output=True)
    return root / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Parsed]:
    return {path: Parsed(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium(1280) as started:
        yield started


def lost(pages: dict[Path, Parsed]) -> list[str]:
    """Addresses within the site that lead nowhere."""
    out = []
    for path, page in pages.items():
        for address in page.addresses:
            parts = urlsplit(address)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                out.append(f"{path.name}: {address}")
    return out


def test_links_and_anchors_lead_somewhere(pages: dict[Path, Parsed]) -> None:
    assert len(pages) > 100
    assert sum(len(page.addresses) for page in pages.values()) > 5_000
    assert lost(pages) == []
    assert {path.name: page.repeated for path, page in pages.items() if page.repeated} == {}


def test_a_lost_link_is_seen(pages: dict[Path, Parsed]) -> None:
    path = next(path for path in pages if path.name == "faq.html")
    text = '<a href="nowhere.html">a</a> <a href="glossary.html#term-none">b</a> <a href="#gone">c</a> <a href="cli.html">d</a>'
    assert len(lost({**pages, path: Parsed(text)})) >= 3


def test_addresses_outside_are_encrypted(pages: dict[Path, Parsed]) -> None:
    """Whether they answer is not asked: a test needs no network."""
    outside = {a for page in pages.values() for a in page.addresses if urlsplit(a).scheme not in ("", "data", "mailto")}
    assert {address for address in outside if not address.startswith("https://")} == set()
    assert not {address for address in outside if "example.org" in address or ".invalid" in address}


def test_the_label_of_a_section_is_that_section(pages: dict[Path, Parsed]) -> None:
    """R users are sent from the first lines of their page to the comparison of numbers at its end."""
    path = next(path for path in pages if path.name == "migration.html")
    text = path.read_text(encoding="utf-8")
    assert "<h2>Cross-check" in text[text.index('id="cross-check"') :][:400]


def test_headings_names_and_pictures(browser: Chromium, pages: dict[Path, Parsed]) -> None:
    """One title, no level left out, a name for every link, button and picture, on every page."""
    found = []
    for path in pages:
        if path.name == "search.html":  # its heading comes with what was found
            continue
        browser.open(path)
        levels = browser.js(
            "[...document.querySelectorAll('article :is(h1, h2, h3, h4, h5)')].map(each => Number(each.tagName[1]))"
        )
        if levels[:1] != [1] or levels.count(1) != 1 or any(b > a + 1 for a, b in pairwise(levels)):
            found.append(f"{path.name}: headings {levels}")
        nodes = [
            (node["role"]["value"], node.get("name", {}).get("value", "").strip())
            for node in browser.call("Accessibility.getFullAXTree")["nodes"]
            if node.get("role") and not node["ignored"]
        ]
        found += [
            f"{path.name}: {role} without a name" for role, name in nodes if role in NAMED - {"table"} and not name
        ]
        found += [f"{path.name}: a picture named {name}" for role, name in nodes if role == "image" and "/" in name]
    assert found == []


def test_plots_are_described() -> None:
    """A cell whose last line draws has a text for who does not see it, or it gets a file's name."""
    bare = []
    for path in sorted((ROOT / "vignettes").glob("*.md")):
        for cell in path.read_text(encoding="utf-8").split("```{code-cell}\n")[1:]:
            lines = cell.split("```")[0].strip().splitlines()
            draws = lines[-1].endswith(";") or ".plot(" in lines[-1] or "dsl.plotting." in lines[-1]
            if draws and "alt:" not in cell.split("```")[0]:
                bare.append(f"{path.name}: {lines[-1]}")
    assert bare == []


def test_keys_alone_lead_through_a_page(browser: Chromium, site: Path) -> None:
    """The first stop skips the navigation, every stop is seen, and formulas that scroll are stops."""
    browser.open(site / "theory.html")
    browser.press("Tab")
    assert "Skip to content" in browser.js("document.activeElement.innerText")
    # it slides in
    shown = "new Promise(later => setTimeout(() => later(document.activeElement.getBoundingClientRect().top), 500))"
    assert browser.js(shown) >= 0
    stops, unseen = set(), []
    for _ in range(120):
        browser.press("Tab")
        what, outline, shadow = browser.js(
            """(() => { const here = document.activeElement, style = getComputedStyle(here);
            return [here.className || here.tagName, style.outlineStyle, style.boxShadow]; })()"""
        )
        stops.add(what)
        # after the last stop the keyboard is with the window again
        if what != "BODY" and outline == "none" and shadow == "none":
            unseen.append(what)
    assert "formula" in stops
    assert unseen == []
