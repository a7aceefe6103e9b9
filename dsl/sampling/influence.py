"""From a fitted pilot to what each row adds to the labelling variance of each coefficient."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from dsl._typing import FloatArray, IntArray
from dsl.data.messages import missing_per_column
from dsl.data.sample import Sample
from dsl.data.tables import TableLike
from dsl.engine.combine import median_bread
from dsl.engine.models.family import Family
from dsl.engine.moments import augmentation_weights
from dsl.engine.sums import row_scores
from dsl.estimators.again import analysis_of
from dsl.estimators.analysis import Analysis
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError, DataError
from dsl.learners.auto import Method
from dsl.learners.crossfit import cross_predict, draw_folds

FOLDS, SPLITS = 5, 1
"""Cross-fitting of the error model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """A fitted pilot and the rows behind it."""

    names: tuple[str, ...]
    """(k,) coefficients."""
    params: FloatArray = field(repr=False)
    """(k,)"""
    inverse: FloatArray = field(repr=False)
    """(k, k) inverse of the mean Jacobian over rows, median over splits: row j is h of coefficient j."""
    analysis: Analysis = field(repr=False)
    predictions: FloatArray = field(repr=False)
    """(N, q) out-of-fold predictions, mean over splits."""
    errors: FloatArray = field(repr=False)
    """(n, q) squared out-of-fold errors of the labelled rows, mean over splits."""
    label_scores: FloatArray = field(repr=False)
    """(n, k) w (m - m_hat) of the labelled rows."""

    @property
    def sample(self) -> Sample:
        """Rows of the pilot."""
        return self.analysis.sample

    @property
    def prob(self) -> FloatArray:
        """(N,) probability of having been labelled."""
        return self.sample.sample_prob


def read_pilot(fit: Fit, data: TableLike) -> Pilot:
    """The pilot's rows, design matrices and residuals, from its results and the table it was fitted to.

    Parameters
    ----------
    fit : Fit
    data : data frame

    Raises
    ------
    ArgumentError
        The pilot has no out-of-fold predictions, or predicts categories, or `data` are not its own.
    DataError
        The pilot left rows out.
    """
    predictions = _predictions(fit)
    if fit.call.stages:
        raise ArgumentError(
            "the pilot has labels in stages (stages), and a further draw would be among rows that have come that far; draw it "
            "with a design that needs no pilot, or refit without stages"
        )
    if fit.sample.n_trained:
        raise ArgumentError(
            f"the pilot has {fit.sample.n_trained:,} rows that the predictions' maker has seen (trained_on), and a second draw "
            "would have to be planned given these; draw the further labels with dsl.sampling.srs or a design that needs no pilot"
        )
    analysis = analysis_of(fit, data)
    sample = analysis.sample
    if sample.dropped:
        raise DataError(
            f"{sample.n_input - len(sample.data)} rows have missing values ({missing_per_column(sample.dropped)}) and were no "
            "part of the pilot, so that nothing is known of their errors; fill them, or drop them from the data, and fit the "
            "pilot again"
        )
    if not sample.labels.equals(fit.sample.labels):
        raise ArgumentError(
            "these are the data of the fit under other row labels, by which a design knows its rows; pass the table that was "
            "fitted, with its index"
        )
    splits = fit.splits
    return Pilot(
        names=fit.names,
        params=fit.params,
        # J^-1 of the sum over N rows, times N: that of the mean
        inverse=median_bread(splits.jacobians) * fit.nobs,
        analysis=analysis,
        predictions=predictions.mean(axis=0),
        # mean over splits (axis 0) of (S, n, q)
        errors=((predictions[:, fit.sample.labeled] - fit.sample.gold) ** 2).mean(axis=0),
        label_scores=splits.label_scores,
    )


def _predictions(fit: Fit) -> FloatArray:
    """Out-of-fold predictions. Raises ArgumentError unless the pilot predicts numbers out of fold."""
    if isinstance(fit.model.link, Family) and fit.model.link.classes:
        raise ArgumentError(
            f"targeted needs predicted variables that are numbers, and the outcome of model='{fit.call.model}' is a class; take "
            "a pilot of a 0/1 column with model='logit', or draw strata by predicted class (dsl.sampling.stratified)"
        )
    if fit.splits.predictions is None:
        raise ArgumentError(
            f"the pilot (estimator='{fit.call.estimator}') has no out-of-fold predictions, whose errors say where labels "
            "are needed; fit it with estimator='dsl', and before remove_data()"
        )
    if fit.splits.targets != fit.call.predicted_var:
        raise ArgumentError(
            "targeted needs predicted variables that are numbers, but the pilot predicts categories; code them as 0/1 columns"
        )
    return fit.splits.predictions


def estimate_errors(pilot: Pilot, learner: Method, seed: int, *, least: float = 0.05) -> FloatArray:
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
        # regressors (N, p + q): features and predictions. Responses: squared errors (n, q)
        np.hstack([sample.features, pilot.predictions]),
        pilot.errors,
        sample.labeled,
        folds,
        sl_method=learner,
        family="gaussian",
        seed=seed,
        groups=sample.cluster,
    )
    # weighted by 1 / pi: the mean over all rows, not over those that happened to be labelled
    mean = np.average(pilot.errors, axis=0, weights=sample.weight)
    raised: FloatArray = np.maximum(fitted.predictions.mean(axis=0), least * mean)
    return raised


def influence_variances(pilot: Pilot, errors: FloatArray, chosen: IntArray) -> FloatArray:
    r"""Expected squared influence of labelling each row, E (h_j'(m_i - m_hat_i))^2, for the chosen coefficients.

    Each predicted variable is put at its prediction plus and minus its expected error, and the squared changes of
    h_j'm_i are averaged. Several variables' add up. Where only the outcome is predicted this is
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
    names, gold = pilot.analysis.predicted, pilot.analysis.gold.to_numpy()
    centre = dict(zip(names, pilot.predictions.T, strict=True))
    if pilot.analysis.several is not None:
        # moments that are not linear in the outcome know no count below zero
        known_values = dict(zip(names, gold.T, strict=True))
        centre = {
            name: np.clip(value, known_values[name].min(), known_values[name].max()) for name, value in centre.items()
        }
    influence = _influence(pilot, chosen, centre)
    base, total = influence(centre), np.zeros((len(pilot.prob), len(chosen)))
    for name, error, known in zip(names, errors.T, gold.T, strict=True):
        for away in (np.sqrt(error), -np.sqrt(error)):
            value = centre[name] + away
            if name not in pilot.analysis.design.linear:  # log(label) knows no label below the smallest
                value = np.clip(value, known.min(), known.max())
            # E (h'm - h'm_hat)^2 by two points at m_hat -+ sqrt(e), exact where the scores are linear in the variable
            total += 0.5 * (influence({**centre, name: value}) - base) ** 2
    return total


Values = Mapping[str, FloatArray]


def _influence(pilot: Pilot, chosen: IntArray, centre: Values) -> Callable[[Values], FloatArray]:
    """h_j'm_i of the chosen coefficients, (N, c), as a function of the predicted variables.

    The engine's scores of a block of surrogate versions alone. Fixed effects stay at `centre`.
    """
    analysis = pilot.analysis
    # one analysis without category equations: exactly one block
    (blocks,) = analysis.blocks()
    # no labelling: scores of predictions alone, weighted as in the fit
    block, problem = blocks.naive([blocks.version(centre)]), replace(analysis.problem(), labeling=None)
    params, rows = pilot.params[analysis.places], pilot.inverse[np.ix_(chosen, analysis.places)]

    def at(values: Values) -> FloatArray:
        version = blocks.version(values)
        moved = replace(block, predicted=version.predicted, outcome=version.outcome)
        scores = row_scores(moved, problem, params, problem.weights, augmentation_weights)
        # (N, k) h_j' m_i, part by part, so that no (N, k) scores of all rows are held at once
        return np.concatenate([part @ rows.T for part in scores])

    return at
