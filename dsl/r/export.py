"""Results as an R object of class ``dsl``, on which the reference's ``summary()`` and ``power_dsl()`` work."""

import re
from typing import Any

import numpy as np

from dsl._typing import FloatArray
from dsl.engine import fit_split, meat_decomposition
from dsl.estimators import Blocks
from dsl.exceptions import ArgumentError
from dsl.r.analysis import rebuild
from dsl.r.convert import to_sexp
from dsl.r.reference import r_formula
from dsl.r.session import Sexp, support

PARTS = ("meats_1", "meats_23", "jacobians")
"""What ``power_dsl()`` needs of every split; (S, k, k), summed over rows, terms in the formula's order."""


def results_to_r(fit: Any, data: Any = None) -> Sexp:
    """An R object of class ``dsl``.

    Parameters
    ----------
    fit : DSLResults
        Of ``dsl.dsl`` with ``estimator="dsl"``.
    data : data frame, optional
        The data of the fit. From them the parts of the variance are computed that ``power_dsl()`` needs, unless
        the fit has kept them; ``summary()`` works without.
    """
    spec = fit.specification
    if spec.estimator != "dsl":
        raise ArgumentError(f"R's class dsl is for estimator='dsl'; this fit has estimator='{spec.estimator}'")
    internal = {
        "formula": support("as_formula")(to_sexp(r_formula(spec.formula)[0])),
        "model": spec.model,
        "predicted_var": list(spec.predicted_var),
        "prediction": list(spec.prediction) or None,
        "num_expert": float(fit.n_labeled),
        "equal_prob": bool(fit.sample.equal_prob),
        "num_data": float(fit.nobs),
        "cluster": spec.cluster,
        "index": list(spec.index) or None,
        "fixed_effect": "twoways" if len(spec.index) == 2 else "oneway",
        "sl_method": list(fit.splits.learners),
        "feature": list(spec.feature) or None,
        "cross_fit": float(fit.cross_fit),
        "sample_split": float(len(fit.splits.params)),
        **_variance_parts(fit, data),
    }
    names = [r_name(str(name)) for name in fit.model.exog_names]
    out = {
        "coefficients": np.asarray(fit.params),
        "standard_errors": np.asarray(fit.bse),
        "vcov": np.asarray(fit.cov_params()),
        "RMSE": _rmse(fit),
        "internal": internal,
    }
    return support("make_dsl")(to_sexp(out), to_sexp(names))


def r_name(term: str) -> str:
    """R's name of a term of ours."""
    if term == "Intercept":
        return "(Intercept)"
    plain = re.sub(r"\[(?:T\.)?([^\]]*)\]", r"\1", term).replace("as_factor(", "as.factor(")
    return re.sub(r"\bC\(", "factor(", plain).replace(" ** ", "^").replace("**", "^")


def _rmse(fit: Any) -> FloatArray:
    if fit.predictions is None:
        return np.full((len(fit.specification.predicted_var), len(fit.splits.params)), np.nan)
    return np.asarray(fit.rmse, dtype=float).T


def _variance_parts(fit: Any, data: Any) -> dict[str, Any]:
    """Meat parts and Jacobians as the reference keeps them: (k, k, S), means over rows; D maps to original columns."""
    stored: list[Any] = [getattr(fit.splits, name, None) for name in PARTS]
    if any(part is None for part in stored):
        if data is None or fit.predictions is None:
            return {}
        stored = _parts_from_data(fit, data)
    means = [np.moveaxis(np.asarray(part), 0, -1) / fit.nobs for part in stored]
    unit = np.repeat(np.eye(len(fit.params))[:, :, None], len(stored[0]), axis=2)
    return dict(zip(("vcov_main_1", "vcov_main_23", "vcov_J", "vcov_D"), [*means, unit], strict=True))


def _parts_from_data(fit: Any, data: Any) -> list[FloatArray]:
    rebuilt = rebuild(fit, data)
    blocks, order = Blocks(rebuilt.design, rebuilt.sample), rebuilt.design.order
    parts = []
    for split in fit.predictions:
        block = blocks.dsl(dict(zip(fit.specification.predicted_var, split.T, strict=True)))
        solved = fit_split(block, rebuilt.problem)
        meat_1, meat_23 = meat_decomposition(block, rebuilt.problem, solved.params)
        parts.append([part[np.ix_(order, order)] for part in (meat_1, meat_23, solved.jacobian)])
    return [np.stack(part) for part in zip(*parts, strict=True)]
