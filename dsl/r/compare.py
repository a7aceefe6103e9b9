"""A fitted model against the reference R package, both on the reference's folds and predictions."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from dsl._typing import FloatArray
from dsl.data.formula.rlang.matrix import TwoLevels
from dsl.data.formula.text import require_text
from dsl.data.kinds import standard
from dsl.data.labels import gold_values
from dsl.data.sample import Sample
from dsl.data.tables import TableLike, column_names, to_pandas
from dsl.engine.combine import combine_splits
from dsl.engine.covariance import SMALL_SAMPLE, UNCORRECTED
from dsl.estimators.again import analysis_of
from dsl.estimators.analysis import Analysis
from dsl.estimators.blocks import Blocks
from dsl.estimators.result import Fit, HasFit, fit_of
from dsl.estimators.splits import fit_splits
from dsl.exceptions import ArgumentError, DSLError, JacobianWarning
from dsl.learners.crossfit import cross_predict
from dsl.r.reference import REFERENCE_MODELS, ReferenceResult, r_words, reference_dsl
from dsl.r.session import RError
from dsl.r.verdict import SplitCheck, check_split, judge

SAME_ALGEBRA = 1e-8
"""Least squares predictions, relative to their spread."""

NEAREST = (
    "to rounding error R's covariance is not positive definite, and R takes the nearest one that is (nearPD), with other "
    "standard errors; ours keeps them"
)
UNBALANCED = "R subtracts additive means, which absorb two-way effects on balanced panels only; ours equals dummies"


@dataclass(frozen=True, slots=True)
class _Solved:
    """Our estimates on R's predictions, and R's, per split."""

    params: FloatArray  # (S, k)
    vcovs: FloatArray  # (S, k, k)
    theirs: FloatArray  # (S, k)
    their_vcovs: FloatArray  # (S, k, k)
    checks: list[SplitCheck]  # (S,)

    @property
    def their_bse(self) -> FloatArray:
        """(S, k) R's standard errors."""
        return np.asarray(np.sqrt(np.diagonal(self.their_vcovs, axis1=1, axis2=2)))


def cross_check(fit: Fit | HasFit, data: TableLike, *, sl_method: str | None = None, show: bool = True) -> pd.DataFrame:
    """Rerun a fitted call in the reference R package and compare term by term.

    The two packages draw different folds, so their estimates differ by chance. Here both work on the
    same predictions: R's folds and out-of-fold predictions of every split are read out, our engine solves
    the moment equation on them, and the results are combined over splits by both.

    Parameters
    ----------
    fit : DSLResults
        Of ``dsl.dsl`` with ``estimator="dsl"``.
    data : data frame
        The data that it was fitted to.
    sl_method : str, optional
        Learner for R, by default the fit's where the reference has it, else ``"lm"``. The comparison does not
        depend on it.
    show : bool
        Print the table and the notes.

    Returns
    -------
    DataFrame, one row per term
        ``ours`` and ``r`` (estimates), ``difference_se`` (in standard errors), ``worst_split_se`` (the largest
        over splits), ``se_ours``, ``se_r``, ``se_difference`` (relative), ``moment_ours`` and ``moment_r`` (the mean
        moment that each leaves, the largest over splits), ``verdict``, ``reason``, and ``fit``, the estimate of `fit`
        with its own folds and learner. ``attrs["notes"]`` has the notes, ``attrs["versions"]`` those of R and its
        packages.

    Raises
    ------
    ArgumentError
        The reference cannot do what the fit did, or `data` are not those of the fit.
    MissingDependencyError, RError

    Notes
    -----
    The reference's optimiser stops early, so that its results lie some thousandths of a standard error from the root of
    its own equation. The verdict is ``"agrees"`` where there is no difference beyond rounding, and ``"agrees (reference
    stopped early)"`` where at R's parameters our covariance is R's, our moment is the smaller one, and the moment that R
    left explains the difference. ``"known difference"`` has a documented cause, which ``reason`` names. ``"differs"`` is
    everything else (`dsl.r.verdict`).

    Examples
    --------
    >>> import dsl
    >>> from dsl.r import cross_check
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> fit = dsl.dsl("human_positive ~ negation + hedge", data=tweets, model="logit",
    ...               predicted_var="human_positive", prediction="vader_positive", sl_method="lm")
    >>> cross_check(fit, tweets, show=False)["verdict"].unique()  # doctest: +SKIP
    array(['agrees (reference stopped early)'], dtype=object)
    """
    own = fit_of(fit)
    _check_comparable(own)
    analysis = analysis_of(own, data)
    learner = sl_method or _learner(own)
    # with fixed effects the reference looks for columns by their names in the formula, and finds no gTRUE
    flags = analysis.sample.two_levels if own.call.index else {}
    reference = _run_reference(own, _with_numbers(data, flags), learner)
    _check_same_rows(reference, analysis)
    places = pair_terms(_number_names(own.names_r, flags), list(reference.params.index))
    solved = _solve(reference, analysis, places)
    table = _table(own, reference, analysis, solved, places)
    table.attrs["notes"] = _notes(own, reference, analysis, solved, learner, places)
    table.attrs["versions"] = dict(reference.versions)
    if show:
        print(_printed(own, table))
    return table


def _check_comparable(fit: Fit) -> None:
    spec = fit.call
    require_text(spec.formula, "the reference")
    if spec.model not in REFERENCE_MODELS:
        raise ArgumentError(
            f"the reference has no model '{spec.model}', only {', '.join(REFERENCE_MODELS)}: there is nothing to compare with"
        )
    if spec.estimator != "dsl":
        raise ArgumentError(
            f"the reference has no estimator '{spec.estimator}'; only fits with estimator='dsl' compare"
        )
    if spec.tune is not None:
        raise ArgumentError(f"the reference has no tuning; refit with tune=None instead of {spec.tune!r}")
    if fit.sample.n_trained:
        raise ArgumentError(
            "the reference knows of no rows that the predictions' maker has seen; refit without trained_on"
        )
    if spec.weights is not None:
        raise ArgumentError(f"the reference has no analysis weights; refit without weights={spec.weights!r}")
    if spec.stages:
        raise ArgumentError("the reference has no labels in stages; refit without stages")
    if spec.text is not None:
        raise ArgumentError(f"the reference reads no texts; refit without text={spec.text!r}")
    if len(spec.index) > 2:
        raise ArgumentError(f"the reference absorbs one or two fixed effects; this fit has {len(spec.index)}")


def _learner(fit: Fit) -> str:
    """The fit's learner where the reference has one of that name."""
    used = set(fit.splits.learners)
    known = {"lm", "mean", "glm", "grf", "glmnet", "ranger", "randomForest", "xgboost", "gam", "ksvm", "nnet"}
    return str(used.pop()) if len(used) == 1 and used <= known else "lm"


def _with_numbers(data: TableLike, flags: TwoLevels) -> TableLike:
    """The data with 0 and 1 in the predicted columns that are logical, or a category of these, in R."""
    if not flags:
        return data
    frame = to_pandas(data, column_names(data))
    return frame.assign(**{name: gold_values(standard(frame[name])) for name in flags})


def _number_names(names: Sequence[str], flags: TwoLevels) -> list[str]:
    """R's names of terms where such columns are numbers: g:x for gTRUE:x."""
    plain = {name + second: name for name, (_, second) in flags.items()}
    return [":".join(plain.get(part, part) for part in name.split(":")) for name in names]


def _run_reference(fit: Fit, data: TableLike, learner: str) -> ReferenceResult:
    spec = fit.call
    if spec.across is not None:
        raise ArgumentError(
            f"the reference has clusters in one way, and the fit's are {list(spec.clusters)}; fit with one of them"
        )
    try:
        reference = reference_dsl(
            spec.formula_text.partition("|")[0],
            data,
            predicted_var=list(spec.predicted_var),
            prediction=list(spec.prediction) or None,
            model=spec.model,
            sample_prob=spec.sample_prob,
            cluster=spec.cluster,
            index=list(spec.index) or None,
            sl_method=learner,
            feature=list(spec.feature) or None,
            family=spec.family,
            cross_fit=fit.call.cross_fit if fit.cross_fit is None else fit.cross_fit,
            sample_split=len(fit.splits.params),
            seed=spec.seed,
        )
    except RError as error:
        raise RError(
            f"the reference cannot run this call: {error}. (It has no predicted variables with categories, and no "
            "learner whose R package is missing: try sl_method='lm'. It fails where a predicted logical has a coefficient for "
            "FALSE too, as without an intercept.)"
        ) from error
    if not reference.splits:
        raise RError(f"dsl {reference.versions.get('dsl')} for R does not show its stages; version 0.1.0 does")
    return reference


def _check_same_rows(reference: ReferenceResult, analysis: Analysis) -> None:
    sample = analysis.sample
    if not np.array_equal(reference.rows, sample.rows):
        only_r, only_ours = np.setdiff1d(reference.rows, sample.rows), np.setdiff1d(sample.rows, reference.rows)
        raise DSLError(
            f"the two packages use different rows: {len(only_r)} only in R (first: {only_r[:3].tolist()}), "
            f"{len(only_ours)} only here (first: {only_ours[:3].tolist()})"
        )
    if not np.allclose(reference.sample_prob, sample.sample_prob, rtol=SAME_ALGEBRA, atol=0.0):
        raise DSLError("the two packages use different sampling probabilities")


def pair_terms(ours: Sequence[str], theirs: Sequence[str]) -> list[int]:
    """For each of R's terms, the place of the same term among ours.

    Parameters
    ----------
    ours : sequence of str
        (k,) names that R's ``model.matrix`` gives our columns (`dsl.data.formula.matrices.Part.r_names`). Where R has
        no such term, its words (`dsl.r.reference.r_words`) are those that the formula was given for R.
    theirs : sequence of str
        (k,) R's terms.

    Raises
    ------
    DSLError
        The names are not the same.

    Examples
    --------
    >>> pair_terms(["(Intercept)", "C(group)b", "x"], ["(Intercept)", "x", "as.factor(group)b"])
    [0, 2, 1]
    """
    place = {name if name in theirs else r_words(name): j for j, name in enumerate(ours)}
    if len(place) < len(ours) or len(ours) != len(theirs) or set(place) != set(theirs):
        raise DSLError(f"the formula has other terms in R: {', '.join(theirs)}; here: {', '.join(ours)}")
    return [place[name] for name in theirs]


def _solve(reference: ReferenceResult, analysis: Analysis, places: list[int]) -> _Solved:
    blocks = Blocks(analysis.design, analysis.sample)
    # labeling=None: the reference knows superpopulations only
    problem = replace(analysis.problem(), labeling=None)
    # the block's place of each of R's terms, and the way back
    order = analysis.order[places]
    back = np.argsort(order)
    split_blocks = [blocks.dsl(split.predictions) for split in reference.splits]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JacobianWarning)  # the fit has warned
        fits = fit_splits(problem, ([block] for block in split_blocks)).fits
    checks = [
        check_split(block, problem, fit.params, split.params[back], split.vcov[np.ix_(back, back)]).at(order)
        for block, fit, split in zip(split_blocks, fits, reference.splits, strict=True)
    ]
    return _Solved(
        params=np.stack([fit.params[order] for fit in fits]),
        vcovs=np.stack([fit.vcov[np.ix_(order, order)] for fit in fits]),
        theirs=np.stack([split.params for split in reference.splits]),
        their_vcovs=np.stack([split.vcov for split in reference.splits]),
        checks=checks,
    )


def _table(
    fit: Fit, reference: ReferenceResult, analysis: Analysis, solved: _Solved, places: list[int]
) -> pd.DataFrame:
    estimate, vcov = combine_splits(solved.params, solved.vcovs)
    # differences of estimates in R's standard errors, of standard errors relative to R's
    bse, their_bse = np.sqrt(np.diag(vcov)), reference.bse.to_numpy()
    split_bse = np.sqrt(np.diagonal(solved.vcovs, axis1=1, axis2=2))
    table = pd.DataFrame(
        {
            "ours": estimate,
            "r": reference.params.to_numpy(),
            "difference_se": (estimate - reference.params.to_numpy()) / their_bse,
            "worst_split_se": np.abs((solved.params - solved.theirs) / solved.their_bse).max(axis=0),
            "se_ours": bse,
            "se_r": their_bse,
            "se_difference": bse / their_bse - 1.0,
        },
        index=pd.Index(reference.params.index, name="term"),
    )
    worst_se = np.abs(split_bse / solved.their_bse - 1.0).max(axis=0)
    judged = judge(
        # medians over splits can hide a split that is off: the worst one counts too
        np.maximum(np.abs(table["difference_se"]), table["worst_split_se"]),
        np.maximum(np.abs(table["se_difference"]), worst_se),
        solved.checks,
        combination_gap=_combination_gap(reference, solved),
        known=UNBALANCED if _unbalanced(analysis.sample) else "",
        combined=NEAREST if reference.nearest else "",
    )
    return table.join(judged.set_index(table.index)).assign(fit=fit.params[places])


def _combination_gap(reference: ReferenceResult, solved: _Solved) -> float:
    """Largest distance of R's results from our combination of R's splits, in standard errors or relative to them."""
    estimate, vcov = combine_splits(solved.theirs, solved.their_vcovs)
    bse = reference.bse.to_numpy()
    gaps = (estimate - reference.params.to_numpy()) / bse, np.sqrt(np.diag(vcov)) / bse - 1.0
    return float(np.abs(gaps).max())


def _unbalanced(sample: Sample) -> bool:
    """Whether two fixed effects do not cross evenly."""
    if len(sample.absorbed) < 2:
        return False
    cells = pd.crosstab(sample.absorbed[0], sample.absorbed[1]).to_numpy()
    # balanced panel: every pair of levels has as many rows
    return bool(cells.min() != cells.max())


def _notes(
    fit: Fit, reference: ReferenceResult, analysis: Analysis, solved: _Solved, learner: str, places: list[int]
) -> list[str]:
    notes = [
        f"Moments are means in centred and scaled columns, the largest of {len(solved.params)} splits. Two solutions of one "
        "equation differ by what the moments leave."
    ]
    if learner == "lm":
        gap = _prediction_gap(reference, analysis, fit.call.family)
        same = "as R's do" if gap <= SAME_ALGEBRA else "NOT as R's do"
        notes.append(f"On R's folds our least squares predict {same} (largest gap {gap:.1e} of their spread).")
    notes += _repeated_splits(reference) + _zero_folds(reference)
    moved = float(np.abs((fit.params - reference.params.to_numpy()[np.argsort(places)]) / fit.bse).max())
    notes.append(
        f"Your fit has its own folds{_other_learner(fit, learner)}: it is up to {moved:.2f} of its standard errors "
        "from R's estimates, by the chance of the splits."
    )
    if fit.splits.averaged:
        notes.append(
            "Your fit averages the moment over the values of the predicted variables, whose mean the reference plugs in."
        )
    if fit.call.vcov not in UNCORRECTED:
        kind = "factor" if fit.call.vcov in SMALL_SAMPLE else "correction"
        notes.append(f"Your fit's {fit.call.vcov} {kind} is left out here: the reference has none.")
    notes.append("R prints one-sided p values; ours are two-sided.")
    return notes


def _other_learner(fit: Fit, learner: str) -> str:
    used = ", ".join(dict.fromkeys(fit.splits.learners))
    return "" if used == learner else f" and learner ({used}; R: {learner})"


def _prediction_gap(reference: ReferenceResult, analysis: Analysis, family: str) -> float:
    """Largest difference between our and R's least squares on R's folds, relative to the predictions' spread."""
    sample, names = analysis.sample, analysis.columns.predicted
    folds = np.stack([split.folds for split in reference.splits])
    gold = sample.data[list(names)].to_numpy()[sample.labeled]
    ours = cross_predict(sample.features, gold, sample.labeled, folds, sl_method="lm", family=family, seed=0)
    theirs = np.stack([np.column_stack([split.predictions[name] for name in names]) for split in reference.splits])
    return float(np.abs(ours.predictions - theirs).max() / (np.std(theirs) or 1.0))


def _repeated_splits(reference: ReferenceResult) -> list[str]:
    """Splits of R that are one and the same."""
    # the first split's folds are drawn before any fit seeds anew, so that they may differ from those of all the others
    first, *others = [np.column_stack(list(split.predictions.values())) for split in reference.splits]
    if not others or any(not np.array_equal(others[0], split) for split in others[1:]):
        return []
    if np.array_equal(first, others[0]):
        which = f"all {len(others) + 1} splits are one and the same"
    elif len(others) > 1:
        which = f"splits 2 to {len(others) + 1} are one and the same"
    else:
        return []
    return [f"R seeds anew before every fit, so that its {which}; ours differ."]


def _zero_folds(reference: ReferenceResult) -> list[str]:
    """Folds that R predicted by zero throughout."""
    found = []
    for s, split in enumerate(reference.splits):
        for name, values in split.predictions.items():
            empty = [str(k + 1) for k in np.unique(split.folds) if not values[split.folds == k].any()]
            if empty:
                found.append(f"split {s + 1}, fold {', '.join(empty)} ('{name}')")
    if not found:
        return []
    return [
        f"SuperLearner gave the only learner weight zero, so that R predicts 0 in {'; '.join(found)}; ours never does."
    ]


def _printed(fit: Fit, table: pd.DataFrame) -> str:
    """The table and its notes as text."""
    shown = pd.DataFrame(
        {
            "ours": table["ours"].map("{:.6f}".format),
            "R": table["r"].map("{:.6f}".format),
            "diff (SE)": table["difference_se"].map("{:.1e}".format),
            "SE ours": table["se_ours"].map("{:.6f}".format),
            "SE R": table["se_r"].map("{:.6f}".format),
            "diff (rel)": table["se_difference"].map("{:.1e}".format),
            "moment ours": table["moment_ours"].map("{:.0e}".format),
            "moment R": table["moment_r"].map("{:.0e}".format),
            "verdict": table["verdict"],
            "your fit": table["fit"].map("{:.4f}".format),
        }
    )
    versions: Mapping[str, str] = table.attrs["versions"]
    head = f"{fit.call.formula_text} ({fit.call.model}), on the folds and predictions of dsl {versions['dsl']} for R"
    reasons = [f"{reason!s}: {', '.join(rows.index)}." for reason, rows in table.groupby("reason") if reason]
    lines = [head, shown.rename_axis(None).to_string(), *(f"- {line}" for line in [*reasons, *table.attrs["notes"]])]
    return "\n".join(lines)
