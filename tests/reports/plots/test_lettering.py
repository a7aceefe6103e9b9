"""Names in plots: wrapped, in a font that has their letters, and never with a warning of matplotlib's."""

import warnings
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from dsl.exceptions import PlotWarning
from dsl.reports.plots import coefficients, lettering
from tests.posts import posts, run

mpl.use("Agg")
NOWHERE = chr(0x10FFFD)
"""A code that no letter has."""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    lettering._has.cache_clear()
    yield
    lettering._has.cache_clear()
    plt.close("all")


def named(names: list[str]) -> Figure:
    """A plot whose names are `names`."""
    figure = Figure()
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], label=names[-1])
    lettering.write_names(ax, "y", range(len(names)), names)
    lettering.write_label(ax, "x", names[0])
    ax.legend()
    lettering.write_legend(ax)
    return figure


def ticks(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("x", ["x"]),
        ("", [""]),
        ("source[T.tweets]:np.log1p(n_words):second_person", ["source[T.tweets]:", "np.log1p(n_words):second_person"]),
        ("a" * 40, ["a" * 34, "a" * 6]),
        ("\N{CJK UNIFIED IDEOGRAPH-8A9E}" * 20, ["\N{CJK UNIFIED IDEOGRAPH-8A9E}" * 17, "\N{CJK UNIFIED IDEOGRAPH-8A9E}" * 3]),
        ("word " * 60, ["word " * 6 + "word"] * 3 + ["\N{HORIZONTAL ELLIPSIS}" + "word " * 3 + "word"]),
    ],
)  # fmt: skip
def test_long_names_are_wrapped(name: str, lines: list[str]) -> None:
    assert lettering.wrapped(name).split("\n") == lines


def test_letters_without_a_font_are_boxes_and_are_named_once() -> None:
    with pytest.warns(PlotWarning, match=rf"no installed font has {NOWHERE}; .*Noto Sans CJK") as said:
        figure = named([f"a{NOWHERE}", "b"])
    assert sum(each.category is PlotWarning for each in said) == 2  # the ticks, and the label
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib would say that a glyph is missing
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions of matplotlib, new ones of pyparsing
        assert ticks(figure) == ["a\N{WHITE SQUARE}", "b"]


def test_letters_that_another_font_has_are_written_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """STIX comes with matplotlib, and has letters that DejaVu lacks."""
    usual, other = (
        get_font(findfont(FontProperties(family=name))).get_charmap() for name in ("DejaVu Sans", "STIXGeneral")
    )
    letter = chr(min(code for code in other if code not in usual and code > 0x20))
    monkeypatch.setattr(lettering, "FONTS", ("no such font", "STIXGeneral"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions of matplotlib, new ones of pyparsing
        figure = named(["plain", f"odd {letter}"])
        assert ticks(figure) == ["plain", f"odd {letter}"]
    families = [text.get_fontfamily() for text in figure.axes[0].get_yticklabels()]
    assert families == [["sans-serif", "STIXGeneral"]] * 2
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_fontfamily()[-1] == "STIXGeneral"


def test_variation_selectors_are_not_drawn_and_dollars_are_no_formulas() -> None:
    heart = "\N{BLACK HEART SUIT}\N{VARIATION SELECTOR-16}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions of matplotlib, new ones of pyparsing
        assert ticks(named([heart, "_c", "a$b$"])) == ["\N{BLACK HEART SUIT}", "_c", "a$b$"]


def test_names_of_any_script_are_drawn_by_every_plot() -> None:
    data = posts()
    data["\N{CJK UNIFIED IDEOGRAPH-8A9E}_\N{GRINNING FACE}"] = data["x"]
    fit = run(data, "y ~ `\N{CJK UNIFIED IDEOGRAPH-8A9E}_\N{GRINNING FACE}` + z")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions of matplotlib, new ones of pyparsing
        warnings.simplefilter("ignore", PlotWarning)  # where no such font is installed
        figure = coefficients(pd.Series({"one": fit}).to_dict()).figure
        assert isinstance(figure, Figure)
        figure.canvas.draw()
