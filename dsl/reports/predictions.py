"""Predictions with standard errors and intervals."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.arguments import check_choice
from dsl.data.tables import TableLike
from dsl.engine.intervals import check_alpha, wald_interval
from dsl.engine.margins import Mean, slopes
from dsl.engine.models.linear import LINEAR
from dsl.estimators.predictor import WHICH, NewRows
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError

CHUNK = 4_096
"""Rows whose gradients are made at a time."""
LOOKED_AT = 100
"""Rows by which it is seen which linear predictors move a mean."""
NAMES = {
    "mean": ("mean", "mean_se", "mean_ci_lower", "mean_ci_upper"),
    "linear": ("predicted", "se", "ci_lower", "ci_upper"),
}
"""Columns of the table, as statsmodels names them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Predictions:
    """Fitted means of rows with their standard errors, as ``fit.get_prediction()`` returns them.

    Attributes
    ----------
    predicted, se : array, (n,) or (n, m)
        Fitted means (or linear predictors) and standard errors, with a column for each of m categories of the outcome.
    df : array, as `predicted`
        Degrees of freedom of the standard errors, infinite for normal intervals.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> fit = dsl.dsl("human_positive ~ negation + hedge", tweets, model="logit", predicted_var="human_positive",
    ...               prediction="vader_positive", sl_method="lm", sample_split=2)
    >>> found = fit.get_prediction({"negation": [0, 1], "hedge": [0, 0]}).summary_frame()
    >>> found.columns.tolist()
    ['mean', 'mean_se', 'mean_ci_lower', 'mean_ci_upper']
    >>> bool(found["mean_ci_upper"].max() < 1.0)
    True
    """

    which: str
    outcomes: tuple[str, ...]
    index: pd.Index = field(repr=False)
    predicted: FloatArray = field(repr=False)
    se: FloatArray = field(repr=False)
    df: FloatArray = field(repr=False)
    linear: FloatArray | None = field(repr=False)
    """Linear predictors and standard errors behind means that have one each, (2, n, ...). None where a mean has several."""
    mean: Mean | None = field(repr=False)

    def conf_int(self, method: str = "endpoint", alpha: float = 0.05) -> FloatArray:
        """Intervals at level 1 - `alpha`, (n, 2) or (n, m, 2).

        Parameters
        ----------
        method : {"endpoint", "delta"}
            The linear predictor's interval taken to the scale of the mean, as statsmodels does for its GLM, or the mean less and
            plus standard errors. Where a mean depends on several linear predictors, and for linear means, the second.
        alpha : float
        """
        check_choice("method", method, ("endpoint", "delta"))
        check_alpha(alpha)
        if method == "delta" or self.linear is None or self.mean is None or self.which == "linear":
            return wald_interval(self.predicted, self.se, alpha, df=self.df)
        ends = wald_interval(self.linear[0], self.linear[1], alpha, df=self.df)
        return np.stack([self._at(ends[..., end]) for end in (0, 1)], axis=-1)

    def _at(self, eta: FloatArray) -> FloatArray:
        assert self.mean is not None
        # means are functions of (n, equations)
        return self.mean(eta.reshape(len(eta), -1)).reshape(eta.shape)

    def summary_frame(self, alpha: float = 0.05, method: str = "endpoint") -> pd.DataFrame:
        """One row per prediction (per row and category, if the outcome has several).

        Columns ``mean``, ``mean_se``, ``mean_ci_lower``, ``mean_ci_upper``, and ``predicted``, ``se``, ``ci_lower``,
        ``ci_upper`` of linear predictors.
        """
        ends = self.conf_int(method, alpha)
        values = [self.predicted, self.se, ends[..., 0], ends[..., 1]]
        index = pd.MultiIndex.from_product([self.index, self.outcomes]) if self.outcomes else self.index
        return pd.DataFrame(
            {name: each.ravel() for name, each in zip(NAMES[self.which], values, strict=True)}, index=index
        )

    def __repr__(self) -> str:
        """One line: how many."""
        return f"<Predictions ({self.which}) of {len(self.index):,} rows>"


def predictions(fit: Fit, data: TableLike, *, which: str = "mean", missing: str = "raise") -> Predictions:
    """Predictions of the rows of `data`. See ``fit.get_prediction``."""
    predictor = fit.predictor
    mean = mean_function(fit, which)
    rows = predictor.rows(data, missing)
    starts = range(0, max(len(rows.x), 1), CHUNK)
    values, se, df = (
        np.concatenate(each)
        for each in zip(*(_chunk(fit, rows, mean, slice(start, start + CHUNK)) for start in starts), strict=True)
    )
    outcomes = predictor.columns(which)
    behind = _behind(fit, rows, mean)

    def shown(each: FloatArray) -> FloatArray:
        whole = rows.spread(each)
        return whole if outcomes else whole[:, 0]

    return Predictions(
        which=which,
        outcomes=outcomes,
        index=rows.index,
        predicted=shown(values),
        se=shown(se),
        df=shown(df),
        linear=None if behind is None else np.stack([shown(each) for each in behind.linear]),
        mean=None if behind is None else behind.mean,
    )


def mean_function(fit: Fit, which: str = "mean") -> Mean | None:
    """What is predicted as a function of the linear predictors (n, equations), None for the predictors themselves.

    Raises
    ------
    ArgumentError
        Fitted means need absorbed effects, which a fit does not keep.
    """
    check_choice("which", which, WHICH)
    if which == "mean" and fit.call.index:
        raise ArgumentError(
            f"a fit with model='{fit.call.model}' keeps no fixed effects, which fitted means need; which='linear' gives the "
            "linear predictor without them"
        )
    function = fit.predictor.function(which)
    identity = which == "linear" and fit.predictor.several is None
    return None if identity or function is LINEAR.mean else function


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """The one linear predictor behind each mean."""

    linear: tuple[FloatArray, FloatArray] = field(repr=False)
    """(n, m) each: linear predictors and standard errors."""
    mean: Mean
    """Means of these."""


def _behind(fit: Fit, rows: NewRows, mean: Mean | None) -> Behind | None:
    """The linear predictors that means depend on, if it is one each. None for several, and where they are means themselves."""
    predictor = fit.predictor
    if mean is None:
        return None
    eta = predictor.linear(fit.params, rows.x, rows.offset)
    moved = (slopes(mean, eta[:LOOKED_AT]) != 0.0).any(axis=0)
    if not (moved.sum(axis=1) == 1).all():
        return None
    places, width = moved.argmax(axis=1), eta.shape[1]
    parts = [rows.x[start : start + CHUNK] for start in range(0, len(rows.x), CHUNK)]
    units = np.eye(width)[places]
    errors = [
        _errors(np.stack([predictor.gradient(x, np.tile(unit, (len(x), 1))) for unit in units], axis=1), fit.vcov)
        for x in parts
    ]

    def at(own: FloatArray) -> FloatArray:
        whole = np.zeros((len(own), width))
        whole[:, places] = own
        return mean(whole)

    return Behind(linear=(eta[:, places], np.concatenate(errors)), mean=at)


def _chunk(fit: Fit, rows: NewRows, mean: Mean | None, chunk: slice) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Means, standard errors and degrees of freedom, (n, m) each."""
    predictor, x = fit.predictor, rows.x[chunk]
    eta = predictor.linear(fit.params, x, None if rows.offset is None else rows.offset[chunk])
    first = slopes(mean, eta)
    # (n, m, k)
    gradient = np.stack([predictor.gradient(x, first[:, each]) for each in range(first.shape[1])], axis=1)
    df = np.full(gradient.shape[:2], np.inf)
    if fit.call.use_t:
        df = fit.degrees_of_freedom(gradient.reshape(-1, len(fit.params))).reshape(df.shape)
    return eta if mean is None else mean(eta), _errors(gradient, fit.vcov), df


def _errors(gradient: FloatArray, vcov: FloatArray) -> FloatArray:
    """Standard errors of functions with these gradients (n, m, k), (n, m)."""
    return np.asarray(np.sqrt(np.maximum(np.einsum("nmk,kl,nml->nm", gradient, vcov, gradient, optimize=True), 0.0)))
