"""The report in a real browser: it renders, nothing is refused, tables sort by mouse and keyboard, and it can be printed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dsl.reports.page import write_report
from tests.posts import posts, run

from .chromium import Chromium

pytestmark = pytest.mark.browser

COLUMN = "[...document.querySelectorAll('#estimates-table tbody tr')].map(row => {})"
VALUES = COLUMN.format("Number(row.cells[1].dataset.value)")
TERMS = COLUMN.format("row.cells[0].textContent")
HEAD = "document.querySelector('#estimates-table thead th:nth-child({})')"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = posts()
    fit = run(data, "y ~ x + g + words", model="logit", cluster="cl", sample_prob="pi", sample_split=2)
    return write_report(fit, tmp_path_factory.mktemp("page") / "report.html", data, title="A <page>")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as started:
        yield started


@pytest.fixture
def page(browser: Chromium, path: Path) -> Chromium:
    browser.screen(1100, 900)
    browser.requests.clear()
    browser.problems.clear()
    browser.open(path)
    return browser


def test_it_renders_without_a_complaint_or_the_network(page: Chromium) -> None:
    assert page.js("document.title") == "A <page>"
    assert page.problems == []
    assert {address.split(":")[0] for address in page.requests} == {"file", "data"}
    assert page.js("getComputedStyle(document.body).maxWidth") != "none"  # its style was let in


def test_pictures_show(page: Chromium) -> None:
    sizes = page.js(
        "[...document.images].map(each => [each.complete, each.naturalWidth, each.getBoundingClientRect().width])"
    )
    assert len(sizes) == 4
    assert all(done and natural > 300 and shown > 300 for done, natural, shown in sizes)


def test_a_click_sorts_by_value_and_another_turns_it_round(page: Chromium) -> None:
    values = page.js(VALUES)
    assert values != sorted(values)
    for order, direction in ((1, "ascending"), (-1, "descending"), (1, "ascending")):
        page.js(HEAD.format(2) + ".querySelector('button').click()")
        assert page.js(VALUES) == sorted(values)[::order]
        assert page.js(HEAD.format(2) + ".getAttribute('aria-sort')") == direction
    page.js(HEAD.format(1) + ".querySelector('button').click()")
    assert sorted(page.js(TERMS), key=str.lower) == page.js(TERMS)
    assert page.js("document.querySelectorAll('#estimates-table [aria-sort]').length") == 1


def test_rows_without_a_value_stay_last(page: Chromium) -> None:
    last = "document.querySelectorAll('#comparison-table thead th')[7].querySelector('button')"
    cells = "[...document.querySelectorAll('#comparison-table tbody tr')].map(row => row.cells[7].dataset.value)"
    for _ in range(2):
        page.js(f"{last}.click()")
        values = page.js(cells)
        gaps = [value == "" for value in values]
        assert any(gaps)
        assert gaps == sorted(gaps)


def test_keyboard_alone_is_enough(page: Chromium) -> None:
    page.press("Tab")
    assert page.js("document.activeElement.className") == "skip"
    assert page.js("document.activeElement.getBoundingClientRect().left") >= 0  # seen once it has the focus
    focus = "document.activeElement.closest('#estimates-table th') !== null"
    for _ in range(30):
        page.press("Tab")
        if page.js(focus):
            break
    page.press("Tab")  # the second column
    assert page.js("document.activeElement.textContent") == "estimate"
    assert page.js("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    values = sorted(page.js(VALUES))
    page.press("Enter")
    assert page.js(VALUES) == values
    page.press(" ")
    assert page.js(VALUES) == values[::-1]


def test_every_table_and_region_has_a_name(page: Chromium) -> None:
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {"table", "region", "image", "button", "link", "navigation"}
    found = [
        (n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if n.get("role") and not n["ignored"]
    ]
    assert named <= {role for role, _ in found}
    assert not [role for role, name in found if role in named and not name.strip()]


def test_contrast_is_enough(page: Chromium) -> None:
    """WCAG 2.1, 4.5 to 1 for every text on its background."""
    pairs = page.js(
        """[...document.querySelectorAll('body *')].filter(each => [...each.childNodes].some(
             node => node.nodeType === 3 && node.textContent.trim())).map(each => {
          let behind = each;
          while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
          return [getComputedStyle(each).color, behind ? getComputedStyle(behind).backgroundColor : 'rgb(255, 255, 255)'];
        })"""
    )
    assert len(pairs) > 100
    assert min(contrast(*pair) for pair in map(tuple, pairs)) >= 4.5


def contrast(*colors: str) -> float:
    """Ratio of two colours' luminances, as WCAG defines it."""
    light = []
    for color in colors:
        channels = np.array([float(part) for part in color.removeprefix("rgb(").rstrip(")").split(",")]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        light.append(linear @ [0.2126, 0.7152, 0.0722])
    return float((max(light) + 0.05) / (min(light) + 0.05))


@pytest.mark.parametrize("width", [320, 768, 1600])
def test_nothing_overflows_the_window(page: Chromium, width: int) -> None:
    page.screen(width, 800)
    assert page.js("document.documentElement.scrollWidth") <= width


def test_tables_that_go_on_say_so(page: Chromium) -> None:
    """On a phone a wide table has a cue in words and shadows at its edges, on a wide screen it has neither."""
    hint = "getComputedStyle(document.querySelector('#comparison-table caption'), '::after').content"
    page.screen(390, 800)
    page.js("dispatchEvent(new Event('resize'))")
    assert "scroll sideways" in page.js(hint)
    assert "local" in page.js("getComputedStyle(document.querySelector('.scroll')).backgroundAttachment")
    page.screen(1600, 800)
    page.js("dispatchEvent(new Event('resize'))")
    assert page.js("document.querySelector('#estimates-table').parentElement.className") == "scroll"


def test_it_prints_with_everything_unfolded(page: Chromium) -> None:
    assert page.js("document.querySelectorAll('details:not([open])').length") > 3
    printed = page.call("Page.printToPDF", printBackground=True)["data"]
    assert len(printed) > 50_000
    assert page.js("document.querySelectorAll('details:not([open])').length") == 0


def test_the_checks_see_what_they_look_for(browser: Chromium, path: Path) -> None:
    broken = path.with_name("broken.html")
    text = path.read_text(encoding="utf-8").replace("</main>", '<img src="missing.png" alt="x"></main>')
    broken.write_text(text.replace("</body>", "<script>fail()</script></body>"), encoding="utf-8")
    browser.problems.clear()
    browser.open(broken)
    assert any("Content Security Policy" in problem for problem in browser.problems)
    assert len(browser.problems) >= 2
