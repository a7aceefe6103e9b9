"""A comparison on other scales than that of the coefficients: ratios, average marginal effects."""

from dataclasses import replace

import pandas as pd

from dsl.data.arguments import check_flags
from dsl.data.tables import TableLike
from dsl.estimators.result import fit_of
from dsl.exceptions import NeedsAllRowsError
from dsl.reports.comparison.results import Comparison
from dsl.reports.margins import marginal_effects


def on_scales(found: Comparison, data: TableLike, *, exponentiate: bool, margins: bool) -> Comparison:
    """The comparison with ratios in its table, or with a table of marginal effects.

    Parameters
    ----------
    found : Comparison
    data : data frame
        That of the fits.
    exponentiate, margins : bool
        As in `dsl.compare`.
    """
    if exponentiate:
        reference = fit_of(found.fits[found.reference])
        name = reference.ratio()
        note = (
            f"Estimates and intervals by estimator: {reference.ratios().lower()}. Standard errors and p values, the bias, and "
            "what is said of each coefficient are about logarithms of these."
        )
        found = replace(found, table=reference.exponentiated(found.table), scale=name, notes=(*found.notes, note))
    return replace(found, margins=_effects(found, data)) if margins else found


def _effects(found: Comparison, data: TableLike) -> pd.DataFrame:
    """One row per effect and estimator, effect by effect."""
    parts = []
    for name, fit in found.fits.items():
        part = marginal_effects(fit_of(fit), data).tidy(found.alpha).drop(columns="df", errors="ignore")
        part.insert(1, "estimator", name)
        parts.append(part.assign(_place=range(len(part))))
    # a stable sort keeps the fits' order within each effect
    table = pd.concat(parts, ignore_index=True).sort_values("_place", kind="stable", ignore_index=True)
    return table.drop(columns="_place")


def check_no_margins(margins: bool) -> None:
    """Raise NeedsAllRowsError where marginal effects are asked for of rows that are read in blocks."""
    if margins:
        raise NeedsAllRowsError(
            "margins= averages over all rows at once, which cannot be had yet where data are read in blocks; leave it out, or "
            "fit a sample of the rows in memory"
        )


def check_scales(exponentiate: object, margins: object) -> None:
    """Raise ArgumentError unless both are True or False."""
    check_flags(exponentiate=exponentiate, margins=margins)
