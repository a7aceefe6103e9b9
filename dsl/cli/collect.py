"""Put the coders' labels into the data, after checking every row."""

from argparse import ArgumentParser, Namespace

from dsl.cli.blocks import add_memory, check_blocks, reads_in_blocks
from dsl.cli.listed import Listed
from dsl.cli.options import FORMATS, add_codebook, add_data, codebook_of, read
from dsl.cli.write import STDOUT, Writer, check_ending, check_outputs, csv_text, write_all
from dsl.data.recorded import SAMPLE_PROB, SAMPLE_UNIT
from dsl.data.source import source_at

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
        help=f"CSV (Parquet of data that are read in blocks): the data with the labels, '{SAMPLE_PROB}' and perhaps "
        f"'{SAMPLE_UNIT}'",
    )
    add_memory(parser)


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
    blocks = reads_in_blocks(options.data, options.memory)
    if blocks:
        check_blocks(options, [])
        check_ending("--out", options.out, (".parquet",))
    design = LabelDesign.load(options.design)
    given = {
        "label": options.label,
        "codebook": codebook_of(options.codebook),
        "rule": options.rule,
        "ties": options.ties,
        "encoding": options.coder_encoding,
        "format": options.format,
    }
    content: str | Writer
    if blocks:
        coded = design.from_coder(options.coder, source_at(options.data), **given)
        content, rows, labelled = coded.write, coded.count(), coded.n_labeled
    else:
        # the design's rows, in its order: rows that were excluded from the draw are left out
        table = design.from_coder(options.coder, read(options).data, **given).loc[design.rows]
        content, rows, labelled = csv_text(table), len(table), int(table[options.label].notna().sum())
    write_all({options.out: content})
    if not options.quiet and options.out != STDOUT:
        print(f"{labelled} of {rows} rows labelled")
