"""Draw the rows to label, with known probabilities, and write the coders' file."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from dsl._typing import Record
from dsl.cli.blocks import add_memory, check_blocks, reads_in_blocks
from dsl.cli.listed import Listed
from dsl.cli.options import add_coder_file, add_data, codebook_of, read
from dsl.cli.write import STDOUT, Writer, check_outputs, csv_text, json_text, provenance, write_all
from dsl.data.design import SamplingDesign
from dsl.data.files import resolved
from dsl.data.recorded import SAMPLE_PROB, SAMPLE_UNIT, columns_of
from dsl.data.source import Source, source_at
from dsl.exceptions import ArgumentError

if TYPE_CHECKING:
    from dsl.sampling.coding.files import Request

HELP = "draw rows to label"
EPILOG = """\
methods and what they need:
  srs         --n-labels N                        exactly N rows, all alike
  bernoulli   --n-labels N or --prob P|COL        each row on its own
  stratified  --n-labels N --by COL               within strata (--allocation proportional, equal, neyman with --spread COL)
  pps         --n-labels N --measure COL          in proportion to a measure (--floor P)
  cluster     --n-clusters N --by COL             whole clusters
  two_stage   --n-clusters N --per-cluster M --by COL

examples:
  dsl sample posts.csv --n-labels 500 --columns text --label y --codebook 0 1 --design design.npz --coder coder.csv
  dsl sample posts.csv --method stratified --n-labels 500 --by source --by year --design design.npz
  dsl sample posts.csv --n-labels 500 --columns text --label y --codebook 0=no 1=yes --format label_studio \\
      --design design.npz --coder tasks.json
  dsl sample posts.csv --method pps --n-labels 500 --measure words --floor 0.01 --out drawn.csv
"""
METHODS = {
    "srs": ("simple_random", ("n_labels",), ()),
    "bernoulli": ("bernoulli", (), ("n_labels", "prob")),
    "stratified": ("stratified", ("n_labels", "by"), ("allocation", "spread")),
    "pps": ("proportional_to_size", ("n_labels", "measure"), ("floor",)),
    "cluster": ("clustered", ("n_clusters", "by"), ()),
    "two_stage": ("two_stage", ("n_clusters", "per_cluster", "by"), ()),
}
"""The function of `dsl.sampling` behind each method, and the options that it needs and may have."""
EVERY = ("n_labels", "by", "n_clusters", "per_cluster", "prob", "measure", "floor", "allocation", "spread")
DRAWN = "drawn"


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl sample``."""
    add_data(parser)
    add_memory(parser)
    group = parser.add_argument_group("design")
    group.add_argument("--method", default="srs", choices=tuple(METHODS), help="default: srs")
    group.add_argument("--n-labels", type=int, metavar="N", help="rows to label")
    group.add_argument("--by", action=Listed, metavar="COL", help="strata or clusters")
    group.add_argument("--n-clusters", type=int, metavar="N", help="clusters to draw")
    group.add_argument("--per-cluster", type=int, metavar="M", help="rows to draw in each")
    group.add_argument("--prob", metavar="P", help="probability of each row: a number or a column")
    group.add_argument("--measure", metavar="COL", help="measure of size")
    group.add_argument("--floor", type=float, metavar="P", help="smallest probability")
    group.add_argument("--allocation", help="proportional, equal, neyman (default: proportional)")
    group.add_argument("--spread", metavar="COL", help="expected standard deviation, for neyman")
    group.add_argument("--exclude", metavar="COL", help="1 on rows that are no part of the population")
    group.add_argument("--seed", type=int, default=1234, help="default: 1234")
    group = add_coder_file(parser, required=False)
    group.add_argument("--label", default="gold", metavar="NAME", help="column to fill in (default: gold)")
    group = parser.add_argument_group("output (replaced in one step when all is done)")
    group.add_argument("--design", metavar="FILE", help="the design, for 'dsl collect' and 'dsl fit --design'")
    group.add_argument(
        "--out",
        metavar="FILE",
        help=f"CSV: the rows of the population with '{SAMPLE_PROB}', '{DRAWN}' and, for clusters, '{SAMPLE_UNIT}' added",
    )
    group.add_argument("--json", metavar="FILE", help="how it was drawn, versions, hash of the data")


def run(options: Namespace) -> None:
    """Draw, write, say what was drawn."""
    outputs = {f"--{name}": getattr(options, name) for name in ("coder", "design", "out", "json")}
    check_outputs(outputs, [options.data])
    if not any(outputs.values()):
        raise ArgumentError("name a file for the draw: --design design.npz, --coder coder.csv, or --out drawn.csv")
    if STDOUT in (options.coder, options.design):
        raise ArgumentError("--coder and --design need file names: stdout ('-') takes --out or --json")
    blocks = reads_in_blocks(options.data, options.memory)
    # positions shift when rows are left out, so that `dsl collect` could not match them
    if options.exclude is not None and options.row_id is None and not blocks:
        raise ArgumentError(
            "--exclude needs --id, the column that tells rows apart: the order of those that stay changes"
        )
    data, facts = _data(options, blocks)
    from dsl import sampling

    function, given = drawing(options, data.names if isinstance(data, Source) else list(data.columns))
    design: sampling.LabelDesign = getattr(sampling, function)(data, **given)
    contents: dict[str, str | Writer] = _coder(options, design, data) if options.coder else {}
    fresh = list(contents)
    if options.design:
        contents[options.design] = design.save
    if options.out and isinstance(data, pd.DataFrame):
        contents[options.out] = csv_text(_with_draw(design, data))
    if options.json:
        drawn = {"kind": design.kind, "drawn": design.n_drawn, "rows": len(design), "fingerprint": design.fingerprint}
        record = {"design": {**drawn, "settings": design.settings}, "warnings": options.warnings}
        contents[options.json] = json_text({**provenance(options), "data": facts, **record})
    write_all(contents, fresh=fresh)
    if not options.quiet and STDOUT not in contents:
        print(design)


def _data(options: Namespace, blocks: bool) -> tuple[pd.DataFrame | Source, Record]:
    """The table, or what is read in blocks, and what the JSON file says of it."""
    if not blocks:
        table = read(options)
        return table.data, table.facts()
    check_blocks(options, ["out"])
    source = source_at(options.data)
    return source, {"path": options.data, "read": "in blocks", "rows": source.count()}


def drawing(options: Namespace, columns: Sequence[str]) -> tuple[str, Record]:
    """The function of `dsl.sampling` that the options ask for, and its arguments besides the data, which have these columns."""
    function, needed, optional = METHODS[options.method]
    # only what was given, so that defaults are those of the functions
    given = {name: getattr(options, name) for name in EVERY if getattr(options, name) is not None}
    lacking = [name for name in needed if name not in given]
    extra = [name for name in given if name not in (*needed, *optional)]
    if lacking or extra:
        name = (lacking or extra)[0].replace("_", "-")
        raise ArgumentError(
            f"--method {options.method} {'needs' if lacking else 'takes no'} --{name}; see dsl sample --help"
        )
    if "prob" in given:
        given["prob"] = _number_or_column(given["prob"], columns)
    return function, {**given, "exclude": options.exclude, "seed": options.seed}


def _number_or_column(text: str, columns: Sequence[str]) -> float | str:
    # a column of that name goes before a number
    if text in columns:
        return text
    try:
        return float(text)
    except ValueError:
        return text


def _coder(options: Namespace, design: SamplingDesign, data: pd.DataFrame | Source) -> dict[str, str | Writer]:
    """What writes the coder's file, and what a tool takes beside it."""
    if not options.columns:
        raise ArgumentError("--coder needs --columns, what the coder sees, e.g. --columns text")
    from dsl.sampling.coding.files import coder_request

    request = coder_request(
        design,
        options.coder,
        data,
        columns=options.columns,
        label=options.label,
        codebook=codebook_of(options.codebook),
        seed=options.seed,
        format=options.format,
        show_predictions=options.show_predictions,
    )
    return coder_contents(request, options.coder, [options.design, options.out, options.json])


def coder_contents(request: "Request", coder: str, others: Sequence[str | None]) -> dict[str, str | Writer]:
    """Files of a request to write, by path: the coder's as it was named, and none that is another output."""
    own, *beside = request.drafts.items()
    taken = {resolved(path) for path in others if path not in (None, STDOUT)}
    for path, _ in beside:
        if resolved(path) in taken:
            raise ArgumentError(f"'{path}' is written beside --coder; choose another name for the other output")
    return {coder: own[1], **{str(path): write for path, write in beside}}


def _with_draw(design: SamplingDesign, data: pd.DataFrame) -> pd.DataFrame:
    added = columns_of(design, design.rows)
    added.insert(1, DRAWN, design.drawn.astype(int))
    taken = [name for name in added if name in data.columns]
    if taken:
        raise ArgumentError(f"the data have a column '{taken[0]}', which --out would add; rename it")
    # the rows of the population alone: excluded ones have no probability
    return data.loc[design.rows].assign(**{str(name): added[name] for name in added})
