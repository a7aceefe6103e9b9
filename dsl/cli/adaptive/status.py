"""Say how far a design has come, batch by batch."""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from dsl.cli.adaptive.state import add_state, resume, status_line
from dsl.cli.write import STDOUT, check_outputs, json_text, provenance, records, write_all

HELP = "say how far it has come"
EPILOG = """\
examples:
  dsl adaptive status posts.csv --log study.log
  dsl adaptive status posts.csv --log study.log --json - | jq .status.waiting
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl adaptive status``."""
    add_state(parser)
    parser.add_argument("--json", metavar="FILE", help="status, settings, one entry for each batch ('-': stdout)")


def run(options: Namespace) -> None:
    """Read, print."""
    check_outputs({"--json": options.json}, [options.data, options.log])
    design, table = resume(options)
    history = design.history
    if options.json:
        facts = {"status": asdict(design.status()), "settings": design.settings.record()}
        batches = {"batches": records(history.reset_index()), "warnings": options.warnings}
        write_all({options.json: json_text({**provenance(options), "data": table.facts(), **facts, **batches})})
    if not options.quiet and options.json != STDOUT:
        print(status_line(design))
        print(history.drop(columns=[] if history["note"].any() else "note").to_string(float_format="{:.4g}".format))
