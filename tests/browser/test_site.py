"""The site in a real browser, on screens of every width: drawn without the network, nothing runs off or lacks a name."""

import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from .chromium import Chromium
from .test_report import contrast

pytestmark = pytest.mark.browser

SOURCE = Path(__file__).parents[2] / "vignettes"
PAGES = ("index", "get_started", "features", "theory", "decide", "reference/results")
"""A part of the site, with executed outputs, a wide table, formulas and signatures: all of it takes minutes."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = tmp_path_factory.mktemp("pages"), tmp_path_factory.mktemp("site")
    for folder in ("_static", "_templates"):
        shutil.copytree(SOURCE / folder, source / folder)
    (source / "reference").mkdir()
    for page in ("conf.py", *(f"{name}.md" for name in PAGES)):
        shutil.copy(SOURCE / page, source / page)
    # links to pages that are left out are no faults here
    subprocess.run([sys.executable, "-m", "sphinx", "-q", "-b", "html", source, out], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as started:
        yield started


def opened(browser: Chromium, site: Path, page: str, width: int = 1280) -> Chromium:
    browser.screen(width, 900)
    browser.requests.clear()
    browser.problems.clear()
    browser.open(site / f"{page}.html")
    return browser


@pytest.mark.parametrize("page", PAGES)
def test_pages_need_no_network(browser: Chromium, site: Path, page: str) -> None:
    opened(browser, site, page)
    assert browser.problems == []
    assert {address.split(":")[0] for address in browser.requests} <= {"file", "data"}


@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("page", PAGES)
def test_nothing_runs_off(browser: Chromium, site: Path, page: str, width: int) -> None:
    opened(browser, site, page, width)
    assert browser.js("document.documentElement.scrollWidth") <= width
    inside = """[...document.querySelectorAll('article table, article pre, math[display=block], article img')].filter(each => {
      let box = each;
      while (box && box.tagName !== 'ARTICLE' && getComputedStyle(box).overflowX === 'visible') box = box.parentElement;
      return box.tagName === 'ARTICLE' && each.getBoundingClientRect().right > innerWidth + 1;
    }).length"""
    assert browser.js(inside) == 0


def test_formulas_are_drawn_by_the_browser(browser: Chromium, site: Path) -> None:
    opened(browser, site, "theory")
    sizes = browser.js("[...document.querySelectorAll('math')].map(each => each.getBoundingClientRect().height)")
    assert len(sizes) > 40
    assert min(sizes) > 5
    assert browser.js("document.querySelectorAll('merror').length") == 0
    assert "$" not in browser.js("document.querySelector('article').innerText")


def test_tables_have_one_rule_and_scroll(browser: Chromium, site: Path) -> None:
    opened(browser, site, "get_started", 360)
    rules = browser.js(
        """[...document.querySelectorAll('.cell_output table td')].map(each => {
          const style = getComputedStyle(each);
          return [style.borderLeftWidth, style.borderRightWidth, style.borderTopWidth];
        })"""
    )
    assert len(rules) > 20
    assert {width for cell in rules for width in cell} == {"0px"}
    opened(browser, site, "features", 360)
    assert browser.js(
        "[...document.querySelectorAll('.table-wrapper')].some(each => each.scrollWidth > each.clientWidth)"
    )


@pytest.mark.parametrize("page", PAGES)
def test_headings_pictures_and_links_have_names(browser: Chromium, site: Path, page: str) -> None:
    opened(browser, site, page)
    levels = browser.js(
        "[...document.querySelectorAll('article h1, article h2, article h3')].map(each => Number(each.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert browser.js(
        "[...document.querySelectorAll('article img')].every(each => each.alt.trim() !== '' && each.naturalWidth > 0)"
    )
    assert browser.js("document.documentElement.lang") == "en"
    words = "(each.textContent + each.title + (each.ariaLabel || '')).trim()"
    assert browser.js(f"[...document.querySelectorAll('article a[href]')].every(each => {words} !== '')")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", ["get_started", "theory", "reference/results"])
def test_text_can_be_read(browser: Chromium, site: Path, page: str, theme: str) -> None:
    """WCAG 2.1, 4.5 to 1, for all text, code and navigation too."""
    opened(browser, site, page)
    browser.js(f"document.body.dataset.theme = '{theme}'")
    # colours change slowly
    pairs = browser.js(
        """new Promise(later => setTimeout(later, 500)).then(() => [...document.querySelectorAll('body *')].filter(each =>
          each.checkVisibility({checkVisibilityCSS: true, checkOpacity: true}) && !each.closest('math, .admonition-title') &&
          [...each.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())).map(each => {
          let behind = each;
          while (behind && / 0\\)$/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
          return [getComputedStyle(each).color, behind ? getComputedStyle(behind).backgroundColor : 'rgb(255, 255, 255)'];
        }))"""
    )
    assert len(pairs) > 150
    assert min(contrast(*pair) for pair in set(map(tuple, pairs))) >= 4.5


def test_a_copyright_holder_is_named(browser: Chromium, site: Path) -> None:
    opened(browser, site, "index")
    assert "Copyright © 2026, the dsl developers" in browser.js("document.querySelector('footer').innerText")


def test_screenshots_can_be_taken(browser: Chromium, site: Path) -> None:
    """For whoever looks at them."""
    for width in (360, 1280):
        opened(browser, site, "index", width)
        assert b64decode(browser.screenshot())[:4] == b"\x89PNG"
