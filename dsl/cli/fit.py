"""Regression on imperfectly labelled variables, repaired with the gold labels of a random subsample."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

import pandas as pd

from dsl._typing import Record
from dsl.cli.blocks import add_memory, check_blocks, reads_in_blocks
from dsl.cli.calling import call
from dsl.cli.options import (
    add_analysis,
    add_data,
    add_outputs,
    add_scales,
    add_stages,
    call_arguments,
    call_record,
    read,
    stages_of,
)
from dsl.cli.write import (
    STDOUT,
    Writer,
    check_files,
    csv_text,
    json_text,
    provenance,
    records,
    summary_text,
    write_all,
)
from dsl.estimators.records import Splits
from dsl.exceptions import ArgumentError

if TYPE_CHECKING:
    from dsl.analyses.results import DSLResults

IN_MEMORY = ("stage", "margins", "archive")
"""Options that a table in memory is needed for."""
HELP = "fit a regression"
EPILOG = """\
examples:
  dsl fit posts.csv "y ~ x" --predicted y --prediction llm_y
  dsl fit posts.parquet "y ~ x + factor(party)" --predicted y --prediction llm_y --sample-prob pi --model logit \\
      --cluster doc --out-csv coefficients.csv --json fit.json --table table.tex --report report.html
  dsl fit panel.dta "y ~ x | unit + year" --predicted y=llm_y --predicted x=llm_x --model felm
  dsl fit posts.rds "y ~ x" --predicted y --prediction gpt --prediction llama --sl-method ridge --seed 7 --json - | jq .tidy
  dsl fit posts.csv "y ~ x" --predicted y --prediction llm_y --text body --sl-method tfidf
  dsl fit posts.csv "y ~ x" --predicted y --prediction llm_y --stage crowd=p_crowd --sample-prob p_expert

in a Makefile:
  fit.json: posts.csv
  \tdsl fit $< "y ~ x" --predicted y --prediction llm_y --quiet --json $@
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl fit``."""
    add_data(parser)
    add_analysis(parser)
    add_stages(parser)
    add_results(parser)
    add_memory(parser)
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="keeps finished passes over data that are read in blocks: the same command goes on where it was interrupted",
    )


def add_results(parser: ArgumentParser) -> None:
    """What is written of a fit."""
    group = add_outputs(
        parser,
        "coefficients: term, estimate, std_error, statistic, p_value, conf_low, conf_high",
        "coefficients, covariance, facts, call, versions, hash of the data, warnings",
    )
    add_scales(group, "printed, in --out-csv, --json, --table, --report")
    group.add_argument("--table", metavar="FILE", help="regression table: .txt, .md, .tex, .html, .docx")
    group.add_argument("--summary", metavar="FILE", help="summary: .txt, .tex, .html")
    group.add_argument("--report", metavar="FILE", help="page (.html) with a comparison of estimators and diagnostics")
    group.add_argument(
        "--trail",
        metavar="FILE",
        help="how a model made the labels (from 'dsl annotate'), for the report and the archive",
    )
    group.add_argument(
        "--archive",
        metavar="FILE",
        help="replication archive (.zip) with call, hashes, labels, report: see 'dsl replicate'",
    )
    group.add_argument("--include-data", action="store_true", help="the data too go into the archive")


def run(options: Namespace) -> None:
    """Read, fit, print, write."""
    check_results(options, [options.data, options.design, options.trail, options.checkpoint], {})
    arguments = call_arguments(options)
    if options.stage is not None:
        arguments["stages"] = stages_of(options.stage)
    from dsl.analyses.regression import dsl

    if reads_in_blocks(options.data, options.memory):
        # ids tell which rows are which of a design's
        check_blocks(options, IN_MEMORY, by_id=options.design is not None)
        if options.row_id is not None:
            design = arguments["design"]
            arguments["design"] = replace(design, rows=design.rows.rename(options.row_id))
        source, facts = options.data, {"path": options.data, "read": "in blocks"}
        how = {"memory": options.memory, "checkpoint": options.checkpoint}
        fit = call(dsl, options.formula, source, {**arguments, **how})
        facts["rows"] = fit.core.sample.n_input
    else:
        if options.checkpoint is not None:
            raise ArgumentError(
                f"--checkpoint keeps passes over data that are read in blocks, and '{options.data}' is read into memory whole; "
                "leave it out, or read a Parquet file in blocks with a smaller --memory"
            )
        table = read(options)
        source, facts = table.data, table.facts()
        fit = call(dsl, options.formula, source, arguments)
    contents = result_contents(options, fit, source, {"data": facts, "call": call_record(options, arguments)})
    write_all(contents)
    if not options.quiet and STDOUT not in contents:
        print("\n\n".join(printed(options, fit)))


def printed(options: Namespace, fit: "DSLResults") -> list[str]:
    """What is shown of a fit: the summary, and the scales that were asked for."""
    parts = [str(fit.summary(alpha=options.alpha))]
    if options.exponentiate:
        table = fit.tidy(alpha=options.alpha, exponentiate=True).set_index("term").rename_axis(None)
        parts.append(
            f"{fit.core.ratios()}\n{table[['estimate', 'conf_low', 'conf_high']].to_string(float_format='{:.4g}'.format)}"
        )
    if options.margins:
        parts.append(str(fit.get_margeff().summary(alpha=options.alpha)))
    return parts


def check_results(options: Namespace, inputs: Sequence[str | None], more: Mapping[str, str | None]) -> None:
    """Raise ArgumentError, before any work, if a result (or another output) cannot be written where it is wanted."""
    check_files(options, inputs, more)
    if options.trail is not None and options.report is None and options.archive is None:
        raise ArgumentError("--trail is for the report and the archive; name one, --report report.html")
    if options.include_data and options.archive is None:
        raise ArgumentError("--include-data is for the archive; name one, --archive replication.zip")


def result_contents(
    options: Namespace, fit: "DSLResults", data: pd.DataFrame | str, facts: Record
) -> dict[str, str | Writer]:
    """Files of a fit to write, by path: nothing is written before everything is computed.

    Parameters
    ----------
    options : Namespace
    fit : DSLResults
    data : DataFrame, or str
        What the fit was made from, or where it was read in blocks.
    facts : dict
        What the JSON file says before the numbers: of the data, and of the call.
    """
    tidy = fit.tidy(alpha=options.alpha, exponentiate=options.exponentiate)
    scales = {"exponentiate": options.exponentiate, "margins": options.margins}
    contents: dict[str, str | Writer] = {}
    if options.json:
        record = {**provenance(options), **facts, "alpha": options.alpha, **fit_record(fit, tidy)}
        if options.exponentiate:
            record["scale"] = fit.core.ratio()
        if options.margins:
            record["margins"] = records(fit.get_margeff().tidy(options.alpha))
        contents[options.json] = json_text({**record, "warnings": options.warnings})
    if options.out_csv:
        contents[options.out_csv] = csv_text(tidy)
    if options.table:
        from dsl.reports.tables import table as regression_table

        contents[options.table] = regression_table(fit, alpha=options.alpha, **scales).save
    if options.summary:
        contents[options.summary] = summary_text(fit.summary(alpha=options.alpha), options.summary)
    if options.report:
        from dsl.reports.page import write_report

        # the page makes fits of its own, for which these arguments count again
        shown = {name: getattr(options, name) for name in ("alpha", "n_jobs", "progress", "trail")} | scales
        contents[options.report] = lambda path: write_report(fit, path, cast(pd.DataFrame, data), **shown)
    if options.archive:
        # the log of an adaptive design belongs to it
        kept = {name: getattr(options, name, None) for name in ("include_data", "trail", "log", "alpha", "n_jobs")}
        contents[options.archive] = lambda path: fit.archive(path, data, **kept)
    return contents


class Fitted(Protocol):
    """What is written of results of `dsl.dsl`, which are not imported before they are needed."""

    names_r: tuple[str, ...]
    cross_fit: int | None
    dropped: dict[str, int]
    fit_quality: pd.DataFrame
    tuning: pd.DataFrame
    splits: Splits

    def glance(self) -> pd.DataFrame:
        """One row about the whole analysis."""
        ...

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix of the estimates."""
        ...


def fit_record(fit: Fitted, tidy: pd.DataFrame) -> Record:
    """The numbers of a fit."""
    # estimators without a learner have neither quality nor folds
    learned = fit.cross_fit is not None
    return {
        "glance": records(fit.glance())[0],
        "tidy": records(tidy),
        "names_r": fit.names_r,
        "cov": fit.cov_params().to_numpy(),
        "dropped": fit.dropped,
        "fit_quality": records(fit.fit_quality.reset_index()) if learned else [],
        "tuning": records(fit.tuning.rename_axis("term").reset_index()) if fit.splits.tuning is not None else [],
    }
