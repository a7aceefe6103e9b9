"""What the R package dslpy calls: plain values in, plain values out; columns as bytes.

Only lists, dicts, numbers, texts and bytes cross the border: they convert alike in every version of reticulate,
whereas arrays need one that was built for the numpy that is installed.
"""

import traceback
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd

import dsl
from dsl.estimators.result import fit_of
from dsl.exceptions import ArgumentError, ColumnTypeError, DSLError, DSLWarning
from dsl.planning.power import curve, results
from dsl.planning.power import from_fit as fitted

NA = -(2**31)
"""R's NA_integer_; also that of logicals and of factors' codes."""
NA_INTEGER64 = -(2**63)
SILENT = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning, ResourceWarning)
"""Warnings for programmers, which an R user can do nothing about."""


def answer(function: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Value, warnings and error of a function as a dict."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
        out: dict[str, Any] = {"value": None, "warnings": [], "error": None}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for category in SILENT:
                warnings.simplefilter("ignore", category)
            try:
                out["value"] = function(*args, **kwargs)
            except DSLError as error:
                out["error"] = {"classes": _classes(type(error), DSLError), "message": str(error), "traceback": ""}
            except Exception as error:
                out["error"] = {
                    "classes": ["dsl_unexpected_error"],
                    "message": f"Python stopped with {type(error).__name__}: {error}",
                    "traceback": traceback.format_exc(),
                }
        out["warnings"] = [{"classes": _classes(w.category, DSLWarning), "message": str(w.message)} for w in caught]
        return out

    return call


def _classes(kind: type, root: type) -> list[str]:
    """Names of a condition's class and of those it derives from, up to and without `root`."""
    return [k.__name__ for k in kind.__mro__ if issubclass(k, root) and k is not root]


# ---------------------------------------------------------------------------------------------------------------
# columns
# ---------------------------------------------------------------------------------------------------------------


def frame(table: dict[str, Any]) -> pd.DataFrame:
    """The data frame of columns that R sent; those of a kind without counterpart are left out."""
    sent = [column for column in table["columns"] if column["kind"] != "none"]
    names = table["row_names"]
    index = pd.RangeIndex(1, int(table["rows"]) + 1) if names is None else pd.Index(names)
    values = [pd.Series(_column(column), index=index) for column in sent]
    if not values:
        return pd.DataFrame(index=index)
    return pd.concat(values, axis=1).set_axis([column["name"] for column in sent], axis=1)


def _column(column: dict[str, Any]) -> Any:
    kind = column["kind"]
    if kind in ("number", "date", "instant"):
        numbers = np.frombuffer(column["bytes"], dtype=np.float64).copy()
        return numbers if kind == "number" else _time(numbers, column)
    if kind == "integer64":
        wide = np.frombuffer(column["bytes"], dtype=np.int64)
        return _whole(wide, wide == NA_INTEGER64)
    codes = np.frombuffer(column["bytes"], dtype=np.int32)
    missing = codes == NA
    if kind == "integer":
        return _whole(codes.astype(np.int64), missing)
    if kind == "logical":
        return pd.arrays.BooleanArray(codes == 1, missing) if missing.any() else codes == 1
    places = np.where(missing, 0, codes) - 1
    if kind == "text":
        return pd.array(np.array([*column["levels"], None], dtype=object)[places], dtype=pd.Series(["a"]).dtype)
    categories = pd.Index(column["levels"], dtype=None if column["levels"] else object)
    return pd.Categorical.from_codes(places, categories=categories, ordered=kind == "ordered")


def _whole(values: Any, missing: Any) -> Any:
    return pd.arrays.IntegerArray(np.where(missing, 1, values), missing) if missing.any() else values


def _time(numbers: Any, column: dict[str, Any]) -> Any:
    """Days as periods, which print as R's dates do; seconds as instants in their time zone."""
    missing = ~np.isfinite(numbers)
    known = np.where(missing, 0.0, numbers)
    if column["kind"] == "date":
        days = np.floor(known).astype(np.int64)
        days[missing] = np.datetime64("NaT").astype(np.int64)
        return pd.arrays.PeriodArray(days, dtype="period[D]")
    micro = np.round(known * 1e6).astype(np.int64)
    micro[missing] = np.datetime64("NaT").astype(np.int64)
    return pd.DatetimeIndex(micro.view("datetime64[us]"), tz="UTC").tz_convert(column["zone"] or "UTC").array


def columns(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The columns of a data frame for R."""
    return [_to_r(str(name), table[name]) for name in table.columns]


def _to_r(name: str, column: pd.Series) -> dict[str, Any]:
    def sent(kind: str, values: Any, levels: list[str] | None = None) -> dict[str, Any]:
        return {"name": name, "kind": kind, "bytes": bytearray(np.ascontiguousarray(values)), "levels": levels}

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels = [str(level) for level in column.cat.categories]
        return sent("ordered" if column.cat.ordered else "factor", _codes(column.cat.codes.to_numpy()), levels)
    if pd.api.types.is_bool_dtype(dtype) and not column.isna().any():
        return sent("logical", column.to_numpy(dtype=np.int32))
    if pd.api.types.is_integer_dtype(dtype) and not column.isna().any() and column.abs().max() < 2**31:
        return sent("integer", column.to_numpy(dtype=np.int32))
    if pd.api.types.is_numeric_dtype(dtype):
        return sent("number", column.to_numpy(dtype=np.float64, na_value=np.nan))
    codes, found = pd.factorize(column)
    return sent("text", _codes(codes), [str(level) for level in found])


def _codes(codes: Any) -> Any:
    return np.where(codes < 0, NA, codes.astype(np.int64) + 1).astype(np.int32)


# ---------------------------------------------------------------------------------------------------------------
# what R calls
# ---------------------------------------------------------------------------------------------------------------


@answer
def fit(formula: str, table: dict[str, Any], arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """Call ``dsl.dsl``; `variables` are those of the formula that are no columns."""
    return _plain(_called(dsl.dsl, formula, table, arguments, variables))


@answer
def compare(
    formula: str, table: dict[str, Any], arguments: dict[str, Any], variables: dict[str, Any]
) -> dict[str, Any]:
    """Call ``dsl.compare``. Tables have R's names of the coefficients."""
    found = _called(dsl.compare, formula, table, arguments, variables)
    core = fit_of(found.fits[found.reference])
    names = dict(zip(core.names, core.names_r, strict=True))
    each = found.table.assign(term=found.table["term"].map(names))
    out: dict[str, Any] = {
        "table": columns(each[["term", "estimator", *(n for n in each.columns if n not in ("term", "estimator"))]]),
        "reference": found.reference,
        "alpha": float(found.alpha),
        "nobs": int(core.nobs),
        "n_labeled": int(core.n_labeled),
        "failed": {str(name): str(why) for name, why in found.failed.items()},
        "notes": [str(note) for note in found.notes],
        "bias": None,
        "hausman": None,
        "sentences": [],
    }
    if found.bias is not None:
        out["bias"] = columns(
            found.bias.set_axis([names[name] for name in found.bias.index]).rename_axis("term").reset_index()
        )
    if found.hausman is not None:
        out["hausman"] = {name: float(getattr(found.hausman, name)) for name in ("statistic", "df", "p_value")}
    if found.conclusions is not None:
        rows = found.conclusions["sentence"].items()
        out["sentences"] = [names[term] + sentence.removeprefix(term) for term, sentence in rows]
    return out


def _called(
    function: Callable[..., Any],
    formula: str,
    table: dict[str, Any],
    arguments: dict[str, Any],
    variables: dict[str, Any],
) -> Any:
    _check_sent(table, arguments)
    given = dict(arguments)
    if "folds" in given:
        given["folds"] = _folds(given["folds"])
    # the engine looks names up where it is called: there they are
    scope = {**variables, "_called": function, "_formula": formula, "_data": frame(table), "_given": given}
    return eval("_called(_formula, _data, **_given)", scope)


def _check_sent(table: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Raise ColumnTypeError where a column that the call needs has no counterpart."""
    for column in table["columns"]:
        if column["kind"] == "none" and column["needed"]:
            raise ColumnTypeError(
                f"column '{column['name']}' is {column['what']}; it must hold one number, text, logical, factor or date in "
                "each row"
            )


def _folds(sent: dict[str, Any]) -> Any:
    values = np.frombuffer(sent["bytes"], dtype=np.int32)
    if (values == NA).any():
        raise ArgumentError("folds has missing values")
    return values.reshape(int(sent["splits"]), -1).astype(np.int64)


def _plain(result: Any) -> dict[str, Any]:
    """A fit as plain values; matrices row by row."""
    spec, sample = result.call, result.sample
    out = {
        "terms": list(result.names_r),
        "coefficients": _floats(result.params),
        "vcov": _floats(result.cov_params()),
        "df": _floats(result.df) if result.use_t else None,
        "n_input": int(sample.n_input),
        "nobs": int(result.nobs),
        "n_labeled": int(result.n_labeled),
        "n_clusters": None if sample.n_clusters is None else int(sample.n_clusters),
        "dropped": {str(name): int(count) for name, count in result.dropped.items()},
        "equal_prob": bool(sample.equal_prob),
        "prob_range": _floats([sample.sample_prob.min(), sample.sample_prob.max()]),
        "cross_fit": None if result.cross_fit is None else int(result.cross_fit),
        "sample_split": len(result.splits.params),
        "split_coefficients": _floats(result.splits.params),
        "split_vcov": _floats(result.splits.vcovs),
        "targets": list(result.splits.targets),
        "learners": list(result.splits.learners),
        "learner_reasons": list(result.splits.learner_reasons),
        "notes": [str(note) for note in sample.notes],
        "rmse": None,
        "r2": None,
        "predicted_var": list(spec.predicted_var),
        "index": list(spec.index),
        "estimator": spec.estimator,
        "vcov_type": spec.vcov,
        "converged": bool(result.converged),
        "version": dsl.__version__,
        "power": _power(result),
    }
    if spec.estimator == "dsl":
        out["rmse"] = _floats(result.rmse)
        out["r2"] = _floats(result.fit_quality["r2"])
    return out


def _power(result: Any) -> dict[str, Any]:
    """What ``power_dsl`` in R needs, as plain values: variances by number of labels, for both ways of drawing."""
    out: dict[str, Any] = {}
    try:
        for drawn in fitted.DRAWN:
            study = fitted.study_of(fit_of(result), drawn, None)
            out[drawn] = {
                "shrinking": _floats(study.curve.shrinking),
                "staying": _floats(study.curve.staying),
                "n_labeled": int(study.n_labeled),
                "nobs": int(study.nobs),
                "exact_to": float(study.exact_to),
            }
    except ArgumentError as error:
        return {"refused": str(error)}
    return out


@answer
def power(stored: dict[str, Any], terms: list[str], se: list[float], sizes: list[float] | None) -> dict[str, Any]:
    """Predicted standard errors, the present number of labels first; row by row."""
    if "refused" in stored:
        raise ArgumentError(stored["refused"])
    shape = (-1, len(terms))
    study = results.Study(
        terms=tuple(terms),
        formula="",
        estimator="",
        basis="",
        se=np.asarray(se, dtype=float),
        n_labeled=int(stored["n_labeled"]),
        at_hand=int(stored["n_labeled"]),
        nobs=int(stored["nobs"]),
        exact_to=float(stored["exact_to"]),
        curve=curve.VarianceCurve(
            shrinking=np.reshape(stored["shrinking"], shape),
            staying=np.reshape(stored["staying"], shape),
            n_labeled=int(stored["n_labeled"]),
        ),
        gold_only=None,
    )
    found = fitted.predict(study, sizes)
    return {
        "labeled_size": _floats(found.labeled_size),
        "predicted_se": _floats(found.predicted_se),
        "extrapolated": [bool(v) for v in found.extrapolated.to_numpy().ravel()],
    }


def _floats(values: Any) -> list[float]:
    return [float(v) for v in np.asarray(values, dtype=float).ravel()]


@answer
def data(name: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """A table of ``dsl.datasets``."""
    tables = {full.split("_", 1)[1]: full for full in dsl.datasets.__all__}
    if name not in tables:
        raise ArgumentError(f"there is no table '{name}'; there are {', '.join(tables)}")
    return columns(getattr(dsl.datasets, tables[name])(**arguments))


@answer
def methods() -> list[dict[str, Any]]:
    """The learners."""
    return columns(dsl.available_method())
