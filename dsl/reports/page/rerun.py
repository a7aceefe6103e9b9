"""How to get the same numbers again: the call, the data's fingerprint, and the versions."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType, ModuleType

import numpy as np
import pandas as pd

from dsl.data.fingerprint import table_fingerprint
from dsl.data.formula.rlang.evaluate import Functions, is_constant
from dsl.data.formula.text import formula_code
from dsl.data.tables import TableLike, to_pandas
from dsl.estimators.call import Call
from dsl.estimators.names import resolve_use_t, resolve_vcov
from dsl.estimators.result import Fit

PACKAGES = ("numpy", "scipy", "pandas", "statsmodels", "scikit-learn", "formulaic")
DEFAULTS: dict[str, object] = {
    **{each.name: each.default for each in fields(Call)},
    "predicted_var": None,
    "prediction": None,
    "feature": None,
    "model": "lm",
    "estimator": "dsl",
    "index": None,
    "vcov": None,
    "use_t": None,
}
"""What ``dsl.dsl`` does with arguments that are left out."""
LINE = 100
"""Length from which a list of arguments is written one to a line."""


def data_fingerprint(data: TableLike, columns: Sequence[str]) -> str:
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


def roles(fit: Fit) -> dict[str, str]:
    """What each column of the data is in the analysis."""
    spec = fit.call
    named = [
        # in the order in which the columns are looked for, each with all of its roles
        *((name, "formula") for name in fit.predictor.spec.columns_used),
        *((name, "predicted variable") for name in spec.predicted_var),
        *((name, "prediction") for name in spec.prediction),
        *((name, "feature") for name in spec.feature),
        *((name, "text") for name in (spec.text,) if name is not None),
        *((name, "sampling probability") for name in (spec.sample_prob,) if name is not None),
        *((name, "cluster") for name in spec.clusters),
        *((name, "weight") for name in (spec.weights,) if name is not None),
        *((name, "label of a stage") for stage in spec.stage_columns for name in stage.labels.values()),
        *((stage.prob, "probability of a stage") for stage in spec.stage_columns if stage.prob is not None),
        *((name, "seen by the predictions' maker") for name in (spec.trained_on,) if isinstance(name, str)),
        *((name, "fixed effect") for name in spec.index),
    ]
    out: dict[str, list[str]] = {}
    for name, role in named:
        out.setdefault(name, []).append(role)
    return {name: ", ".join(each) for name, each in out.items()}


def columns_table(fit: Fit, data: TableLike) -> pd.DataFrame:
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
    fit: Fit, digest: str | None, supplied: Mapping[str, str] = MappingProxyType({}), imports: Sequence[str] = ()
) -> str:
    """Lines that make the same fit again.

    Parameters
    ----------
    fit : Fit
    digest : str or None
        The data's fingerprint.
    supplied : mapping of str to str
        Expressions for what the reader has to supply otherwise: ``data``, ``design``, ``folds``, ``trained_on``.
    imports : sequence of str
        Lines that they need.
    """
    modules, definitions = _named(fit.predictor.spec.functions)
    arguments, yours = _arguments(fit)
    before, formula = formula_code(fit.call.formula)
    # imports first, whoever needs them
    needed = [*modules, *(line for line in before if line.startswith("import")), "import dsl"]
    lines = [*imports, *(line for line in needed if line not in imports)]
    if digest is not None:
        lines.append("from dsl.reports.page import data_fingerprint")
    lines += [
        "",
        *definitions,
        *(line for line in before if not line.startswith("import")),
        f"data = {supplied.get('data', '...  # read your table here')}",
    ]
    if digest is not None:
        lines += [*_column_lines(list(roles(fit))), f'assert data_fingerprint(data, columns) == "{digest}"']
    lines += [f"{name} = {supplied.get(name, f'...  # {what}')}" for name, what in yours.items()]
    parts = [formula, "data", *(f"{name}={value}" for name, value in arguments.items())]
    whole = f"fit = dsl.dsl({', '.join(parts)})"
    # one argument to a line where one line would be too long
    lines += [whole] if len(whole) <= LINE else ["fit = dsl.dsl(", *(f"    {part}," for part in parts), ")"]
    return "\n".join([*lines, "print(fit.summary())"])


def _column_lines(columns: Sequence[str]) -> list[str]:
    whole = f"columns = {list(columns)!r}"
    return [whole] if len(whole) <= LINE else ["columns = [", *(f"    {name!r}," for name in columns), "]"]


def _named(functions: Functions) -> tuple[list[str], list[str]]:
    """Imports and definitions of what the formula uses besides columns."""
    modules, definitions = [], []
    for name, value in functions.items():
        if isinstance(value, ModuleType):
            modules.append(f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}"))
        elif is_constant(value):
            definitions.append(f"{name} = {_plain(value)!r}")
        else:
            definitions.append(f"{name} = ...  # your function that the formula calls")
    return modules, definitions


def _plain(value: object) -> object:
    """A constant of numpy's as Python's."""
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _arguments(fit: Fit) -> tuple[dict[str, str], dict[str, str]]:
    """Arguments of the call that are not the defaults, as code, and what the user must supply, with a description."""
    # fixed effects behind "|" are in the formula, and `index` must then be left out
    call, behind = fit.call, "|" in fit.call.formula_text
    default_t = call.use_t == resolve_use_t(call.estimator, call.tune)
    default_vcov = resolve_vcov(call.estimator, call.tune, call.target, across=call.across)
    given: dict[str, object] = {
        "predicted_var": _predicted(call),
        "prediction": _short(_listed(call)),
        "feature": _short(call.feature),
        "text": call.text,
        "model": call.model,
        "estimator": call.estimator,
        "tune": None if call.tune == fit.estimator.default_tune else call.tune,
        "target": call.target,
        "labeled": call.labeled,
        "sample_prob": call.sample_prob,
        "cluster": _short(call.clusters),
        "weights": call.weights,
        "stages": _stages(call),
        "trained_on": call.trained_on if isinstance(call.trained_on, str) else None,
        "index": None if behind else _short(call.index),
        "fixed_effect": "oneway" if behind else call.fixed_effect,
        "refusals": call.refusals,
        "family": call.family,
        "vcov": None if call.vcov == default_vcov else call.vcov,
        "use_t": None if default_t else call.use_t,
        "seed": call.seed,
    }
    if fit.estimator.learns and call.folds is None:
        given |= {"cross_fit": call.cross_fit, "sample_split": call.sample_split}
    # what equals a default goes without saying
    arguments = {name: repr(value) for name, value in given.items() if value != DEFAULTS[name]}
    yours = {}
    learner = _learner(call.sl_method)
    if learner != "auto" and fit.estimator.learns:
        arguments["sl_method"] = learner
    if learner == "learner":
        # in one line, so that no name ends the comment
        yours["learner"] = f"the learner that was used: {' '.join(', '.join(fit.splits.learners).split())}"
    if call.design is not None:
        arguments["design"] = "design"
        yours["design"] = "the labelling design, as in dsl.sampling.LabelDesign.load('design.npz')"
    if call.trained_on is not None and not isinstance(call.trained_on, str):
        arguments["trained_on"] = "trained_on"
        yours["trained_on"] = "the rows that were seen: a mask, or row labels"
    if call.folds is not None:
        arguments["folds"] = "folds"
        yours["folds"] = "the folds that were given: an array (splits, rows)"
    return arguments, yours


def _needs_pairs(call: Call) -> bool:
    """Whether the order of `prediction` does not say which surrogates stand for which predicted variable."""
    in_order = dict(zip(call.predicted_var, ((name,) for name in call.prediction), strict=False))
    return bool(call.pairs) and (len(call.prediction) != len(call.predicted_var) or dict(call.pairs) != in_order)


def _listed(call: Call) -> tuple[str, ...]:
    """Surrogates that `predicted_var` does not name."""
    if not _needs_pairs(call):
        return call.prediction
    named = {name for names in call.pairs.values() for name in names}
    return tuple(name for name in call.prediction if name not in named)


def _stages(call: Call) -> object:
    """Stages as an argument: of one predicted variable by their columns alone."""
    single = len(call.predicted_var) == 1
    named = [(labels[0][1] if single else dict(labels), prob) for labels, prob in call.stages]
    # a nested design has the probabilities
    return [each if each[1] is not None else each[0] for each in named] or None


def _predicted(call: Call) -> object:
    if not _needs_pairs(call):
        return _short(call.predicted_var)
    return {name: _short(call.pairs.get(name, ())) for name in call.predicted_var}


def _learner(sl_method: object) -> str:
    """``sl_method`` as code, with ``auto`` bare, and ``learner`` for one that has no name."""
    if isinstance(sl_method, str):
        return "auto" if sl_method == "auto" else repr(sl_method)
    if isinstance(sl_method, list | tuple) and all(isinstance(name, str) for name in sl_method):
        return repr(list(sl_method))
    return "learner"


def _short(names: Sequence[str]) -> str | list[str] | None:
    """One name bare, several as a list, none as None."""
    return (names[0] if names else None) if len(names) < 2 else list(names)
