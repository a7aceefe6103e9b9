"""Compare a model's labels with gold labels: agreement and calibration, by group, for the population that was drawn from."""

from argparse import ArgumentParser, Namespace

from dsl._typing import Record
from dsl.cli.listed import Listed
from dsl.cli.options import VARIABLES, add_data, add_draw, add_outputs, by_term, design_of, design_record, read
from dsl.cli.write import check_files, deliver, records
from dsl.exceptions import ArgumentError

ASKED = ("gold", "prediction", "by", "labeled", "sample_prob", "cluster", "metric", "bins", "alpha")
"""Arguments of `dsl.annotation.validate` that options give as they are."""
HELP = "agreement of labels with gold labels"
EPILOG = """\
examples:
  dsl validate labelled.csv --gold y --prediction llm --probability llm_positive --design design.npz
  dsl validate labelled.csv --gold y --prediction llm --probability yes=p1 --probability no=p0 --by party --out-csv agreement.csv
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl validate``."""
    add_data(parser)
    group = parser.add_argument_group(VARIABLES)
    group.add_argument("--gold", required=True, metavar="COL", help="gold labels, missing where there are none")
    group.add_argument("--prediction", required=True, metavar="COL", help="labels that the model gave")
    group.add_argument(
        "--probability",
        action=Listed,
        convert=by_term(str),
        metavar="[LABEL=]COL",
        help="probability of a label; without LABEL, of the one that the column's name ends with, or of 1",
    )
    group.add_argument("--by", action=Listed, metavar="COL", help="groups")
    add_draw(group)
    group.add_argument("--cluster", metavar="COL", help="rows that were drawn together")
    group.add_argument(
        "--metric", default="nominal", help="of Krippendorff's alpha: nominal, ordinal, interval (default: nominal)"
    )
    group.add_argument("--bins", type=int, default=10, help="intervals of probabilities (default: 10)")
    group.add_argument("--alpha", type=float, default=0.05, help="one minus the level of the intervals (default: 0.05)")
    add_outputs(parser, "a row for each group and measure", "measures and calibration")


def run(options: Namespace) -> None:
    """Read, compare, print, write."""
    check_files(options, [options.data, options.design])
    asked: Record = {name: getattr(options, name) for name in ASKED}
    asked["probability"] = _probability(options.probability)
    table = read(options)
    from dsl.annotation.validate import validate

    design = design_of(options)
    found = validate(table.data, design=design, **asked)
    facts = {
        "data": table.facts(),
        "call": {**asked, "design": design_record(options, design)},
        "n": found.n,
        "n_missing": found.n_missing,
        "table": records(found.table),
        "calibration": records(found.calibration),
    }
    deliver(options, found.summary(), table=found.table, record=facts)


def _probability(given: list[tuple[str | None, str]] | None) -> str | dict[str, str] | None:
    """One column, or the column of each label."""
    if given is None:
        return None
    if len(given) == 1 and given[0][0] is None:
        return given[0][1]
    named: dict[str, str] = {}
    for label, column in given:
        if label is None or label in named:
            raise ArgumentError(
                f"--probability {column}: name the label of each of several columns once, as in --probability yes={column}"
            )
        named[label] = column
    return named
