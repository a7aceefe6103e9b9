"""The call: gather what the page shows, and write it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date as Date  # noqa: N812
from pathlib import Path
from typing import Any, cast

from dsl._version import __version__
from dsl.data.arguments import check_execution, check_flags, check_texts, explain_calls
from dsl.data.files import write_text
from dsl.data.source import MEMORY, DataLike, Source, as_source
from dsl.data.tables import TableLike
from dsl.data.trail import Trail, TrailLike, trails_of
from dsl.engine.intervals import check_alpha
from dsl.estimators.again import check_same_data
from dsl.estimators.result import Fit, HasFit, fit_of
from dsl.estimators.short import Estimators
from dsl.exceptions import ArgumentError
from dsl.reports.comparison import Comparison, compare_fit
from dsl.reports.comparison.scales import check_no_margins
from dsl.reports.diagnostics import Diagnostics, diagnose
from dsl.reports.margins import marginal_effects
from dsl.reports.page import rerun, sections
from dsl.reports.page.annotation import annotation_section
from dsl.reports.page.markup import Section
from dsl.reports.page.methods import describe, labelling
from dsl.reports.page.page import page

SUFFIXES = (".html", ".htm")
NEEDS_DATA = "it needs the data, which results do not hold; pass them, fit.report(path, data)."
REMOVED = "remove_data() dropped the rows of the fit; write the report before that."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the caller asked for besides the fit and the data."""

    title: str | None = None
    compare: bool = True
    diagnose: bool = True
    estimators: Estimators | None = None
    exponentiate: bool = False
    margins: bool = False
    by: str | Sequence[str] | None = None
    trail: TrailLike | None = None
    alpha: float = 0.05
    date: Date | str | None = None
    n_jobs: int = 1
    progress: bool = False
    memory: int | str = MEMORY


@explain_calls
def write_report(
    fit: Fit | HasFit,
    path: str | os.PathLike[str],
    data: DataLike | None = None,
    *,
    title: str | None = None,
    compare: bool = True,
    diagnose: bool = True,
    estimators: Estimators | None = None,
    exponentiate: bool = False,
    margins: bool = False,
    by: str | Sequence[str] | None = None,
    trail: TrailLike | None = None,
    alpha: float = 0.05,
    date: Date | str | None = None,
    n_jobs: int = 1,
    progress: bool = False,
    memory: int | str = MEMORY,
) -> Path:
    """Write one self-contained page about a fit.

    It holds the design, the estimates, a comparison of estimators, diagnostics, a paragraph on methods with its references,
    and the code, data and versions behind the numbers. It needs no network, prints well, and its tables can be sorted.

    Parameters
    ----------
    fit : DSLResults
    path : str or path
        Where to. It must end in ``.html`` or ``.htm``. An older page there is replaced.
    data : data frame, or source of blocks of rows, optional
        The data that the fit was made from. Without them the page has no comparison, no
        diagnostics and no fingerprint of the data, and says so. A source has no fingerprint either.
    title : str, optional
        Heading of the page, by default the estimator's name and the formula.
    compare, diagnose : bool
        Whether to make these sections.
    estimators
        What to compare with, as in `dsl.reports.comparison.compare_fit`. By default naive, gold_only, dsl and dsl+.
    exponentiate : bool
        A table of odds ratios (logit) or ratios of means and rates (log links) beside the estimates.
    margins : bool
        A table of average marginal effects (``fit.get_margeff()``) beside them.
    by : str or list of str, optional
        Further columns across which errors of the surrogates are compared, as in `dsl.reports.diagnostics.diagnose`.
    trail : path, Trail or mapping, optional
        How a language model made the labels: the file that `dsl.annotate` leaves beside its cache, such as
        ``"labels.trail.json"``, or the table's ``attrs["annotation"]``. The page then has a checklist of what to report, and
        the paragraph on methods says how the labels came about.
    alpha : float
        One minus the level of intervals and conclusions.
    date : str or datetime.date, optional
        Shown at the foot of the page. Today by default, none for ``""``. All else on the page is the same in every run.
    n_jobs, progress, memory
        As in `dsl.dsl`, for the fits of the comparison.

    Returns
    -------
    pathlib.Path
        Of the page.

    Raises
    ------
    ArgumentError
        `data` are not those of the fit, an option needs what is not given, or the folder does not exist.
    TrailError
        `trail` is no record of labels.

    Notes
    -----
    Plots need matplotlib (``pip install "dsl[plot]"``). Without it there are remarks in their place.

    Examples
    --------
    >>> import dsl, tempfile, pathlib
    >>> from dsl.reports.page import write_report
    >>> posts = dsl.datasets.simulate_linear(n=1000, n_labels=300, seed=1)
    >>> fit = dsl.dsl(data=posts, sl_method="lm", sample_split=2, **posts.attrs["call"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_report(fit, pathlib.Path(folder) / "report.html", posts, estimators="naive")
    ...     "Egami" in path.read_text(encoding="utf-8")
    True
    """
    target = _target(path)
    options = Options(
        title=title,
        compare=compare,
        diagnose=diagnose,
        estimators=estimators,
        exponentiate=exponentiate,
        margins=margins,
        by=by,
        trail=trail,
        alpha=alpha,
        date=date,
        n_jobs=n_jobs,
        progress=progress,
        memory=memory,
    )
    # the whole page first, then one step: a page that was there is replaced by a complete one or not at all
    write_text(target, _build(fit, data, options))
    return target


@explain_calls
def report_html(fit: Fit | HasFit, data: DataLike | None = None, **options: Any) -> str:
    """The page of `write_report` as text.

    Parameters
    ----------
    fit, data
        As in `write_report`.
    **options
        Its other arguments.

    Examples
    --------
    >>> import dsl
    >>> from dsl.reports.page import report_html
    >>> posts = dsl.datasets.simulate_linear(n=1000, n_labels=300, seed=1)
    >>> fit = dsl.dsl(data=posts, sl_method="lm", sample_split=2, **posts.attrs["call"])
    >>> report_html(fit, date="2026-01-01").splitlines()[0]
    '<!DOCTYPE html>'
    """
    known = [each.name for each in fields(Options)]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ArgumentError(f"report_html() has no argument '{unknown[0]}'; the options are {', '.join(known)}")
    return _build(fit, data, Options(**options))


def _build(results: Fit | HasFit, data: DataLike | None, options: Options) -> str:
    fit = fit_of(results)
    check_alpha(options.alpha)
    check_texts(title=options.title)
    flags = ("compare", "diagnose", "exponentiate", "margins")
    check_flags(**{name: getattr(options, name) for name in flags})
    check_execution(options.n_jobs, options.progress)
    day = _date(options.date)
    _check_used(data, options)
    given = (None if data is None else as_source(data)) or cast(TableLike | None, data)
    return page(
        title=options.title or fit.call.formula_text,
        lead=fit.estimator.title,
        sections=_sections(fit, given, options),
        date=day,
        version=__version__,
    )


def _sections(fit: Fit, data: TableLike | Source | None, options: Options) -> list[Section]:
    # refused before anything is fitted
    trails = () if options.trail is None else trails_of(options.trail)
    table = None if isinstance(data, Source) else data
    if table is not None:
        check_same_data(fit, table)
    if isinstance(data, Source):
        check_no_margins(options.margins)
    if options.exponentiate:
        fit.ratio()
    effects = None if table is None or not options.margins else marginal_effects(fit, table)
    comparison, diagnostics = _comparison(fit, data, options), _diagnostics(fit, data, options)
    compared = comparison if isinstance(comparison, Comparison) else None
    methods = describe(fit, alpha=options.alpha, comparison=compared, version=__version__, trails=trails)
    # of the columns of the analysis alone, so that others may change
    digest = None if table is None else rerun.data_fingerprint(table, list(rerun.roles(fit)))
    columns = None if table is None else rerun.columns_table(fit, table)
    source = rerun.code(fit, digest)
    parts = [
        sections.design_section(fit),
        _annotation(trails, fit, diagnostics),
        sections.estimates_section(fit, options.alpha, ratios=options.exponentiate, effects=effects),
        sections.comparison_section(comparison) if isinstance(comparison, Comparison) else comparison,
        sections.diagnostics_section(fit, diagnostics) if isinstance(diagnostics, Diagnostics) else diagnostics,
        sections.methods_section(methods, fit),
        sections.rerun_section(source, rerun.session(), columns, digest, in_blocks=isinstance(data, Source)),
    ]
    return [part for part in parts if part is not None]


def _comparison(fit: Fit, data: TableLike | Source | None, options: Options) -> Comparison | Section | None:
    """The comparison, a section that says why there is none, or None where none is wanted."""
    if not options.compare:
        return None
    if data is None:
        return sections.absent("comparison", "Comparison of estimators", NEEDS_DATA)
    if not fit.whole and not isinstance(data, Source):
        return sections.absent("comparison", "Comparison of estimators", REMOVED)
    return compare_fit(
        fit,
        data,
        estimators=options.estimators,
        alpha=options.alpha,
        n_jobs=options.n_jobs,
        progress=options.progress,
        memory=options.memory,
    )


def _diagnostics(fit: Fit, data: TableLike | Source | None, options: Options) -> Diagnostics | Section | None:
    """The same for diagnostics."""
    if not options.diagnose:
        return None
    if data is None:
        return sections.absent("diagnostics", "Diagnostics", NEEDS_DATA, sections.plots(fit))
    if not fit.whole and not isinstance(data, Source):
        return sections.absent("diagnostics", "Diagnostics", REMOVED)
    return diagnose(fit, data, by=options.by, memory=options.memory, progress=options.progress)


def _annotation(trails: Sequence[Trail], fit: Fit, diagnostics: Diagnostics | Section | None) -> Section | None:
    """The checklist, where there is a trail."""
    if not trails:
        return None
    found = diagnostics if isinstance(diagnostics, Diagnostics) else None
    return annotation_section(trails, fit, labelling(fit)[0], found)


def _check_used(data: DataLike | None, options: Options) -> None:
    """Raise ArgumentError if an option would be ignored."""
    if options.margins and data is None:
        raise ArgumentError(
            "margins needs the data, over whose rows effects are averaged; pass them, fit.report(path, data)"
        )
    needs = {
        "estimators": ("compare=True", options.compare),
        "by": ("diagnose=True", options.diagnose),
    }
    for name, (section, wanted) in needs.items():
        if getattr(options, name) is None:
            continue
        if data is None:
            raise ArgumentError(
                f"{name} is for sections that need the data; pass them, fit.report(path, data, {name}=...)"
            )
        if not wanted:
            raise ArgumentError(f"{name} is for a section that was not asked for; pass {section}, or leave {name} out")


def _target(path: str | os.PathLike[str]) -> Path:
    """The path, checked before anything is computed."""
    try:
        target = Path(path)
    except TypeError:
        raise ArgumentError(f"path must be a file name such as 'report.html'; found {type(path).__name__}") from None
    if target.suffix.lower() not in SUFFIXES:
        raise ArgumentError(f"the report is a page: path must end in .html; found '{target.name}'")
    if not target.parent.is_dir():
        raise ArgumentError(f"there is no folder '{target.parent}' to write '{target.name}' to; make it first")
    if target.is_dir():
        raise ArgumentError(f"'{target}' is a folder; name a file in it, e.g. '{target / 'report.html'}'")
    return target


def _date(given: Date | str | None) -> str:
    if isinstance(given, str):
        return given
    if given is not None and not isinstance(given, Date):
        raise ArgumentError(f"date must be text or a datetime.date; found {type(given).__name__}")
    return (Date.today() if given is None else given).isoformat()
