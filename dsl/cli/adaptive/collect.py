"""Read the coders' files of a batch, check every row, and record the labels in the log."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from dsl.cli.adaptive.state import add_state, resume, status_line
from dsl.cli.collect import add_reading
from dsl.cli.listed import Listed
from dsl.cli.options import codebook_of
from dsl.exceptions import ArgumentError

if TYPE_CHECKING:
    from dsl.sampling.adaptive.coders import Paths

HELP = "record the labels of a batch"
EPILOG = """\
examples:
  dsl adaptive collect posts.csv --log study.log --coder batch-1.csv
  dsl adaptive collect posts.csv --log study.log --coder export.json --format label_studio
  dsl adaptive collect posts.csv --log study.log --coder ann.csv --coder bob.csv --ties first
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl adaptive collect``."""
    add_state(parser)
    parser.add_argument(
        "--coder",
        required=True,
        action=Listed,
        metavar="[VARIABLE=]FILE",
        help="filled in; one for each coder, of several predicted variables each its own",
    )
    parser.add_argument("--label", metavar="NAME", help="column that was filled in (default: the predicted variable)")
    add_reading(parser)


def run(options: Namespace) -> None:
    """Read, check, record."""
    design, _ = resume(options)
    before = design.status().batch
    design.from_coder(
        _files(options.coder, design.settings.predicted),
        label=options.label,
        codebook=codebook_of(options.codebook),
        rule=options.rule,
        ties=options.ties,
        encoding=options.coder_encoding,
        format=options.format,
    )
    if not options.quiet:
        again = "" if design.status().batch > before else "these labels were recorded already; "
        print(again + status_line(design))


def _files(given: list[str], predicted: tuple[str, ...]) -> "Paths | dict[str, Paths]":
    """Files of one predicted variable, or of each."""
    if len(predicted) == 1:
        return list(given)
    out: dict[str, list[str]] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or name not in predicted:
            raise ArgumentError(
                f"--coder {text}: each predicted variable has files of its own; name it, as in --coder {predicted[0]}={text}"
            )
        out.setdefault(name, []).append(path)
    return {name: list(paths) for name, paths in out.items()}
