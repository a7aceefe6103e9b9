"""Put the coders' labels into the data, after checking every row."""

from argparse import ArgumentParser, Namespace

from dsl.cli.listed import Listed
from dsl.cli.options import FORMATS, add_codebook, add_data, codebook_of, read
from dsl.cli.write import STDOUT, check_outputs, csv_text, write_all
from dsl.data.recorded import SAMPLE_PROB, SAMPLE_UNIT

HELP = "put coders' labels into the data"
EPILOG = """\
examples:
  dsl collect posts.csv --design design.npz --coder coder.csv --label y --out labelled.csv
  dsl collect posts.csv --design design.npz --coder export.json --format label_studio --label y --out labelled.csv
  dsl collect posts.csv --design design.npz --coder ann.csv --coder bob.csv --label y --ties first --out labelled.csv
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl collect``."""
    add_data(parser)
    parser.add_argument("--design", required=True, metavar="FILE", help="the design that 'dsl sample' wrote")
    parser.add_argument("--coder", required=True, action=Listed, metavar="FILE", help="filled in; one for each coder")
    parser.add_argument("--label", default="gold", metavar="NAME", help="column that was filled in (default: gold)")
    add_reading(parser)
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help=f"CSV: the data with the labels, '{SAMPLE_PROB}' and perhaps '{SAMPLE_UNIT}'",
    )


def add_reading(parser: ArgumentParser) -> None:
    """How coders' files are read and put together."""
    add_codebook(parser)
    parser.add_argument("--format", help=f"of the coders' files: {FORMATS} (default: what their endings say)")
    parser.add_argument("--rule", default="majority", help="how several coders become one: majority, mean")
    parser.add_argument("--ties", default="raise", help="of a majority: raise, first (default: raise)")
    parser.add_argument("--coder-encoding", default="utf-8-sig", help="of the coders' CSV files (default: UTF-8)")


def run(options: Namespace) -> None:
    """Read, check, write."""
    from dsl.sampling import LabelDesign

    # before any file is read: a mistyped name should not cost minutes
    check_outputs({"--out": options.out}, [options.data, options.design, *options.coder])
    design = LabelDesign.load(options.design)
    table = read(options)
    # the design's rows, in its order: rows that were excluded from the draw are left out
    labelled = design.from_coder(
        options.coder,
        table.data,
        label=options.label,
        codebook=codebook_of(options.codebook),
        rule=options.rule,
        ties=options.ties,
        encoding=options.coder_encoding,
        format=options.format,
    ).loc[design.rows]
    write_all({options.out: csv_text(labelled)})
    if not options.quiet and options.out != STDOUT:
        print(f"{int(labelled[options.label].notna().sum())} of {len(labelled)} rows labelled")
