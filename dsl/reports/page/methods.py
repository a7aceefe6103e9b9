"""What was done, in sentences for a paper, with the numbers of this analysis and the sources to cite."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsl.data.messages import rows_left_out
from dsl.reports.summary import reference
from dsl.reports.text import number, p_text

SOURCES = {
    "CDI": "Gligorić, K., Zrnic, T., Lee, C., Candès, E. J., and Jurafsky, D. (2024). Can unconfident LLM annotations be used "
    "for confident conclusions? arXiv:2408.15204.",
    "DML": "Chernozhukov, V., Chetverikov, D., Demirer, M., Duflo, E., Hansen, C., Newey, W., and Robins, J. (2018). "
    "Double/debiased machine learning for treatment and structural parameters. The Econometrics Journal 21(1), C1-C68.",
    "DSL-2023": "Egami, N., Hinck, M., Stewart, B. M., and Wei, H. (2023). Using imperfect surrogates for downstream inference: "
    "Design-based supervised learning for social science applications of large language models. Advances in Neural Information "
    "Processing Systems 36.",
    "DSL-2024": "Egami, N., Hinck, M., Stewart, B. M., and Wei, H. (2024). Using large language model annotations for the social "
    "sciences: A general framework of using predicted variables in downstream analyses. Working paper.",
    "HAUSMAN": "Hausman, J. A. (1978). Specification tests in econometrics. Econometrica 46(6), 1251-1271.",
    "HT": "Horvitz, D. G., and Thompson, D. J. (1952). A generalization of sampling without replacement from a finite universe. "
    "Journal of the American Statistical Association 47(260), 663-685.",
    "LZ": "Liang, K.-Y., and Zeger, S. L. (1986). Longitudinal data analysis using generalized linear models. "
    "Biometrika 73(1), 13-22.",
    "PPI": "Angelopoulos, A. N., Bates, S., Fannjiang, C., Jordan, M. I., and Zrnic, T. (2023). Prediction-powered inference. "
    "Science 382(6671), 669-674.",
    "PPI++": "Angelopoulos, A. N., Duchi, J. C., and Zrnic, T. (2023). PPI++: Efficient prediction-powered inference. "
    "arXiv:2311.01453.",
    "RRZ": "Robins, J. M., Rotnitzky, A., and Zhao, L. P. (1994). Estimation of regression coefficients when some regressors are "
    "not always observed. Journal of the American Statistical Association 89(427), 846-866.",
    "SAT": "Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance components. Biometrics Bulletin "
    "2(6), 110-114.",
}
MODELS = {"lm": "linear regression", "logit": "logistic regression", "felm": "linear regression with fixed effects"}
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
MOST_RESULTS = 12
"""Coefficients up to which each gets its sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods:
    """Paragraphs, and the sources that they cite."""

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]


def describe(fit: Any, *, alpha: float, design: Any, comparison: Any, version: str) -> Methods:
    """Sentences about a fit.

    Parameters
    ----------
    fit : DSLResults
    alpha : float
        One minus the level of the intervals.
    design : LabelDesign or None
        How the labelled rows were drawn, where that is known.
    comparison : Comparison or None
    version : str
        The package's.
    """
    parts = [_data(fit), _labels(fit, design), _estimator(fit), _learning(fit), _errors(fit, alpha)]
    cited = {key for _, keys in parts for key in keys}
    software = f"Computations were made with the Python package dsl, version {version} (seed {fit.specification.seed})."
    first = " ".join([*(words for words, _ in parts if words), software])
    second = [_results(fit, alpha)]
    if comparison is not None and comparison.hausman is not None:
        second.append(
            f"Estimates that take the predictions for the truth were tested against these ({_cite('HAUSMAN')}): "
            f"{comparison.hausman} for the hypothesis that none of them is biased."
        )
        cited.add("HAUSMAN")
    return Methods(paragraphs=(first, " ".join(second)), references=tuple(sorted(SOURCES[key] for key in cited)))


Part = tuple[str, tuple[str, ...]]
"""Words, and the keys of the sources that they cite."""


def _data(fit: Any) -> Part:
    spec, sample = fit.specification, fit.sample
    model = MODELS[spec.model] + (f" ({' and '.join(spec.index)})" if spec.index else "")
    dropped = ""
    if fit.n_dropped:
        dropped = f" ({rows_left_out(sample.n_input, sample.nobs, sample.dropped)})"
    return f"We estimated the {model} {spec.formula} on {sample.nobs:,} rows{dropped}.", ()


def _labels(fit: Any, design: Any) -> Part:
    spec, sample = fit.specification, fit.sample
    verb = "was" if len(spec.predicted_var) == 1 else "were"
    words = (
        f"{_list(spec.predicted_var)} {verb} labelled by experts on {sample.n_labeled:,} of them "
        f"({sample.n_labeled / sample.nobs:.1%})"
    )
    if spec.prediction:
        words += f" and predicted on all of them ({_list(spec.prediction)})"
    if spec.estimator == "naive":
        return f"{words}.", ()
    low, high = float(np.min(sample.sample_prob)), float(np.max(sample.sample_prob))
    drawn = DRAWS[design.kind] if design is not None else ""
    column = f" ({spec.sample_prob})" if spec.sample_prob else ""
    if sample.equal_prob and not drawn and not column:
        return f"{words}. The labelled rows are taken for a simple random sample.", ()
    if sample.equal_prob:
        return f"{words}. The labelled rows were drawn {drawn or f'with equal probabilities{column}'}.", ()
    return (
        f"{words}. The labelled rows were drawn {drawn}{' ' if drawn else ''}with known probabilities{column} between "
        f"{low:.3g} and {high:.3g}, rescaled so that their mean is the share of labelled rows.",
        (),
    )


def _estimator(fit: Any) -> Part:
    words, keys = ESTIMATORS[fit.specification.estimator](fit)
    tuned, more = _tuning(fit)
    return f"{words}.{tuned}", (*keys, *more)


def _dsl(fit: Any) -> Part:
    words = (
        f"Estimates are by design-based supervised learning (DSL; {_cite('DSL')}): the errors that "
        "cross-fitted predictions make in the model's moment equation are estimated on the labelled rows, weighted by the "
        f"inverse of their probabilities, and taken off. {SUPPORT}"
    )
    keys = ("DSL-2023", "DSL-2024")
    if fit.splits.targets == fit.specification.predicted_var:
        return words, keys
    return (
        f"{words}. The moment is averaged over the cross-fitted probabilities of the categories, the augmentation of "
        f"{_cite('RRZ')}",
        (*keys, "RRZ"),
    )


def _dsl_plus(fit: Any) -> Part:
    return (
        f"Estimates are by design-based supervised learning ({_cite('DSL')}) with score imputation: "
        "the model's moment equation is averaged over the cross-fitted distribution of the predicted variables given the "
        "predictions, further features and the observed variables of the analysis, the augmentation of "
        f"{_cite('RRZ')}; what this gets wrong is estimated on the labelled rows, weighted by the inverse of their "
        f"probabilities, and taken off. {SUPPORT}",
        ("DSL-2023", "DSL-2024", "RRZ"),
    )


def _ppi(fit: Any) -> Part:
    return (
        f"Estimates are by prediction-powered inference (PPI; {_cite('PPI')}): those from the predictions on the unlabelled "
        f"rows, less the error of the same on the labelled rows. {SUPPORT}",
        ("PPI",),
    )


def _ppi_tuned(fit: Any) -> Part:
    return (
        f"Estimates are by tuned prediction-powered inference (PPI++; {_cite('PPI')}; {_cite('PPI++')}): those from the "
        "predictions on the unlabelled rows, less the error of the same on the labelled rows, relied on to the extent that "
        f"minimises the estimated variance. {SUPPORT}",
        ("PPI", "PPI++"),
    )


def _cdi(fit: Any) -> Part:
    return (
        f"Estimates are by confidence-driven inference (CDI; {_cite('CDI')}): prediction-powered inference with labelled rows "
        f"weighted by the inverse of their probabilities. {SUPPORT}",
        ("CDI",),
    )


def _gold_only(fit: Any) -> Part:
    return (
        f"Estimates rest on the labelled rows alone, weighted by the inverse of their probabilities ({_cite('HT')}); the "
        "predictions are not used",
        ("HT",),
    )


def _naive(fit: Any) -> Part:
    return (
        "Estimates take the predictions for the truth. They are shown for comparison: unless the predictions make no errors, the "
        "estimates are biased and their intervals do not cover",
        (),
    )


ESTIMATORS: dict[str, Callable[[Any], Part]] = {
    "dsl": _dsl,
    "dsl+": _dsl_plus,
    "ppi": _ppi,
    "ppi++": _ppi_tuned,
    "cdi": _cdi,
    "gold_only": _gold_only,
    "naive": _naive,
}


def _tuning(fit: Any) -> Part:
    """How much the predictions count, where they count other than in full."""
    tune, found = fit.specification.tune, fit.splits.tuning
    if tune is None or found is None:
        return "", ()
    values = np.median(found.lambdas, axis=0)
    low, high = float(values.min()), float(values.max())
    size = f"lambda = {low:.3f}" if high - low < 5e-4 else f"lambda between {low:.3f} and {high:.3f}"
    if not isinstance(tune, str):
        return f" The part of the predictions was multiplied by {size}.", ()
    if fit.specification.estimator == "ppi++":
        return f" This gave {size}.", ()
    each = {
        "scalar": "one factor for all coefficients",
        "coef": "one factor for each coefficient",
        "matrix": "a matrix",
    }
    words = f" How much the predictions count was chosen to minimise the estimated variances ({each[tune]}; {size})"
    return f"{words}, as proposed by {_cite('PPI++')}.", ("PPI++",)


def _learning(fit: Any) -> Part:
    splits, spec = fit.splits, fit.specification
    if not splits.learners:
        return "", ()
    sees = [*spec.prediction, *spec.feature]
    also = " and the observed variables of the analysis" if spec.estimator == "dsl+" else ""
    names = list(dict.fromkeys(splits.learners))
    times = len(splits.params)
    whole = " that keep clusters whole" if spec.cluster else ""
    folds = f"cross-fitted over {fit.cross_fit} folds{whole}"
    words = f"Gold labels were predicted from {_list(sees)}{also} by {_list(names)}, {folds}"
    keys: tuple[str, ...] = ()
    if times > 1:
        words += f"; this was repeated with {times} divisions into folds, and medians are reported ({_cite('DML')})"
        keys = ("DML",)
    quality = [_quality(name, row, len(fit.fit_quality) > 1) for name, row in fit.fit_quality.iterrows()]
    return f"{words}. Out of fold, {'; '.join(quality)}.", keys


def _quality(name: Any, row: Any, several: bool) -> str:
    right = "" if np.isnan(row["accuracy"]) else f" and the accuracy {row['accuracy']:.3f}"
    return f"the R2{f' of {name}' if several else ''} was {row['r2']:.3f}{right}"


def _errors(fit: Any, alpha: float) -> Part:
    spec, sample = fit.specification, fit.sample
    keys: tuple[str, ...] = ()
    if sample.n_clusters is not None:
        kind = f"Standard errors are clustered by {spec.cluster} ({sample.n_clusters:,} clusters; {_cite('LZ')})"
        keys = ("LZ",)
    elif spec.estimator in ("ppi", "ppi++"):
        kind = "Standard errors are those of the two samples, labelled and unlabelled rows"
    else:
        kind = "Standard errors are robust to heteroskedasticity (sandwich)"
    if spec.vcov in ("HC1", "CR1"):
        kind += f", with the small-sample factor of {spec.vcov}"
    about = (
        f"these {sample.nobs:,} rows as a finite population, of which only the choice of the labelled ones is random"
        if spec.target == "finite"
        else "the population that the rows were drawn from"
    )
    kinds = reference(fit) + (f" ({_cite('SAT')})" if spec.use_t else "")
    return (
        f"{kind} and refer to {about}; {100 * (1 - alpha):g}% confidence intervals and two-sided tests are {kinds}.",
        (*keys, "SAT") if spec.use_t else keys,
    )


def _results(fit: Any, alpha: float) -> str:
    """Every coefficient with its interval."""
    rows = [row for row in fit.tidy(alpha=alpha).itertuples() if row.term != "Intercept"]
    shown = [
        f"{row.term} {number(row.estimate)} (SE {number(row.std_error)}, {100 * (1 - alpha):g}% CI {number(row.conf_low)} to "
        f"{number(row.conf_high)}, {p_text(row.p_value)})"
        for row in rows[:MOST_RESULTS]
    ]
    if not shown:
        return "The intercept is in the table of estimates."
    more = f"; {len(rows) - MOST_RESULTS} more are in the table of estimates" if len(rows) > MOST_RESULTS else ""
    return f"Coefficients: {'; '.join(shown)}{more}."


def _cite(key: str) -> str:
    """A source as the text names it."""
    return {
        "CDI": "Gligorić et al., 2024",
        "DML": "Chernozhukov et al., 2018",
        "DSL": "Egami et al., 2023, 2024",
        "HAUSMAN": "Hausman, 1978",
        "HT": "Horvitz and Thompson, 1952",
        "LZ": "Liang and Zeger, 1986",
        "PPI": "Angelopoulos, Bates et al., 2023",
        "PPI++": "Angelopoulos, Duchi and Zrnic, 2023",
        "RRZ": "Robins, Rotnitzky and Zhao, 1994",
        "SAT": "Satterthwaite, 1946",
    }[key]


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
