"""Compare designs and estimators on data whose gold labels are all known: labels are hidden again and again."""

from argparse import ArgumentParser, Namespace

from dsl.cli.calling import call
from dsl.cli.listed import Listed
from dsl.cli.options import add_analysis, add_data, add_outputs, call_arguments, call_record, read
from dsl.cli.write import Writer, check_files, csv_text, deliver, records, save_plot
from dsl.exceptions import ArgumentError

HELP = "compare designs and estimators on gold labels"
EPILOG = """\
examples:
  dsl evaluate gold.csv "y ~ x" --predicted y --prediction llm_y --n-labels 200,500 --replications 200 --checkpoint run.jsonl
  dsl evaluate gold.csv "y ~ x" --predicted y --prediction llm_y --n-labels 500 --designs srs,adaptive \\
      --estimators gold_only,dsl,dsl+ --plot effective.pdf --kind effective --term x
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl evaluate``."""
    add_data(parser)
    add_analysis(parser, estimator=False, drawn=False, target="finite")
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--n-labels", action=Listed, nargs="+", convert=int, required=True, metavar="N", help="numbers of rows to label"
    )
    group.add_argument(
        "--designs", action=Listed, nargs="+", metavar="NAME", help="srs, bernoulli, adaptive (default: srs)"
    )
    group.add_argument(
        "--estimators",
        action=Listed,
        nargs="+",
        metavar="NAME",
        help="naive, gold_only, dsl, tuned, dsl+, ppi, ppi++, cdi (default: gold_only dsl)",
    )
    group.add_argument("--replications", type=int, default=200, metavar="R", help="draws of each design (default: 200)")
    group.add_argument(
        "--checkpoint", metavar="FILE", help="keeps finished draws: the same command goes on where it was interrupted"
    )
    outputs = add_outputs(
        parser, "coverage, bias, RMSE, effective labels, with their Monte Carlo errors", "the same, truth, call"
    )
    outputs.add_argument("--out", metavar="FILE", help="CSV: every estimate of every draw")
    outputs.add_argument("--plot", metavar="FILE", help="a measure against labels: .png, .pdf, .svg (needs matplotlib)")
    outputs.add_argument("--kind", help="what is plotted: coverage, effective, rmse, width (default: coverage)")
    outputs.add_argument("--term", metavar="NAME", help="the coefficient that is plotted, of several")


def run(options: Namespace) -> None:
    """Read, evaluate, print, write."""
    check_files(options, [options.data, options.checkpoint], {"--out": options.out})
    for option in ("kind", "term"):
        if getattr(options, option) is not None and options.plot is None:
            raise ArgumentError(f"--{option} is for the plot; name one, --plot coverage.pdf")
    arguments = {**call_arguments(options), "n_labels": options.n_labels, "replications": options.replications}
    arguments |= {"alpha": options.alpha, "checkpoint": options.checkpoint}
    # only what was given, so that defaults are those of the function
    arguments |= {name: given for name in ("designs", "estimators") if (given := getattr(options, name)) is not None}
    table = read(options)
    from dsl.planning.evaluation import evaluate

    found = call(evaluate, options.formula, table.data, arguments)
    summary = found.summary()
    facts = {
        "data": table.facts(),
        "call": call_record(options, arguments),
        "truth": found.truth.to_dict(),
        "summary": records(summary),
    }
    more: dict[str | None, str | Writer] = {options.out: csv_text(found.replications)}
    if options.plot:
        axes = found.plot(kind=options.kind or "coverage", term=options.term)
        more[options.plot] = lambda draft: save_plot(axes, draft)
    shown = ["design", "estimator", "n_labels", "term", "coverage", "coverage_se", "bias", "rmse", "effective"]
    text = f"{found!r}\n{summary[[*shown, 'effective_se']].to_string(index=False, float_format='{:.4g}'.format)}"
    deliver(options, text, table=summary, record=facts, more=more)
