"""Prodigy: one text with its options on each line (JSONL for the choice interface), answers as ``db-out`` writes them.

Format: "Annotation interfaces", choice, and "Annotated tasks" of prodi.gy/docs. Fields that Prodigy does not know it keeps.
"""

import json
from pathlib import Path

from dsl.exceptions import CoderFileError
from dsl.sampling.coding.exchange import CoderFormat, Incoming, Outgoing, needs_codebook, only_column, options
from dsl.sampling.coding.records import (
    DSL_COLUMN,
    DSL_ID,
    Answer,
    Item,
    by_coder,
    label_text,
    only_label,
    read_lines,
    shown_column,
)

TOOL = "Prodigy"
ACCEPT, PASSED = "accept", ("reject", "ignore")
"""What the coder does with a task as a whole: hands in its answer, or does not."""
ADVICE = 'set "choice_style": "single" in prodigy.json, or settle them'


def write(path: Path, outgoing: Outgoing) -> None:
    """Write lines for ``prodigy mark DATASET FILE --view-id choice``."""
    column = only_column(outgoing, TOOL)
    choices = [
        {"id": stored, "text": f"{seen}: {explained}" if explained else seen}
        for stored, seen, explained in options(needs_codebook(outgoing, TOOL))
    ]
    rows = zip(outgoing.texts[column], outgoing.keys, strict=True)
    lines = [{"text": text, "options": choices, DSL_ID: key, DSL_COLUMN: column} for text, key in rows]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def check(outgoing: Outgoing) -> None:
    """Raise ArgumentError unless one text is shown and there is a codebook."""
    needs_codebook(outgoing, TOOL)
    only_column(outgoing, TOOL)


def read(path: Path, label: str, encoding: str) -> list[Incoming]:
    """Read what ``prodigy db-out`` writes."""
    items = read_lines(path, TOOL)
    column = shown_column(items)
    answers = []
    for item in items:
        what = item.get("answer", str)
        if what is not None and what not in (ACCEPT, *PASSED):
            raise CoderFileError(f"{item.where}: field 'answer' must be accept, reject or ignore; found {what!r}")
        chosen = item.get("accept", list, [])
        answers.append(
            Answer(
                place=item.place,
                key=item.get(DSL_ID, str, ""),
                texts={column: item.get("text", str, "")},
                coder=_coder(item),
                label=only_label(chosen, f"{item.where}, accept", ADVICE) if what == ACCEPT else "",
                skipped=what in PASSED,
            )
        )
    return by_coder(answers, label, "line")


def _coder(item: Item) -> str:
    """Who answered: with named sessions, ``_annotator_id`` is the dataset and the name."""
    for name in ("_annotator_id", "_session_id"):
        who = item.value.get(name)
        if who is not None:
            return label_text(who, f"{item.where}, {name}")
    return ""


FORMAT = CoderFormat(name="prodigy", write=write, read=read, writes=(".jsonl",), reads=(".jsonl", ".json"), check=check)
