"""Label texts or images with a language model, through a file of answers that a stopped run goes on from."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd

from dsl._typing import JSON, Arguments
from dsl.cli.listed import Listed
from dsl.cli.options import add_data, read
from dsl.cli.write import STDOUT, check_outputs, csv_text, json_text, provenance, write_all
from dsl.data.trail import Trail, public_address, trails_of
from dsl.exceptions import ArgumentError

HELP = "label texts with a language model"
EPILOG = """\
The key of the server is taken from the environment, OPENAI_API_KEY, and written nowhere. The codebook is a file in YAML:

  question: Is the tweet positive?
  labels: {positive: "joy, praise, hope", negative: anything else}
  examples: [{text: I love this song, label: positive}]

examples:
  dsl annotate posts.csv --text body --codebook book.yaml --model gpt-4o-mini --price 0.15 0.6 --dry-run
  dsl annotate posts.csv --text body --codebook book.yaml --model gpt-4o-mini --price 0.15 0.6 --budget 5 --out labelled.csv
  dsl annotate posts.csv --text body --codebook book.yaml --model m --base-url http://127.0.0.1:8080/v1 --out labelled.csv
  dsl fit labelled.csv "y ~ x" --predicted y --prediction llm_positive --refusals indicator --report r.html \\
      --trail labels.trail.json
"""
GIVEN = (
    "text",
    "image",
    "codebook",
    "base_url",
    "name",
    "confidence",
    "repeats",
    "cache",
    "concurrency",
    "max_retries",
    "timeout",
    "budget",
    "temperature",
    "max_tokens",
    "seed",
)
"""Arguments of `dsl.annotate` that options give as they are."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl annotate``."""
    add_data(parser)
    group = parser.add_argument_group("what is asked")
    group.add_argument("--text", metavar="COL", help="column of texts")
    group.add_argument("--image", metavar="COL", help="column of paths or addresses of images")
    group.add_argument("--codebook", required=True, metavar="FILE", help="question, labels, examples (YAML)")
    group.add_argument("--stages", type=int, default=1, choices=(1, 2), help="2: the label, then how likely it is")
    group.add_argument("--kind", default="chat", help="chat, or completion: a text to go on with (default: chat)")
    group.add_argument("--options", default="words", help="words, or letters that stand for labels (default: words)")
    group.add_argument("--form", default="plain", help="plain, or json: answers after a schema (default: plain)")
    group = parser.add_argument_group("who is asked")
    group.add_argument(
        "--model",
        required=True,
        action=Listed,
        metavar="[NAME=]MODEL",
        help="the model's name at the server; of several, each makes columns of its own",
    )
    group.add_argument("--base-url", metavar="URL", help="of a server with OpenAI's protocol (default: OpenAI's)")
    group.add_argument(
        "--confidence", default="logprobs", help="logprobs, verbal, both, repeat: where probabilities come from"
    )
    group.add_argument("--repeats", type=int, default=5, metavar="R", help="with --confidence repeat (default: 5)")
    group.add_argument("--temperature", type=float, metavar="T", help="default: 0, and 1 with --confidence repeat")
    group.add_argument("--max-tokens", type=int, metavar="N", help="longest answer (default: what the labels need)")
    group.add_argument("--seed", type=int, metavar="N", help="sent to the server")
    group.add_argument(
        "--extra-body", metavar="JSON", help="what the server takes besides, such as '{\"n_probs\": 4000}'"
    )
    group = parser.add_argument_group("how")
    group.add_argument("--cache", default="labels.jsonl", metavar="FILE", help="of the answers (default: labels.jsonl)")
    group.add_argument("--concurrency", type=int, default=8, metavar="N", help="questions at once (default: 8)")
    group.add_argument("--max-retries", type=int, default=6, metavar="N", help="for each question (default: 6)")
    group.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds for an answer (default: 60)")
    group.add_argument("--price", type=float, nargs=2, metavar=("SENT", "RECEIVED"), help="$ for a million tokens")
    group.add_argument("--budget", type=float, metavar="USD", help="stop before more is spent")
    group.add_argument("--dry-run", action="store_true", help="say what would be asked and what it would cost")
    group = parser.add_argument_group("output (replaced in one step when all is done)")
    group.add_argument("--name", default="llm", help="what the new columns' names begin with (default: llm)")
    group.add_argument("--out", metavar="FILE", help="CSV: the data with the labels and their probabilities")
    group.add_argument("--json", metavar="FILE", help="how they were made, versions, hash of the data; or the estimate")


def run(options: Namespace) -> None:
    """Ask, write, say what was labelled."""
    outputs = {"--out": options.out, "--json": options.json}
    check_outputs(outputs, [options.data, options.codebook, options.cache])
    if options.dry_run and options.out is not None:
        raise ArgumentError("--dry-run makes no labels to write: leave --out out, or --dry-run")
    if not options.dry_run and options.out is None:
        raise ArgumentError("name a file for the labels, --out labelled.csv, or see what it would cost, --dry-run")
    arguments = arguments_of(options)
    table = read(options)
    # an address may hold a password
    shown = (
        [each.replace(options.base_url, public_address(options.base_url)) for each in options.argv]
        if options.base_url
        else options.argv
    )
    record = {**provenance(options), "command": shown, "data": table.facts()}
    if options.dry_run:
        from dsl.annotation import estimate_cost

        found = estimate_cost(table.data, **arguments)
        write_all({options.json: json_text({**record, "estimate": asdict(found)})} if options.json else {})
        if options.json != STDOUT:
            print(found)
        return
    from dsl.annotation.annotate import ATTRS, annotate

    labelled = annotate(table.data, **arguments, progress=not options.quiet)
    assert isinstance(labelled, pd.DataFrame)
    contents = {options.out: csv_text(labelled)}
    if options.json:
        made = {"annotation": labelled.attrs[ATTRS], "warnings": options.warnings}
        contents[options.json] = json_text({**record, **made})
    write_all(contents)
    if not options.quiet and STDOUT not in contents:
        print(_said(labelled, trails_of(labelled.attrs[ATTRS])))


def arguments_of(options: Namespace) -> Arguments:
    """Arguments of `dsl.annotate` besides data and progress."""
    from dsl.annotation import Prompt

    make = Prompt.two_stage if options.stages == 2 else Prompt.one_stage
    return {
        **{name: getattr(options, name) for name in GIVEN},
        "model": _models(options.model),
        "prompt": make(kind=options.kind, options=options.options, form=options.form),
        "price": None if options.price is None else tuple(options.price),
        "extra_body": _object(options.extra_body),
    }


def _models(given: list[str]) -> str | list[str] | dict[str, str]:
    """One model, several, or several with names."""
    pairs = [text.partition("=") for text in given]
    named = [bool(equals) for _, equals, _ in pairs]
    if not any(named):
        return given[0] if len(given) == 1 else given
    if not all(named) or not all(name and model for name, _, model in pairs):
        raise ArgumentError("--model: name every model, as in --model small=gpt-4o-mini --model large=gpt-4o, or none")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise ArgumentError("--model: two models have one name; name each by its own")
    return {name: model for name, _, model in pairs}


def _object(text: str | None) -> Mapping[str, JSON] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ArgumentError(f"--extra-body must be an object in JSON, such as '{{\"n_probs\": 4000}}'; found {text!r}")
    return found


def _said(labelled: pd.DataFrame, trails: Sequence[Trail]) -> str:
    """How many rows got which label."""
    lines = []
    for trail in trails:
        found = labelled[trail.name]
        shown = ", ".join(f"{label}: {count:,}" for label, count in found.value_counts().items())
        lines.append(f"{trail.name}: {int(found.notna().sum()):,} of {len(found):,} rows labelled ({shown})")
    return "\n".join(lines)
