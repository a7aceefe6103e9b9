"""What `dsl.multiverse` returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError
from dsl.reports.comparison.conclusions import CHANGES
from dsl.reports.comparison.difference import WaldTest
from dsl.reports.escaping import EscapedSummary
from dsl.reports.multiverse.agreement import POWER, Stacked
from dsl.reports.text import number, p_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 100
NUMBERS = ["estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """Labels with which the analysis is made."""

    name: str
    """Name of the predictions, and the threshold if there is one."""
    prediction: str
    """Name of the predictions in the call."""
    columns: Mapping[str, tuple[str, ...]]
    """Their columns, by predicted variable."""
    threshold: float = np.nan
    """Score from which on the label is 1. NaN where labels are taken as they are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Multiverse:
    """One analysis with the labels of many models, returned by `dsl.multiverse`.

    Attributes
    ----------
    table : DataFrame
        One row per coefficient and set of labels: ``term``, ``universe``, ``prediction``, ``threshold``, the corrected estimate
        (``estimate``, ``std_error``, ``statistic``, ``p_value``, ``conf_low``, ``conf_high``), the naive one (the same names
        with ``naive_`` before them, NaN where it has none), ``sign_flip`` (whether the two have different signs) and ``change``
        of the conclusion ("same", "vanishes", "appears", "reverses").
    agreement : DataFrame
        One row per coefficient: ``smallest`` and ``largest`` corrected estimate, Wald's test that all are the same
        (``statistic``, ``df``, ``p_value``), ``detectable`` (difference that a test of any two finds with probability .8),
        ``naive_smallest``, ``naive_largest``, the same test of the naive estimates (``naive_statistic``, ``naive_df``,
        ``naive_p_value``), and ``sign_flips`` and ``changes``, shares of the sets of labels whose naive estimate has
        another sign than the corrected one, or leads to another conclusion. The last row, "(all)", has all coefficients together.
    universes : tuple of Universe
    fits, naive_fits : dict
        Corrected and naive fits, by universe.
    failed : dict
        Universes without an estimate, and why.
    formula, model, estimator : str
    alpha : float
        One minus the level of intervals and conclusions.
    """

    formula: str
    model: str
    estimator: str
    alpha: float
    universes: tuple[Universe, ...] = field(repr=False)
    table: pd.DataFrame = field(repr=False)
    agreement: pd.DataFrame = field(repr=False)
    fits: Mapping[str, Fit] = field(repr=False)
    naive_fits: Mapping[str, Fit] = field(repr=False)
    failed: Mapping[str, str] = field(repr=False)

    @property
    def terms(self) -> tuple[str, ...]:
        """Coefficients."""
        return next(iter(self.fits.values())).names

    @property
    def joint(self) -> WaldTest:
        """Test that the corrected estimates of all coefficients agree."""
        return _joint(_row(self.agreement, ALL))

    @property
    def sentences(self) -> list[str]:
        """What the multiverse says about each coefficient."""
        return [_sentence(term, _row(self.agreement, term), len(self.fits), self.estimator) for term in self.terms]

    def tidy(self) -> pd.DataFrame:
        """One row per coefficient, set of labels and estimator: the table with naive estimates below the corrected ones."""
        keys = ["term", "universe", "prediction", "threshold"]
        naive = self.table[keys + [f"naive_{name}" for name in NUMBERS]].set_axis(keys + NUMBERS, axis=1)
        parts = [(self.estimator, self.table[keys + NUMBERS]), ("naive", naive)]
        out = pd.concat([part.assign(estimator=name) for name, part in parts])[[*keys, "estimator", *NUMBERS]]
        # coefficient by coefficient and universe by universe, each in their order
        return out.dropna(subset="estimate").sort_index(kind="stable").reset_index(drop=True)

    def plot(self, term: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Naive and corrected estimates of a coefficient. See `dsl.plotting.multiverse`."""
        from dsl.reports.plots.multiverse import multiverse

        return multiverse(self, ax, term=term)

    def summary(self) -> Summary:
        """Design, estimates, agreement, and what follows in words.

        Returns
        -------
        statsmodels.iolib.summary.Summary
            Prints as text, with ``as_html()`` and ``as_latex()``.
        """
        fit = next(iter(self.fits.values()))
        out = EscapedSummary()
        facts = [
            ("Formula:", self.formula),
            ("Model:", self.model),
            ("Rows:", f"{fit.nobs:,} ({fit.n_labeled:,} labelled)"),
            ("Sets of labels:", f"{len(self.fits)}"),
        ]
        out.tables.append(
            SimpleTable(
                [[value] for _, value in facts],
                stubs=[name for name, _ in facts],
                title="One analysis, many models' labels",
                txt_fmt={"table_dec_above": "=", "table_dec_below": "=", "data_aligns": "l", "stubs_align": "l"},
            )
        )
        out.tables.append(_estimates(self.table, self.estimator, self.alpha))
        texts = [*self.sentences, _all_sentence(_row(self.agreement, ALL), self.joint, self.estimator)]
        texts += [f"{name} has no estimate: {why}" for name, why in self.failed.items()]
        out.add_extra_txt([fill(text, WIDTH, subsequent_indent="    ") for text in texts])
        return out

    def __repr__(self) -> str:
        """One line: formula and universes."""
        return f"<Multiverse {self.formula}: {', '.join(self.fits)}; {self.estimator}>"

    def __str__(self) -> str:
        """The summary as text."""
        return str(self.summary())

    def _repr_html_(self) -> str:
        return str(self.summary().as_html())


ALL = "(all)"
"""Row of the agreement of all coefficients together."""


def assemble(
    universes: tuple[Universe, ...],
    fits: Mapping[str, Fit],
    naive_fits: Mapping[str, Fit],
    failed: Mapping[str, str],
    *,
    stacked: Stacked,
    naive: Stacked | None,
    alpha: float,
) -> Multiverse:
    """Put fits with different labels side by side.

    Parameters
    ----------
    universes, fits, naive_fits, failed, alpha
        As in `Multiverse`.
    stacked : Stacked
        Of the corrected fits.
    naive : Stacked or None
        Of the naive ones, None without any.
    """
    first = next(iter(fits.values()))
    for name, fit in fits.items():
        if fit.names != first.names:
            raise ArgumentError(
                f"with the labels of '{name}' the analysis has coefficients ({', '.join(fit.names)}), with others "
                f"({', '.join(first.names)}); leave out the formula what depends on the labels"
            )
    table = _table(universes, fits, naive_fits, alpha)
    return Multiverse(
        formula=first.call.formula_text,
        model=first.call.model,
        estimator=first.call.estimator,
        alpha=alpha,
        universes=universes,
        table=table,
        agreement=_agreement(table, first.names, stacked, naive, alpha),
        fits=dict(fits),
        naive_fits=dict(naive_fits),
        failed=dict(failed),
    )


def _table(
    universes: tuple[Universe, ...], fits: Mapping[str, Fit], naive_fits: Mapping[str, Fit], alpha: float
) -> pd.DataFrame:
    parts = []
    for universe in universes:
        if universe.name not in fits:
            continue
        own = fits[universe.name].tidy(alpha=alpha)
        part = own[["term"]].assign(
            universe=universe.name, prediction=universe.prediction, threshold=universe.threshold
        )
        part[NUMBERS] = own[NUMBERS]
        naive = naive_fits.get(universe.name)
        values = pd.DataFrame(np.nan, index=own.index, columns=NUMBERS) if naive is None else naive.tidy(alpha=alpha)
        part[[f"naive_{name}" for name in NUMBERS]] = values[NUMBERS]
        flip = part["naive_estimate"] * part["estimate"] < 0.0
        part["sign_flip"] = flip
        part["change"] = [
            CHANGES[bool(before < alpha), bool(after < alpha), not turned] if not np.isnan(before) else ""
            for before, after, turned in zip(part["naive_p_value"], part["p_value"], flip, strict=True)
        ]
        parts.append(part.assign(_place=np.arange(len(part))))
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values("_place", kind="stable", ignore_index=True).drop(columns="_place")


def _agreement(
    table: pd.DataFrame, terms: tuple[str, ...], stacked: Stacked, naive: Stacked | None, alpha: float
) -> pd.DataFrame:
    detectable = stacked.detectable(alpha)
    rows = []
    for place, term in enumerate(terms):
        own = table[table["term"] == term]
        rows.append(
            {
                **_range(own["estimate"], ""),
                **_test(stacked.of_term(place), ""),
                "detectable": detectable[place],
                **_range(own["naive_estimate"], "naive_"),
                **_test(None if naive is None else naive.of_term(place), "naive_"),
                **_shares(own),
            }
        )
    rows.append({**_test(stacked, ""), **_test(naive, "naive_"), **_shares(table)})
    return pd.DataFrame(rows, index=pd.Index([*terms, ALL], name="term"))


def _range(values: pd.Series, before: str) -> dict[str, float]:
    return {f"{before}smallest": float(values.min()), f"{before}largest": float(values.max())}


def _test(stacked: Stacked | None, before: str) -> dict[str, float]:
    if stacked is None:
        return dict.fromkeys((f"{before}statistic", f"{before}df", f"{before}p_value"), np.nan)
    test = stacked.agreement()
    return {f"{before}statistic": test.statistic, f"{before}df": test.df, f"{before}p_value": test.p_value}


def _shares(rows: pd.DataFrame) -> dict[str, float]:
    """Shares of naive estimates with the wrong sign, and of naive conclusions that do not hold."""
    known = rows[rows["naive_estimate"].notna()]
    if known.empty:
        return {"sign_flips": np.nan, "changes": np.nan}
    return {"sign_flips": float(known["sign_flip"].mean()), "changes": float((known["change"] != "same").mean())}


def _row(agreement: pd.DataFrame, term: str) -> pd.Series:
    return agreement.T[term]


def _joint(row: pd.Series) -> WaldTest:
    return WaldTest(statistic=float(row["statistic"]), df=int(row["df"]), p_value=float(row["p_value"]))


def _sentence(term: str, row: pd.Series, count: int, estimator: str) -> str:
    agree = _joint(row)
    own = f"by {estimator} from {number(row['smallest'])} to {number(row['largest'])}"
    verdict = "they cannot be told apart" if agree.p_value >= 0.05 else "they differ by more than chance"
    if not agree.df:
        verdict = "they are the same"
    text = f"{term}: over {count} sets of labels estimates run {own} ({verdict}: {agree}"
    text += f"; a difference of {number(row['detectable'])} between any two would show with probability {POWER:g})"
    if np.isnan(row["naive_smallest"]):
        return text + "."
    flips = f"{100 * row['sign_flips']:.0f}% with the other sign, {100 * row['changes']:.0f}% with another conclusion"
    naive = f"naive ones from {number(row['naive_smallest'])} to {number(row['naive_largest'])}"
    return f"{text}, {naive} ({flips})."


def _all_sentence(row: pd.Series, joint: WaldTest, estimator: str) -> str:
    text = f"All coefficients: that the estimates by {estimator} are the same for all labels has {joint}"
    if np.isnan(row["naive_p_value"]):
        return text + "."
    naive = f"chi2({int(row['naive_df'])}) = {row['naive_statistic']:.2f}, {p_text(float(row['naive_p_value']))}"
    return f"{text}; that the naive ones are, {naive}. {100 * row['sign_flips']:.0f}% of the naive signs are others."


def _estimates(table: pd.DataFrame, estimator: str, alpha: float) -> SimpleTable:
    ends = (f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]")
    shown = ["naive_estimate", "naive_conf_low", "naive_conf_high", "estimate", "std_error", "conf_low", "conf_high"]
    header = ["labels", "naive", *ends, estimator, "std err", *ends, ""]
    body, stubs = [], []
    for term, rows in table.groupby("term", sort=False):
        # a coefficient's name once, above the lines of its sets of labels
        stubs += [str(term), *[""] * (len(rows) - 1)]
        for _, row in rows.iterrows():
            numbers = ["" if np.isnan(row[name]) else number(row[name]) for name in shown]
            body.append([row["universe"], *numbers, "" if row["change"] == "same" else row["change"]])
    txt_fmt = {**fmt_params, "data_aligns": "lrrrrrrrl"}
    return SimpleTable(body, headers=header, stubs=stubs, txt_fmt=txt_fmt)
