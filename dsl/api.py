"""The public call: check arguments, then hand data from one module to the next."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from dsl._typing import IntArray
from dsl.arguments import as_name, as_names, check_counts, explain_calls, pair_surrogates
from dsl.combine import combine_splits
from dsl.covariance import SMALL_SAMPLE, small_sample_factor
from dsl.crossfit import CrossFit, check_folds, cross_predict, draw_folds
from dsl.engine import Problem, SplitFit, check_columns, fit_split, shared_gram
from dsl.estimators import ESTIMATORS, Blocks
from dsl.exceptions import (
    AllLabeledWarning,
    ArgumentError,
    DroppedRowsWarning,
    FewLabelsWarning,
    JacobianWarning,
    LeakError,
    OutcomeError,
)
from dsl.formula import Design, ParsedFormula, build, parse
from dsl.frame import Columns, Sample, check_folds_possible, prepare
from dsl.learners import check_method
from dsl.moments import LINEAR, LOGISTIC, Link, gold_weights
from dsl.predictor import Predictor
from dsl.results import DSLEstimates, DSLResults, SampleFacts, Specification, Splits
from dsl.tables import as_numbers, column_names, first_rows

MODELS = {"lm": LINEAR, "logit": LOGISTIC, "felm": LINEAR}
FIXED_EFFECTS = {"oneway": 1, "twoways": 2, "multiway": None}
EFFECTIVE_LABELS = 30
"""Kish's effective size of the labelled sample below which normal intervals are doubtful."""


@explain_calls
def dsl(
    formula: str,
    data: Any,
    *,
    predicted_var: str | Sequence[str] | Mapping[str, str | Sequence[str]],
    prediction: str | Sequence[str] | None = None,
    model: str = "lm",
    labeled: str | None = None,
    sample_prob: str | None = None,
    cluster: str | None = None,
    index: str | Sequence[str] | None = None,
    fixed_effect: str = "oneway",
    sl_method: Any = "auto",
    feature: str | Sequence[str] | None = None,
    family: str = "gaussian",
    cross_fit: int = 5,
    sample_split: int = 10,
    seed: int = 1234,
    folds: Any = None,
    estimator: str = "dsl",
    tune: None = None,
    vcov: str = "robust",
    n_jobs: int = 1,
    progress: bool = False,
) -> DSLResults:
    r"""Regression on imperfectly labelled variables, repaired with gold labels of a random subsample.

    Every row has surrogate labels (`prediction`) of the predicted variables; a sample drawn with known
    probability has expert (gold) labels too. The estimate solves the design-adjusted moment equation

    .. math:: \sum_i \hat m_i + \frac{R_i}{\pi_i} (m_i - \hat m_i) = 0,

    which is consistent whatever the quality of the surrogates, because the sampling probabilities
    are known (DSL-2024, eq. 8).

    Parameters
    ----------
    formula : str
        ``"y ~ x1 + x2"``, in formulaic's syntax plus ``factor()``, ``as.factor()``, ``I(x^2)``, ``sqrt()``
        as in R. ``"y ~ x | unit + year"`` absorbs fixed effects (``model="felm"``).
    data : data frame
        pandas, polars, pyarrow, or a dict of columns. Gold values are missing where not labelled.
    predicted_var : str, list of str, or dict
        Variables of the formula with gold labels on some rows only. A dict maps each to its
        surrogate(s), which then need not be repeated in `prediction`.
    prediction : str or list of str, optional
        Columns with the surrogates, known for every row. All of them serve to predict every variable.
    model : {"lm", "logit", "felm"}
        Linear regression, logistic regression, linear regression with fixed effects.
    labeled : str, optional
        Column that is 1 on labelled rows and 0 elsewhere. By default the rows where no `predicted_var` is
        missing.
    sample_prob : str, optional
        Column with each row's probability of being labelled, in (0, 1]. By default all rows had the same.
    cluster : str, optional
        Column with clusters: standard errors allow for correlation within them, and folds keep them whole.
    index : str or list of str, optional
        Columns of the fixed effects (``model="felm"``).
    fixed_effect : {"oneway", "twoways", "multiway"}
        How many columns `index` names: one, two, or any number.
    sl_method : str, list, scikit-learn estimator, or callable
        Learner that predicts the gold values; see ``dsl.available_method()``. A list is stacked. ``"auto"``
        chooses among a few by cross-validation.
    feature : str or list of str, optional
        Further columns for the learner.
    family : {"gaussian", "binomial"}
        ``"binomial"`` keeps the learner's predictions in [0, 1].
    cross_fit : int
        Number of cross-fitting folds K.
    sample_split : int
        Number of times S the rows are split anew; estimates are combined by medians.
    seed : int
        Draws the folds and seeds the learners.
    folds : (S, rows) integer array, optional
        Fold of every row of `data` in every split, instead of drawn ones; overrides `cross_fit` and
        `sample_split`.
    estimator : {"dsl", "gold_only", "naive"}
        The design-based estimator; the labelled rows alone, weighted by inverse probability; or the
        surrogates taken for the truth (for comparison only: not valid).
    tune : None
        Reserved; anything else raises.
    vcov : {"robust", "HC0", "HC1", "CR0", "CR1"}
        ``"robust"`` is HC0, or CR0 with `cluster`, as in the reference; HC1 and CR1 have the usual
        small-sample factors.
    n_jobs : int
        Parallel learner fits (joblib); the numbers do not depend on it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DSLResults
        statsmodels-style results: ``params``, ``bse``, ``conf_int()``, ``summary()``, ``tidy()``, ``t_test()``, ...

    Raises
    ------
    DSLError
        Every check raises a named subclass that says what was found and what to do.

    Notes
    -----
    Inference is for the superpopulation that the rows were drawn from. P values are two-sided.

    References
    ----------
    DSL-2023: Egami, Hinck, Stewart and Wei, "Using imperfect surrogates for downstream inference: design-based
    supervised learning for social science applications of large language models", NeurIPS 2023.
    DSL-2024: the same authors, "Using large language model annotations for the social sciences: a general framework
    of using predicted variables in downstream analyses", 2024.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(labeled=1000, seed=1)
    >>> fit = dsl.dsl("human_positive ~ negation + hedge", data=tweets, model="logit",
    ...               predicted_var="human_positive", prediction="vader_positive", cluster="doc_id")
    >>> fit.nobs, fit.n_labeled
    (9390, 1000)
    >>> fit.params.round(1).to_dict()
    {'Intercept': -0.5, 'negation': -0.6, 'hedge': -0.1}
    """
    caller = sys._getframe(2)  # past explain_calls
    _check_options(model=model, estimator=estimator, vcov=vcov, cluster=cluster, tune=tune)
    check_counts(cross_fit=cross_fit, sample_split=sample_split, seed=seed, n_jobs=n_jobs)
    check_method(sl_method, family)
    predicted, surrogates, pairs = pair_surrogates(predicted_var, prediction)
    single = {
        role: as_name(name, role)
        for role, name in (("labeled", labeled), ("sample_prob", sample_prob), ("cluster", cluster))
    }
    parsed = parse(
        formula,
        column_names(data),
        {**caller.f_globals, **caller.f_locals},
        outside_dot={*surrogates, *as_names(index, "index"), *filter(None, single.values())},
    )
    columns = Columns(
        formula=parsed.variables,
        predicted=predicted,
        prediction=surrogates,
        feature=as_names(feature, "feature"),
        **single,
        absorbed=_absorbed(parsed, as_names(index, "index"), fixed_effect, model),
    )
    _check_surrogates(columns, estimator)
    sample = prepare(data, columns)
    _warn_about(sample, columns)
    design = build(parsed, sample.data, sample.labeled, predicted, absorbed=bool(columns.absorbed))
    _check_outcome(design, sample, model)
    _check_size(design, sample)
    analysis = _Analysis(parsed, columns, sample, design, MODELS[model], vcov)
    drawn, fitted = None, None
    if estimator == "dsl":
        drawn = _folds(sample, folds, cross_fit, sample_split, seed)
        gold = sample.data[list(predicted)].to_numpy()[sample.labeled]
        fitted = cross_predict(
            sample.features, gold, sample.labeled, drawn, sl_method=sl_method, family=family, seed=seed,
            groups=sample.cluster, n_jobs=n_jobs, progress=progress,
        )  # fmt: skip
        fits = _fit_splits(analysis, fitted)
    elif estimator == "gold_only":
        fits = [_fit_gold_only(analysis)]
    else:
        fits = [_fit_naive(analysis, pairs)]
    specification = Specification(
        formula=formula,
        model=model,
        estimator=estimator,
        predicted_var=predicted,
        prediction=columns.prediction,
        feature=columns.feature,
        sample_prob=sample_prob,
        cluster=cluster,
        index=columns.absorbed,
        family=family,
        cross_fit=None if drawn is None else int(drawn.max()) + 1,
        sample_split=len(fits),
        seed=seed,
        vcov=vcov,
        learners=() if fitted is None else fitted.learners,
        learner_reasons=() if fitted is None else fitted.reasons,
    )
    return _results(analysis, specification, fits, drawn, fitted)


@dataclass(frozen=True, slots=True)
class _Analysis:
    """What every estimator works on."""

    parsed: ParsedFormula
    columns: Columns
    sample: Sample
    design: Design
    link: Link
    vcov: str


def _check_options(*, model: str, estimator: str, vcov: str, cluster: str | None, tune: None) -> None:
    for name, value, known in (
        ("model", model, tuple(MODELS)),
        ("estimator", estimator, ESTIMATORS),
        ("vcov", vcov, SMALL_SAMPLE),
    ):
        if value not in known:
            close = get_close_matches(str(value), known, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise ArgumentError(f"unknown {name} {value!r}: use one of {', '.join(known)}{hint}")
    if vcov.startswith("CR") and cluster is None:
        raise ArgumentError(f"vcov='{vcov}' needs clusters; pass cluster='column', or use 'HC0' or 'HC1'")
    if vcov.startswith("HC") and cluster is not None:
        raise ArgumentError(
            f"vcov='{vcov}' ignores clusters; use 'CR0' or 'CR1' with cluster={cluster!r}, or drop cluster"
        )
    if tune is not None:
        raise ArgumentError(f"tune={tune!r} is not available; only tune=None (Lambda = I) is")


def _absorbed(parsed: ParsedFormula, index: tuple[str, ...], fixed_effect: str, model: str) -> tuple[str, ...]:
    """Columns of the fixed effects, from the formula's ``|`` part or from `index`."""
    if fixed_effect not in FIXED_EFFECTS:
        raise ArgumentError(f"unknown fixed_effect {fixed_effect!r}: use one of {', '.join(FIXED_EFFECTS)}")
    if model != "felm":
        if parsed.absorbed or index:
            where = "index" if index else "the formula's part behind '|'"
            raise ArgumentError(f"{where} names fixed effects, which model='{model}' does not have; use model='felm'")
        return ()
    if parsed.absorbed:
        if index and set(index) != set(parsed.absorbed):
            raise ArgumentError(
                f"index={list(index)} and the formula's '| {' + '.join(parsed.absorbed)}' differ; give one"
            )
        return parsed.absorbed
    if not index:
        raise ArgumentError("model='felm' needs fixed effects: index='unit', or 'y ~ x | unit'")
    count = FIXED_EFFECTS[fixed_effect]
    if count is not None and len(index) != count:
        raise ArgumentError(
            f"fixed_effect='{fixed_effect}' absorbs {count} column(s), but index names {len(index)}: {', '.join(index)}; "
            f"write 'y ~ x | {' + '.join(index)}', or fixed_effect='{'twoways' if len(index) == 2 else 'multiway'}'"
        )
    return index


def _check_surrogates(columns: Columns, estimator: str) -> None:
    if not columns.predicted:
        raise ArgumentError("predicted_var names no variable; name those with gold labels on some rows only")
    if estimator != "gold_only" and not columns.prediction and not columns.feature:
        raise ArgumentError(
            "neither prediction nor feature is given: name the column(s) with the surrogate labels, or features to "
            "predict the gold labels from"
        )
    both = sorted({*columns.prediction, *columns.feature} & set(columns.predicted))
    if both:
        raise LeakError(
            f"'{both[0]}' is a predicted variable and a prediction or feature at once: its gold labels cannot predict "
            "themselves; name the column with the surrogate labels"
        )


def _warn_about(sample: Sample, columns: Columns) -> None:
    """Warnings about the labelled sample; each is shown at the caller's line."""
    if sample.n_input > len(sample.data):
        counts = ", ".join(f"'{name}' ({count})" for name, count in sample.dropped.items())
        _warn(
            DroppedRowsWarning,
            f"{sample.n_input - len(sample.data)} of {sample.n_input} rows left out; missing values per column: {counts}. "
            "Fill them, or leave these rows out yourself, to silence this",
        )
    if sample.labeled.all():
        _warn(AllLabeledWarning, "every row is labelled: predictions are not used, this is an ordinary regression")
    weight = sample.weight
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    if effective < EFFECTIVE_LABELS:
        uneven = "" if sample.equal_prob else f" (the weights vary from {weight.min():.3g} to {weight.max():.3g})"
        _warn(
            FewLabelsWarning,
            f"{sample.n_labeled} labelled rows count for only {effective:.1f}{uneven}: intervals that rely on large "
            f"samples may be too short; label more rows{', with less uneven probabilities' if uneven else ''}",
        )


def _warn(category: type[Warning], message: str) -> None:
    warnings.warn(message, category, stacklevel=5)


def _check_size(design: Design, sample: Sample) -> None:
    if len(design.block_names) >= sample.n_labeled:
        _warn(
            FewLabelsWarning,
            f"{len(design.block_names)} coefficients rest on {sample.n_labeled} labelled rows: their standard errors cannot "
            "be trusted; label more rows, or take columns out of the formula",
        )


def _check_outcome(design: Design, sample: Sample, model: str) -> None:
    name = design.outcome.names[0]
    values = design.gold_outcome if design.outcome.predicted_index else design.outcome.fixed[:, 0]
    rows = np.flatnonzero(sample.labeled) if design.outcome.predicted_index else np.arange(len(values))
    if np.ptp(values) == 0.0:
        which = f"{len(rows)} labelled" if design.outcome.predicted_index else f"{len(rows)}"
        raise OutcomeError(
            f"the outcome '{name}' is {values[0]:g} in all {which} rows: "
            "there is nothing to explain; label more rows, or look for a mistake in coding it"
        )
    if model != "logit":
        return
    bad = (values < 0.0) | (values > 1.0)
    if bad.any():
        found = ", ".join(f"{value:g}" for value in np.unique(values[bad])[:4])
        raise OutcomeError(
            f"model='logit' needs an outcome of 0 and 1 (or shares between them); '{name}' is {found} in "
            f"{first_rows(bad, sample.labels[rows])}. Recode it, or use model='lm'"
        )


def _folds(sample: Sample, folds: Any, cross_fit: int, sample_split: int, seed: int) -> IntArray:
    if folds is not None:
        return check_folds(folds, sample.rows, sample.n_input, sample.labeled, sample.cluster)
    check_folds_possible(sample.labeled, sample.cluster, cross_fit)
    return draw_folds(
        sample.labeled,
        sample.cluster,
        cross_fit=cross_fit,
        sample_split=sample_split,
        rng=np.random.default_rng(seed),
    )


def _fit_splits(analysis: _Analysis, fitted: CrossFit) -> list[SplitFit]:
    """Fit every split; each begins where the first one ended."""
    sample, design = analysis.sample, analysis.design
    blocks = Blocks(design, sample)
    gram = shared_gram(design.covariates.fixed)
    problem = Problem(
        link=analysis.link,
        names=design.block_names,
        cluster=sample.cluster,
        n_clusters=sample.n_clusters,
        fixed_gram=gram if analysis.link.slope is None else None,
    )
    fits: list[SplitFit] = []
    for split in fitted.predictions:
        block = blocks.dsl(dict(zip(analysis.columns.predicted, split.T, strict=True)))
        if not fits:
            check_columns(block, problem.names, gram)
        fits.append(fit_split(block, problem, start=fits[0].params if fits else None))
    weak = [str(s + 1) for s, fit in enumerate(fits) if not fit.positive_definite]
    if weak:
        _warn(
            JacobianWarning,
            f"the Jacobian of the moment is not positive definite in {len(weak)} of {len(fits)} splits ({', '.join(weak)}): "
            "the labelled sample is small for these predicted covariates, and the estimates may be far off; label more rows",
        )
    return fits


def _fit_gold_only(analysis: _Analysis) -> SplitFit:
    sample = analysis.sample
    block = Blocks(analysis.design, sample).gold_only()
    cluster, n_clusters = None, None
    if sample.cluster is not None:
        labels, cluster = np.unique(sample.cluster[sample.labeled], return_inverse=True)
        n_clusters = len(labels)
    names = analysis.design.block_names
    check_columns(block, names, shared_gram(block.fixed))
    return fit_split(
        block, Problem(link=analysis.link, names=names, weights=gold_weights, cluster=cluster, n_clusters=n_clusters)
    )


def _fit_naive(analysis: _Analysis, pairs: Mapping[str, str]) -> SplitFit:
    sample, names = analysis.sample, analysis.design.block_names
    unpaired = [name for name in analysis.columns.predicted if name not in pairs]
    if unpaired:
        raise ArgumentError(
            f"estimator='naive' needs to know which prediction stands for '{unpaired[0]}': pass "
            f"predicted_var={{'{unpaired[0]}': 'its_prediction'}}, or as many predictions as predicted variables"
        )
    values = {
        gold: as_numbers(sample.data[pairs[gold]], "prediction").to_numpy() for gold in analysis.columns.predicted
    }
    block = Blocks(analysis.design, sample).naive(values)
    check_columns(block, names, shared_gram(block.fixed))
    return fit_split(
        block, Problem(link=analysis.link, names=names, cluster=sample.cluster, n_clusters=sample.n_clusters)
    )


def _results(
    analysis: _Analysis,
    specification: Specification,
    fits: list[SplitFit],
    drawn: IntArray | None,
    fitted: CrossFit | None,
) -> DSLResults:
    """Combine the splits, bring coefficients into the formula's order, and wrap them."""
    sample, design, order = analysis.sample, analysis.design, analysis.design.order
    params = np.stack([fit.params for fit in fits])[:, order]
    factor = _small_sample(analysis, specification)
    vcovs = factor * np.stack([fit.vcov for fit in fits])[:, order][:, :, order]
    estimate, vcov = combine_splits(params, vcovs)
    part = design.covariates
    mean = None if analysis.columns.absorbed else analysis.link.mean
    return DSLResults(
        DSLEstimates(
            names=part.names,
            outcome=design.outcome.names[0],
            params=estimate,
            vcov=vcov,
            specification=specification,
            sample=_facts(sample, analysis.columns),
            splits=Splits(
                params=params,
                vcovs=vcovs,
                moment_norms=np.array([fit.moment_norm for fit in fits]),
                iterations=np.array([fit.iterations for fit in fits]),
                folds=drawn,
                predictions=None if fitted is None else fitted.predictions,
            ),
            predictor=Predictor(part.spec, part.functions, mean),
        )
    )


def _facts(sample: Sample, columns: Columns) -> SampleFacts:
    return SampleFacts(
        n_input=sample.n_input,
        nobs=len(sample.data),
        n_labeled=sample.n_labeled,
        n_clusters=sample.n_clusters,
        dropped=sample.dropped,
        notes=sample.notes,
        equal_prob=sample.equal_prob,
        labels=sample.labels,
        labeled=sample.labeled,
        sample_prob=sample.sample_prob,
        gold=sample.data[list(columns.predicted)].to_numpy()[sample.labeled],
    )


def _small_sample(analysis: _Analysis, specification: Specification) -> float:
    sample = analysis.sample
    gold_only = specification.estimator == "gold_only"
    n_clusters = sample.n_clusters
    if gold_only and sample.cluster is not None:
        n_clusters = len(np.unique(sample.cluster[sample.labeled]))
    absorbed = Blocks(analysis.design, sample).absorbed_rank if analysis.vcov in ("HC1", "CR1") else 0
    return small_sample_factor(
        analysis.vcov,
        n=sample.n_labeled if gold_only else len(sample.data),
        k=len(analysis.design.block_names) + absorbed,
        n_clusters=n_clusters,
    )
