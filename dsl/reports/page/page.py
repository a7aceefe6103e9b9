"""The page around the sections: head, navigation, style and script, all in one file."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from string import Template

from dsl.reports.page.markup import Html, Section, element, joined, text

PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src '$style_hash'; \
script-src '$script_hash'">
<meta name="generator" content="dsl $version">
<title>$title</title>
<link rel="icon" href="data:,">
<style>$style</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<h1>$title</h1>
<p class="lead">$lead</p>
<nav aria-label="Contents">$contents</nav>
</header>
<main id="content">
$sections
</main>
<footer><p>Written by dsl $version$dated.</p></footer>
<script>$script</script>
</body>
</html>
"""
)
"""The policy lets nothing in from outside: no network, and no script or style but those of the page."""


def page(*, title: str, lead: str, sections: Sequence[Section], date: str, version: str) -> str:
    """The whole page."""
    style, script = (_resource(name) for name in ("style.css", "sort.js"))
    links = (element("li", element("a", text(each.heading), href=f"#{each.ident}")) for each in sections)
    return PAGE.substitute(
        title=text(title),
        lead=text(lead),
        contents=element("ul", joined(links)),
        sections=joined(_section(each) for each in sections),
        version=text(version),
        dated=text(f", {date}" if date else ""),
        style=style,
        script=script,
        # hashes of the very texts on the page: nothing else may run
        style_hash=_digest(style),
        script_hash=_digest(script),
    )


def _section(section: Section) -> Html:
    heading = f"{section.ident}-heading"
    inner = joined([element("h2", text(section.heading), id=heading), section.body])
    return element("section", inner, id=section.ident, aria_labelledby=heading)


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(source: str) -> str:
    return "sha256-" + b64encode(sha256(source.encode()).digest()).decode("ascii")
