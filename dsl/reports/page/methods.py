"""What was done, in sentences for a paper, with the numbers of this analysis and the sources to cite."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dsl.data.messages import rows_left_out
from dsl.data.tables import each_row
from dsl.data.trail import Trail
from dsl.engine.covariance import BY_DESIGN, BY_DESIGN_HC3, UNCORRECTED
from dsl.estimators.result import Fit
from dsl.learners.auto import SEARCHED
from dsl.learners.words import joined, learner_words
from dsl.reports.comparison import Comparison
from dsl.reports.page.annotation import SOURCE, sentences
from dsl.reports.page.sources import SOURCES, cite, cited
from dsl.reports.summary import reference
from dsl.reports.text import number, p_text

DRAWS = {
    "srs": "as a simple random sample",
    "bernoulli": "independently of each other",
    "stratified": "by stratified random sampling",
    "pps": "with probability proportional to size",
    "cluster": "by drawing whole clusters",
    "two_stage": "in two stages, clusters first",
    "targeted": "with probabilities aimed at the coefficients of interest",
    "adaptive": "in batches, with probabilities that followed from earlier batches",
}
SUPPORT = (
    "Its validity rests on the known probabilities of labelling and not on the quality of the predictions, which affects "
    "precision only"
)
LEFT_OUT = {
    "HC2": ("corrected for the leverage of each row (HC2)", ("MW",)),
    "HC3": ("corrected for the leverage of each row (HC3)", ("MW",)),
    "CR2": ("corrected for the leverage of each cluster (CR2)", ("BM",)),
    "CR3": ("corrected for the leverage of each cluster (CR3)", ("BM",)),
    "jackknife": ("by the jackknife, which leaves out each in turn and keeps the out-of-fold predictions", ("MW",)),
    BY_DESIGN_HC3: (
        "with the weight of the predictions chosen without each row or cluster in turn (PRESS) "
        "and corrected for the leverage of the labelled ones (HC3)",
        ("ALLEN", "MW"),
    ),
    "PRESS": ("with the weight of the predictions chosen without each row or cluster in turn (PRESS)", ("ALLEN",)),
}
"""Covariances that leave a unit out, in words, and the sources of each."""
ROUNDING = 1e-9
"""Relative: sums of probabilities that are as large as the number of rows drawn."""
MOST_RESULTS = 12
"""Coefficients up to which each gets its sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods:
    """Paragraphs, and the sources that they cite."""

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]


def describe(
    fit: Fit, *, alpha: float, comparison: Comparison | None, version: str, trails: Sequence[Trail] = ()
) -> Methods:
    """Sentences about a fit.

    Parameters
    ----------
    fit : Fit
    alpha : float
        One minus the level of the intervals.
    comparison : Comparison or None
    version : str
        The package's.
    trails : sequence of Trail
        How labels were made by language models.
    """
    parts = [_data(fit), labelling(fit), _estimator(fit), _learning(fit), _errors(fit, alpha)]
    # only sources that some sentence cites are listed
    keys = {key for _, own in parts for key in own}
    software = f"Computations were made with the Python package dsl, version {version} (seed {fit.call.seed})."
    first = " ".join([*(words for words, _ in parts if words), software])
    second = [_results(fit, alpha)]
    if comparison is not None and comparison.hausman is not None:
        second.append(
            f"Estimates that take the predictions for the truth were tested against these ({cite('HAUSMAN')}): "
            f"{comparison.hausman} for the hypothesis that none of them is biased."
        )
        keys.add("HAUSMAN")
    if trails:
        keys.add(SOURCE)
    return Methods(
        paragraphs=(*map(sentences, trails), first, " ".join(second)),
        references=tuple(sorted({*(SOURCES[key].full for key in keys), *fit.model.sources})),
    )


Part = tuple[str, tuple[str, ...]]
"""Words, and the keys of the sources that they cite."""


def _data(fit: Fit) -> Part:
    spec, sample = fit.call, fit.sample
    model = fit.model.title + (f" ({' and '.join(spec.index)})" if spec.index else "")
    dropped = ""
    if fit.n_dropped:
        dropped = f" ({rows_left_out(sample.n_input, sample.nobs, sample.dropped)})"
    return f"We estimated the {model} {spec.formula_text} on {sample.nobs:,} rows{dropped}.", ()


def labelling(fit: Fit) -> Part:
    """How many rows were labelled, and how they were drawn."""
    spec, sample, design = fit.call, fit.sample, fit.call.design
    verb = "was" if len(spec.predicted_var) == 1 else "were"
    words = (
        f"{joined(spec.predicted_var)} {verb} labelled by experts on {sample.n_labeled:,} of them "
        f"({sample.n_labeled / sample.nobs:.1%})"
    )
    if spec.prediction:
        words += f" and predicted on all of them ({joined(spec.prediction)})"
    if not fit.estimator.uses_labels:
        return f"{words}.", ()
    low, high = sample.prob_range
    if sample.n_trained:
        words += (
            f". Whoever made the predictions had seen {sample.n_trained:,} of these rows with their labels: they count as known, "
            "and errors of the predictions are estimated on the others, with the probabilities given the rows that were seen"
        )
    drawn = DRAWS[design.kind] if design is not None else ""
    column = "" if spec.sample_prob is None else f" ({spec.sample_prob})"
    if low == high and not drawn and not column:
        return f"{words}. The labelled rows are taken for a simple random sample.", ()
    if low == high:
        return f"{words}. The labelled rows were drawn {drawn or f'with equal probabilities{column}'}.", ()
    return (
        f"{words}. The labelled rows were drawn {drawn}{' ' if drawn else ''}with known probabilities{column} between "
        f"{low:.3g} and {high:.3g}{_rescaled(fit)}.",
        (),
    )


def _rescaled(fit: Fit) -> str:
    """That probabilities were scaled to the number of labelled rows. Those of a draw of fixed size add up to it as they are."""
    design = fit.call.design
    whole = not fit.n_dropped and not fit.sample.n_trained
    if design is not None and whole and abs(design.prob.sum() - fit.n_labeled) < ROUNDING * fit.n_labeled:
        return ""
    return ", rescaled so that their mean is the share of labelled rows"


def _estimator(fit: Fit) -> Part:
    """What the estimator does: the registry's words, with its citations."""
    entry = fit.estimator
    words, keys = cited(entry.words)
    if entry.uses_labels and entry.uses_surrogates:
        words += f". {SUPPORT}"
    if fit.splits.averaged and not entry.imputes:
        of = "categories" if fit.splits.targets != fit.call.predicted_var else "predicted variables' values"
        words += f". The moment is averaged over the cross-fitted probabilities of the {of}, the augmentation of {cite('RRZ')}"
        keys = (*keys, "RRZ")
    tuned, more = _tuning(fit)
    return f"{words}.{tuned}", (*keys, *more)


def _tuning(fit: Fit) -> Part:
    """How much the predictions count, where they count other than in full."""
    tune, found = fit.call.tune, fit.splits.tuning
    if tune is None or found is None:
        return "", ()
    # (k,) median over splits
    values = np.median(found.lambdas, axis=0)
    low, high = float(values.min()), float(values.max())
    size = f"lambda = {low:.3f}" if high - low < 5e-4 else f"lambda between {low:.3f} and {high:.3f}"
    if not isinstance(tune, str):
        return f" The part of the predictions was multiplied by {size}.", ()
    if not fit.estimator.kinds:
        return f" This gave {size}.", ()
    each = {
        "scalar": "one factor for all coefficients",
        "coef": "one factor for each coefficient",
        "matrix": "a matrix",
    }
    words = f" How much the predictions count was chosen to minimise the estimated variances ({each[tune]}; {size})"
    return f"{words}, as proposed by {cite('PPI++')}.", ("PPI++",)


def _learning(fit: Fit) -> Part:
    splits, spec = fit.splits, fit.call
    if not splits.learners:
        return "", ()
    sees = [*spec.prediction, *spec.feature, *([] if spec.text is None else [f"the texts ({spec.text})"])]
    also = " and the observed variables of the analysis" if fit.estimator.imputes else ""
    names = learner_words(splits.learners, spec.sl_method, spec.family) or ["their mean"]
    if any(reason.startswith(SEARCHED) for reason in splits.learner_reasons):
        names[-1] += ", chosen by cross-validation"
    times = len(splits.params)
    whole = "" if spec.cluster is None else " that keep clusters whole"
    folds = f"cross-fitted over {fit.cross_fit} folds{whole}"
    words = f"Gold labels were predicted from {joined(sees)}{also} by {joined(names)}, {folds}"
    keys: tuple[str, ...] = ()
    if times > 1:
        words += f"; this was repeated with {times} divisions into folds, and medians are reported ({cite('DML')})"
        keys = ("DML",)
    table = fit.fit_quality
    assert table is not None  # where there are learners
    quality = [_quality(name, row, len(table) > 1) for name, row in table.iterrows()]
    return f"{words}. Out of fold, {'; '.join(quality)}.", keys


def _quality(name: object, row: pd.Series, several: bool) -> str:
    right = "" if np.isnan(row["accuracy"]) else f" and the accuracy {row['accuracy']:.3f}"
    return f"the R2{f' of {name}' if several else ''} was {row['r2']:.3f}{right}"


def _errors(fit: Fit, alpha: float) -> Part:
    spec, sample = fit.call, fit.sample
    keys: tuple[str, ...] = ()
    if sample.n_clusters is not None:
        kind = f"Standard errors are clustered by {spec.cluster} ({sample.n_clusters:,} clusters; {cite('LZ')})"
        keys = ("LZ",)
        if spec.across is not None:
            kind = (
                f"Standard errors are clustered in two ways, by {spec.cluster} ({sample.n_clusters:,} clusters) and "
                f"{spec.across} ({sample.n_across:,}; {cite('CGM')})"
            )
            keys = ("CGM",)
    elif fit.estimator.two_sample:
        kind = "Standard errors are those of the two samples, labelled and unlabelled rows"
    else:
        kind = "Standard errors are robust to heteroskedasticity (sandwich)"
    if spec.vcov in LEFT_OUT:
        words, more = LEFT_OUT[spec.vcov]
        kind += f", {words} ({', '.join(cite(key) for key in more)})"
        keys = (*keys, *more)
    elif spec.vcov not in UNCORRECTED:
        kind += f", with the small-sample factor of {spec.vcov}"
    if spec.vcov in (BY_DESIGN, BY_DESIGN_HC3):
        kind += f", and allow for how the labelled rows were drawn ({cite('HAJEK')})"
        keys = (*keys, "HAJEK")
    about = (
        f"these {sample.nobs:,} rows as a finite population, of which only the choice of the labelled ones is random"
        if spec.target == "finite"
        else "the population that the rows were drawn from"
    )
    if spec.weights is not None:
        about += f", with rows weighted by {spec.weights}"
    kinds = reference(fit) + (f" ({cite('SAT')})" if spec.use_t else "")
    keys = (*keys, "SAT") if spec.use_t and "SAT" not in keys else keys
    return (
        f"{kind} and refer to {about}; {100 * (1 - alpha):g}% confidence intervals and two-sided tests are {kinds}.",
        keys,
    )


def _results(fit: Fit, alpha: float) -> str:
    """Every coefficient with its interval."""
    # the intercept is rarely of interest, and is in the table
    rows = [row for row in each_row(fit.tidy(alpha=alpha)) if row.term != "Intercept"]
    shown = [
        f"{row.term} {number(row.estimate)} (SE {number(row.std_error)}, {100 * (1 - alpha):g}% CI {number(row.conf_low)} to "
        f"{number(row.conf_high)}, {p_text(row.p_value)})"
        for row in rows[:MOST_RESULTS]
    ]
    if not shown:
        return "The intercept is in the table of estimates."
    more = f"; {len(rows) - MOST_RESULTS} more are in the table of estimates" if len(rows) > MOST_RESULTS else ""
    return f"Coefficients: {'; '.join(shown)}{more}."
