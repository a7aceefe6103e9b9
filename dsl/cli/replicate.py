"""Make the fit of a replication archive again, and say which numbers differ, and by how much."""

from argparse import ArgumentParser, Namespace

from dsl.cli.options import add_data, add_outputs, read
from dsl.cli.write import check_files, deliver, records
from dsl.exceptions import ArgumentError

SAME, DIFFERENT = 0, 1
"""Exit codes."""
HELP = "make an archived fit again, and compare"
EPILOG = """\
An archive comes from 'dsl fit --archive', or fit.archive() in Python. It is read as data, and nothing in it is run.

examples:
  dsl replicate replication.zip posts.csv
  dsl replicate replication.zip                 (an archive that has the data)
  dsl replicate replication.zip posts.csv --id post_id --json replication.json

exit codes: 0 the same data and numbers; 1 some differ; 2 the archive or the data cannot be used.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl replicate``."""
    parser.add_argument("path", metavar="archive", help="replication archive (.zip)")
    add_data(parser, optional=True)
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-8,
        help="difference that counts as none, in standard errors (default: 1e-8)",
    )
    parser.add_argument("--jobs", "--n-jobs", dest="n_jobs", type=int, default=1, metavar="J", help="parallel fits")
    add_outputs(parser, "a row for each number: archived, now, difference", "the same, columns, versions, folds")


def run(options: Namespace) -> int:
    """Read, fit, compare, print, write."""
    check_files(options, [options.path, options.data])
    if options.data is None:
        _check_nothing_to_read(options)
    table = None if options.data is None else read(options)
    from dsl.analyses.replicate import replicate

    found = replicate(
        options.path, None if table is None else table.data, tolerance=options.tolerance, n_jobs=options.n_jobs
    )
    facts = {
        "archive": options.path,
        "data": None if table is None else table.facts(),
        "same": found.same,
        "same_data": found.same_data,
        "same_folds": found.same_folds,
        "tolerance": found.tolerance,
        "read_as": dict(found.read_as),
        "columns": records(found.columns.reset_index()),
        "versions": records(found.versions.rename_axis("name").reset_index()),
        "table": records(found.table),
    }
    deliver(options, found.summary(), table=found.table, record=facts)
    return SAME if found.same else DIFFERENT


def _check_nothing_to_read(options: Namespace) -> None:
    """Raise ArgumentError for options of a file that was not named."""
    names = ("sep", "na", "value_labels", "sheet", "data_format", "row_id")
    given = [name for name in names if getattr(options, name) is not None]
    if given:
        option = {"row_id": "--id"}.get(given[0], f"--{given[0].replace('_', '-')}")
        raise ArgumentError(f"{option} says how to read the data: name their file")
