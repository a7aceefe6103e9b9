"""Two looks at an analysis: how even its weights are, and how good its predictions."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from dsl._typing import FloatArray
from dsl.data.arguments import check_count, check_texts, explain_calls
from dsl.engine.intervals import check_alpha, kish
from dsl.estimators.result import Fit, HasFit, fit_of
from dsl.exceptions import ArgumentError
from dsl.reports.plots.lettering import write_label
from dsl.reports.plots.style import REFERENCE, dress, given_axes, legend_inside, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG_RANGE = 20.0
"""Largest weight over smallest from which the axis is logarithmic."""
HEIGHT = 0.18
"""Share of the axes that the histogram under a calibration plot takes."""
MOST_BINS = 1000


BARS = 30
"""Bars of the histogram under it."""


@explain_calls
def weights(fit: Fit | HasFit, ax: "Axes | None" = None, *, bins: int = 30) -> "Axes":
    """Weights of the labelled rows, 1 / sampling probability, relative to their mean.

    A few rows with large weights carry the estimate: what counts is the effective number of labelled rows, (sum w)^2 / sum w^2
    (Kish 1965), given in the plot.

    Parameters
    ----------
    fit : DSLResults
    ax : matplotlib Axes, optional
        Where to draw, a new figure by default.
    bins : int
        Number of bars.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        `remove_data()` dropped the rows.
    MissingDependencyError
        matplotlib is missing: ``pip install 'dsl[plot]'``.

    Examples
    --------
    >>> import dsl, matplotlib
    >>> matplotlib.use("Agg")
    >>> from dsl.reports.plots import weights
    >>> data = dsl.datasets.simulate_unequal(n=1000, n_labels=300, seed=1)
    >>> weights(dsl.dsl(data=data, sl_method="lm", **data.attrs["call"])).get_ylabel()
    'labelled rows'
    """
    _check_bins(bins)
    sample = fit_of(fit).sample
    labeled = sample.judged
    if not len(labeled):
        raise ArgumentError("remove_data() dropped the rows of this fit; plot it before, or fit again")
    # w = 1 / pi
    weight = 1.0 / sample.sample_prob[labeled]
    relative = weight / weight.mean()
    effective = float(kish(weight))
    ax = given_axes(ax)
    if ax is None:
        ax = new_axes(6.0, 3.6)
    wide = relative.max() / relative.min()
    ax.hist(relative, bins=_edges(relative, bins).tolist(), color="0.75", edgecolor="black", linewidth=0.6)
    ax.axvline(1.0, color="black", linewidth=1.2, linestyle="--")
    if wide > LOG_RANGE:
        from matplotlib.ticker import LogLocator, NullFormatter

        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xlabel("weight / mean weight" + (" (logarithmic)" if wide > LOG_RANGE else ""))
    ax.set_ylabel("labelled rows")
    text = (
        f"{len(weight):,} labelled rows\ncount for {effective:,.0f}\nlargest weight {relative.max():.2g} times the mean"
    )
    # a quarter more height: room for the text
    ax.set_ylim(top=1.25 * ax.get_ylim()[1])
    ax.annotate(text, (0.98, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize="small")
    dress(ax, grid="y")
    return ax


def _check_bins(bins: object) -> None:
    if check_count(bins, name="bins", least=1) > MOST_BINS:
        raise ArgumentError(f"bins is {bins}; it must be at most {MOST_BINS}")


def _edges(values: FloatArray, bins: int) -> FloatArray:
    """Ends of bars that hold all values, on the scale of the axis."""
    low, high = values.min(), values.max()
    if high / low > LOG_RANGE:
        # ends a little beyond the values, which rounding could put outside
        return np.geomspace(low / 1.02, high * 1.02, bins + 1)
    room = max(0.02 * (high - low), 0.02)
    return np.linspace(max(low - room, 0.0), high + room, bins + 1)


@explain_calls
def calibration(
    fit: Fit | HasFit, ax: "Axes | None" = None, *, variable: str | None = None, bins: int = 10, alpha: float = 0.05
) -> "Axes":
    """Gold labels against out-of-fold predictions, in bins of equal width.

    Points on the diagonal mean that predictions are right on average. DSL is valid if they are not, and the more precise the
    closer gold labels lie to the predictions: better features or another learner help where points are off. Bars along the
    bottom: the predictions of all rows.

    Parameters
    ----------
    fit : DSLResults
        Of an estimator that learns: ``"dsl"`` or ``"dsl+"``.
    ax : matplotlib Axes, optional
        Where to draw, a new figure by default.
    variable : str, optional
        The predicted variable (``topic[war]`` for one category), needed if there are several.
    bins : int
        Number of bins. Those without labelled rows are left out.
    alpha : float
        One minus the level of the intervals of the bins' (weighted) means.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError
        There are no predictions, or `variable` is not one of them.
    MissingDependencyError
        matplotlib is missing: ``pip install 'dsl[plot]'``.

    Examples
    --------
    >>> import dsl, matplotlib
    >>> matplotlib.use("Agg")
    >>> from dsl.reports.plots import calibration
    >>> data = dsl.datasets.simulate_nested(n_candidates=50, n_labels=300, seed=1)
    >>> calibration(dsl.dsl(data=data, **data.attrs["call"])).get_xlabel()
    'out-of-fold prediction of tone'
    """
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise ArgumentError(f"bins must be a whole number, 1 or more; found {bins!r}")
    core = fit_of(fit)
    _check_bins(bins)
    check_alpha(alpha)
    check_texts(variable=variable)
    name, predicted, gold = _one_target(core, variable)
    _check_spread(name, predicted)
    labeled, weight = core.sample.judged, 1.0 / core.sample.sample_prob[core.sample.judged]
    x, y, half = _binned(predicted[labeled], gold, weight, bins, alpha)
    ax = given_axes(ax)
    if ax is None:
        ax = new_axes(4.8, 4.4)
    # the axes hold all predictions, and the intervals of the bins
    low = min(predicted.min(), (y - half).min())
    high = max(predicted.max(), (y + half).max())
    room = 0.05 * (high - low or 1.0)
    bottom = low - room - HEIGHT * (high - low)
    ax.plot([low, high], [low, high], linestyle="--", **REFERENCE)
    counts, edges = np.histogram(predicted, bins=BARS)
    # the tallest bar has the height set aside below the plot
    heights = HEIGHT * (high - low) * counts / counts.max()
    ax.bar(
        edges[:-1], heights, np.diff(edges), bottom=bottom, align="edge", color="0.85", label="predictions, all rows"
    )
    ax.errorbar(
        x,
        y,
        yerr=half,
        fmt="o",
        color="black",
        markersize=5,
        linewidth=1.2,
        capsize=2.5,
        label="mean gold label in a bin",
    )
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(bottom, high + room)
    ax.set_yticks([tick for tick in ax.get_yticks() if low - room / 2 <= tick <= high + room])  # not beside the bars
    write_label(ax, "x", f"out-of-fold prediction of {name}")
    write_label(ax, "y", f"gold {name}, {100 * (1 - alpha):g}% confidence interval")
    legend_inside(ax)
    dress(ax)
    return ax


def _check_spread(name: str, predicted: FloatArray) -> None:
    """Raise ArgumentError if numbers of this size have no digits left to tell bars apart."""
    size, span = float(np.abs(predicted).max()), float(np.ptp(predicted))
    # of one value only, the bars span one
    if (span or 1.0) / BARS < 10.0 * np.spacing(size):
        raise ArgumentError(
            f"the predictions of '{name}' lie within {span:.3g} of {predicted.mean():.3g}, too close together for numbers of "
            "that size to be drawn: subtract a constant from the variable, and fit again"
        )


def _one_target(fit: Fit, variable: str | None) -> tuple[str, FloatArray, FloatArray]:
    """Name, predictions (N,) as their mean over splits, and gold values (n,)."""
    names = fit.splits.targets
    if fit.predictions is None:
        raise ArgumentError(
            f"there are no out-of-fold predictions: estimator='{fit.call.estimator}' makes none, or remove_data() "
            "dropped them"
        )
    if variable is None and len(names) > 1:
        raise ArgumentError(f"which variable? Pass variable=, one of {', '.join(names)}")
    if variable is not None and variable not in names:
        raise ArgumentError(f"variable '{variable}' was not predicted; choose one of {', '.join(names)}")
    place = 0 if variable is None else names.index(variable)
    return names[place], fit.predictions[:, :, place].mean(axis=0), fit.sample.judged_gold[:, place]


def _binned(
    predicted: FloatArray, gold: FloatArray, weight: FloatArray, bins: int, alpha: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weighted means of predictions and gold values in bins, and half the intervals of the latter, (bins,) each."""
    edges = np.linspace(predicted.min(), predicted.max(), bins + 1)
    # inner edges only, so that the ends belong to the outer bins. Empty bins are dropped
    _, place = np.unique(np.searchsorted(edges[1:-1], predicted), return_inverse=True)

    def total(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(place, weight * values), dtype=np.float64)

    count, size = np.bincount(place), total(np.ones(len(gold)))
    mean = total(gold) / size
    # sum of (w (y - mean))^2 in each bin with n / (n - 1): the variance of a weighted mean
    square = np.bincount(place, (weight * (gold - mean[place])) ** 2) * count / np.maximum(count - 1, 1)
    return total(predicted) / size, mean, -ndtri(alpha / 2) * np.sqrt(square) / size
