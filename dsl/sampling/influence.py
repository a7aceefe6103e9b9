"""From a fitted pilot to what each row adds to the labelling variance of each coefficient."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.data.columns import Columns
from dsl.data.formula.matrices import Design, build, parse
from dsl.data.messages import missing_per_column
from dsl.data.sample import Sample, prepare
from dsl.data.tables import column_names
from dsl.engine.absorb import Absorber
from dsl.engine.combine import median_bread
from dsl.engine.moments import LINEAR, LOGISTIC, Link
from dsl.exceptions import ArgumentError, DataError, DesignError
from dsl.learners.crossfit import cross_predict, draw_folds

LINKS = {"lm": LINEAR, "logit": LOGISTIC, "felm": LINEAR}
FOLDS, SPLITS = 5, 1
"""Cross-fitting of the error model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """A fitted pilot and the rows behind it."""

    names: tuple[str, ...]
    """(k,) coefficients."""
    predicted: tuple[str, ...]
    """(q,) predicted variables."""
    gold: FloatArray = field(repr=False)
    """(n, q) their gold values."""
    params: FloatArray = field(repr=False)
    """(k,)"""
    inverse: FloatArray = field(repr=False)
    """(k, k) inverse of the mean Jacobian over rows, median over splits: row j is h of coefficient j."""
    link: Link = field(repr=False)
    design: Design = field(repr=False)
    sample: Sample = field(repr=False)
    prob: FloatArray = field(repr=False)
    """(N,) probability of having been labelled."""
    predictions: FloatArray = field(repr=False)
    """(N, q) out-of-fold predictions, mean over splits."""
    errors: FloatArray = field(repr=False)
    """(n, q) squared out-of-fold errors of the labelled rows, mean over splits."""
    label_scores: FloatArray = field(repr=False)
    """(n, k) w (m - m_hat) of the labelled rows."""


def read_pilot(fit: Any, data: Any, caller: Mapping[str, Any]) -> Pilot:
    """The pilot's rows, design matrices and residuals, from its results and the table it was fitted to.

    Parameters
    ----------
    fit : DSLResults
    data : data frame
    caller : mapping
        Where functions in the formula are looked up.

    Raises
    ------
    ArgumentError
        The pilot has no out-of-fold predictions, or predicts categories.
    DataError, DesignError
        The pilot left rows out, or was fitted to other data.
    """
    specification, splits, facts = fit.specification, fit.splits, fit.sample
    predicted = specification.predicted_var
    _check_fit(fit)
    apart = {*specification.prediction, *specification.index, specification.cluster, specification.sample_prob}
    parsed = parse(specification.formula, column_names(data), caller, outside_dot=apart)
    columns = Columns(
        formula=parsed.variables,
        predicted=predicted,
        prediction=specification.prediction,
        feature=specification.feature,
        cluster=specification.cluster,
        absorbed=specification.index,
    )
    sample = prepare(data, columns)
    _check_same(sample, facts)
    design = build(parsed, sample.data, sample.labeled, predicted, absorbed=bool(specification.index))
    names, gold = tuple(fit.model.exog_names), facts.gold
    if design.covariates.names != names:
        raise DesignError(
            f"the formula makes the columns {', '.join(design.covariates.names)} of these data, but made {', '.join(names)} for "
            "the pilot; pass the table that it was fitted to, with the same columns"
        )
    return Pilot(
        names=names,
        predicted=predicted,
        gold=gold,
        params=np.asarray(fit.params, dtype=float),
        inverse=median_bread(splits.jacobians) * facts.nobs,
        link=LINKS[specification.model],
        design=design,
        sample=sample,
        prob=facts.sample_prob,
        predictions=splits.predictions.mean(axis=0),
        errors=((splits.predictions[:, facts.labeled] - gold) ** 2).mean(axis=0),
        label_scores=splits.label_scores,
    )


def _check_fit(fit: Any) -> None:
    """Raise ArgumentError unless the pilot predicts numbers out of fold."""
    predictions, specification = fit.splits.predictions, fit.specification
    if specification.model not in LINKS:
        raise ArgumentError(f"targeted knows the models {', '.join(LINKS)}; the pilot's is '{specification.model}'")
    if predictions is None:
        raise ArgumentError(
            f"the pilot (estimator='{specification.estimator}') has no out-of-fold predictions, whose errors say where labels "
            "are needed; fit it with estimator='dsl', and before remove_data()"
        )
    if predictions.shape[2] != len(specification.predicted_var):
        raise ArgumentError(
            "targeted needs predicted variables that are numbers, but the pilot predicts categories; code them as 0/1 columns"
        )


def _check_same(sample: Sample, facts: Any) -> None:
    """Raise unless the rows are those of the pilot, all of them."""
    if sample.dropped:
        raise DataError(
            f"{sample.n_input - len(sample.data)} rows have missing values ({missing_per_column(sample.dropped)}) and were no "
            "part of the pilot, so that nothing is known of their errors; fill them, or drop them from the data, and fit the "
            "pilot again"
        )
    same = sample.labels.equals(facts.labels) and np.array_equal(sample.labeled, facts.labeled)
    if not same:
        other = ", under other labels" if len(sample.labels) == facts.nobs else ""
        raise DesignError(
            f"data must be the table that the pilot was fitted to ({facts.nobs} rows, {facts.n_labeled} labelled); found "
            f"{len(sample.labels)} rows, {sample.n_labeled} labelled{other}"
        )


def estimate_errors(pilot: Pilot, learner: Any, seed: int, *, least: float = 0.05) -> FloatArray:
    """Expected squared error of each row's prediction, by cross-fitting on the pilot's features and predictions.

    No labelled row's value has seen its own label.

    Parameters
    ----------
    pilot : Pilot
    learner : str or estimator
        As ``sl_method`` of ``dsl.dsl``.
    seed : int
    least : float
        Values are raised to this share of the mean.

    Returns
    -------
    (N, q) array
    """
    sample = pilot.sample
    folds = draw_folds(
        sample.labeled, sample.cluster, cross_fit=FOLDS, sample_split=SPLITS, rng=np.random.default_rng(seed)
    )
    fitted = cross_predict(
        np.hstack([sample.features, pilot.predictions]),
        pilot.errors,
        sample.labeled,
        folds,
        sl_method=learner,
        family="gaussian",
        seed=seed,
        groups=sample.cluster,
    )
    mean = np.average(pilot.errors, axis=0, weights=sample.weight)
    raised: FloatArray = np.maximum(fitted.predictions.mean(axis=0), least * mean)
    return raised


def influence_variances(pilot: Pilot, errors: FloatArray, chosen: IntArray) -> FloatArray:
    r"""Expected squared influence of labelling each row, E (h_j'(m_i - m_hat_i))^2, for the chosen coefficients.

    Each predicted variable is put at its prediction plus and minus its expected error, and the squared changes of
    h_j'm_i are averaged; several variables' add up. Where only the outcome is predicted this is
    :math:`\hat e_i (x_i'h_j)^2`.

    Parameters
    ----------
    pilot : Pilot
    errors : (N, q) array
        Expected squared errors.
    chosen : (c,) int array
        Coefficients.

    Returns
    -------
    (N, c) array
    """
    centre = dict(zip(pilot.predicted, pilot.predictions.T, strict=True))
    moments = _Influence(pilot, chosen, centre)
    base, total = moments.at(centre), np.zeros((len(pilot.prob), len(chosen)))
    for name, error, gold in zip(pilot.predicted, errors.T, pilot.gold.T, strict=True):
        for away in (np.sqrt(error), -np.sqrt(error)):
            value = centre[name] + away
            if name not in pilot.design.linear:  # log(label) knows no label below the smallest
                value = np.clip(value, gold.min(), gold.max())
            total += 0.5 * (moments.at({**centre, name: value}) - base) ** 2
    return total


class _Influence:
    """h_j'm_i of the chosen coefficients, as a function of the predicted variables; fixed effects stay at `centre`."""

    def __init__(self, pilot: Pilot, chosen: IntArray, centre: Mapping[str, FloatArray]) -> None:
        self._pilot = pilot
        order = pilot.design.order
        self._params = np.empty(len(order))
        self._params[order] = pilot.params
        self._inverse = np.empty((len(chosen), len(order)))
        self._inverse[:, order] = pilot.inverse[chosen]
        self._absorbed: tuple[FloatArray, FloatArray] | None = None
        if pilot.sample.absorbed:
            absorber = Absorber(pilot.sample.absorbed)
            x, residual = self._columns(centre)
            self._absorbed = absorber.project(x), absorber.project(residual)

    def _columns(self, values: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Design matrix (N, k), in the block's order, and residuals (N,)."""
        design = self._pilot.design
        x = np.hstack([design.covariates.fixed, design.covariates.at(values)])
        linear = x @ self._params
        linear = linear if design.offset is None else linear + design.offset
        return x, design.outcome_at(values) - self._pilot.link.mean(linear)

    def at(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """h_j'm_i with the predicted variables at `values`; (N, c)."""
        x, residual = self._columns(values)
        if self._absorbed is not None:
            x, residual = x - self._absorbed[0], residual - self._absorbed[1]
        return np.asarray((x @ self._inverse.T) * residual[:, None])
