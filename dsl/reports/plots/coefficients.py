"""Coefficients of one analysis by several estimators, side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import pandas as pd

from dsl.data.arguments import as_names, explain_calls, foreign_errors
from dsl.estimators.result import Fit, HasFit
from dsl.exceptions import ArgumentError
from dsl.reports.plots.lettering import lines_of, write_label, write_names
from dsl.reports.plots.style import MARKERS, REFERENCE, dress, given_axes, legend_outside, look, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ESTIMATORS = {
    "naive": "naive (surrogates as truth)",
    "gold_only": "gold only",
    "dsl": "DSL",
    "dsl, tuned": "DSL, tuned",
    "dsl+": "DSL+",
    "ppi": "PPI",
    "ppi++": "PPI++",
    "cdi": "CDI",
}
"""What the estimators are called in legends."""
LOOKS: dict[str, dict[str, str]] = {
    "naive": {"marker": "s", "color": "0.55", "markerfacecolor": "white"},
    "gold_only": {"marker": "o", "color": "0.35", "markerfacecolor": "0.35"},
    "dsl": {"marker": "D", "color": "black", "markerfacecolor": "black"},
    "dsl, tuned": {"marker": "^", "color": "#0072B2", "markerfacecolor": "#0072B2"},
    "dsl+": {"marker": "*", "color": "#D55E00", "markerfacecolor": "#D55E00"},
    "ppi": {"marker": "v", "color": "#009E73", "markerfacecolor": "white"},
    "ppi++": {"marker": "P", "color": "#009E73", "markerfacecolor": "#009E73"},
    "cdi": {"marker": "X", "color": "#CC79A7", "markerfacecolor": "#CC79A7"},
}
"""The same in every plot. A marker stands for one series of a plot alone."""
BAND = 0.7
"""Share of the distance between two coefficients that their estimates fill."""


class HasEstimates(Protocol):
    """Ordinary results, by coefficient."""

    @property
    def params(self) -> pd.Series:
        """Estimates."""

    def conf_int(self, alpha: float = ...) -> pd.DataFrame:
        """Lower and upper ends."""


Estimates: TypeAlias = Fit | HasFit | HasEstimates
"""Results of ``dsl.dsl``, or of statsmodels."""


@explain_calls
def coefficients(
    fits: Estimates | Sequence[Estimates] | Mapping[str, Estimates],
    ax: "Axes | None" = None,
    *,
    terms: str | Sequence[str] | None = None,
    truth: Mapping[str, float] | None = None,
    alpha: float = 0.05,
) -> "Axes":
    """Estimates with their confidence intervals, estimators next to each other under every coefficient.

    Parameters
    ----------
    fits : results, list of results, or dict of label to results
        Of ``dsl.dsl``, or of statsmodels. Without labels, results go by their estimator's name.
    ax : matplotlib Axes, optional
        Where to draw, a new figure by default.
    terms : str or list of str, optional
        Coefficients to draw, from top to bottom, by default all but the intercept.
    truth : dict or Series, optional
        Known values to mark, by coefficient.
    alpha : float
        One minus the level of the intervals.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        Nothing to draw, results without a name, or a coefficient that none of them has.
    MissingDependencyError
        matplotlib is missing: ``pip install 'dsl[plot]'``.

    Examples
    --------
    >>> import dsl, matplotlib
    >>> matplotlib.use("Agg")
    >>> from dsl.reports.plots import coefficients
    >>> data = dsl.datasets.simulate_logit(n=1000, n_labels=300, seed=1)
    >>> call = {**data.attrs["call"], "sl_method": "lm"}
    >>> fits = [dsl.dsl(data=data, estimator=name, **call) for name in ("naive", "gold_only", "dsl")]
    >>> ax = coefficients(fits, truth=data.attrs["truth"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['truth', 'naive (surrogates as truth)', 'gold only', 'DSL']
    """
    labelled = _labelled(fits)
    drawn = {label: _numbers(fit, label, alpha) for label, fit in labelled.items()}
    known = list(dict.fromkeys(term for numbers in drawn.values() for term in numbers.index))
    shown = list(as_names(terms, "terms")) or [term for term in known if term != "Intercept"] or known
    unknown = [term for term in shown if term not in known]
    if unknown:
        raise ArgumentError(f"terms names '{unknown[0]}', which is no coefficient; they are {', '.join(known)}")
    ax = given_axes(ax)
    if ax is None:
        # room for the axis, for each coefficient, and for each estimator under it
        ax = new_axes(height=1.4 + 0.15 * (len(shown) + lines_of(shown)) + 0.13 * len(shown) * len(labelled))
    # the first coefficient on top
    place = pd.Series(np.arange(len(shown))[::-1], index=shown, dtype=float)
    ax.axvline(0.0, **REFERENCE)
    if truth is not None:
        _mark(ax, place, truth)
    styles = _looks(labelled.values())
    for j, (label, numbers) in enumerate(drawn.items()):
        own = [term for term in shown if term in numbers.index]
        ends = numbers.loc[own, ["conf_low", "conf_high"]].to_numpy()
        middle = numbers.loc[own, "estimate"].to_numpy()
        # estimators around the coefficient's own place, the first on top
        shift = BAND * ((len(labelled) - 1) / 2 - j) / len(labelled)
        ax.errorbar(
            middle,
            place[own] + shift,
            xerr=np.abs(ends.T - middle),
            label=label,
            **{**look(j), **styles[j], "linestyle": "none"},
        )
    write_names(ax, "y", list(place), shown)
    ax.set_ylim(-0.6, len(shown) - 0.4)
    write_label(ax, "x", f"coefficient, {100 * (1 - alpha):g}% confidence interval")
    dress(ax, grid="x")
    ax.tick_params(axis="y", length=0)
    if len(labelled) > 1 or truth is not None:
        legend_outside(ax)
    return ax


def _labelled(fits: object) -> dict[str, Estimates]:
    """Results by label."""
    if isinstance(fits, Mapping):
        out = {str(label): fit for label, fit in fits.items()}
    else:
        listed = list(fits) if isinstance(fits, list | tuple) else [fits]
        # results of other packages have no estimator's name
        names = [ESTIMATORS.get(_kind(fit), "") for fit in listed]
        if len(listed) > 1 and (len(set(names)) < len(names) or "" in names):
            raise ArgumentError(
                "these results cannot be told apart by their estimators; pass a dict, {'some name': results, ...}"
            )
        out = dict(zip(names, listed, strict=True))
    if not out:
        raise ArgumentError("fits is empty: pass results of dsl.dsl")
    return out


def _numbers(fit: object, label: str, alpha: float) -> pd.DataFrame:
    """Estimates and intervals by term, of a fit of this package or of other results with names."""
    # results of this package hold their fit, which is read instead
    core = getattr(fit, "core", fit)
    if isinstance(core, Fit):
        return core.tidy(alpha=alpha).set_index("term")
    params = getattr(fit, "params", None)
    if not hasattr(fit, "conf_int") or not isinstance(params, pd.Series):
        raise ArgumentError(
            f"fits must be results with named params and conf_int(); {label or 'one'} is {type(fit).__name__}"
        )
    ends = pd.DataFrame(fit.conf_int(alpha=alpha)).set_axis(["conf_low", "conf_high"], axis=1)
    return ends.assign(estimate=params)


def _estimator(fit: object) -> str:
    return str(getattr(getattr(fit, "call", None), "estimator", ""))


def _looks(fits: Iterable[Estimates]) -> list[dict[str, str]]:
    """An estimator's own look for the first of its fits, and a free marker for further ones and for other results."""
    out: list[dict[str, str]] = []
    waiting = list(map(_kind, fits))
    free = [marker for marker in MARKERS if marker not in {LOOKS[kind]["marker"] for kind in waiting if kind in LOOKS}]
    for j, kind in enumerate(waiting):
        if kind in LOOKS and kind not in waiting[:j]:
            out.append(LOOKS[kind])
        else:
            out.append({"marker": free.pop(0)} if free else {})
    return out


def _kind(fit: object) -> str:
    """Key of `LOOKS`: the estimator, and for DSL whether its predictions count as far as they help."""
    name, tune = _estimator(fit), getattr(getattr(fit, "call", None), "tune", None)
    return f"{name}, tuned" if name == "dsl" and tune is not None else name


def _mark(ax: "Axes", place: pd.Series, truth: Mapping[str, float]) -> None:
    """A dotted line across each coefficient's band at its known value."""
    with foreign_errors("truth must map coefficients to numbers"):
        values = pd.Series(dict(truth), dtype=float)
    own = [term for term in place.index if term in values.index]
    if not own:
        raise ArgumentError(f"truth names none of the coefficients drawn: {', '.join(place.index)}")
    ax.vlines(
        values[own], place[own] - 0.42, place[own] + 0.42, color="black", linestyle=":", linewidth=1.6, label="truth"
    )
