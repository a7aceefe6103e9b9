"""doccano: one text and the list of its labels on each line (JSONL of text classification), a file for each coder.

Format: "JSONL" of doccano's import and export of text classification projects. What a line has besides text and label, doccano
keeps and exports again.
"""

import json
from pathlib import Path

from dsl.exceptions import ArgumentError
from dsl.sampling.coding.exchange import CoderFormat, Incoming, Outgoing, needs_codebook, only_column, options
from dsl.sampling.coding.records import (
    DSL_COLUMN,
    DSL_ID,
    Answer,
    by_coder,
    only_label,
    read_lines,
    shown_column,
)

TOOL = "doccano"
LABELS = ".labels.json"
ADVICE = (
    "allow a single label in the project, and have each coder's labels exported to a file of their own (a project whose members "
    "share their labels exports those of all members together)"
)


def write(path: Path, outgoing: Outgoing) -> None:
    """Write lines to import."""
    column = only_column(outgoing, TOOL)
    rows = zip(outgoing.texts[column], outgoing.keys, strict=True)
    lines = [{"text": text, "label": [], DSL_ID: key, DSL_COLUMN: column} for text, key in rows]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def check(outgoing: Outgoing) -> None:
    """Raise ArgumentError unless one text is shown, none of them empty, and there is a codebook."""
    needs_codebook(outgoing, TOOL)
    column = only_column(outgoing, TOOL)
    if (outgoing.texts[column].str.strip() == "").any():
        raise ArgumentError(
            f"'{column}' has empty texts, which {TOOL} does not import; use another format, or leave these rows out before the "
            "design is drawn"
        )


def labels(outgoing: Outgoing) -> str:
    """The labels, to be imported under Labels."""
    seen = [{"text": shown} for _, shown, _ in options(needs_codebook(outgoing, TOOL))]
    return json.dumps(seen, ensure_ascii=False, indent=1) + "\n"


def read(path: Path, label: str, encoding: str) -> list[Incoming]:
    """Read what doccano exports as JSONL, one coder's labels."""
    items = read_lines(path, TOOL)
    column = shown_column(items)
    answers = [
        Answer(
            place=item.place,
            key=item.get(DSL_ID, str, ""),
            texts={column: item.get("text", str, "")},
            coder="",
            label=only_label(item.get("label", list, []), f"{item.where}, label", ADVICE),
        )
        for item in items
    ]
    return by_coder(answers, label, "line")


FORMAT = CoderFormat(
    name="doccano",
    write=write,
    read=read,
    writes=(".jsonl",),
    reads=(".jsonl", ".json"),
    check=check,
    beside={LABELS: labels},
)
