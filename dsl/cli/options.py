"""Options shared by the commands, and the arguments of `dsl.dsl` that they make."""

import argparse
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dsl._typing import Record
from dsl.cli.listed import Listed
from dsl.cli.read import Reading, Table, read_table
from dsl.data.arguments import as_name
from dsl.exceptions import ArgumentError

if TYPE_CHECKING:
    from dsl.sampling import LabelDesign
    from dsl.sampling.coding.codebook import CodebookLike

FORMATS = "csv, xlsx, label_studio, doccano, prodigy, argilla"
"""Of coders' files."""
CALL = (
    "model",
    "labeled",
    "sample_prob",
    "weights",
    "trained_on",
    "fixed_effect",
    "refusals",
    "text",
    "family",
    "cross_fit",
    "sample_split",
    "seed",
    "target",
    "vcov",
    "use_t",
    "n_jobs",
    "progress",
)
"""Arguments of `dsl.dsl` that options give as they are."""
VARIABLES = "variables (columns of the data; several: --prediction a,b or --prediction a --prediction b)"
"""Heading of the options that name columns."""
LISTS = ("prediction", "feature", "index", "sl_method", "cluster")
"""Arguments that may be given several times."""


def add_data(parser: ArgumentParser, *, optional: bool = False) -> None:
    """The file, and how to read it."""
    parser.add_argument(
        "data",
        nargs="?" if optional else None,
        help="CSV, TSV, JSON lines, Excel, Parquet, Feather, Stata (.dta), SPSS (.sav), RDS or RData file, or - for stdin",
    )
    group = parser.add_argument_group("reading the data")
    group.add_argument("--id", dest="row_id", metavar="COL", help="column that tells rows apart (default: their order)")
    group.add_argument("--sep", help="separator of a text file (default: ',' in .csv, a tab in .tsv)")
    group.add_argument("--decimal", default=".", help="decimal sign of a text file (default: '.')")
    group.add_argument(
        "--na",
        action=Listed,
        metavar="CODE",
        help="code for a missing value, in any column. Empty cells are missing in any case, and nothing else is",
    )
    group.add_argument("--encoding", default="utf-8-sig", help="encoding of a text file (default: UTF-8)")
    group.add_argument(
        "--value-labels",
        action=Listed,
        metavar="COL",
        help="Stata, SPSS: columns whose labelled numbers are categories, not numbers; all: every column",
    )
    group.add_argument("--sheet", metavar="NAME", help="Excel: the sheet, of several")
    group.add_argument("--data-format", metavar="KIND", help="of stdin: csv, tsv, jsonl, parquet, ... (default: csv)")


def read(options: Namespace) -> Table:
    """The table that the options name."""
    reading = Reading(
        # a shell passes \t as two characters
        sep="\t" if options.sep == "\\t" else options.sep,
        encoding=options.encoding,
        decimal=options.decimal,
        na=tuple(options.na or ()),
        value_labels=tuple(options.value_labels or ()),
        sheet=options.sheet,
        kind=options.data_format,
        row_id=as_name(options.row_id, "--id"),
    )
    return read_table(options.data, reading)


def add_analysis(
    parser: ArgumentParser, *, estimator: bool = True, drawn: bool = True, target: str = "superpopulation"
) -> None:
    """What `dsl.dsl` takes.

    Parameters
    ----------
    parser : ArgumentParser
    estimator : bool
        Whether the command has one estimator.
    drawn : bool
        Whether the data say which rows were drawn for labelling, and how.
    target : str
        The default.
    """
    _add_variables(parser, drawn=drawn)
    group = parser.add_argument_group("analysis")
    group.add_argument(
        "--model",
        default="lm",
        help="lm, logit, felm, poisson, probit, cloglog, gamma, multinom, ologit, oprobit, negbin, iv (default: lm)",
    )
    if estimator:
        add_estimator(group)
    add_inference(group, target)
    group.add_argument("--fixed-effect", default="oneway", help="oneway, twoways, multiway (default: oneway)")
    add_learning(parser).add_argument(
        "--family", default="gaussian", help="gaussian, or binomial: predictions within [0, 1]"
    )


def add_estimator(group: argparse._ArgumentGroup) -> None:
    """The estimator."""
    group.add_argument("--estimator", default="dsl", help="dsl, dsl+, ppi, ppi++, cdi, gold_only, naive (default: dsl)")
    group.add_argument("--tune", type=number_or_name, metavar="T", help="scalar, coef, matrix, or a number")


def add_inference(group: argparse._ArgumentGroup, target: str = "superpopulation") -> None:
    """What standard errors and intervals are those of."""
    group.add_argument(
        "--target",
        default=target,
        help=f"superpopulation, or finite: these rows themselves (default: {target})",
    )
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


def add_learning(parser: ArgumentParser) -> argparse._ArgumentGroup:
    """How gold labels are predicted."""
    group = parser.add_argument_group("learning")
    group.add_argument(
        "--sl-method", action=Listed, metavar="NAME", help="learner; several are stacked (default: auto)"
    )
    group.add_argument("--folds", "--cross-fit", dest="cross_fit", type=int, default=5, metavar="K", help="default: 5")
    group.add_argument("--splits", "--sample-split", dest="sample_split", type=int, metavar="S", help="default: 10")
    group.add_argument("--seed", type=int, default=1234, help="default: 1234")
    group.add_argument(
        "--jobs", "--n-jobs", dest="n_jobs", type=int, default=1, metavar="J", help="parallel fits (-1: all)"
    )
    group.add_argument("--progress", action="store_true", help="show a progress bar")
    return group


def _add_variables(parser: ArgumentParser, *, drawn: bool) -> None:
    """The formula and the columns' roles."""
    group = add_roles(parser)
    if drawn:
        add_draw(group)
        group.add_argument(
            "--trained-on",
            metavar="COL",
            help="1 on rows whose gold labels the predictions' maker has seen, 0 elsewhere",
        )
    group.add_argument("--weights", metavar="COL", help="what each row counts for, as survey weights do")
    group.add_argument("--index", action=Listed, metavar="COL", help="fixed effects (--model felm or poisson)")


def add_draw(group: argparse._ArgumentGroup) -> None:
    """Which rows were drawn for labelling, and how."""
    group.add_argument("--labeled", metavar="COL", help="1 on labelled rows (default: where gold is not missing)")
    group.add_argument("--sample-prob", metavar="COL", help="probability of being labelled (default: all the same)")
    group.add_argument("--design", metavar="FILE", help="design that 'dsl sample' wrote, instead of these two")


def add_stages(parser: ArgumentParser) -> None:
    """Labels of lower quality on more rows."""
    parser.add_argument(
        "--stage",
        action=Listed,
        metavar="COL[=PROB]",
        help="column with labels of lower quality on more rows (a crowd's), and column of the probability to be labelled there, "
        "which a nested --design has; once for each stage, from the coarsest; of several variables VAR:COL+VAR:COL=PROB",
    )


def add_roles(parser: ArgumentParser) -> argparse._ArgumentGroup:
    """The formula and what any analysis of it has: predicted variables, predictions, features, clusters."""
    parser.add_argument("formula", help="as in R: 'y ~ x1 + factor(x2)', 'y ~ x | unit + year'")
    group = parser.add_argument_group(VARIABLES)
    group.add_argument(
        "--predicted",
        "--predicted-var",
        dest="predicted_var",
        action=Listed,
        metavar="COL[=SURROGATE]",
        required=True,
        help="variable with gold labels on some rows, and perhaps its own surrogate",
    )
    group.add_argument("--prediction", action=Listed, metavar="COL", help="surrogate labels, on every row")
    group.add_argument("--feature", action=Listed, metavar="COL", help="further column for the learner")
    group.add_argument("--text", metavar="COL", help="texts for a learner that reads them (--sl-method tfidf, auto)")
    group.add_argument(
        "--refusals", default="raise", help="missing predictions and features: raise, or indicator (default: raise)"
    )
    group.add_argument(
        "--cluster",
        action=Listed,
        metavar="COL",
        help="clusters of the standard errors and folds; two columns: clusters in two ways",
    )
    return group


def add_outputs(parser: ArgumentParser, tidy: str, record: str) -> argparse._ArgumentGroup:
    """Files that every command can write (`dsl.cli.write.deliver`)."""
    group = parser.add_argument_group("output (replaced in one step when all is done; '-' for CSV or JSON on stdout)")
    group.add_argument("--out-csv", metavar="FILE", help=tidy)
    group.add_argument("--json", metavar="FILE", help=record)
    return group


def add_scales(group: argparse._ArgumentGroup, where: str) -> None:
    """Scales that estimates can also be shown on."""
    group.add_argument("--exponentiate", action="store_true", help=f"odds ratios, rate ratios: {where}")
    group.add_argument(
        "--margins", action="store_true", help="average marginal effects: printed, in --json, --table, --report"
    )


def call_arguments(options: Namespace) -> Record:
    """Arguments of `dsl.dsl` besides formula and data."""
    # options that a command does not have, such as --estimator of `dsl compare`, are left out
    out = {name: getattr(options, name) for name in CALL if hasattr(options, name)}
    for name in LISTS:
        out[name] = one_or_list(getattr(options, name))
    # argparse cannot tell a default list from one that was given
    out["sl_method"] = "auto" if out["sl_method"] is None else out["sl_method"]
    out["predicted_var"] = predicted_of(options.predicted_var)
    for name in ("estimator", "tune"):
        if hasattr(options, name):
            out[name] = getattr(options, name)
    design = design_of(options)
    if design is not None:
        out["design"] = design
    return out


def design_of(options: Namespace) -> "LabelDesign | None":
    """The design that the options name."""
    if getattr(options, "design", None) is None:
        return None
    from dsl.sampling import LabelDesign

    return LabelDesign.load(options.design)


def design_record(options: Namespace, design: "LabelDesign | None") -> Record | None:
    """A design as JSON can hold it, for which it is too large itself: its file and fingerprint say which it was."""
    return None if design is None else {"path": options.design, "fingerprint": design.fingerprint}


def call_record(options: Namespace, arguments: Record) -> Record:
    """The call as JSON can hold it: a design by its file and fingerprint."""
    out = {"formula": options.formula, **arguments}
    if "design" in out:
        out["design"] = design_record(options, arguments["design"])
    # numbers do not depend on these
    return {name: value for name, value in out.items() if name not in ("n_jobs", "progress", "checkpoint")}


def predicted_of(given: list[str]) -> list[str] | dict[str, list[str]]:
    """Predicted variables, with their surrogates if each names its own."""
    split = [text.partition("=") for text in given]
    if not any(equals for _, equals, _ in split):
        return given
    pairs: dict[str, list[str]] = {}
    for gold, equals, surrogate in split:
        if not gold or not equals or not surrogate:
            raise ArgumentError(
                f"--predicted {gold}{equals}{surrogate}: give every predicted variable its surrogate, as in --predicted y=llm_y, "
                "or none"
            )
        # a variable that is named twice has two surrogates
        pairs.setdefault(gold, []).append(surrogate)
    return pairs


def stages_of(given: Sequence[str]) -> list[str | dict[str, str] | tuple[str | dict[str, str], str]]:
    """``stages`` of `dsl.dsl`, as ``--stage`` gives them.

    Examples
    --------
    >>> stages_of(["crowd=p_crowd"]), stages_of(["crowd"]), stages_of(["y:y_all=p"])
    ([('crowd', 'p_crowd')], ['crowd'], [({'y': 'y_all'}, 'p')])
    """
    return [_stage(text) for text in given]


def _stage(text: str) -> str | dict[str, str] | tuple[str | dict[str, str], str]:
    columns, equals, prob = text.rpartition("=") if "=" in text else (text, "", "")
    named = [part.partition(":") for part in columns.split("+")]
    several = any(sign for _, sign, _ in named)
    if not columns or (equals and not prob) or (several and not all(name and column for name, _, column in named)):
        raise ArgumentError(f"--stage {text}: give COL=PROB, COL alone with a nested --design, or VAR:COL+VAR:COL=PROB")
    if not several and len(named) > 1:
        raise ArgumentError(
            f"--stage {text}: say whose labels each column has, as in --stage y:{named[0][0]}+x:{named[1][0]}=PROB"
        )
    labels = {name: column for name, _, column in named} if several else named[0][0]
    return (labels, prob) if equals else labels


def one_or_list(given: list[str] | None) -> str | list[str] | None:
    """A single value by itself."""
    return given[0] if given is not None and len(given) == 1 else given


def number_or_name(text: str) -> float | str:
    """A number, or else the text."""
    try:
        return float(text)
    except ValueError:
        return text


def by_term(convert: Callable[[str], float | str] = float) -> Callable[[str], tuple[str | None, float | str]]:
    """Type of an option that takes ``VALUE`` or ``NAME=VALUE``."""

    def read_pair(text: str) -> tuple[str | None, float | str]:
        # the last "=": names of coefficients may hold others
        name, equals, value = text.rpartition("=")
        try:
            return (name if equals else None), convert(value)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor NAME=NUMBER") from None

    return read_pair


def one_or_mapping(
    given: list[tuple[str | None, float | str]] | None, option: str
) -> float | str | dict[str | None, float | str] | None:
    """A single value for all, or a dict of name to value, or None if nothing was given."""
    if given is None:
        return None
    if len(given) == 1 and given[0][0] is None:
        return given[0][1]
    if any(name is None for name, _ in given):
        raise ArgumentError(f"{option} takes one number for all, or NAME=NUMBER for each; found both")
    return dict(given)


MEANING = re.compile(r"([\w .-]+)=(.+)")
"""A label with what it means."""


def add_coder_file(parser: ArgumentParser, *, required: bool) -> argparse._ArgumentGroup:
    """What a coder's file holds."""
    group = parser.add_argument_group("coders' file")
    group.add_argument(
        "--coder",
        metavar="FILE",
        required=required,
        help=".csv or .xlsx to fill in, or a file of a tool; an existing one is never replaced",
    )
    group.add_argument("--columns", action=Listed, metavar="COL", required=required, help="what the coder sees")
    add_codebook(group)
    group.add_argument("--format", help=f"{FORMATS} (default: what the file's ending says)")
    group.add_argument(
        "--show-predictions", action="store_true", help="coders may see predictions, with which they tend to agree"
    )
    return group


def add_codebook(group: ArgumentParser | argparse._ArgumentGroup) -> None:
    """The labels that may be given."""
    group.add_argument(
        "--codebook",
        nargs="+",
        metavar="LABEL[=MEANING]",
        help="labels that may be given, perhaps with their meanings, or a codebook (.yaml)",
    )


def codebook_of(given: list[str] | None) -> "CodebookLike | None":
    """A codebook: labels, as whole numbers if all are, with what they mean if all say so, or a file's."""
    if given is None:
        return None
    if len(given) == 1 and given[0].lower().endswith((".yaml", ".yml")):
        from dsl.annotation.codebook import Codebook

        return Codebook.from_yaml(given[0])
    pairs = [MEANING.fullmatch(text) for text in given]
    labels = [text if pair is None else pair[1] for text, pair in zip(given, pairs, strict=True)]
    if not all(pairs):
        return _whole(given) or given
    meanings = [pair[2] for pair in pairs if pair is not None]
    whole = _whole(labels)
    return dict(zip(labels, meanings, strict=True)) if whole is None else dict(zip(whole, meanings, strict=True))


def _whole(labels: list[str]) -> list[int] | None:
    """Labels as whole numbers, if all are."""
    try:
        return [int(label) for label in labels]
    except ValueError:
        return None
