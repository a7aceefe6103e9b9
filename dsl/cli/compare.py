"""Estimators side by side on the same rows, and what taking surrogates for the truth would have got wrong."""

from argparse import ArgumentParser, Namespace
from typing import Any

from dsl._typing import Record
from dsl.cli.calling import call
from dsl.cli.fit import fit_record
from dsl.cli.listed import Listed
from dsl.cli.options import add_analysis, add_data, add_outputs, add_scales, call_arguments, call_record, read
from dsl.cli.write import Writer, check_files, deliver, records, summary_text

HELP = "compare estimators"
EPILOG = """\
examples:
  dsl compare posts.csv "y ~ x" --predicted y --prediction llm_y
  dsl compare posts.csv "y ~ x" --predicted y --prediction llm_y --estimators naive gold_only dsl ppi++ --table table.docx
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl compare``."""
    add_data(parser)
    add_analysis(parser, estimator=False)
    parser.add_argument(
        "--estimators",
        action=Listed,
        nargs="+",
        metavar="NAME",
        help="naive, gold_only, dsl, tuned, dsl+, ppi, ppi++, cdi (default: naive gold_only dsl dsl+)",
    )
    parser.add_argument(
        "--reference", metavar="NAME", help="the estimator that the naive one is judged by (default: dsl)"
    )
    group = add_outputs(
        parser,
        "a row for each coefficient and estimator",
        "coefficients, bias of the naive estimate, Hausman test, conclusions, fits",
    )
    add_scales(group, "printed, in --out-csv, --json, --table")
    group.add_argument("--table", metavar="FILE", help="regression table: .txt, .md, .tex, .html, .docx")
    group.add_argument("--summary", metavar="FILE", help="summary: .txt, .tex, .html")


def run(options: Namespace) -> None:
    """Read, fit, print, write."""
    check_files(options, [options.data, options.design])
    arguments = call_arguments(options)
    table = read(options)
    from dsl.analyses.compare import compare

    asked = {"estimators": options.estimators, "reference": options.reference, "alpha": options.alpha}
    scales = {"exponentiate": options.exponentiate, "margins": options.margins}
    found = call(compare, options.formula, table.data, {**arguments, **asked, **scales})
    more: dict[str | None, str | Writer] = {options.summary: summary_text(found.summary(), options.summary)}
    if options.table:
        from dsl.reports.tables import table as regression_table

        more[options.table] = regression_table(found.fits, alpha=options.alpha, **scales).save
    facts = {"data": table.facts(), "call": call_record(options, arguments), **_record(found)}
    deliver(options, found.summary(), table=found.table, record=facts, more=more)


def _record(found: Any) -> Record:
    """The numbers of a comparison."""
    hausman = found.hausman
    return {
        "alpha": found.alpha,
        "reference": found.reference,
        "table": records(found.table),
        "scale": found.scale,
        "margins": records(found.margins),
        # a comparison without the naive estimate has neither bias nor test nor conclusions
        "bias": records(None if found.bias is None else found.bias.reset_index()),
        "hausman": None if hausman is None else {n: getattr(hausman, n) for n in ("statistic", "df", "p_value")},
        "conclusions": records(None if found.conclusions is None else found.conclusions.reset_index()),
        "fits": {name: fit_record(fit, fit.tidy(alpha=found.alpha)) for name, fit in found.fits.items()},
        "failed": found.failed,
        "notes": found.notes,
    }
