"""One analysis with the labels of many models: naive estimates beside those that gold labels correct, and whether they agree."""

from argparse import ArgumentParser, Namespace
from typing import Any

from dsl._typing import Record
from dsl.cli.calling import call
from dsl.cli.listed import Listed
from dsl.cli.options import add_analysis, add_data, add_outputs, call_arguments, call_record, read
from dsl.cli.write import check_files, deliver, records, summary_text
from dsl.exceptions import ArgumentError

HELP = "one analysis with the labels of many models"
EPILOG = """\
examples:
  dsl multiverse posts.csv "y ~ x" --predicted y --prediction gpt_y --prediction llama_y
  dsl multiverse posts.csv "y ~ x" --predicted y --prediction gpt_p --prediction llama_y --threshold 0.3 --threshold 0.7
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl multiverse``."""
    add_data(parser)
    add_analysis(parser)
    parser.add_argument(
        "--threshold",
        dest="thresholds",
        action=Listed,
        convert=float,
        metavar="T",
        help="score from which on a label is 1, for predictions that are scores",
    )
    group = add_outputs(
        parser, "a row for each coefficient and set of labels", "estimates, agreement, naive signs and conclusions"
    )
    group.add_argument("--summary", metavar="FILE", help="summary: .txt, .tex, .html")


def run(options: Namespace) -> None:
    """Read, fit, print, write."""
    check_files(options, [options.data, options.design])
    arguments = call_arguments(options)
    asked = _asked(options, arguments)
    table = read(options)
    from dsl.analyses.multiverse import multiverse

    found = call(multiverse, options.formula, table.data, {**arguments, **asked})
    facts = {"data": table.facts(), "call": call_record(options, {**arguments, **asked}), **_record(found)}
    more = {options.summary: summary_text(found.summary(), options.summary)}
    deliver(options, found.summary(), table=found.table, record=facts, more=more)


def _asked(options: Namespace, arguments: Record) -> Record:
    """Sets of labels: every prediction by itself."""
    predicted = arguments.pop("predicted_var")
    arguments.pop("prediction", None)
    if isinstance(predicted, dict) or len(predicted) > 1:
        raise ArgumentError(
            "one predicted variable has many sets of labels here: pass --predicted y, and --prediction for each of them"
        )
    predictions = {name: name for name in options.prediction or ()}
    return {
        "predicted_var": predicted,
        "predictions": predictions,
        "thresholds": options.thresholds,
        "alpha": options.alpha,
    }


def _record(found: Any) -> Record:
    """The numbers of a multiverse."""
    return {
        "alpha": found.alpha,
        "estimator": found.estimator,
        "table": records(found.table),
        "agreement": records(found.agreement.reset_index()),
        "sentences": found.sentences,
        "failed": found.failed,
    }
