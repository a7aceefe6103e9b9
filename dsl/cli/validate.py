"""Compare a model's labels with gold labels: agreement and calibration, by group, for the population that was drawn from."""

from argparse import ArgumentParser, Namespace

from dsl._typing import Record
from dsl.cli.options import add_data, add_outputs, by_term, read
from dsl.cli.write import STDOUT, Writer, check_outputs, csv_text, json_text, provenance, records, write_all
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
    group = parser.add_argument_group("variables (columns of the data; repeat an option to name several)")
    group.add_argument("--gold", required=True, metavar="COL", help="gold labels, missing where there are none")
    group.add_argument("--prediction", required=True, metavar="COL", help="labels that the model gave")
    group.add_argument(
        "--probability",
        action="append",
        type=by_term(str),
        metavar="[LABEL=]COL",
        help="probability of a label; without LABEL, of the one that the column's name ends with, or of 1",
    )
    group.add_argument("--by", action="append", metavar="COL", help="groups")
    group.add_argument("--labeled", metavar="COL", help="1 on labelled rows (default: where gold is not missing)")
    group.add_argument("--sample-prob", metavar="COL", help="probability of being labelled (default: all the same)")
    group.add_argument("--design", metavar="FILE", help="design that 'dsl sample' wrote, instead of these two")
    group.add_argument("--cluster", metavar="COL", help="rows that were drawn together")
    group.add_argument(
        "--metric", default="nominal", help="of Krippendorff's alpha: nominal, ordinal, interval (default: nominal)"
    )
    group.add_argument("--bins", type=int, default=10, help="intervals of probabilities (default: 10)")
    group.add_argument("--alpha", type=float, default=0.05, help="one minus the level of the intervals (default: 0.05)")
    add_outputs(parser, "a row for each group and measure", "measures and calibration")


def run(options: Namespace) -> None:
    """Read, compare, print, write."""
    check_outputs({"--out-csv": options.out_csv, "--json": options.json}, [options.data, options.design])
    asked: Record = {name: getattr(options, name) for name in ASKED}
    asked["probability"] = _probability(options.probability)
    table = read(options)
    from dsl.annotation.validate import validate

    design = None
    if options.design is not None:
        from dsl.sampling import LabelDesign

        design = LabelDesign.load(options.design)
    found = validate(table.data, design=design, **asked)
    contents: dict[str, str | Writer] = {}
    if options.json:
        used = None if design is None else {"path": options.design, "fingerprint": design.fingerprint}
        record = {
            **provenance(options),
            "data": table.facts(),
            "call": {**asked, "design": used},
            "n": found.n,
            "n_missing": found.n_missing,
            "table": records(found.table),
            "calibration": records(found.calibration),
            "warnings": options.warnings,
        }
        contents[options.json] = json_text(record)
    if options.out_csv:
        contents[options.out_csv] = csv_text(found.table)
    write_all(contents)
    if not options.quiet and STDOUT not in contents:
        print(found.summary())


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
