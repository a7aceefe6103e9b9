"""Predicted standard errors by number of labels, and what follows: detectable effects, labels needed, costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from statsmodels.iolib.summary import Summary

from dsl._typing import BoolArray, FloatArray
from dsl.data.arguments import Names, warn_caller
from dsl.engine.intervals import check_alpha
from dsl.estimators.names import ESTIMATORS
from dsl.exceptions import ArgumentError, PowerWarning
from dsl.planning.power.curve import (
    VarianceCurve,
    fill_from_last,
    labels_saved,
    minimum_effect,
    power_of,
    smallest_size,
    stretch_above,
)
from dsl.planning.power.printed import draw, summarize
from dsl.planning.power.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROUNDING = 1e-9
"""Relative, since probabilities are rescaled to a mean."""


ByTerm: TypeAlias = float | Mapping[str, float] | pd.Series
"""One number for all coefficients, or one for each by name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PowerResults:
    """Predicted standard errors by number of labelled rows, returned by `power_dsl` and `plan_dsl`.

    Attributes
    ----------
    predicted_se : DataFrame, (sizes, k)
        Predicted standard errors. The index holds the numbers of labelled rows.
    labeled_size : array, (sizes,)
        These numbers.
    extrapolated : DataFrame, (sizes, k)
        Where no split has a positive predicted variance, so that the value is that of the last size with one, times
        the root of the sizes' ratio.
    study : Study
        What the figures rest on.

    Examples
    --------
    >>> import dsl
    >>> from dsl.planning.power import power_dsl
    >>> posts = dsl.datasets.simulate_linear(n_labels=500, seed=1)
    >>> power = power_dsl("Y ~ X1 + X2", posts, predicted_var="Y", prediction="pred_Y", sl_method="lm")
    >>> power
    <PowerResults Y ~ X1 + X2 (dsl): 500 to 1000 of 5000 rows labelled, 500 so far>
    >>> power.at([500, 2000]).mde(power=0.9)["X1"].round(2).tolist()
    [0.17, 0.08]
    >>> power.labels_needed(effect={"X2": 0.2}).loc["X2", ["labeled_size", "further"]].astype(int).tolist()
    [658, 158]
    >>> power.cost(expert_price=1.5, llm_price=0.002).loc[1000].to_dict()
    {'expert': 1500.0, 'llm': 10.0, 'total': 1510.0, 'further': 750.0}
    >>> power.worth(expert_price=1.5, llm_price=0.002).loc["X2", ["from_size", "until_size"]].astype(int).tolist()
    [18, 4976]
    """

    predicted_se: pd.DataFrame
    extrapolated: pd.DataFrame = field(repr=False)
    study: Study = field(repr=False)

    @property
    def labeled_size(self) -> FloatArray:
        """Numbers of labelled rows, (sizes,)."""
        return np.asarray(self.predicted_se.index, dtype=float)

    def __repr__(self) -> str:
        """One line: coefficients, labels, sizes."""
        study, sizes = self.study, self.labeled_size
        return (
            f"<PowerResults {study.formula} ({study.estimator}): {sizes.min():g} to {sizes.max():g} of {study.nobs} rows "
            f"labelled, {study.at_hand} so far>"
        )

    def at(self, labeled_size: ArrayLike) -> "PowerResults":
        """The same at other numbers of labelled rows.

        Parameters
        ----------
        labeled_size : number or list of numbers
            Above 0, at most the number of rows.

        Returns
        -------
        PowerResults
        """
        return evaluate(self.study, check_sizes(labeled_size, self.study.nobs))

    def mde(self, power: float = 0.8, alpha: float = 0.05) -> pd.DataFrame:
        """Minimum detectable effects.

        Parameters
        ----------
        power : float
            Probability of finding the effect.
        alpha : float
            Level of the two-sided z test.

        Returns
        -------
        DataFrame, (sizes, k)
            Smallest coefficients, in absolute value, that differ from zero at level `alpha` with probability `power`,
            in either tail.
        """
        _check_test(power, alpha, needed=True)
        return self._framed(minimum_effect(self.predicted_se.to_numpy(), power=power, alpha=alpha))

    def power(self, effect: ByTerm, alpha: float = 0.05) -> pd.DataFrame:
        """Probability of finding an effect.

        Parameters
        ----------
        effect : float, or mapping or Series of term to float
            True value of each coefficient. Take it from theory or earlier work: the estimates of the fit would only
            restate their p values.
        alpha : float
            Level of the two-sided z test.

        Returns
        -------
        DataFrame, (sizes, k)
        """
        _check_test(None, alpha)
        wanted = self._by_term(effect, "effect")
        se = self.predicted_se[list(wanted.index)]
        values = power_of(wanted.to_numpy(), se.to_numpy(), alpha=alpha)
        return pd.DataFrame(values, index=se.index, columns=se.columns)

    def labels_needed(
        self, *, se: ByTerm | None = None, effect: ByTerm | None = None, power: float = 0.8, alpha: float = 0.05
    ) -> pd.DataFrame:
        """Fewest labelled rows for a standard error, or for finding an effect.

        Parameters
        ----------
        se : float, or mapping or Series of term to float, optional
            Largest standard error accepted.
        effect : float, or mapping or Series of term to float, optional
            Coefficient to be found with probability `power` at level `alpha`, instead of `se`.
        power, alpha : float

        Returns
        -------
        DataFrame, one row per term
            ``se`` (to reach), ``labeled_size`` (missing where labelling every row is not enough), ``further`` (labels beyond
            those at hand), ``predicted_se`` (there, or with every row labelled).
        """
        if (se is None) == (effect is None):
            raise ArgumentError(
                "give the standard error to reach (se=0.05) or the effect to find (effect=0.1), one of both"
            )
        check_alpha(alpha)
        if effect is None:
            assert se is not None
            target = self._by_term(se, "se")
        else:
            _check_test(power, alpha)
            wanted = self._by_term(effect, "effect")
            # the smallest detectable effect is a multiple of the standard error, the same for all coefficients
            target = wanted / minimum_effect(np.array(1.0), power=power, alpha=alpha)
        study = self.study
        columns = [study.terms.index(term) for term in target.index]
        curve = study.curve.of(columns)
        size = smallest_size(curve, target.to_numpy(), study.nobs)
        # where no size will do, the standard error with every row labelled
        there = np.where(size > 0, size, study.nobs).astype(float)
        # missing whole numbers need pandas' own type
        found = pd.array(np.where(size > 0, size, -1), dtype="Int64")
        found[size == 0] = pd.NA
        return pd.DataFrame(
            {
                "se": target,
                "labeled_size": found,
                "further": np.maximum(found - study.at_hand, 0),  # type: ignore[operator]  # missing in the stubs
                # size j for coefficient j
                "predicted_se": np.diagonal(curve.se(there)),
            },
            index=target.index,
        )

    def cost(self, expert_price: float, llm_price: float = 0.0) -> pd.DataFrame:
        """What the labels cost.

        Parameters
        ----------
        expert_price : float
            Price of one expert label.
        llm_price : float
            Price of one row's surrogates. Every row needs them.

        Returns
        -------
        DataFrame, (sizes, 4)
            ``expert``, ``llm``, ``total``, and ``further``, the price of expert labels beyond those at hand.
        """
        _check_prices(expert_price, llm_price)
        sizes, study = self.labeled_size, self.study
        # a gold-only analysis pays for no surrogates
        llm = llm_price * study.nobs if ESTIMATORS[study.estimator].uses_surrogates else 0.0
        out = {
            "expert": expert_price * sizes,
            "llm": np.full(len(sizes), llm),
            "total": expert_price * sizes + llm,
            "further": expert_price * np.maximum(sizes - study.at_hand, 0.0),
        }
        return pd.DataFrame(out, index=self.predicted_se.index)

    def worth(self, expert_price: float, llm_price: float, gold_only: "PowerResults | None" = None) -> pd.DataFrame:
        """Whether the surrogates are worth their price, and up to how many expert labels.

        The surrogates' value is that of the expert labels which the labelled rows alone (inverse-probability weighted)
        would need in addition for the same standard error. It is small with few labels, grows, and is zero again
        when every row is labelled.

        Parameters
        ----------
        expert_price : float
            Price of one expert label.
        llm_price : float
            Price of one row's surrogates. Every row needs them.
        gold_only : PowerResults, optional
            `power_dsl` of the same analysis with ``estimator="gold_only"``. Needed where its standard errors do not
            follow from this fit: with unequal sampling probabilities, rows drawn within clusters,
            or ``target="finite"``.

        Returns
        -------
        DataFrame, one row per term
            ``labels_saved`` at the number of labels at hand (below zero where predictions do harm, which ``tune=`` of
            `dsl.dsl` prevents), their ``value``, the ``price`` of all surrogates, and the
            numbers of labels ``from_size`` and ``until_size`` between which the value is at least the price (missing
            where it never is).

        Raises
        ------
        ArgumentError
            The fit uses no surrogates, or `gold_only` is needed.
        """
        _check_prices(expert_price, llm_price)
        study, other = self.study, _gold_curve(self.study, gold_only)
        price = llm_price * study.nobs

        def value(sizes: FloatArray) -> FloatArray:
            return expert_price * labels_saved(study.curve, other, sizes)

        now = labels_saved(study.curve, other, np.array([float(study.n_labeled)]))[0]
        first, last = stretch_above(value, price, study.nobs)
        ends = {}
        for name, size in (("from_size", first), ("until_size", last)):
            ends[name] = pd.array(size, dtype="Int64")
            ends[name][size == 0] = pd.NA
        columns = {"labels_saved": now, "value": expert_price * now, "price": price, **ends}
        return pd.DataFrame(columns, index=list(study.terms))

    def plot(self, ax: "Axes | None" = None, *, terms: Names | None = None) -> "Axes":
        """Predicted standard errors against the number of labelled rows.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw, a new figure by default.
        terms : str or list of str, optional
            Coefficients to draw, all by default.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        MissingDependencyError
            matplotlib is missing: ``pip install 'dsl[plot]'``.
        """
        return draw(self.study, self.predicted_se, self.extrapolated, ax=ax, terms=terms)

    def summary(self, power: float = 0.8, alpha: float = 0.05) -> Summary:
        """Predicted standard errors and minimum detectable effects.

        Parameters
        ----------
        power, alpha : float
            Of the detectable effects, see `mde`.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        _check_test(power, alpha, needed=True)
        effects = f"Minimum detectable effects (power {power:g}, level {alpha:g})", self.mde(power=power, alpha=alpha)
        return summarize(self.study, self.predicted_se, self.extrapolated, effects)

    def _framed(self, values: FloatArray) -> pd.DataFrame:
        return pd.DataFrame(values, index=self.predicted_se.index, columns=self.predicted_se.columns)

    def _by_term(self, value: ByTerm, name: str) -> pd.Series:
        """One number per term, in absolute value."""
        if isinstance(value, Mapping | pd.Series):
            out = pd.Series(dict(value), dtype=object)
        else:
            if not _is_number(value):
                raise ArgumentError(f"{name} must be a number other than zero, or one for each term; found {value!r}")
            out = pd.Series(value, index=list(self.study.terms), dtype=object)
        unknown = [term for term in out.index if term not in self.study.terms]
        if unknown:
            raise ArgumentError(
                f"{name} names '{unknown[0]}', which is no coefficient; they are {', '.join(self.study.terms)}"
            )
        numbers = pd.to_numeric(out, errors="coerce").astype(float).abs()
        # an effect or standard error of zero is never reached
        bad = numbers.index[~np.isfinite(numbers) | (numbers == 0.0)]
        if len(bad) or not len(out):
            found = repr(out[bad[0]]) if len(bad) else "none"
            raise ArgumentError(f"{name} must be a number other than zero, or one for each term; found {found}")
        return numbers


def evaluate(study: Study, sizes: FloatArray) -> PowerResults:
    """Predicted standard errors of a study at checked sizes."""
    order = np.argsort(sizes, kind="stable")
    ascending = sizes[order]
    known = study.curve.se(ascending)
    # the fit's own standard errors at its own size, not their medians over splits again
    known[ascending == study.n_labeled] = study.se
    filled = np.empty_like(known)
    # in the caller's order. Gaps are filled in the order of the sizes
    filled[order] = fill_from_last(known, ascending, study.se, study.n_labeled)
    gaps = np.empty(known.shape, dtype=bool)
    gaps[order] = np.isnan(known)
    _warn(study, sizes, gaps)
    index = pd.Index(sizes, name="labeled_size")
    return PowerResults(
        predicted_se=pd.DataFrame(filled, index=index, columns=list(study.terms)),
        extrapolated=pd.DataFrame(gaps, index=index, columns=list(study.terms)),
        study=study,
    )


def default_sizes(study: Study, factors: FloatArray) -> FloatArray:
    """The labels that the figures start from times `factors`, up to where some row would be labelled for certain."""
    sizes = study.n_labeled * factors
    # 1.1 * 500 is not 550 in floating point
    sizes = np.where(np.abs(sizes - sizes.round()) < 1e-9, sizes.round(), sizes)
    most = float(np.floor(study.exact_to * (1.0 + ROUNDING)))
    inside = sizes[sizes <= most]
    # the largest size without a certain row ends the list, where sizes beyond it were cut off
    return inside if len(inside) == len(sizes) or most in inside else np.append(inside, most)


def check_sizes(labeled_size: ArrayLike, nobs: int) -> FloatArray:
    """The sizes asked for. Raises ArgumentError unless each is above 0 and at most the number of rows."""
    try:
        sizes = np.atleast_1d(np.asarray(labeled_size, dtype=float))
    except (TypeError, ValueError):
        sizes = np.empty((0, 0))
    if sizes.ndim != 1 or not len(sizes):
        raise ArgumentError(f"labeled_size must be a number of labelled rows or a list of them; found {labeled_size!r}")
    bad = ~(sizes > 0.0)
    if bad.any():
        raise ArgumentError(f"labeled_size must be above 0; found {sizes[bad][0]:g}")
    if (sizes > nobs).any():
        raise ArgumentError(
            f"labeled_size={sizes.max():g} is more than there are rows ({nobs}): with all of them labelled, nothing is left to "
            "label. For a larger study of rows like these, say how many they will be: power_dsl(fit, nobs=...)"
        )
    return sizes


def _warn(study: Study, sizes: FloatArray, gaps: BoolArray) -> None:
    if gaps.any():
        terms = [term for term, gap in zip(study.terms, np.any(gaps, axis=0).tolist(), strict=True) if gap]
        first = sizes[gaps.any(axis=1)].min()
        warn_caller(
            PowerWarning,
            f"the predicted variance of {', '.join(terms)} is not positive from {first:g} labels on: standard errors there are "
            "those of the last size with a positive one, shrunk by the root of the sizes' ratio, and not to be relied on. If "
            "single rows rather than whole clusters are labelled, drawn='rows' gives a better answer; else label more rows",
        )
    beyond = sizes[sizes > study.exact_to * (1.0 + ROUNDING)]
    if len(beyond):
        warn_caller(
            PowerWarning,
            f"{beyond.min():g} labels drawn like those at hand would need sampling probabilities above one (from "
            f"{study.exact_to:.0f} labels on): the rows with the highest ones would all be labelled, and the predicted "
            "standard errors are then approximate",
        )


def _gold_curve(study: Study, gold_only: object) -> VarianceCurve:
    """The curve of the labelled rows alone: of the analysis given, or what follows from the study's own."""
    if not ESTIMATORS[study.estimator].uses_surrogates:
        raise ArgumentError(
            "a gold-only analysis uses no surrogates; ask a fit with estimator='dsl' what they are worth"
        )
    if gold_only is None:
        if study.gold_only is None:
            raise ArgumentError(
                "with unequal sampling probabilities, rows drawn within clusters, or target='finite', the standard errors of the "
                "labelled rows alone do not follow from this fit: pass gold_only=, the same with estimator='gold_only'"
            )
        return study.gold_only
    if not isinstance(gold_only, PowerResults):
        raise ArgumentError(
            f"gold_only must be power_dsl(...) of a fit with estimator='gold_only'; found {type(gold_only).__name__}"
        )
    other = gold_only.study
    if (other.estimator, other.terms, other.nobs) != ("gold_only", study.terms, study.nobs):
        raise ArgumentError(
            "gold_only must be the same analysis with estimator='gold_only'; found "
            f"estimator='{other.estimator}', coefficients {', '.join(other.terms)}, {other.nobs} rows"
        )
    return other.curve


def _check_test(power: float | None, alpha: float, *, needed: bool = False) -> None:
    check_alpha(alpha)
    if power is None and not needed:
        return
    if power is None or not _is_number(power) or not alpha < power < 1.0:
        raise ArgumentError(f"power must lie between alpha ({alpha:g}) and 1; found {power!r}")


def _check_prices(expert_price: float, llm_price: float) -> None:
    for name, price in (("expert_price", expert_price), ("llm_price", llm_price)):
        if not _is_number(price) or not 0.0 <= price < np.inf:
            raise ArgumentError(f"{name} must be a price per label, zero or more; found {price!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
