"""Standard errors, detectable effects and costs at other numbers of expert labels.

From data with some labels or, with --accuracy or --rmse, before anything is labelled.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from dsl._typing import Record
from dsl.cli.calling import call
from dsl.cli.listed import Listed
from dsl.cli.options import (
    add_analysis,
    add_data,
    add_outputs,
    by_term,
    call_arguments,
    call_record,
    one_or_mapping,
    read,
)
from dsl.cli.write import Writer, check_files, deliver, records, save_plot
from dsl.exceptions import ArgumentError

HELP = "how many labels are needed"
EPILOG = """\
examples:
  dsl power pilot.csv "y ~ x" --predicted y --prediction llm_y --n-labels 500,1000,2000
  dsl power pilot.csv "y ~ x" --predicted y --prediction llm_y --se x=0.05
  dsl power pilot.csv "y ~ x" --predicted y --prediction llm_y --effect x=0.2 --power 0.9 --expert-price 1.5
  dsl power unlabelled.csv "y ~ x" --predicted y --prediction llm_y --accuracy 0.85 --n-labels 500
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl power``."""
    add_data(parser)
    add_analysis(parser)
    group = parser.add_argument_group("power")
    group.add_argument(
        "--n-labels",
        "--labeled-size",
        dest="labeled_size",
        action=Listed,
        nargs="+",
        convert=int,
        metavar="N",
        help="numbers of labelled rows",
    )
    group.add_argument("--nobs", type=int, help="rows of the planned study, if not those of the data")
    group.add_argument("--drawn", default="rows", help="rows or clusters: what is drawn for labelling (default: rows)")
    group.add_argument(
        "--accuracy", action=Listed, convert=by_term(), metavar="[VAR=]A", help="assumed, nothing labelled yet"
    )
    group.add_argument("--rmse", action=Listed, convert=by_term(), metavar="[VAR=]E", help="the same for numbers")
    group.add_argument("--replications", type=int, default=20, help="with --accuracy or --rmse (default: 20)")
    group.add_argument("--se", action=Listed, convert=by_term(), metavar="[TERM=]SE", help="standard error to reach")
    group.add_argument("--effect", action=Listed, convert=by_term(), metavar="[TERM=]B", help="coefficient to find")
    group.add_argument("--power", type=float, default=0.8, help="probability of finding it (default: 0.8)")
    group.add_argument("--expert-price", type=float, help="of one expert label: costs are shown")
    group.add_argument("--llm-price", type=float, default=0.0, help="of one row's surrogates (default: 0)")
    group = add_outputs(parser, "predicted_se and mde for each size and term", "the same, labels needed, costs, call")
    group.add_argument("--plot", metavar="FILE", help="curves: .png, .pdf, .svg (needs matplotlib)")


def run(options: Namespace) -> None:
    """Read, predict, print, write."""
    check_files(options, [options.data, options.design])
    arguments = call_arguments(options)
    se, effect = one_or_mapping(options.se, "--se"), one_or_mapping(options.effect, "--effect")
    if se is not None and effect is not None:
        raise ArgumentError("give --se or --effect, not both")
    table = read(options)
    found = _results(options, table.data, arguments)
    needed = None
    if se is not None or effect is not None:
        needed = found.labels_needed(se=se, effect=effect, power=options.power, alpha=options.alpha)
    cost = None if options.expert_price is None else found.cost(options.expert_price, options.llm_price)
    # a row for each size and term, as other programs read tables best
    curve = _long({"predicted_se": found.predicted_se, "mde": found.mde(options.power, options.alpha)})
    facts = {
        "data": table.facts(),
        "call": call_record(options, arguments),
        "basis": found.study.basis,
        "curve": records(curve),
        "labels_needed": records(None if needed is None else needed.rename_axis("term").reset_index()),
        "cost": records(None if cost is None else cost.reset_index()),
    }
    shown = _shown(found.summary(options.power, options.alpha), {"Labels needed": needed, "Cost": cost})
    # drawn when it is written, and only then
    more: dict[str | None, str | Writer] = {options.plot: lambda draft: save_plot(found.plot(), draft)}
    deliver(options, shown, table=curve, record=facts, more=more)


def _results(options: Namespace, data: pd.DataFrame, arguments: Record) -> Any:
    """From the labels at hand, or from assumptions."""
    from dsl.planning.power import plan_dsl, power_dsl

    accuracy, rmse = one_or_mapping(options.accuracy, "--accuracy"), one_or_mapping(options.rmse, "--rmse")
    if accuracy is None and rmse is None:
        more = {"labeled_size": options.labeled_size, "nobs": options.nobs, "drawn": options.drawn}
        return call(power_dsl, options.formula, data, {**arguments, **more})
    if not options.labeled_size:
        raise ArgumentError("--accuracy and --rmse need --n-labels, the number of labels that are planned")
    if options.nobs is not None or options.drawn != "rows" or options.design is not None:
        raise ArgumentError(
            "--accuracy and --rmse plan a simple random sample of the rows: no --nobs, --drawn, --design"
        )
    planned = {
        "labeled_size": options.labeled_size[0],
        "accuracy": accuracy,
        "rmse": rmse,
        "replications": options.replications,
    }
    found = call(plan_dsl, options.formula, data, {**_without_none(arguments), **planned})
    # the first size is the planned one, for which gold labels are drawn. The others follow from its curve
    return found.at(options.labeled_size) if len(options.labeled_size) > 1 else found


def _without_none(arguments: Record) -> Record:
    return {name: value for name, value in arguments.items() if value is not None}


def _long(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row for each size and term."""
    # "term" names the columns, so that stacking gives the rows a column of that name
    long = {name: cast(pd.Series, frame.rename_axis(columns="term").stack()) for name, frame in parts.items()}
    return pd.concat(long, axis=1).reset_index()


def _shown(summary: object, tables: Mapping[str, pd.DataFrame | None]) -> str:
    parts = [f"\n{title}\n{table.to_string()}" for title, table in tables.items() if table is not None]
    return "\n".join([str(summary), *parts])
