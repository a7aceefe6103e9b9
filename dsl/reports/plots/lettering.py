"""Names in plots: long ones in several lines, and in a font that has their letters.

Matplotlib looks a letter up in every font of a list, but the list that it has by default names a single one, without Chinese,
Japanese, Korean, Indian scripts or emoji. Each missing letter is then a box, with a warning for each.
"""

import re
import warnings
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

from dsl.exceptions import PlotWarning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "SimHei",
    "PingFang SC",
    "Hiragino Sans",
    "Yu Gothic",
    "IPAexGothic",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "NanumGothic",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Nirmala UI",
    "Noto Emoji",
    "Segoe UI Emoji",
    "Segoe UI Symbol",
    "Apple Symbols",
    "Symbola",
)
"""Looked through for letters that the usual font lacks, in this order. Fonts of coloured pictures cannot be drawn from."""
WIDTH = 34
"""Letters in a line. Wider ones (Chinese, emoji) count twice."""
MOST_LINES = 4
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
BOX = "\N{WHITE SQUARE}"
"""Drawn for a letter that no font has."""
INVISIBLE = "\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}\N{ZERO WIDTH JOINER}"
"""Say how neighbours are drawn, and are no letters themselves."""


def wrapped(name: str, width: int = WIDTH) -> str:
    """The name in lines of at most `width` letters, broken behind blanks and signs where it can be.

    Examples
    --------
    >>> print(wrapped("source[T.tweets]:np.log1p(n_words):second_person"))
    source[T.tweets]:
    np.log1p(n_words):second_person
    """
    lines = [""]
    # pieces end behind a sign, and are cut where they are longer than a line
    for piece in re.findall(r"[^\s:/,+*|-]*[\s:/,+*|-]+|[^\s:/,+*|-]+", name):
        for part in _cut(piece, width):
            if _columns(lines[-1]) + _columns(part.rstrip()) > width and lines[-1]:
                lines.append("")
            lines[-1] += part
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], ELLIPSIS + lines[-1]]
    return "\n".join(line.strip() for line in lines)


def _cut(piece: str, width: int) -> list[str]:
    parts = [""]
    for letter in piece:
        if _columns(parts[-1] + letter) > width:
            parts.append("")
        parts[-1] += letter
    return parts


def _columns(words: str) -> int:
    """Width of a text in letters."""
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in words)


def lines_of(names: Sequence[str]) -> int:
    """Lines of all names, wrapped."""
    return sum(wrapped(name).count("\n") + 1 for name in names)


def write_names(ax: "Axes", axis: Literal["x", "y"], places: Sequence[float], names: Sequence[str]) -> None:
    """Ticks with names, wrapped."""
    import matplotlib

    kind = ax.xaxis if axis == "x" else ax.yaxis
    shown, families = _lettered([wrapped(name) for name in names], matplotlib.rcParams["font.family"])
    kind.set_ticks(list(places), shown)
    # the texts belong to ticks, which keep their fonts and are given their words at each drawing
    _dress([tick.label1 for tick in kind.get_major_ticks(len(shown))], families)


def write_label(ax: "Axes", axis: Literal["x", "y"], words: str) -> None:
    """What an axis shows."""
    kind = ax.xaxis if axis == "x" else ax.yaxis
    _write(kind.label, wrapped(words, 2 * WIDTH))


def write_title(ax: "Axes", words: str) -> None:
    """What the plot is about, above it."""
    _write(ax.set_title("", fontsize="medium"), wrapped(words, 2 * WIDTH))


def write_legend(ax: "Axes") -> None:
    """The legend's names, wrapped."""
    legend = ax.get_legend()
    for text in [] if legend is None else legend.get_texts():
        _write(text, wrapped(text.get_text()))


def _write(text: "Text", words: str) -> None:
    (shown,), families = _lettered([words], text.get_fontfamily())
    text.set_text(shown)
    _dress([text], families)


def _dress(texts: "Sequence[Text]", families: Sequence[str]) -> None:
    """Fonts, and dollar signs that are no formulas."""
    for text in texts:
        text.set_fontfamily(list(families))
        text.set_parse_math(False)


def _lettered(names: Sequence[str], usual: str | Sequence[str]) -> tuple[list[str], list[str]]:
    """Names with boxes for what no font has, and the fonts for them: the usual one, and those of FONTS that are needed."""
    own = tuple([usual] if isinstance(usual, str) else usual)
    families, lacking = list(own), dict.fromkeys(INVISIBLE, "")
    for letter in dict.fromkeys("".join(names)):
        if letter == "\n" or letter in lacking or _has(own, letter):
            continue
        found = next((name for name in FONTS if _has((name,), letter)), None)
        if found is None:
            lacking[letter] = BOX
        elif found not in families:
            families.append(found)
    missing = [letter for letter, shown in lacking.items() if shown]
    if missing:
        which = " ".join(missing[:10]) + (" and others" if len(missing) > 10 else "")
        warnings.warn(
            f"no installed font has {which}; boxes stand for them in the plot. Install one that has, such as Noto Sans CJK "
            "(Chinese, Japanese, Korean) or Noto Emoji",
            PlotWarning,
            stacklevel=5,
        )
        # every matplotlib has it
        families.append(FONTS[0])
    shown = ["".join(lacking.get(letter, letter) for letter in name) for name in names]
    return shown, families


@cache
def _has(families: tuple[str, ...], letter: str) -> bool:
    """Whether a font of these names is installed and has the letter."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    for family in families:
        try:
            path = findfont(FontProperties(family=family), fallback_to_default=False)
        except ValueError:  # not installed
            continue
        if get_font(path).get_char_index(ord(letter)):
            return True
    return False
