"""Argilla: records with fields out (``dataset.records.from_json``), responses in (``dataset.records(...).to_json``).

Format: `Record.to_dict` of docs.argilla.io, in which ``responses`` are lists by question. What the server's own interface returns
is read too, in which they are a list with the values of each user.
"""

import json
from dataclasses import replace
from pathlib import Path

from dsl.exceptions import CoderFileError
from dsl.sampling.coding.exchange import CoderFormat, Incoming, Outgoing
from dsl.sampling.coding.records import Answer, Item, by_coder, label_text, only_label, read_array

TOOL = "Argilla"
HANDED_IN = "submitted"
ADVICE = "ask a LabelQuestion, which takes one, rather than a MultiLabelQuestion, or settle them"


def write(path: Path, outgoing: Outgoing) -> None:
    """Write records to read with ``dataset.records.from_json``."""
    rows = outgoing.texts.to_dict(orient="records")
    records = [{"id": key, "fields": row} for row, key in zip(rows, outgoing.keys, strict=True)]
    path.write_text(json.dumps(records, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read(path: Path, label: str, encoding: str) -> list[Incoming]:
    """Read records with their responses. Suggestions are left aside."""
    answers: list[Answer] = []
    others = set[str]()
    for record in read_array(path, "record", TOOL):
        if "fields" not in record.value:
            raise CoderFileError(
                f"{record.where} has no field 'fields'; write the file with dataset.records(with_responses=True).to_json(path)"
            )
        # the server has identifiers of its own, beside which ours is called external
        name = "external_id" if record.value.get("external_id") is not None else "id"
        key = record.value.get(name)
        row = Answer(place=record.place, key=key if isinstance(key, str) else "", texts=record.inner("fields").value)
        answers += [_answer(row, *each) for each in _values(record, label, others)] or [row]
    if others and not any(answer.label or answer.skipped for answer in answers):
        raise CoderFileError(
            f"'{path.name}' has no responses to '{label}', but to {', '.join(sorted(others)[:5])}; pass label= with the name of "
            "the question"
        )
    return by_coder(answers, label, "record")


def _answer(row: Answer, response: Item, value: object) -> Answer:
    """What a response says of a record."""
    labels = value if isinstance(value, list) else [] if value is None else [value]
    who = response.value.get("user_id")
    coder = "" if who is None else label_text(who, f"{response.where}, user_id")
    if response.get("status", str, HANDED_IN) != HANDED_IN:
        return replace(row, coder=coder, skipped=True)
    return replace(row, coder=coder, label=only_label(labels, response.where, ADVICE))


def _values(record: Item, label: str, others: set[str]) -> list[tuple[Item, object]]:
    """Each response to the question, and what it says."""
    if isinstance(record.value.get("responses"), list):
        found: list[tuple[Item, object]] = []
        for response in record.items("responses"):
            values = response.inner("values")
            others.update(name for name in values.value if name != label)
            found.append((response, values.inner(label).value.get("value")))
        return found
    responses = record.inner("responses")
    others.update(name for name in responses.value if name != label)
    return [(response, response.value.get("value")) for response in responses.items(label)]


FORMAT = CoderFormat(name="argilla", write=write, read=read, writes=(".json",), reads=(".json",))
