"""One fit as a column: its coefficients as text, and the facts below them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import pandas as pd

from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError


class Regression(Protocol):
    """Results of ``dsl.dsl``, or of statsmodels."""

    @property
    def params(self) -> pd.Series:
        """Estimates by coefficient."""

    @property
    def bse(self) -> pd.Series:
        """Standard errors."""

    @property
    def tvalues(self) -> pd.Series:
        """Estimates over standard errors."""

    @property
    def pvalues(self) -> pd.Series:
        """P values."""

    def conf_int(self, alpha: float = ...) -> pd.DataFrame:
        """Lower and upper ends."""


Regressions: TypeAlias = Regression | Sequence[Regression] | Mapping[str, Regression]
"""One, several, or several with names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A fit, read."""

    name: str
    outcome: str
    coefficients: pd.DataFrame
    """One row per term: estimate, se, z, p, conf_low, conf_high."""
    facts: Mapping[str, str]
    scale: str = ""
    """What the estimates are, where they are no coefficients."""

    @property
    def terms(self) -> list[str]:
        """Names of the coefficients."""
        return [str(term) for term in self.coefficients.index]

    def estimate(self, term: str, digits: int, levels: tuple[float, ...]) -> str:
        """The coefficient with its stars, or nothing if the fit has none of that name."""
        if term not in self.coefficients.index:
            return ""
        # a star for each level that the p value is below
        stars = sum(self._value(term, "p") < level for level in levels)
        return number(self._value(term, "estimate"), digits) + "*" * stars

    def below(self, term: str, stat: str, digits: int) -> str:
        """What stands below the coefficient."""
        if term not in self.coefficients.index:
            return ""
        if stat == "ci":
            return (
                f"[{number(self._value(term, 'conf_low'), digits)}, {number(self._value(term, 'conf_high'), digits)}]"
            )
        value = self._value(term, stat)
        # smaller than the decimals can show
        if stat == "p" and value < 10.0**-digits:
            return f"(<{10.0**-digits:.{digits}f})"
        return f"({number(value, digits) if stat != 'p' else format(value, f'.{digits}f')})"

    def _value(self, term: str, what: str) -> float:
        return float(self.coefficients[what][term])


def number(value: float, digits: int) -> str:
    """`digits` decimals, or as many significant digits where these would show little or nothing.

    Examples
    --------
    >>> number(-12.3456, 3), number(0.00012345, 3), number(0.0, 2)
    ('-12.346', '0.000123', '0.00')
    """
    if 0.0 < abs(value) < 0.5 * 10.0 ** (1 - digits):
        return f"{value:#.{digits}g}"
    return f"{value:.{digits}f}"


def column_of(fit: Regression, name: str, alpha: float, *, exponentiate: bool = False, margins: bool = False) -> Column:
    """Read a fit of this package, or of statsmodels: its coefficients, these exponentiated, or its average marginal effects."""
    facts, scale = _facts(fit), ""
    try:
        parts = {"estimate": fit.params, "se": fit.bse, "z": fit.tvalues, "p": fit.pvalues}
        frame = pd.DataFrame({key: pd.Series(value) for key, value in parts.items()})
        # by position: the ends' names differ from package to package
        frame[["conf_low", "conf_high"]] = np.asarray(fit.conf_int(alpha))
    except (AttributeError, TypeError, ValueError):
        raise ArgumentError(
            f"{name} is no fit: a table is made of results of dsl.dsl (or statsmodels); found {type(fit).__name__}"
        ) from None
    if margins:
        frame, scale = _effects(fit, name, alpha), "Average marginal effects"
    if exponentiate:
        core = getattr(fit, "core", None)
        scale = core.ratios() if isinstance(core, Fit) else "Exponentiated coefficients"
        ends = ["estimate", "conf_low", "conf_high"]
        with np.errstate(over="ignore"):
            frame[ends] = np.exp(frame[ends])
    outcome = str(getattr(getattr(fit, "model", None), "endog_names", ""))
    frame.index = frame.index.map(str)
    return Column(name=name, outcome=outcome, coefficients=frame, facts=facts, scale=scale)


def _effects(fit: Regression, name: str, alpha: float) -> pd.DataFrame:
    """Average marginal effects, with discrete changes, as statsmodels' results have them too."""
    effects = getattr(fit, "get_margeff", None)
    if effects is None:
        raise ArgumentError(
            f"{name} ({type(fit).__name__}) has no get_margeff(), which margins=True shows; leave it out"
        )
    found = effects(dummy=True)
    table = pd.DataFrame(np.asarray(found.summary_frame(alpha), dtype=float))
    table.columns = pd.Index(["estimate", "se", "z", "p", "conf_low", "conf_high"])
    names = getattr(found, "names", None)
    table.index = pd.Index(names or [_joined(each) for each in found.summary_frame(alpha).index])
    return table


def _joined(label: object) -> str:
    """A row's label in one text."""
    return ":".join(map(str, label)) if isinstance(label, tuple) else str(label)


def _facts(fit: object) -> dict[str, str]:
    core = getattr(fit, "core", None)
    # statsmodels' results, which say less about themselves
    if not isinstance(core, Fit):
        facts = {"Model": type(fit.model).__name__} if hasattr(fit, "model") else {}
        return {**facts, "Rows": f"{int(fit.nobs):,}"} if hasattr(fit, "nobs") else facts
    spec = core.call
    facts = {
        "Estimator": spec.estimator
        + (" (tuned)" if spec.tune is not None and core.estimator.default_tune is None else ""),
        "Model": spec.model,
        "Rows": f"{core.nobs:,}",
        "Labelled": f"{core.n_labeled:,}" if core.estimator.uses_labels else "not used",
    }
    if spec.index:
        facts["Fixed effects"] = ", ".join(spec.index)
    if spec.cluster is not None:
        facts["Clusters"] = f"{core.sample.n_clusters:,} ({spec.cluster})"
    if spec.across is not None:
        facts["Clusters"] += f", {core.sample.n_across:,} ({spec.across})"
    if spec.vcov != "robust":
        facts["Std. errors"] = spec.vcov
    if spec.target != "superpopulation":
        facts["Target"] = "these rows"
    return facts
