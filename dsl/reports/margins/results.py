"""Marginal effects as results: numbers, intervals, tables. Only reads numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from dsl._typing import FloatArray
from dsl.engine.intervals import check_alpha, wald_interval, wald_pvalue
from dsl.exceptions import ArgumentError
from dsl.reports.escaping import EscapedSummary
from dsl.reports.text import number

METHODS = {"dydx": "dy/dx", "eyex": "d(lny)/d(lnx)", "dyex": "dy/d(lnx)", "eydx": "d(lny)/dx"}
"""Names of the effects, as statsmodels heads its tables."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MarginalEffects:
    """Marginal effects, as ``fit.get_margeff()`` returns them.

    Attributes
    ----------
    terms : tuple of str, (v,)
        Names of the effects: variables, and levels of categories.
    outcomes : tuple of str, (m,)
        Categories of the outcome, empty if it is a number.
    margeff : array, (v,) or (v, m)
        Effects. With ``at="all"`` those of each row, (n, v) or (n, v, m).
    df : array, (v m,)
        Degrees of freedom of their standard errors, infinite for normal intervals.
    method, at, rows, outcome : str
        What was asked for, which rows are averaged over, and the outcome's name.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> fit = dsl.dsl("human_positive ~ negation + hedge", tweets, model="logit", predicted_var="human_positive",
    ...               prediction="vader_positive", sl_method="lm", sample_split=2)
    >>> found = fit.get_margeff()
    >>> found
    <MarginalEffects on human_positive (dy/dx, overall): negation, hedge>
    >>> found.summary_frame().columns.tolist()
    ['dy/dx', 'Std. Err.', 'z', 'Pr(>|z|)', 'Conf. Int. Low', 'Cont. Int. Hi.']
    """

    terms: tuple[str, ...]
    outcomes: tuple[str, ...]
    margeff: FloatArray = field(repr=False)
    cov: FloatArray | None = field(repr=False)
    df: FloatArray = field(repr=False)
    method: str
    at: str
    rows: str
    outcome: str

    @property
    def margeff_cov(self) -> FloatArray:
        """Covariance of the effects, all on the first category first (`dsl.engine.margins.delta_covariance`), (v m, v m)."""
        if self.cov is None:
            raise ArgumentError(
                "at='all' has an effect for each row and no standard errors; use at='overall', 'mean', ..."
            )
        return self.cov

    @property
    def margeff_se(self) -> FloatArray:
        """Standard errors, shaped as `margeff`."""
        return self._shaped(np.sqrt(np.diag(self.margeff_cov)))

    @property
    def tvalues(self) -> FloatArray:
        """Effects over standard errors, shaped as `margeff`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.margeff / self.margeff_se)

    @property
    def pvalues(self) -> FloatArray:
        """Two-sided p values, shaped as `margeff`."""
        return self._shaped(wald_pvalue(self._flat, self._flat_se, df=self.df))

    def conf_int(self, alpha: float = 0.05) -> FloatArray:
        """Confidence intervals at level 1 - `alpha`, (v, 2) or (v, 2, m)."""
        check_alpha(alpha)
        ends = wald_interval(self._flat, self._flat_se, alpha, df=self.df)
        if not self.outcomes:
            return ends
        return np.moveaxis(ends.reshape(len(self.outcomes), len(self.terms), 2), 0, -1)

    @property
    def _flat(self) -> FloatArray:
        """Effects, all on the first category first, (v m,)."""
        _ = self.margeff_cov  # refuses effects of rows
        return self.margeff.T.ravel()

    @property
    def _flat_se(self) -> FloatArray:
        return np.asarray(np.sqrt(np.diag(self.margeff_cov)))

    def _shaped(self, values: FloatArray) -> FloatArray:
        return values.reshape(len(self.outcomes), len(self.terms)).T if self.outcomes else values

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all effects, those on the first category first, (v m,)."""
        if not self.outcomes:
            return self.terms
        return tuple(f"{self.outcome}[{level}]:{term}" for level in self.outcomes for term in self.terms)

    def tidy(self, alpha: float = 0.05) -> pd.DataFrame:
        """One row per effect: term, estimate, std_error, statistic, p_value, conf_low, conf_high, and df where it is finite."""
        check_alpha(alpha)
        estimate, se = self._flat, self._flat_se
        with np.errstate(divide="ignore", invalid="ignore"):
            table = pd.DataFrame(
                {"term": self.names, "estimate": estimate, "std_error": se, "statistic": estimate / se}
            )
        if np.isfinite(self.df).any():
            table["df"] = self.df
        table["p_value"] = wald_pvalue(estimate, se, df=self.df)
        table[["conf_low", "conf_high"]] = wald_interval(estimate, se, alpha, df=self.df)
        return table

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """The effects under statsmodels' names of columns, by variable (by category and variable, if there are several)."""
        t = "t" if np.isfinite(self.df).any() else "z"
        table = self.tidy(alpha).drop(columns=["term", "df"], errors="ignore")
        # "Cont." is statsmodels'
        table.columns = pd.Index(
            [METHODS[self.method], "Std. Err.", t, f"Pr(>|{t}|)", "Conf. Int. Low", "Cont. Int. Hi."]
        )
        table.index = (
            pd.MultiIndex.from_product([self.outcomes, self.terms], names=["endog", "exog"])
            if self.outcomes
            else pd.Index(self.terms)
        )
        return table

    def summary(self, alpha: float = 0.05) -> Summary:
        """The effects as a table that prints, with ``as_html()`` and ``as_latex()``."""
        t = "t" if np.isfinite(self.df).any() else "z"
        out = EscapedSummary()
        facts = [("Outcome:", self.outcome), ("Method:", METHODS[self.method]), ("At:", self.at), ("Rows:", self.rows)]
        out.tables.append(
            SimpleTable(
                [[value] for _, value in facts],
                stubs=[name for name, _ in facts],
                title="Marginal effects",
                txt_fmt={"table_dec_above": "=", "table_dec_below": "=", "data_aligns": "l", "stubs_align": "l"},
            )
        )
        ends = (f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]")
        body = effect_cells(self.tidy(alpha))
        header = [METHODS[self.method], "std err", t, f"P>|{t}|", *ends]
        out.tables.append(SimpleTable(body, headers=header, stubs=list(self.names), txt_fmt=fmt_params))
        return out

    def __repr__(self) -> str:
        """One line: outcome, method, variables."""
        return f"<MarginalEffects on {self.outcome} ({METHODS[self.method]}, {self.at}): {', '.join(self.terms)}>"

    def __str__(self) -> str:
        """The summary as text."""
        return str(self.summary())

    def _repr_html_(self) -> str:
        return str(self.summary().as_html())


def effect_cells(table: pd.DataFrame) -> list[Sequence[str]]:
    """Cells of a printed table of effects, without their names."""
    return [
        [
            number(row["estimate"]),
            number(row["std_error"]),
            f"{row['statistic']:.3f}",
            f"{row['p_value']:.3f}",
            number(row["conf_low"]),
            number(row["conf_high"]),
        ]
        for _, row in table.iterrows()
    ]
