"""What `dsl.compare` returns: the estimators' coefficients side by side, and the naive estimate's bias."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from statsmodels.iolib.summary import Summary

from dsl._typing import FloatArray
from dsl.engine.intervals import wald_interval, wald_pvalue
from dsl.estimators.result import Fit, HasFit, fit_of
from dsl.exceptions import ArgumentError
from dsl.reports.comparison.conclusions import conclude
from dsl.reports.comparison.difference import Difference, WaldTest, wald_test
from dsl.reports.comparison.printed import summarize

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INVALID = "naive"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Comparison:
    """Estimators side by side, returned by `dsl.compare` and ``fit.compare(data)``.

    Attributes
    ----------
    table : DataFrame
        One row per coefficient and estimator: term, estimator, estimate, std_error, statistic, p_value, conf_low,
        conf_high, and ``effective_labels``: how many labels the labelled rows alone would need for the same standard
        error (NaN for the naive estimator, whose standard error leaves out its bias).
    bias : DataFrame or None
        Naive estimate less that of the `reference`, one row per coefficient: difference, std_error, statistic, p_value,
        conf_low, conf_high. The standard error knows that both rest on the same rows. None without either of them.
    hausman : WaldTest or None
        Joint test that none of the naive estimates is biased: statistic, df, p_value.
    conclusions : DataFrame or None
        One row per coefficient but the intercept: ``change`` ("same", "vanishes", "appears", "reverses") and ``sentence``,
        which says in words what happens to the naive conclusion.
    reference : str
        The estimator that the others are judged by.
    fits : dict
        The fits, by name.
    failed : dict
        Estimators that had no solution, or whose surrogates cannot be used as they are, and why.
    notes : tuple of str
    alpha : float
        One minus the level of intervals and conclusions.
    margins : DataFrame or None
        Average marginal effects, one row per effect and estimator, where they were asked for.
    scale : str
        What the table's estimates are where they are exponentiated: "odds ratio". Empty for coefficients.

    Examples
    --------
    >>> import dsl
    >>> from dsl.analyses.compare import compare
    >>> posts = dsl.datasets.simulate_linear(n=2000, n_labels=400, seed=1)
    >>> found = compare("Y ~ X1 + X2", posts, predicted_var="Y", prediction="pred_Y", sl_method="lm", sample_split=2)
    >>> found
    <Comparison Y ~ X1 + X2: naive, gold_only, dsl, dsl+; reference dsl>
    >>> found.bias["difference"].round(1).to_dict()
    {'Intercept': 0.1, 'X1': -0.5, 'X2': 0.3}
    >>> found.hausman.df, found.hausman.p_value < 0.001
    (3, True)
    >>> found.conclusions.loc["X2", "change"]
    'appears'
    >>> found.effective_labels.loc["X2"].round(-2).astype(int).to_dict()
    {'gold_only': 400, 'dsl': 500, 'dsl+': 800}
    """

    formula: str
    model: str
    alpha: float
    reference: str
    table: pd.DataFrame = field(repr=False)
    bias: pd.DataFrame | None = field(repr=False)
    hausman: WaldTest | None
    conclusions: pd.DataFrame | None = field(repr=False)
    fits: Mapping[str, Fit | HasFit] = field(repr=False)
    failed: Mapping[str, str]
    notes: tuple[str, ...]
    margins: pd.DataFrame | None = field(default=None, repr=False)
    scale: str = ""

    @property
    def sentences(self) -> list[str]:
        """What happens to the conclusion about each coefficient, in a sentence or two."""
        if self.conclusions is None:
            why = next(
                (f": {name} has no estimate ({why})" for name, why in self.failed.items() if name == INVALID), ""
            )
            raise ArgumentError(
                f"there is nothing to conclude without 'naive' and '{self.reference}'"
                + (why or "; compare with both among the estimators")
            )
        return list(self.conclusions["sentence"])

    @property
    def effective_labels(self) -> pd.DataFrame:
        """Labels that each estimate is worth, one row per coefficient, one column per estimator."""
        wide = self.table.pivot(index="term", columns="estimator", values="effective_labels")
        valid = [name for name, fit in self.fits.items() if fit_of(fit).call.estimator != INVALID]
        return wide.loc[self.table["term"].unique(), valid].rename_axis(columns=None)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        terms: str | Sequence[str] | None = None,
        truth: Mapping[str, float] | None = None,
    ) -> "Axes":
        """Estimates and intervals of all estimators. See `dsl.plotting.coefficients`.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw, a new figure by default.
        terms : str or list of str, optional
            Coefficients to draw, from top to bottom, by default all but the intercept.
        truth : dict or Series, optional
            Known values to mark, by coefficient.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ArgumentError
            A coefficient that there is not.
        MissingDependencyError
            matplotlib is missing: ``pip install 'dsl[plot]'``.
        """
        from dsl.reports.plots.coefficients import coefficients

        return coefficients(self.fits, ax, terms=terms, truth=truth, alpha=self.alpha)

    def summary(self) -> Summary:
        """Design, coefficients, bias and conclusions.

        Returns
        -------
        statsmodels.iolib.summary.Summary
            Prints as text, with ``as_html()`` and ``as_latex()``.
        """
        fit = fit_of(self.fits[self.reference])
        facts = [
            ("Formula:", self.formula),
            ("Model:", self.model),
            ("Rows:", f"{fit.nobs:,} ({fit.n_labeled:,} labelled)"),
            ("Reference:", self.reference),
        ]
        if fit.call.target == "finite":
            facts.append(("Target:", "these rows (finite population)"))
        texts = [] if self.hausman is None else [f"All of them zero (Hausman-type test): {self.hausman}."]
        texts += [] if self.conclusions is None else self.sentences
        texts += [f"{name} has no estimate: {why}" for name, why in self.failed.items()]
        texts += self.notes
        return summarize(
            facts,
            self.table,
            self.bias,
            texts,
            reference=self.reference,
            alpha=self.alpha,
            margins=self.margins,
            scale=self.scale,
        )

    def __repr__(self) -> str:
        """One line: formula and estimators."""
        return f"<Comparison {self.formula}: {', '.join(self.fits)}; reference {self.reference}>"

    def __str__(self) -> str:
        """The summary as text."""
        return str(self.summary())

    def _repr_html_(self) -> str:
        return str(self.summary().as_html())


def assemble(
    fits: Mapping[str, Fit],
    *,
    reference: str,
    bias: Difference | None,
    failed: Mapping[str, str],
    notes: tuple[str, ...],
    alpha: float,
) -> Comparison:
    """Put fits of the same rows side by side.

    Parameters
    ----------
    fits : mapping of str to Fit
    reference : str
        Name of the fit that the others are judged by.
    bias : Difference or None
        Naive less reference.
    failed, notes, alpha
        As in `Comparison`.
    """
    fit, naive = fits[reference], named(fits, INVALID)
    terms = fit.names
    _check_terms(fits, reference)
    table = coefficients(fits, alpha)
    biases = None if bias is None else _bias_table(bias, terms, alpha)
    return Comparison(
        formula=fit.call.formula_text,
        model=fit.call.model,
        alpha=alpha,
        reference=reference,
        table=table,
        bias=biases,
        hausman=None if bias is None else joint_test(bias),
        conclusions=None
        if biases is None
        else conclude(table, biases.loc[list(fit.slopes)], str(naive), reference, alpha),
        fits=dict(fits),
        failed=dict(failed),
        notes=notes,
    )


def named(fits: Mapping[str, Fit], estimator: str) -> str | None:
    """Name of the first fit with this estimator."""
    return next((name for name, fit in fits.items() if fit.call.estimator == estimator), None)


def _check_terms(fits: Mapping[str, Fit], reference: str) -> None:
    expected = fits[reference].names
    for name, fit in fits.items():
        if fit.names != expected:
            raise ArgumentError(
                f"'{name}' has coefficients ({', '.join(fit.names)}) than '{reference}' ({', '.join(expected)}); "
                "compare estimators of one formula"
            )


def joint_test(bias: Difference) -> WaldTest:
    """Test that all differences are zero. Those that are always zero do not count."""
    # differences that are zero but for rounding are put at zero: rounding error has no variance to be judged by
    return wald_test(np.where(bias.constant, 0.0, bias.estimate), bias.vcov, bias.scale)


def coefficients(fits: Mapping[str, Fit], alpha: float) -> pd.DataFrame:
    """One row per coefficient and estimator, coefficient by coefficient."""
    baseline = named(fits, "gold_only")
    some_t = any(fit.call.use_t for fit in fits.values())
    parts = []
    for name, fit in fits.items():
        part = fit.tidy(alpha=alpha)
        # one fit with t intervals: the others' degrees of freedom are infinite
        if some_t and "df" not in part:
            part.insert(list(part.columns).index("p_value"), "df", np.inf)
        part.insert(1, "estimator", name)
        part["effective_labels"] = np.nan
        if baseline is not None and fit.call.estimator != INVALID:
            part["effective_labels"] = worth(fit, fits[baseline])
        parts.append(part.assign(_place=np.arange(len(part))))
    table = pd.concat(parts, ignore_index=True)
    # coefficient by coefficient. A stable sort keeps the fits' order within each
    return table.sort_values("_place", kind="stable", ignore_index=True).drop(columns="_place")


def worth(fit: Fit, gold: Fit) -> FloatArray:
    """Labels that the labelled rows alone would need for the standard errors of `fit`, (k,).

    Their variance is taken to go with 1/n and, for a finite population of N rows, with 1/n - 1/N.
    """
    # se^2 goes with 1 / n: n_eff = n se_gold^2 / se^2
    n, ratio = gold.n_labeled, (fit.bse / gold.bse) ** 2
    if gold.call.target != "finite":
        return np.asarray(n / ratio)
    rest = 1.0 / gold.nobs
    # se^2 goes with 1 / n - 1 / N: 1 / n_eff = 1 / N + (se^2 / se_gold^2) (1 / n - 1 / N)
    return np.asarray(1.0 / (rest + ratio * (1.0 / n - rest)))


def _bias_table(bias: Difference, terms: tuple[str, ...], alpha: float) -> pd.DataFrame:
    estimate = np.where(bias.constant, 0.0, bias.estimate)
    table = pd.DataFrame({"difference": estimate, "std_error": bias.se}, index=pd.Index(terms, name="term"))
    with np.errstate(divide="ignore", invalid="ignore"):
        table["statistic"] = np.where(bias.constant, 0.0, estimate / bias.se)
    table["p_value"] = np.where(bias.constant, 1.0, wald_pvalue(estimate, bias.se))
    table[["conf_low", "conf_high"]] = wald_interval(estimate, bias.se, alpha)
    return table
