"""Label Studio: tasks out as JSON, annotations in, and the labelling configuration that shows the tasks.

Format: "Label Studio JSON format of annotated tasks" and the tags Text, Choices and Choice of labelstud.io/guide.
"""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from dsl.exceptions import ArgumentError, CoderFileError
from dsl.sampling.coding.exchange import CoderFormat, Incoming, Outgoing, needs_codebook, options
from dsl.sampling.coding.records import DSL_ID, Answer, Item, by_coder, label_text, only_label, read_array

TOOL = "Label Studio"
VARIABLE = re.compile(r"\w+", re.ASCII)
"""What a labelling configuration can name as a field of a task."""
CONFIGURATION = ".xml"
ADVICE = 'set choice="single" in the labelling configuration, settle them, or code each label in a column of its own (yes or no)'


def write(path: Path, outgoing: Outgoing) -> None:
    """Write tasks to import."""
    rows = outgoing.texts.to_dict(orient="records")
    tasks = [{"data": {**row, DSL_ID: key}} for row, key in zip(rows, outgoing.keys, strict=True)]
    path.write_text(json.dumps(tasks, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def check(outgoing: Outgoing) -> None:
    """Raise ArgumentError for names that a labelling configuration cannot use, or without a codebook."""
    needs_codebook(outgoing, TOOL)
    odd = [name for name in (*outgoing.shown, outgoing.label) if not VARIABLE.fullmatch(name) or name == DSL_ID]
    if odd:
        raise ArgumentError(
            f"{TOOL} cannot show a field named '{odd[0]}': use letters, digits and underscores; rename the column"
        )


def configuration(outgoing: Outgoing) -> str:
    """The labelling configuration, to be pasted under Settings, Labeling Interface, Code."""
    view = ElementTree.Element("View")
    # spaces and line breaks as they are in the text
    ElementTree.SubElement(view, "Style").text = ".htx-text{ white-space: pre-wrap; }"
    for name in outgoing.shown:
        if len(outgoing.shown) > 1:
            ElementTree.SubElement(view, "Header", value=name, size="5")
        ElementTree.SubElement(view, "Text", name=name, value=f"${name}")
    ElementTree.SubElement(view, "Header", value=outgoing.question or outgoing.label)
    choices = ElementTree.SubElement(
        view,
        "Choices",
        name=outgoing.label,
        toName=outgoing.shown[0],
        choice="single",
        required="true",
    )
    for stored, seen, explained in options(needs_codebook(outgoing, TOOL)):
        # an alias is what the annotation holds in the place of what the coder sees
        more = {"alias": "" if stored == seen else stored, "hint": explained}
        ElementTree.SubElement(
            choices, "Choice", {"value": seen, **{name: text for name, text in more.items() if text}}
        )
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def read(path: Path, label: str, encoding: str) -> list[Incoming]:
    """Read what Label Studio exports as JSON. Predictions and drafts are left aside."""
    answers: list[Answer] = []
    others = Counter[str]()
    for task in read_array(path, "task", TOOL):
        if "data" not in task.value:
            raise CoderFileError(f"{task.where} has no field 'data'; export as JSON (not JSON-MIN or CSV) from {TOOL}")
        data = task.inner("data")
        texts = {name: value for name, value in data.value.items() if name != DSL_ID}
        row = Answer(place=task.place, key=data.get(DSL_ID, str, ""), texts=texts)
        annotations = task.items("annotations")
        answers += [_answer(row, each, label, j, others) for j, each in enumerate(annotations, start=1)] or [row]
    if others and not any(answer.label for answer in answers):
        name, count = others.most_common(1)[0]
        raise CoderFileError(
            f"'{path.name}' has no answers to '{label}', but {count} to '{name}'; pass label='{name}', or use the labelling "
            "configuration that to_coder wrote"
        )
    return by_coder(answers, label, "task")


def _answer(row: Answer, annotation: Item, label: str, number: int, others: Counter[str]) -> Answer:
    """What an annotation says of a task. `others` counts answers to other questions."""
    coder = _coder(annotation, number)
    if annotation.get("was_cancelled", bool, False):
        return replace(row, coder=coder, skipped=True)
    chosen: list[object] = []
    for result in annotation.items("result"):
        name = result.get("from_name", str, "")
        if name != label:
            others[name] += 1
            continue
        value = result.inner("value")
        if "choices" not in value.value:
            kind = result.get("type", str, "something else")
            raise CoderFileError(
                f"{result.where}: '{label}' is answered by {kind}, not by choices; use the tag Choices"
            )
        chosen += value.get("choices", list, [])
    return replace(row, coder=coder, label=only_label(chosen, annotation.where, ADVICE))


def _coder(annotation: Item, number: int) -> str:
    """Who made an annotation, or its number among those of the task where the export does not say."""
    who = annotation.value.get("completed_by")
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return f"annotation {number}" if who is None else label_text(who, f"{annotation.where}, completed_by")


FORMAT = CoderFormat(
    name="label_studio",
    write=write,
    read=read,
    writes=(".json",),
    reads=(".json",),
    check=check,
    beside={CONFIGURATION: configuration},
)
