"""The installed reference R package ``dsl``, run with our arguments, with every stage of every split."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import FloatArray, IntArray, Record
from dsl.data.arguments import Names, Pairs, as_names, check_choice, pair_surrogates
from dsl.data.formula.text import FormulaLike, require_text
from dsl.data.kinds import Kind, kind_of, standard
from dsl.data.tables import TableLike, column_names, to_pandas
from dsl.exceptions import ArgumentError
from dsl.r.convert import to_sexp
from dsl.r.restore import from_sexp
from dsl.r.session import Sexp, need_package, run

REFERENCE_MODELS = ("lm", "logit", "felm")
INSTALL = "its site, naokiegami.com/dsl, says how to install it from within R"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSplit:
    """One split of the reference, rows in the order of the data."""

    params: FloatArray  # (k,)
    bse: FloatArray  # (k,)
    vcov: FloatArray  # (k, k)
    folds: IntArray = field(repr=False)  # (N,) 0, 1, ...
    predictions: Mapping[str, FloatArray] = field(repr=False)  # each (N,)
    jacobian: FloatArray = field(repr=False)  # mean over rows, in the reference's standardised columns
    meat_1: FloatArray = field(repr=False)  # part of the meat that more labels shrink, as a mean like the Jacobian
    meat_23: FloatArray = field(repr=False)  # the rest of the meat, likewise
    rescale: FloatArray = field(repr=False)  # maps standardised parameters back


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceResult:
    """What the reference returned, and how it got there."""

    params: pd.Series
    bse: pd.Series
    vcov: pd.DataFrame
    nearest: bool
    """Whether the covariance of the splits together was not positive definite, and R gives the nearest one that is."""
    rmse: pd.DataFrame  # (S, q)
    nobs: int
    n_labeled: int
    equal_prob: bool
    rows: IntArray = field(repr=False)
    """(N,) positions in the data of the rows used, empty without stages."""
    sample_prob: FloatArray = field(repr=False)
    """(N,) probabilities of being labelled, as rescaled by the reference."""
    splits: tuple[ReferenceSplit, ...] = field(repr=False)
    """Empty where the installed version does not let its stages be seen."""
    power: pd.DataFrame | None = field(repr=False)
    """Predicted standard errors by number of labelled rows, default sizes."""
    summary: str = field(repr=False)
    warnings: tuple[str, ...]
    versions: Mapping[str, str]
    seconds: float
    n_input: int
    robject: Sexp = field(repr=False)
    """The R object, of class ``dsl``."""

    @property
    def folds(self) -> IntArray:
        """(S, n_input) folds of every row of the data, for ``dsl.dsl(folds=...)``, -1 on rows left out."""
        out = np.full((len(self.splits), self.n_input), -1)
        for row, split in zip(out, self.splits, strict=True):
            row[self.rows] = split.folds
        return out


def reference_dsl(
    formula: str,
    data: TableLike,
    *,
    predicted_var: Pairs,
    prediction: Names | None = None,
    model: str = "lm",
    labeled: str | None = None,
    sample_prob: str | None = None,
    cluster: str | None = None,
    index: Names | None = None,
    fixed_effect: str = "oneway",
    sl_method: str = "grf",
    feature: Names | None = None,
    family: str = "gaussian",
    cross_fit: int = 5,
    sample_split: int = 10,
    seed: int = 1234,
    power: bool = False,
) -> ReferenceResult:
    """Run the installed R package ``dsl``.

    Parameters
    ----------
    formula : str
        R formula. ``**``, ``C()`` and a ``| unit + year`` part are put in R's words.
    data : data frame
    predicted_var, prediction, model, labeled, sample_prob, cluster, index, fixed_effect, feature, family, cross_fit, sample_split, seed
        As in ``dsl.dsl``.
    sl_method : str
        A learner of the reference: ``"grf"``, ``"lm"``, ``"glmnet"``, ...
    power : bool
        Also run its ``power_dsl()`` at the default sizes.

    Returns
    -------
    ReferenceResult

    Raises
    ------
    MissingDependencyError
        R, rpy2 or the R package is missing.
    RError
        The reference stopped.

    Examples
    --------
    >>> import dsl
    >>> from dsl.r import reference_dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> theirs = reference_dsl("human_positive ~ negation + hedge", tweets, model="logit",
    ...                        predicted_var="human_positive", prediction="vader_positive",
    ...                        sl_method="lm")  # doctest: +SKIP
    >>> theirs.params.round(1).to_dict()  # doctest: +SKIP
    {'(Intercept)': -0.5, 'negation': -0.6, 'hedge': -0.2}
    """  # noqa: E501
    check_choice("model", model, REFERENCE_MODELS)
    need_package("dsl", "the reference", INSTALL)
    predicted, surrogates, _ = pair_surrogates(predicted_var, prediction)
    formula, absorbed = r_formula(formula)
    names = {
        "predicted_var": predicted,
        "prediction": surrogates,
        "index": as_names(index, "index") or absorbed,
        "feature": as_names(feature, "feature"),
    }
    combined = [name for name in names["index"] if ("^" in name or ":" in name) and name not in column_names(data)]
    if combined:
        raise ArgumentError(
            f"the reference has no fixed effects of combinations such as '{combined[0]}': make a column of them, and name it "
            "behind '|'"
        )
    if not isinstance(sl_method, str):
        raise ArgumentError(f"sl_method must be the name of one of R's learners; found {sl_method!r}")
    given: Record = {
        "model": model,
        "formula": formula,
        **{key: list(value) for key, value in names.items() if value},
        **{k: v for k, v in (("labeled", labeled), ("sample_prob", sample_prob), ("cluster", cluster)) if v},
        "fixed_effect": "twoways" if len(names["index"]) == 2 else fixed_effect,
        "sl_method": sl_method.removeprefix("SL."),
        "family": family,
        "cross_fit": float(cross_fit),
        "sample_split": float(sample_split),
        "seed": float(seed),
    }
    frame = _columns_for(formula, data, [*sum(names.values(), ()), *filter(None, (labeled, sample_prob, cluster))])
    outcome = run("run_reference", to_sexp(given | {"data": frame}), to_sexp(power))
    return _result(outcome.value, outcome.warnings, predicted, n_input=len(frame))


def r_formula(formula: FormulaLike) -> tuple[str, tuple[str, ...]]:
    """A formula in R's words and the columns behind its ``|``."""
    text, _, absorbed = require_text(formula, "R").partition("|")
    return r_words(text).strip(), tuple(name.strip() for name in absorbed.split("+") if name.strip())


def r_words(text: str) -> str:
    """A formula, or a term of one, with R's words for those that only Python has: ``**``, ``C()`` and ``as_factor()``.

    Examples
    --------
    >>> r_words("C(group) + I(x**2)")
    'as.factor(group) + I(x^2)'
    """
    return re.sub(r"\b(C|as_factor)\(", "as.factor(", text.replace("**", "^"))


def _columns_for(formula: str, data: TableLike, named: list[str]) -> pd.DataFrame:
    """The columns that the call names, rows numbered from 1 in R."""
    every = column_names(data)
    words = set(re.findall(r"[A-Za-z_.][\w.]*", formula))
    wanted = (
        every if "." in words else [name for name in every if name in words or name in named or f"`{name}`" in formula]
    )
    frame = to_pandas(data, wanted).reset_index(drop=True)
    return pd.DataFrame({name: _as_in_formulas(frame[name]) for name in frame.columns})


def _as_in_formulas(column: pd.Series) -> pd.Series:
    """The column as our formulas read it: dates without a time of day are days, whatever type holds them."""
    return column if kind_of(column) is not Kind.DATE else standard(column).dt.date


def _result(value: Sexp, warned: tuple[str, ...], predicted: tuple[str, ...], n_input: int) -> ReferenceResult:
    parts = dict(zip(list(value.do_slot("names")), value, strict=True))
    names = dict(zip(list(parts["out"].do_slot("names")), parts["out"], strict=True))
    internal = dict(zip(list(names["internal"].do_slot("names")), names["internal"], strict=True))
    params = from_sexp(names["coefficients"])
    terms = list(params.index)
    staged, folds = from_sexp(parts["splits"]), from_sexp(parts["folds"])
    # R counts rows from 1
    rows = np.sort(np.asarray(staged[0]["rows"]) - 1) if staged else np.empty(0, dtype=int)
    power = from_sexp(parts["power"])
    versions = from_sexp(parts["versions"])
    return ReferenceResult(
        params=params,
        bse=from_sexp(names["standard_errors"]),
        vcov=pd.DataFrame(np.asarray(from_sexp(parts["vcov"])), index=terms, columns=terms),
        nearest=bool(from_sexp(parts["nearest"])[0]),
        rmse=_rmse(from_sexp(names["RMSE"]), predicted),
        nobs=int(from_sexp(internal["num_data"])[0]),
        n_labeled=int(from_sexp(internal["num_expert"])[0]),
        equal_prob=bool(from_sexp(internal["equal_prob"])[0]),
        rows=rows,
        sample_prob=_in_order(staged[0], staged[0]["sample_prob"]) if staged else np.empty(0),
        splits=_splits(staged, folds, predicted),
        power=None if power is None else pd.DataFrame(np.asarray(power["predicted_se"]), power["labeled_size"], terms),
        summary="\n".join(from_sexp(parts["summary"])),
        warnings=warned,
        versions=versions.to_dict(),
        seconds=float(from_sexp(parts["elapsed"])[0]),
        n_input=n_input,
        robject=parts["out"],
    )


def _rmse(values: ArrayLike, predicted: tuple[str, ...]) -> pd.DataFrame:
    table = np.asarray(values).reshape(len(predicted), -1).T
    return pd.DataFrame(table, columns=list(predicted), index=pd.RangeIndex(1, len(table) + 1, name="split"))


def _in_order(stage: Record, values: ArrayLike) -> FloatArray:
    """Per-row values of a stage, rows in the order of the data."""
    return np.ravel(np.asarray(values, dtype=float))[np.argsort(stage["rows"])]


def _splits(staged: list[Record], folds: list[Record], predicted: tuple[str, ...]) -> tuple[ReferenceSplit, ...]:
    """Stages per split. A split's folds are the rows that the learners of the first variable predicted, in turn."""
    # learners run split after split and, within one, fold after fold
    steps = [np.asarray(step["rows"]) for step in folds if step["variable"][0] == predicted[0]]
    per_split = len(steps) // max(1, len(staged))
    out = []
    for s, stage in enumerate(staged):
        own = steps[s * per_split : (s + 1) * per_split]
        fold = pd.Series(np.repeat(np.arange(len(own)), [len(rows) for rows in own]), index=np.concatenate(own))
        out.append(
            ReferenceSplit(
                params=np.asarray(stage["params"]),
                bse=np.asarray(stage["bse"]),
                vcov=np.asarray(stage["vcov"]),
                folds=np.asarray(fold.loc[np.sort(stage["rows"])], dtype=np.int64),
                predictions={name: _in_order(stage, stage["predictions"][name]) for name in predicted},
                jacobian=np.asarray(stage["jacobian"]),
                meat_1=np.asarray(stage["meat_1"]),
                meat_23=np.asarray(stage["meat_23"]),
                rescale=np.asarray(stage["rescale"]),
            )
        )
    return tuple(out)
