"""What a fit keeps besides its estimates and its call: the rows, the splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.drawn import Tested


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFacts:
    """The rows behind the estimate."""

    n_input: int
    nobs: int
    n_labeled: int
    n_clusters: int | None
    dropped: Mapping[str, int]
    notes: tuple[str, ...]
    equal_prob: bool
    labels: pd.Index = field(repr=False)
    """(N,) the rows' labels in the input."""
    labeled: BoolArray = field(repr=False)
    """(N,)"""
    sample_prob: FloatArray = field(repr=False)
    """(N,) rescaled to mean n_labeled / N."""
    gold: FloatArray = field(repr=False)
    """(n, q) gold values of the labelled rows, in the columns of ``Splits.targets``."""
    label_cluster: IntArray | None = field(default=None, repr=False)
    """(n,) cluster codes of the labelled rows, where there are clusters."""
    label_across: IntArray | None = field(default=None, repr=False)
    """(n,) the same of clusters in a second way."""
    n_across: int | None = None
    """Number of clusters in a second way."""
    fingerprint: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Hash of each column of the analysis, by name (`dsl.data.fingerprint.column_fingerprints`)."""
    row_weight: FloatArray | None = field(default=None, repr=False)
    """(N,) what each row counts for, with mean one (`dsl.data.weights`). None for one each."""
    effective_rows: float | None = None
    """Kish's number of rows that these weights leave (`dsl.engine.intervals.kish`). None for weights of one."""
    n_trained: int = 0
    """Labelled rows that the predictions' maker has seen."""
    trained: BoolArray | None = field(default=None, repr=False)
    """(N,) which they are (`dsl.engine.trained`). None if there are none."""
    looked: tuple[Tested, ...] = field(default=(), repr=False)
    """Labelled rows against the draw as it was stated, column by column, the least likely first (`dsl.data.drawn`)."""

    @property
    def judged(self) -> BoolArray:
        """Labelled rows by which predictions are judged, (N,)."""
        return self.labeled if self.trained is None else self.labeled & ~self.trained

    @property
    def label_weight(self) -> FloatArray:
        """What labelled rows count for: 1 / sampling probability, times their analysis weights, (n_labeled,)."""
        weight = 1.0 / self.sample_prob[self.labeled]
        return weight if self.row_weight is None else weight * self.row_weight[self.labeled]

    @property
    def prob_range(self) -> tuple[float, float]:
        """Smallest and largest probability of being labelled, of rows that were not seen."""
        whole = self.trained is None or len(self.trained) != len(self.sample_prob)
        prob = self.sample_prob if whole or self.trained is None else self.sample_prob[~self.trained]
        return float(np.min(prob)), float(np.max(prob))

    @property
    def judged_gold(self) -> FloatArray:
        """Their gold values, (m, q)."""
        return self.gold if self.trained is None else self.gold[~self.trained[self.labeled]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How much each coefficient relies on the predictions, and what that gains."""

    lambdas: FloatArray = field(repr=False)
    """(S, k) diagonal of J^-1 Lambda J, with Lambda from `dsl.engine.lambdas.best_tuning` (0: labelled rows alone, 1: plain DSL).
    In the two-sample form that of `dsl.engine.two_sample.fit.best_lam`."""
    plain: FloatArray | None = field(repr=False)
    """(S, k) variances at lambda = 1, of the same scores (`dsl.engine.tuning.fit_tuned`), or None if they were not computed."""
    without: FloatArray | None = field(repr=False)
    """(S, k) variances at lambda = 0 (`dsl.engine.tuning.fit_tuned`)."""
    matrices: FloatArray | None = field(default=None, repr=False)
    """(S, k, k) Lambda in psi = w m + Lambda (1 - w) m_hat (`dsl.engine.lambdas.best_tuning`), or None in the two-sample form."""
    at: FloatArray | None = field(default=None, repr=False)
    """(S, k) estimates at which the scores were taken (`dsl.engine.tuning.fit_tuned`)."""
    each: FloatArray | None = field(default=None, repr=False)
    """(S, J, k) the part of each of several surrogates in the lambdas (`dsl.engine.tuning.fit_tuned`), whose matrices then
    stand side by side, (S, k, J k). In the two-sample form (`dsl.engine.two_sample.fit.best_lams`) there are no matrices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentFacts:
    """What every split says of the instruments (`dsl.engine.instruments.tests_of`). e endogenous covariates."""

    endogenous: tuple[str, ...]
    f: FloatArray = field(repr=False)
    """(S, e) F statistics of the first stages (`dsl.engine.instruments.tests_of`)."""
    df: FloatArray = field(repr=False)
    """(2,) their degrees of freedom (`dsl.engine.instruments.tests_of`)."""
    over: FloatArray = field(repr=False)
    """(S,) over-identification statistics (`dsl.engine.instruments.tests_of`), NaN without spare instruments."""
    over_df: int
    """Spare instruments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Estimates of the repeated splits."""

    params: FloatArray = field(repr=False)
    """(S, k) roots of sum psi = 0 (`dsl.engine.fit.fit_split`, or for two samples `dsl.engine.two_sample.fit.two_sample`)."""
    vcovs: FloatArray = field(repr=False)
    """(S, k, k) A^-1 B A^-T (`dsl.engine.covariance.sandwich`), times `dsl.engine.covariance.small_sample_factor`, or with the
    scores of `dsl.engine.leave_out.left_out_scores` in B."""
    jacobians: FloatArray = field(repr=False)
    """(S, k, k) bread A: minus the derivatives of the moments, summed over rows (`dsl.engine.sums.moment_sums`)."""
    meats: FloatArray = field(repr=False)
    """(S, k, k) meat B: score score', summed over rows or clusters (`dsl.engine.sums.score_sums`). That of a finite
    population is `dsl.engine.labeling.finite_meat`."""
    label_meats: FloatArray = field(repr=False)
    """(S, k, k) the part of the meats that shrinks in proportion as more rows are labelled (`dsl.engine.sums.label_meat`)."""
    label_scores: FloatArray = field(repr=False)
    """(n, k) what each labelled row adds to the moment, w (m - Lambda m_hat) (`dsl.engine.sums.label_scores`), mean over
    splits. Zero for rows that were seen (`SampleFacts.trained`), whose labels are not there by chance."""
    behind: FloatArray = field(repr=False)
    """(k,) labelled rows behind each coefficient (`dsl.engine.behind.labels_behind`), in the first split."""
    df: FloatArray | None = field(default=None, repr=False)
    """(S, k) degrees of freedom of the standard errors HC2, CR2, HC3 and CR3 (`dsl.engine.leave_out.satterthwaite`), None for
    others."""
    tuning: Tuning | None = field(repr=False)
    """Lambdas, where they were chosen."""
    instruments: InstrumentFacts | None = field(default=None, repr=False)
    """Tests of the instruments, where there are some."""
    moment_norms: FloatArray
    """(S,) largest mean moment at the solver's last check (`dsl.engine.fit.fit_split`), columns scaled to mean square one."""
    iterations: IntArray
    """(S,)"""
    folds: IntArray | None = field(repr=False)
    """(S, N)"""
    n_folds: int | None
    """Number of cross-fitting folds, or None without cross-fitting."""
    targets: tuple[str, ...]
    """(q,) what was predicted: the predicted variables, categories as one 0/1 column each."""
    predictions: FloatArray | None = field(repr=False)
    """(S, N, q) out-of-fold predictions (`dsl.learners.crossfit.cross_predict`)."""
    learners: tuple[str, ...]
    """(q,) learner used for each predicted variable, empty without cross-fitting."""
    averaged: bool
    """Whether the moment is averaged over values of the predicted variables (`dsl.learners.distribution`), not taken at means."""
    learner_reasons: tuple[str, ...]
    """(q,) why, where it was chosen by measurement, else empty."""
