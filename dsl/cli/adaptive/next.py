"""Draw the next batch, if none waits for labels, and write its coder's file."""

from argparse import ArgumentParser, Namespace

from dsl.cli.adaptive.start import add_label, file_arguments
from dsl.cli.adaptive.state import add_state, resume, status_line
from dsl.cli.options import add_coder_file
from dsl.cli.sample import coder_contents
from dsl.cli.write import check_outputs, write_all
from dsl.exceptions import ArgumentError

HELP = "write the next coder's file"
EPILOG = """\
examples:
  dsl adaptive next posts.csv --log study.log --columns text --coder batch-2.csv
  dsl adaptive next posts.csv --log study.log --columns text --coder batch-2-bob.csv   (the same batch, for a second coder)
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl adaptive next``."""
    add_state(parser)
    group = add_coder_file(parser, required=True)
    add_label(group)
    group.add_argument("--seed", type=int, default=1234, help="of the order of rows (default: 1234)")


def run(options: Namespace) -> None:
    """Draw, write."""
    check_outputs({"--coder": options.coder}, [options.data, options.log])
    design, _ = resume(options)
    if design.done:
        raise ArgumentError(f"the design is done: {status_line(design)}. See 'dsl adaptive estimate'")
    from dsl.sampling.adaptive.coders import batch_request

    contents = coder_contents(batch_request(design, **file_arguments(options)), options.coder, [])
    write_all(contents, fresh=list(contents))
    if not options.quiet:
        print(status_line(design))
