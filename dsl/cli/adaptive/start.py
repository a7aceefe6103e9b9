"""Begin an adaptive design: check the data and the formula, draw the first batch, write its coder's file."""

import argparse
from argparse import ArgumentParser, Namespace
from pathlib import Path

from dsl._typing import Record
from dsl.cli.adaptive.state import add_log, status_line
from dsl.cli.calling import call
from dsl.cli.listed import Listed
from dsl.cli.options import (
    add_coder_file,
    add_data,
    add_roles,
    by_term,
    codebook_of,
    one_or_list,
    one_or_mapping,
    predicted_of,
    read,
)
from dsl.cli.sample import coder_contents
from dsl.cli.write import Writer, check_outputs, write_all
from dsl.exceptions import ArgumentError

HELP = "begin, and write the first coder's file"
EPILOG = """\
examples:
  dsl adaptive start posts.csv "y ~ x" --predicted y --prediction llm_y --confidence llm_confidence --n-labels 1000 \\
      --batches 4 --coefficient x --log study.log --columns text --codebook 0=no 1=yes --coder batch-1.csv
  dsl adaptive start posts.csv "y ~ x" --predicted y --prediction llm_y --n-labels 1000 --se x=0.05 --log study.log \\
      --columns text --codebook 0=no 1=yes --coder batch-1.json --format label_studio
"""
GIVEN = (
    *("model", "family", "refusals", "text", "n_labels", "batches", "batch_size", "burn_in", "criterion"),
    *("cross_fit", "tau", "floor", "robust", "seed"),
)
"""Arguments of `dsl.AdaptiveDesign` that options give as they are, where they are given."""
LISTS = ("prediction", "feature", "confidence", "coefficient", "sl_method", "error_model", "cluster")


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl adaptive start``."""
    add_data(parser)
    group = add_roles(parser)
    group.add_argument(
        "--confidence", action=Listed, metavar="COL", help="column that may tell where predictions are wrong"
    )
    add_log(parser)
    group = parser.add_argument_group("design")
    group.add_argument("--n-labels", type=int, required=True, metavar="N", help="labels in all")
    group.add_argument("--batches", type=int, metavar="B", help="number of batches, the first among them (default: 4)")
    group.add_argument("--batch-size", type=int, metavar="N", help="rows of each batch after the first, instead")
    group.add_argument("--burn-in", type=int, metavar="N", help="rows of the first batch, a simple random sample")
    group.add_argument(
        "--coefficient",
        action=Listed,
        metavar="NAME",
        help="coefficient to make precise (default: all)",
    )
    group.add_argument("--criterion", help="of several coefficients: worst, mean (default: worst)")
    group.add_argument(
        "--se", action=Listed, convert=by_term(), metavar="NAME=SE", help="stop once this standard error is reached"
    )
    group.add_argument("--tau", type=float, metavar="SHARE", help="share of the design that is even")
    group.add_argument("--floor", type=float, metavar="SHARE", help="smallest probability, as a share of the mean one")
    group.add_argument(
        "--robust",
        action=argparse.BooleanOptionalAction,
        help="trust the error model as far as labels advise (default: yes)",
    )
    group.add_argument("--seed", type=int, default=1234, help="default: 1234")
    group = parser.add_argument_group("analysis and learning")
    group.add_argument(
        "--model",
        default="lm",
        help="lm, logit, felm, poisson, probit, cloglog, gamma, multinom, ologit, oprobit, negbin, iv (default: lm)",
    )
    group.add_argument("--family", default="gaussian", help="gaussian, or binomial: predictions within [0, 1]")
    group.add_argument(
        "--sl-method", action=Listed, metavar="NAME", help="learner; several are stacked (default: auto)"
    )
    group.add_argument("--error-model", action=Listed, metavar="NAME", help="learner of the predictions' errors")
    group.add_argument("--folds", "--cross-fit", dest="cross_fit", type=int, default=5, metavar="K", help="default: 5")
    add_label(add_coder_file(parser, required=True))


def add_label(group: argparse._ArgumentGroup) -> None:
    """The label of a coder's file."""
    group.add_argument(
        "--label", metavar="NAME", help="column to fill in (default: the predicted variable; of several, which one)"
    )


def run(options: Namespace) -> None:
    """Check, draw, write the log and the coder's file."""
    check_outputs({"--log": options.log, "--coder": options.coder}, [options.data])
    if Path(options.log).exists():
        raise ArgumentError(
            f"--log '{options.log}' is there already: go on with it ('dsl adaptive next'), or name another file"
        )
    table = read(options)
    from dsl.sampling.adaptive import AdaptiveDesign
    from dsl.sampling.adaptive.coders import batch_request

    arguments = _arguments(options)
    # without a log at first: a coder's file that cannot be written leaves none behind
    design: AdaptiveDesign = call(AdaptiveDesign, options.formula, table.data, arguments)
    contents = coder_contents(batch_request(design, **file_arguments(options)), options.coder, [options.log])

    def write_log(draft: Path) -> None:
        # the draft's place is taken, and a log replaces no file. The same arguments draw the same batch
        draft.unlink()
        call(AdaptiveDesign, options.formula, table.data, {**arguments, "log": draft}).next_batch()

    every: dict[str, str | Writer] = {options.log: write_log, **contents}
    write_all(every, fresh=list(every))
    if not options.quiet:
        print(status_line(design))


def _arguments(options: Namespace) -> Record:
    """Arguments of `dsl.AdaptiveDesign` besides formula and data."""
    # only what was given, so that defaults are those of the design
    out = {name: value for name in GIVEN if (value := getattr(options, name)) is not None}
    out |= {name: one_or_list(value) for name in LISTS if (value := getattr(options, name)) is not None}
    out["predicted_var"] = predicted_of(options.predicted_var)
    if options.se is not None:
        out["se"] = one_or_mapping(options.se, "--se")
    if options.codebook is not None:
        codebook = codebook_of(options.codebook)
        # of several predicted variables, the file's alone
        out["codebook"] = codebook if options.label not in out["predicted_var"] else {options.label: codebook}
    return out


def file_arguments(options: Namespace) -> Record:
    """Arguments of `AdaptiveDesign.to_coder`."""
    return {
        "path": options.coder,
        "columns": options.columns,
        "label": options.label,
        "codebook": codebook_of(options.codebook),
        "seed": options.seed,
        "format": options.format,
        "show_predictions": options.show_predictions,
    }
