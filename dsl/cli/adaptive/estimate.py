"""Estimate from the labels of all batches so far, with each row's probability of having been drawn in any."""

import argparse
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from dsl.cli.adaptive.state import add_state, resume, status_line
from dsl.cli.fit import add_results, check_results, printed, result_contents
from dsl.cli.options import number_or_name
from dsl.cli.write import STDOUT, csv_text, write_all

HELP = "estimate, and write what 'dsl fit' writes"
EPILOG = """\
examples:
  dsl adaptive estimate posts.csv --log study.log --json fit.json --table fit.docx
  dsl adaptive estimate posts.csv --log study.log --out labelled.csv --save-design design.npz --quiet
"""
GIVEN = ("estimator", "tune", "target", "vcov", "use_t", "sample_split", "n_jobs", "progress")
"""Arguments of `AdaptiveDesign.estimate` that options give as they are, where they are given."""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl adaptive estimate``."""
    add_state(parser)
    group = parser.add_argument_group("analysis (the rest is as the design was begun)")
    group.add_argument("--estimator", help="dsl, dsl+, ppi, ppi++, cdi, gold_only, naive (default: dsl)")
    group.add_argument(
        "--tune", type=number_or_name, metavar="T", help="scalar, coef, matrix, or a number (default: coef)"
    )
    group.add_argument("--target", help="superpopulation, or finite: these rows themselves")
    group.add_argument(
        "--vcov",
        help="robust, HC0, HC1, HC2, HC3, CR0, CR1, CR2, CR3, jackknife, PRESS, design, design+HC3 (default: design+HC3 if "
        "lambda is chosen, "
        "else robust)",
    )
    group.add_argument(
        "--use-t",
        action=argparse.BooleanOptionalAction,
        help="t rather than normal intervals (default: where a lambda is chosen from the data)",
    )
    group.add_argument("--alpha", type=float, default=0.05, help="one minus the level of the intervals (default: 0.05)")
    group.add_argument(
        "--splits", "--sample-split", dest="sample_split", type=int, default=10, metavar="S", help="default: 10"
    )
    group.add_argument(
        "--jobs", "--n-jobs", dest="n_jobs", type=int, default=1, metavar="J", help="parallel fits (-1: all)"
    )
    group.add_argument("--progress", action="store_true", help="show a progress bar")
    add_results(parser)
    group = parser.add_argument_group("for other analyses of the same labels ('dsl fit --design')")
    group.add_argument("--out", metavar="FILE", help="CSV: the data with the labels and their probabilities")
    group.add_argument("--save-design", metavar="FILE", help="the design of all rows labelled so far")


def run(options: Namespace) -> None:
    """Fit, print, write."""
    inputs = [options.data, options.log, options.trail]
    check_results(options, inputs, {"--out": options.out, "--save-design": options.save_design})
    design, table = resume(options)
    given = {name: value for name in GIVEN if (value := getattr(options, name)) is not None}
    fit = design.estimate(**given)
    record = {"status": asdict(design.status()), "fingerprint": design.design().fingerprint}
    facts = {
        "data": table.facts(),
        "call": {**design.settings.record(), **{n: v for n, v in given.items() if n not in ("n_jobs", "progress")}},
        "design": record,
    }
    contents = result_contents(options, fit, design.data, facts)
    if options.out:
        contents[options.out] = csv_text(design.data)
    if options.save_design:
        contents[options.save_design] = design.design().save
    write_all(contents)
    if not options.quiet and STDOUT not in contents:
        print("\n\n".join(printed(options, fit)))
        print(status_line(design))
