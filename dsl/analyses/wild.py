"""Tests and intervals of results by the wild score bootstrap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from patsy import DesignInfo

from dsl._typing import FloatArray
from dsl.data.arguments import Seed, check_choice, check_count, foreign_errors, random_generator
from dsl.data.columns import quoted
from dsl.data.tables import TableLike
from dsl.engine.intervals import check_alpha, check_alternative
from dsl.engine.wild import WEIGHTS, draw, interval
from dsl.estimators.again import analysis_of
from dsl.estimators.result import Fit
from dsl.estimators.units import wild_parts
from dsl.exceptions import ArgumentError

MOST_DRAWS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WildTest:
    """A test of one combination of the coefficients by the wild score bootstrap."""

    hypothesis: str
    estimate: float
    """The combination's estimate."""
    null: float
    """Its value under the hypothesis."""
    statistic: float
    """t statistic, without small-sample corrections."""
    p_value: float
    alternative: str
    draws: int
    """Draws made, or sign vectors gone through."""
    exact: bool
    """Whether these are all sign vectors there are."""
    weights: str
    units: int
    """Number of independent units: rows, or clusters."""

    def __str__(self) -> str:
        """The test in one line."""
        how = f"all {self.draws:,} sign vectors" if self.exact else f"{self.draws:,} draws ({self.weights})"
        return (
            f"{self.hypothesis}: estimate {self.estimate:.4g}, t = {self.statistic:.3f}, p = {self.p_value:.4f} "
            f"({self.alternative}), wild score bootstrap of {self.units:,} units, {how}"
        )


class Wild:
    """Wild bootstrap tests that results offer."""

    _core: Fit

    def _rows(self, data: TableLike | None) -> TableLike:
        raise NotImplementedError

    def wild_test(
        self,
        hypothesis: ArrayLike,
        *,
        seed: Seed,
        draws: int = 9_999,
        weights: str = "rademacher",
        alternative: str = "two-sided",
        data: TableLike | None = None,
    ) -> WildTest:
        """Test of one combination of the coefficients by the wild score (cluster) bootstrap, with the null hypothesis imposed.

        Better than normal and t tests with few clusters. Draws give each row (cluster) a random sign, and every draw has a
        standard error of its own (`dsl.engine.wild`). With so few units that there are at most `draws` sign vectors, all of
        them are gone through. Of repeated splits, units count with their means over splits. Neither learners nor a chosen lambda
        are chosen anew.

        Parameters
        ----------
        hypothesis : str or (k,) array
            ``"x = 0"``, ``"x - z = 0.5"``, or the combination that is zero.
        seed : int or numpy.random.Generator
        draws : int
        weights : {"rademacher", "webb"}
            Signs, or Webb's six values, which are better with fewer than about ten clusters.
        alternative : {"two-sided", "larger", "smaller"}
        data : data frame, optional
            The data of the fit, where it was read from a file.

        Returns
        -------
        WildTest

        Raises
        ------
        ArgumentError
            Several hypotheses at once, or a fit that is not one sum over rows without absorbed fixed effects.

        References
        ----------
        Kline and Santos, "A score based approach to wild bootstrap inference", Journal of Econometric Methods 1 (2012).

        Examples
        --------
        >>> import dsl
        >>> posts = dsl.datasets.simulate_linear(n=500, n_labels=150, seed=1)
        >>> fit = dsl.dsl("Y ~ X1 + X2", posts, predicted_var="Y", prediction="pred_Y", sl_method="lm", sample_split=2)
        >>> found = fit.wild_test("X1 = 0", seed=1, draws=999)
        >>> bool(abs(found.p_value - fit.pvalues["X1"]) < 0.1)
        True
        """
        _check(self._core, draws, weights, alternative)
        row, null = _one(self._core, hypothesis)
        gap = float(row @ self._core.params - null)
        parts = wild_parts(self._core, analysis_of(self._core, self._rows(data)), row)
        drawn = draw(parts, random_generator(seed), draws=draws, weights=weights, delta=gap)
        return WildTest(
            hypothesis=hypothesis if isinstance(hypothesis, str) else f"{_text(self._core, row)} = {null:g}",
            estimate=float(row @ self._core.params),
            null=null,
            statistic=drawn.statistic(gap),
            p_value=drawn.p_value(gap, alternative),
            alternative=alternative,
            draws=len(drawn.moved),
            exact=drawn.exact,
            weights=weights,
            units=len(parts.score),
        )

    def wild_interval(
        self,
        combination: ArrayLike,
        *,
        seed: Seed,
        alpha: float = 0.05,
        draws: int = 9_999,
        weights: str = "rademacher",
        alternative: str = "two-sided",
        data: TableLike | None = None,
    ) -> tuple[float, float]:
        """Confidence interval of one combination of the coefficients: the values that `wild_test` does not reject.

        All values are tested with the same draws, and the ends found to a thousandth of a standard error. An end that no value
        is far enough away for is infinite, as with very few clusters.

        Parameters
        ----------
        combination : str or (k,) array
            ``"x"``, ``"x - z"``, or the combination's weights.
        seed, draws, weights, alternative, data
            As for `wild_test`. ``"larger"`` leaves the upper end open, ``"smaller"`` the lower.
        alpha : float

        Returns
        -------
        (float, float)
        """
        core = self._core
        _check(core, draws, weights, alternative)
        check_alpha(alpha)
        row, _ = _one(core, f"{combination} = 0" if isinstance(combination, str) else combination)
        parts = wild_parts(core, analysis_of(core, self._rows(data)), row)
        drawn = draw(parts, random_generator(seed), draws=draws, weights=weights)
        below, above = interval(drawn, float(np.sqrt(drawn.variance)), alpha, alternative)
        estimate = float(row @ core.params)
        return estimate - below, estimate - above


def _check(fit: Fit, draws: object, weights: str, alternative: str) -> None:
    check_choice("weights", weights, WEIGHTS)
    check_alternative(alternative)
    if check_count(draws, name="draws", least=99) > MOST_DRAWS:
        raise ArgumentError(f"draws is {draws}; it must be at most {MOST_DRAWS:,}")
    why = ""
    if fit.call.across is not None:
        why = f"clusters in two ways ({', '.join(fit.call.clusters)}); fit with one of them"
    elif fit.call.index:
        why = "absorbed fixed effects, which every unit moves; write them as dummies, 'y ~ x + factor(unit)'"
    elif fit.estimator.two_sample:
        why = f"two samples (estimator='{fit.call.estimator}'); use estimator='cdi'"
    elif fit.call.target == "finite":
        why = "target='finite': only the labels are random there; use target='superpopulation'"
    if why:
        raise ArgumentError(f"the wild bootstrap gives signs to the units of one sum over rows, and this fit has {why}")


def _one(fit: Fit, hypothesis: ArrayLike) -> tuple[FloatArray, float]:
    """One combination (k,) and its value under the hypothesis."""
    with foreign_errors(
        f"hypothesis {hypothesis!r} cannot be read; write it as 'x = 0', 'x - z = 0.5', or as {len(fit.names)} weights, one for "
        f"each of {quoted(fit.names[:6])}"
    ):
        parsed = DesignInfo(list(fit.names)).linear_constraint(hypothesis)
    rows, values = np.asarray(parsed.coefs, dtype=float), np.asarray(parsed.constants, dtype=float).ravel()
    if len(rows) != 1:
        raise ArgumentError(
            f"{len(rows)} hypotheses at once ({hypothesis!r}): the wild bootstrap tests one; use wald_test for all"
        )
    if not rows.any():
        raise ArgumentError(f"hypothesis {hypothesis!r} is about no coefficient")
    return rows[0], float(values[0])


def _text(fit: Fit, row: FloatArray) -> str:
    terms = [
        name if weight == 1.0 else f"{weight:g} * {name}" for name, weight in zip(fit.names, row, strict=True) if weight
    ]
    return " + ".join(terms)
