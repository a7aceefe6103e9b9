"""How many labels of a crowd and how many of experts: variances of labels in two stages, and the cheapest numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.analyses.results import DSLResults
from dsl.data.arguments import Names, Pairs, check_count, explain_calls, pair_surrogates
from dsl.data.formula.caller import formula_names
from dsl.data.formula.text import FormulaLike
from dsl.data.tables import TableLike
from dsl.engine.moments import imputed_weights, stage_weights
from dsl.engine.stages import errors_of
from dsl.engine.sums import row_scores
from dsl.estimators.again import analysis_of, split_blocks
from dsl.estimators.result import Fit, fit_of
from dsl.exceptions import ArgumentError
from dsl.planning.power.assumed import Accuracy, draw_gold
from dsl.planning.power.before import assumed_errors, unlabeled
from dsl.planning.power.from_fit import call_dsl
from dsl.reports.comparison.difference import point_of
from dsl.sampling import nested, simple_random


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StagePower:
    """Standard errors by numbers of crowd and expert labels, returned by `power_stages` and `plan_stages`.

    Attributes
    ----------
    terms : tuple of str
        Coefficients.
    n_crowd, n_experts : int
        The numbers that the figures rest on.
    nobs : int
        Rows.
    staying, crowd, experts : (k,) arrays
        The variance is staying + crowd / n_crowd + experts / n_experts.

    Examples
    --------
    >>> from dsl.planning.power.stages import StagePower
    >>> power = StagePower(terms=("x",), n_crowd=1000, n_experts=200, nobs=5000, staying=np.zeros(1), crowd=np.array([0.4]),
    ...                    experts=np.array([0.9]))
    >>> float(power.se(1000, 250)["x"].round(4))
    0.0632
    >>> power.best(budget=1000, crowd_price=0.1, expert_price=3.0)[["crowd", "experts"]].loc["x"].tolist()
    [1085.0, 297.0]
    """

    terms: tuple[str, ...]
    n_crowd: int
    n_experts: int
    nobs: int
    staying: FloatArray = field(repr=False)
    crowd: FloatArray = field(repr=False)
    experts: FloatArray = field(repr=False)

    def se(self, n_crowd: float, n_experts: float) -> pd.Series:
        """Standard errors at other numbers of labels, by coefficient.

        Parameters
        ----------
        n_crowd : number
            Of rows with a crowd's label, at most all.
        n_experts : number
            Of these that experts label, too.
        """
        if not 0.0 < n_experts <= n_crowd <= self.nobs:
            raise ArgumentError(
                f"of {self.nobs} rows the crowd labels n_crowd and experts n_experts of these; found {n_crowd!r} and "
                f"{n_experts!r}"
            )
        variance = self.staying + self.crowd / n_crowd + self.experts / n_experts
        return pd.Series(np.sqrt(np.maximum(variance, 0.0)), index=list(self.terms))

    def best(self, budget: float, *, crowd_price: float, expert_price: float) -> pd.DataFrame:
        """The numbers of labels with the smallest standard error that a budget buys.

        Parameters
        ----------
        budget : float
            In the unit of the prices.
        crowd_price, expert_price : float
            Of one label.

        Returns
        -------
        DataFrame, (k, 6)
            For each coefficient: ``crowd`` and ``experts``, the ``se`` with them, and ``experts_alone`` and ``se_alone``, the
            number of expert labels that the budget buys without a crowd, and the standard error with these. ``worth_it`` says
            whether the former is smaller.
        """
        prices = _check_prices(crowd_price, expert_price)
        if not budget >= sum(prices):
            raise ArgumentError(f"a budget of {budget!r} does not pay for one label of each kind ({sum(prices):g})")
        rows = []
        for place in range(len(self.terms)):
            sizes = self._spent(place, budget, *prices)
            alone = min(budget / prices[1], self.nobs)
            rows.append((*sizes, alone))
        return self._table(np.array(rows))

    def needed(self, se: float, *, crowd_price: float, expert_price: float) -> pd.DataFrame:
        """The cheapest numbers of labels with which a standard error is reached.

        Parameters
        ----------
        se : float
        crowd_price, expert_price : float

        Returns
        -------
        DataFrame, (k, 8)
            As `best`, with ``cost`` and ``cost_alone``. NaN where labels of all rows do not suffice.
        """
        prices = _check_prices(crowd_price, expert_price)
        if not se > 0.0:
            raise ArgumentError(f"se must be a standard error above zero; found {se!r}")
        rows = [self._reaching(place, se**2 - self.staying[place], *prices) for place in range(len(self.terms))]
        out = self._table(np.array(rows))
        out["cost"] = out["crowd"] * prices[0] + out["experts"] * prices[1]
        out["cost_alone"] = out["experts_alone"] * prices[1]
        out["worth_it"] = out["cost"] < out["cost_alone"]
        return out

    def _table(self, sizes: FloatArray) -> pd.DataFrame:
        """From numbers (k, 3) of the crowd, of experts, and of experts without a crowd."""
        first, second, alone = np.maximum(np.floor(sizes + ROUNDING), 1.0).T
        total = self.crowd + self.experts
        se = np.sqrt(np.maximum(self.staying + self.crowd / first + self.experts / second, 0.0))
        # a crowd of the experts' own rows says nothing
        se_alone = np.sqrt(np.maximum(self.staying + total / alone, 0.0))
        return pd.DataFrame(
            {
                "crowd": first,
                "experts": second,
                "se": se,
                "experts_alone": alone,
                "se_alone": se_alone,
                "worth_it": se < se_alone,
            },
            index=list(self.terms),
        ).astype({name: float for name in ("crowd", "experts", "experts_alone")})

    def _ratio(self, place: int, crowd_price: float, expert_price: float) -> float:
        """Best number of crowd labels for each expert label, at least one: sqrt(a_1 c_2 / (a_2 c_1))."""
        crowd, experts = float(self.crowd[place]), float(self.experts[place])
        if crowd <= 0.0:
            return 1.0
        if experts <= 0.0:
            return np.inf
        return max(1.0, float(np.sqrt(crowd * expert_price / (experts * crowd_price))))

    def _spent(self, place: int, budget: float, crowd_price: float, expert_price: float) -> tuple[float, float]:
        ratio = self._ratio(place, crowd_price, expert_price)
        experts = budget / (ratio * crowd_price + expert_price) if np.isfinite(ratio) else 1.0
        if ratio * experts > self.nobs or not np.isfinite(ratio):
            # all rows for the crowd, the rest of the money for experts
            first = min(float(self.nobs), (budget - expert_price) / crowd_price)
            return first, min((budget - first * crowd_price) / expert_price, first)
        return ratio * experts, experts

    def _reaching(
        self, place: int, variance: float, crowd_price: float, expert_price: float
    ) -> tuple[float, float, float]:
        crowd, experts = float(self.crowd[place]), float(self.experts[place])
        ratio = self._ratio(place, crowd_price, expert_price)
        alone = (crowd + experts) / variance if variance > 0.0 else np.inf
        second = (crowd / ratio + experts) / variance if variance > 0.0 else np.inf
        first = ratio * second
        if first > self.nobs:
            first, left = float(self.nobs), variance - crowd / self.nobs
            second = experts / left if left > 0.0 else np.inf
        possible = second <= self.nobs
        # whole labels that reach it
        up = (np.ceil(first), np.ceil(second)) if possible else (np.nan, np.nan)
        return (*up, np.ceil(alone) if alone <= self.nobs else np.nan)


ROUNDING = 1e-9
"""What a number of labels may lack of a whole one."""


@explain_calls
def power_stages(fit: DSLResults, data: TableLike) -> StagePower:
    r"""Standard errors that other numbers of crowd and expert labels would give, from a fit with two stages.

    With :math:`d_1 = m - \Lambda \hat m` and :math:`d_2 = m - \Lambda m_1` about their means, and rows drawn one by one at each
    stage,

    .. math:: V(n_1, n_2) = J^{-1} \Big[ M_0 + \frac{N}{n_1} \sum_i (d_1 d_1' - d_2 d_2') + \frac{N}{n_2} \sum_i d_2 d_2' \Big]
              J^{-\top} ,

    where :math:`M_0` makes it the fit's own variance at its own numbers, and sums over rows are those with gold labels, weighted.
    Lambda stays what it is.

    Parameters
    ----------
    fit : DSLResults
        Of ``dsl.dsl(stages=...)`` with one stage before the gold labels: a study so far, or a pilot.
    data : data frame
        What it was fitted to.

    Returns
    -------
    StagePower

    Raises
    ------
    ArgumentError
        The fit has no stages or more than two with the gold labels, has clusters, or the data are not its own.

    References
    ----------
    Sarndal, Swensson and Wretman, "Model assisted survey sampling" (1992), section 9.3; Cochran, "Sampling techniques" (1977),
    section 12.7, for the best numbers.
    """
    parts, n_crowd = _variances(fit_of(fit), data)
    return _pooled([parts], fit_of(fit), n_crowd)


@explain_calls
def plan_stages(
    formula: FormulaLike,
    data: TableLike,
    *,
    predicted_var: Pairs,
    prediction: Names | None = None,
    n_crowd: int,
    n_experts: int,
    accuracy: Accuracy | None = None,
    rmse: float | None = None,
    crowd_accuracy: float | None = None,
    crowd_rmse: float | None = None,
    replications: int = 20,
    seed: int = 1234,
    **arguments: Any,
) -> StagePower:
    """Standard errors to expect of a crowd's and experts' labels, before anything is labelled.

    Gold labels are drawn from the surrogate and a crowd's labels from these, with the assumed error rates. Rows are drawn for the
    crowd, some of these for experts, and `dsl.dsl` is fitted with ``stages=``, `replications` times, pooled by medians.

    Parameters
    ----------
    formula, data, predicted_var, prediction
        As in `plan_dsl`, with one predicted variable.
    n_crowd, n_experts : int
        Planned numbers of labels. Others follow from the result.
    accuracy, rmse
        Of the surrogate, as in `plan_dsl`.
    crowd_accuracy : float, optional
        How often a crowd's label of 0 or 1 is the gold one.
    crowd_rmse : float, optional
        Root mean squared error of a crowd's label that is a number, instead.
    replications, seed
        As in `plan_dsl`.
    **arguments
        Further arguments of `dsl.dsl`: ``model``, ``estimator`` (by default ``"dsl"``), ``feature``, ``sl_method``, ...

    Returns
    -------
    StagePower

    Raises
    ------
    ArgumentError
        An assumption is missing or impossible, or the data have gold labels already.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=0)
    >>> plan = dsl.planning.power.plan_stages("human_positive ~ negation", tweets, predicted_var="human_positive",
    ...     prediction="vader_positive", n_crowd=2000, n_experts=400, accuracy=0.7, crowd_accuracy=0.9, replications=3,
    ...     sample_split=1, sl_method="lm")
    >>> found = plan.best(budget=2000, crowd_price=0.2, expert_price=4.0)
    >>> bool(found.loc["negation", "se"] < found.loc["negation", "se_alone"])
    True
    """
    predicted, listed, pairs = pair_surrogates(predicted_var, prediction)
    frame = unlabeled(data, predicted)
    errors = assumed_errors(predicted, pairs, accuracy, rmse)
    for name in REFUSED:
        if arguments.get(name) is not None:
            raise ArgumentError(
                f"plan_stages takes no {name}: it draws rows one by one, the crowd's and some of them for experts"
            )
    if len(predicted) != 1 or (crowd_accuracy is None) == (crowd_rmse is None):
        raise ArgumentError(
            "plan_stages takes one predicted variable, and either crowd_accuracy (labels of 0 and 1) or crowd_rmse (numbers)"
        )
    check_count(replications, name="replications", least=1)
    check_count(n_experts, name="n_experts", least=2)
    if check_count(n_crowd, name="n_crowd", least=2) < n_experts:
        raise ArgumentError(f"experts label some of the crowd's rows: n_experts={n_experts} is above n_crowd={n_crowd}")
    named = {"predicted_var": list(predicted), "prediction": list(listed), **arguments}
    fitting = partial(call_dsl, formula_names(2), formula, **named)
    found, first = [], None
    for child in np.random.SeedSequence(seed).spawn(replications):
        rng = np.random.default_rng(child)
        gold = draw_gold(frame, *errors[predicted[0]], rng)
        coded = draw_gold(pd.DataFrame({"gold": gold}), "gold", crowd_accuracy, crowd_rmse, rng)
        first, parts = _replicate(fitting, frame, predicted[0], (gold, coded), (n_crowd, n_experts), rng)
        found.append(parts)
    assert first is not None
    return _pooled(found, first, n_crowd)


REFUSED = ("labeled", "sample_prob", "design", "cluster", "stages", "folds", "trained_on")
CROWD = "crowd label"
"""Column of the crowd's labels."""


def _replicate(
    fitting: Callable[..., DSLResults],
    frame: pd.DataFrame,
    name: str,
    labels: tuple[FloatArray, FloatArray],
    sizes: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Fit, FloatArray]:
    crowd = simple_random(frame, sizes[0], seed=rng)
    experts = nested(crowd, frame, sizes[1], seed=rng)
    data = frame.assign(
        **{
            name: np.where(experts.drawn, labels[0], np.nan),
            CROWD: np.where(crowd.drawn, labels[1], np.nan),
        }
    )
    fit = fit_of(fitting(data, design=experts, stages=[CROWD], seed=int(rng.integers(2**31))))
    return fit, _variances(fit, data)[0]


def _variances(fit: Fit, data: TableLike) -> tuple[FloatArray, int]:
    """What stays, and what goes with one over the crowd's and the experts' numbers, (splits, 3, k). And the crowd's number."""
    if len(fit.call.stages) != 1:
        raise ArgumentError(
            f"the fit has {len(fit.call.stages)} stages before the gold labels, and this is about one: a crowd's; pass a fit of "
            "dsl.dsl(stages=[...])"
        )
    if fit.call.clusters:
        raise ArgumentError(
            "standard errors at other numbers of labels in stages are for rows drawn one by one, without clusters"
        )
    analysis, out = analysis_of(fit, data), []
    n, weight = fit.nobs, analysis.sample.weight
    share = np.array([analysis.sample.stages[0].reached.mean(), fit.n_labeled / n])
    for split, blocks in enumerate(split_blocks(fit, analysis)):
        points = [point_of(fit, analysis, split, equation) for equation in range(len(blocks))]
        each = []
        for level in (0, 1):
            parts = [
                np.concatenate(
                    [*row_scores(errors_of(block, level), point.problem, point.params, stage_weights, imputed_weights)]
                )[:, analysis.order]
                for block, point in zip(blocks, points, strict=True)
            ]
            influence = np.linalg.solve(fit.splits.jacobians[split], np.hstack(parts).T).T
            # W d: sums over rows of squares of d about its mean, weighted by W
            d = influence / weight[:, None]
            centre = (weight[:, None] * d).sum(axis=0) / weight.sum()
            each.append((weight[:, None] * (d - centre) ** 2).sum(axis=0))
        crowd, experts = each[0] - each[1], each[1]
        now = np.diag(fit.splits.vcovs[split]) - crowd / share[0] - experts / share[1]
        out.append(np.stack([now, n * crowd, n * experts]))
    return np.array(out), int(analysis.sample.stages[0].reached.sum())


def _pooled(found: Sequence[FloatArray], fit: Fit, n_crowd: int) -> StagePower:
    staying, crowd, experts = np.median(np.concatenate([*found]), axis=0)
    return StagePower(
        terms=fit.names,
        n_crowd=n_crowd,
        n_experts=fit.n_labeled,
        nobs=fit.nobs,
        staying=staying,
        crowd=crowd,
        experts=experts,
    )


def _check_prices(crowd: float, expert: float) -> tuple[float, float]:
    for name, price in (("crowd_price", crowd), ("expert_price", expert)):
        if isinstance(price, bool) or not isinstance(price, int | float | np.number) or not 0.0 < price < np.inf:
            raise ArgumentError(f"{name} must be a price above zero; found {price!r}")
    return float(crowd), float(expert)
