"""Shares of categories in every group and period, repaired with the gold labels of a random subsample."""

from argparse import ArgumentParser, Namespace

from dsl._typing import Record
from dsl.cli.blocks import add_memory, check_blocks, reads_in_blocks
from dsl.cli.listed import Listed
from dsl.cli.options import (
    VARIABLES,
    add_data,
    add_draw,
    add_estimator,
    add_inference,
    add_learning,
    add_outputs,
    design_of,
    design_record,
    one_or_list,
    read,
)
from dsl.cli.write import Writer, check_files, deliver, records, save_plot

HELP = "shares of categories by group and time"
EPILOG = """\
examples:
  dsl proportions posts.csv --gold y --prediction llm_y --by party
  dsl proportions posts.csv --gold topic --prediction llm_topic --time year --by party,source --target finite \\
      --out-csv shares.csv --plot shares.pdf
"""
GIVEN = (
    *("gold", "time", "labeled", "sample_prob", "weights", "text", "refusals", "estimator", "tune", "target", "alpha"),
    *("interval", "empty", "cross_fit", "sample_split", "seed", "vcov", "use_t", "n_jobs", "progress", "cluster"),
    "memory",
)
"""Arguments of `dsl.proportions` that options give as they are."""
LISTS = ("prediction", "by", "feature", "sl_method")


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl proportions``."""
    add_data(parser)
    add_memory(parser)
    group = parser.add_argument_group(VARIABLES)
    group.add_argument("--gold", required=True, metavar="COL", help="gold labels, missing where there are none")
    group.add_argument("--prediction", action=Listed, metavar="COL", help="surrogate labels, on every row")
    group.add_argument("--by", action=Listed, metavar="COL", help="groups")
    group.add_argument("--time", metavar="COL", help="periods: years, months, waves")
    add_draw(group)
    group.add_argument("--cluster", metavar="COL", help="clusters of the standard errors and folds")
    group.add_argument("--weights", metavar="COL", help="what each row counts for, as survey weights do")
    group.add_argument("--feature", action=Listed, metavar="COL", help="further column for the learner")
    group.add_argument("--text", metavar="COL", help="texts for a learner that reads them (--sl-method tfidf, auto)")
    group.add_argument(
        "--refusals", default="raise", help="missing predictions and features: raise, or indicator (default: raise)"
    )
    group = parser.add_argument_group("analysis")
    add_estimator(group)
    add_inference(group)
    group.add_argument("--interval", default="logit", help="logit, normal (default: logit)")
    group.add_argument("--empty", default="raise", help="cells without labels: raise, blank (default: raise)")
    add_learning(parser)
    outputs = add_outputs(parser, "a row for each share", "shares, their covariance, call")
    outputs.add_argument("--plot", metavar="FILE", help="shares: .png, .pdf, .svg (needs matplotlib)")


def run(options: Namespace) -> None:
    """Read, estimate, print, write."""
    check_files(options, [options.data, options.design])
    asked: Record = {name: getattr(options, name) for name in GIVEN}
    asked |= {name: one_or_list(getattr(options, name)) for name in LISTS}
    asked["sl_method"] = asked["sl_method"] or "auto"
    design = design_of(options)
    blocks = reads_in_blocks(options.data, options.memory)
    if blocks:
        check_blocks(options, [])
    table = None if blocks else read(options)
    from dsl.analyses.proportions import proportions

    found = proportions(options.data if table is None else table.data, design=design, **asked)
    called = {name: value for name, value in asked.items() if name not in ("n_jobs", "progress", "memory")}
    in_blocks = {"path": options.data, "read": "in blocks", "rows": found.fit.core.sample.n_input}
    facts = {
        "data": in_blocks if table is None else table.facts(),
        "call": {**called, "design": design_record(options, design)},
        "nobs": found.fit.nobs,
        "n_labeled": found.fit.n_labeled,
        "table": records(found.table),
        "cov": found.vcov,
    }
    more: dict[str | None, str | Writer] = {}
    if options.plot:
        # drawn when it is written, and only then
        more[options.plot] = lambda draft: save_plot(found.plot(), draft)
    shown = f"{found!r}\n{found.table.to_string(index=False, float_format='{:.4g}'.format)}"
    deliver(options, shown, table=found.table, record=facts, more=more)
