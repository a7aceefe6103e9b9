"""How to get the same numbers again: the call, the data's fingerprint, and the versions."""

import inspect
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from dsl.analyses.regression import dsl
from dsl.data.fingerprint import table_fingerprint
from dsl.data.tables import to_pandas
from dsl.estimators.again import learner_of
from dsl.estimators.analysis import Rebuilt
from dsl.estimators.names import resolve_tune, resolve_use_t
from dsl.estimators.run import folds_for
from dsl.exceptions import ArgumentError

PACKAGES = ("numpy", "scipy", "pandas", "statsmodels", "scikit-learn", "formulaic")
RAW = ("naive", "ppi", "ppi++", "cdi")
"""Estimators for which it matters which surrogate stands for which variable."""
LINE = 100
"""Length from which a list of arguments is written one to a line."""


def data_fingerprint(data: Any, columns: Sequence[str]) -> str:
    """Hash of the named columns: names, types, row labels and values.

    Parameters
    ----------
    data : data frame
        pandas, polars, pyarrow, or a dict of columns.
    columns : list of str
        In this order.

    Returns
    -------
    str
        32 hexadecimal digits, the same in every session of the same version of pandas.

    Examples
    --------
    >>> import pandas as pd
    >>> from dsl.reports.page import data_fingerprint
    >>> data = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    >>> data_fingerprint(data, ["x"]) == data_fingerprint(data.assign(y=5), ["x"])
    True
    >>> data_fingerprint(data, ["x"]) == data_fingerprint(data.assign(x=5.0), ["x"])
    False
    """
    return table_fingerprint(to_pandas(data, list(columns)))


def session() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"Python": platform.python_version(), "System": f"{platform.system()} ({platform.machine()})"}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # vendored
            continue
    return found


def roles(fit: Any) -> dict[str, str]:
    """What each column of the data is in the analysis."""
    spec = fit.specification
    named = [
        *((name, "formula") for name in fit.model._predictor.spec.columns_used),
        *((name, "predicted variable") for name in spec.predicted_var),
        *((name, "prediction") for name in spec.prediction),
        *((name, "feature") for name in spec.feature),
        *((name, "sampling probability") for name in (spec.sample_prob,) if name),
        *((name, "cluster") for name in (spec.cluster,) if name),
        *((name, "fixed effect") for name in spec.index),
    ]
    out: dict[str, list[str]] = {}
    for name, role in named:
        out.setdefault(name, []).append(role)
    return {name: ", ".join(each) for name, each in out.items()}


def columns_table(fit: Any, data: Any) -> pd.DataFrame:
    """Role, type, missing and different values of each column of the analysis."""
    known = roles(fit)
    frame = to_pandas(data, list(known))
    return pd.DataFrame(
        {
            "role": list(known.values()),
            "type": [str(frame[name].dtype) for name in known],
            "missing": [int(frame[name].isna().sum()) for name in known],
            "different values": [int(frame[name].nunique()) for name in known],
        },
        index=pd.Index(list(known), name="column"),
    )


def code(
    fit: Any, *, rebuilt: Rebuilt | None, design: Any, sl_method: Any, predicted_var: Any, digest: str | None
) -> str:
    """Lines that make the same fit again.

    Parameters
    ----------
    fit : DSLResults
    rebuilt : Rebuilt or None
        The fit's analysis; with it, folds that were supplied are told from drawn ones.
    design, sl_method, predicted_var
        As in `dsl.reports.page.write_report`.
    digest : str or None
        The data's fingerprint.
    """
    modules, definitions = _named(fit.model._predictor.spec.functions)
    spec = fit.specification
    arguments, yours = _arguments(fit, rebuilt, design, sl_method)
    if predicted_var is not None and spec.estimator in RAW:
        arguments["predicted_var"] = repr(dict(predicted_var))
    lines = [*modules, "import dsl"]
    if digest is not None:
        lines.append("from dsl.reports.page import data_fingerprint")
    lines += ["", *definitions, "data = ...  # read your table here"]
    if digest is not None:
        lines += [*_column_lines(list(roles(fit))), f'assert data_fingerprint(data, columns) == "{digest}"']
    lines += [f"{name} = ...  # {what}" for name, what in yours.items()]
    parts = [repr(spec.formula), "data", *(f"{name}={value}" for name, value in arguments.items())]
    whole = f"fit = dsl.dsl({', '.join(parts)})"
    lines += [whole] if len(whole) <= LINE else ["fit = dsl.dsl(", *(f"    {part}," for part in parts), ")"]
    return "\n".join([*lines, "print(fit.summary())"])


def _column_lines(columns: Sequence[str]) -> list[str]:
    whole = f"columns = {list(columns)!r}"
    return [whole] if len(whole) <= LINE else ["columns = [", *(f"    {name!r}," for name in columns), "]"]


def _named(functions: Any) -> tuple[list[str], list[str]]:
    """Imports and definitions of what the formula uses besides columns."""
    modules, definitions = [], []
    for name, value in functions.items():
        if isinstance(value, ModuleType):
            modules.append(f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}"))
        elif isinstance(value, bool | int | float | str | np.generic):
            plain = value.item() if isinstance(value, np.generic) else value
            definitions.append(f"{name} = {plain!r}")
        else:
            definitions.append(f"{name} = ...  # your function that the formula calls")
    return modules, definitions


def _arguments(fit: Any, rebuilt: Rebuilt | None, design: Any, sl_method: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Arguments that are not the defaults, as code; and what the user must supply, with a description."""
    spec = fit.specification
    given: dict[str, Any] = {
        "predicted_var": _short(spec.predicted_var),
        "prediction": _short(spec.prediction),
        "feature": _short(spec.feature),
        "model": spec.model,
        "estimator": spec.estimator,
        "tune": None if spec.tune == resolve_tune(spec.estimator, None) else spec.tune,
        "target": spec.target,
        "sample_prob": None if design is not None else spec.sample_prob,
        "cluster": spec.cluster,
        "index": None if "|" in spec.formula else _short(spec.index),
        "fixed_effect": {1: "oneway", 2: "twoways"}.get(len(spec.index), "multiway" if spec.index else "oneway"),
        "family": spec.family,
        "vcov": spec.vcov,
        "use_t": None if spec.use_t == resolve_use_t(spec.estimator, spec.tune) else spec.use_t,
        "seed": spec.seed,
    }
    if fit.cross_fit is not None:
        given |= {"cross_fit": fit.cross_fit, "sample_split": len(fit.splits.params)}
    if "|" in spec.formula:
        given["fixed_effect"] = "oneway"
    defaults = {name: each.default for name, each in inspect.signature(dsl).parameters.items()}
    arguments = {name: repr(value) for name, value in given.items() if value != defaults[name]}
    yours = {}
    learner = _learner(fit, sl_method)
    if learner != "auto":
        arguments["sl_method"] = learner
    if learner == "learner":
        yours["learner"] = f"the learner that was used: {', '.join(fit.splits.learners)}"
    if design is not None or (spec.sample_prob is None and not fit.sample.equal_prob):
        arguments["design"] = "design"
        yours["design"] = "the labelling design, as in dsl.sampling.LabelDesign.load('design.npz')"
    if rebuilt is not None and _supplied_folds(fit, rebuilt):
        arguments["folds"] = "folds"
        yours["folds"] = "the folds that were given: an array (splits, rows)"
        for name in ("cross_fit", "sample_split"):
            arguments.pop(name, None)
    return arguments, yours


def _learner(fit: Any, sl_method: Any) -> str:
    """``sl_method`` as code; ``auto`` bare, and ``learner`` for one that has no name."""
    if sl_method is None:
        try:
            sl_method = learner_of(fit)
        except ArgumentError:
            return "learner"
    if isinstance(sl_method, str):
        return "auto" if sl_method == "auto" else repr(sl_method)
    if isinstance(sl_method, list | tuple) and all(isinstance(name, str) for name in sl_method):
        return repr(list(sl_method))
    return "learner"


def _supplied_folds(fit: Any, rebuilt: Rebuilt) -> bool:
    """Whether the seed does not give the fit's folds."""
    if fit.folds is None:
        return False
    options = {"cross_fit": fit.cross_fit, "sample_split": len(fit.folds), "seed": fit.specification.seed}
    return not np.array_equal(folds_for(rebuilt.sample, None, **options), fit.folds)


def _short(names: Sequence[str]) -> Any:
    """One name bare, several as a list, none as None."""
    return (names[0] if names else None) if len(names) < 2 else list(names)
