"""What a page holds, read with the standard library's parser; raises AssertionError where its markup is wrong."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "link", "img", "br"}
LINKS = ("href", "aria-labelledby")
LOADS = {"src", "srcset", "data", "action", "poster", "background"}


@dataclass
class Page(HTMLParser):
    """Elements, texts and tables of a page."""

    source: str
    ids: list[str] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tables: dict[str, list[list[tuple[str, str | None]]]] = field(default_factory=dict)
    """Rows of cells (text, value it is sorted by), by id; the header first."""
    words: str = ""
    code: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._table = ""
        self.feed(self.source)
        self.close()
        assert not self._open, f"never closed: {self._open}"
        self._check()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"attribute twice in {tag}"
        self.elements.append((tag, given))
        if "id" in given:
            self.ids.append(given["id"])
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._table = given["id"]
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in ("th", "td"):
            self.tables[self._table][-1].append(("", given.get("data-value")))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1:] == [tag], f"</{tag}> closes {self._open[-1:]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open[-1:] and self._open[-1] in ("style", "script"):
            return
        self.words += data
        if self._open[-2:] == ["pre", "code"]:
            self.code += data
        if self._open[-1:] and self._open[-1] in ("th", "td"):
            row = self.tables[self._table][-1]
            row[-1] = (row[-1][0] + data, row[-1][1])

    def of(self, tag: str) -> list[dict[str, str]]:
        """Attributes of all elements of a kind."""
        return [given for name, given in self.elements if name == tag]

    def _check(self) -> None:
        assert len(set(self.ids)) == len(self.ids), "an id is used twice"
        levels = [int(tag[1]) for tag, _ in self.elements if tag in ("h1", "h2", "h3", "h4")]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels)), levels
        for tag, given in self.elements:
            assert "style" not in given
            assert not any(name.startswith("on") for name in given), f"a handler in {tag}"
            for name, value in given.items():
                if name in LOADS or (tag == "link" and name == "href"):
                    assert value.startswith("data:"), f"{tag} loads {value}"
                elif name in LINKS:
                    assert value.removeprefix("#") in self.ids, f"{name} leads nowhere: {value}"
            if tag == "img":
                assert given["alt"]
                assert given["src"].startswith("data:image/svg+xml;base64,")
        assert all(len({len(row) for row in rows}) == 1 for rows in self.tables.values())
        assert self.source.count("<html lang=") == self.source.count("<title>") == self.source.count("<main") == 1
        assert "http://" not in self.source
        assert "https://" not in self.source
        assert "url(" not in self.source
        assert "@import" not in self.source
