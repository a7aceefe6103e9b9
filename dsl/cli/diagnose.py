"""Fit a regression, and check what it rests on: surrogates, weights, labels, stability, the model."""

from argparse import ArgumentParser, Namespace

from dsl.cli.calling import call
from dsl.cli.listed import Listed
from dsl.cli.options import add_analysis, add_data, add_outputs, call_arguments, call_record, read
from dsl.cli.write import check_files, deliver, records

HELP = "check what a fit rests on"
EPILOG = """\
examples:
  dsl diagnose posts.csv "y ~ x" --predicted y --prediction llm_y
  dsl diagnose posts.csv "y ~ x" --predicted y --prediction llm_y --by party,source --json checks.json
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl diagnose``."""
    add_data(parser)
    add_analysis(parser)
    parser.add_argument(
        "--by", action=Listed, metavar="COL", help="further columns across which errors of surrogates are compared"
    )
    add_outputs(parser, "a row for each check", "checks, the tables behind them, what was skipped and why")


def run(options: Namespace) -> None:
    """Read, fit, check, print, write."""
    check_files(options, [options.data, options.design])
    arguments = call_arguments(options)
    table = read(options)
    from dsl.analyses.regression import dsl

    fit = call(dsl, options.formula, table.data, arguments)
    found = fit.diagnostics(table.data, by=options.by)
    facts = {
        "data": table.facts(),
        "call": {**call_record(options, arguments), "by": options.by},
        "checks": records(found.checks),
        "details": {name: records(each) for name, each in found.details.items()},
        "skipped": found.skipped,
    }
    deliver(options, found, table=found.checks, record=facts)
