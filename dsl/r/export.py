"""Results as an R object of class ``dsl``, on which the reference's ``summary()`` and ``power_dsl()`` work."""

import numpy as np

from dsl._typing import AnyArray, FloatArray
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError
from dsl.r.convert import to_sexp
from dsl.r.reference import r_formula
from dsl.r.session import Sexp, support


def results_to_r(fit: Fit) -> Sexp:
    """An R object of class ``dsl``, of a fit of ``dsl.dsl`` with ``estimator="dsl"``."""
    spec = fit.call
    if spec.estimator != "dsl":
        raise ArgumentError(f"R's class dsl is for estimator='dsl'; this fit has estimator='{spec.estimator}'")
    if spec.across is not None:
        raise ArgumentError(
            f"R's class dsl has clusters in one way, and the fit's are {list(spec.clusters)}; fit with one of them"
        )
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
        "cross_fit": float(fit.cross_fit or 0),
        "sample_split": float(len(fit.splits.params)),
        **_variance_parts(fit),
    }
    out = {
        "coefficients": fit.params,
        "standard_errors": fit.bse,
        "vcov": fit.vcov,
        "RMSE": _rmse(fit),
        "internal": internal,
    }
    return support("make_dsl")(to_sexp(out), to_sexp(list(fit.names_r)))


def _rmse(fit: Fit) -> FloatArray:
    if fit.rmse is None:
        return np.full((len(fit.call.predicted_var), len(fit.splits.params)), np.nan)
    return np.asarray(fit.rmse, dtype=float).T


def _variance_parts(fit: Fit) -> dict[str, AnyArray]:
    """Meat parts and Jacobians as the reference keeps them: (k, k, S), means over rows. D maps to original columns."""
    splits = fit.splits
    # J^-1 (Omega_1 + Omega_23) J^-T / N with Omega_1 the part that more labels shrink. D is the identity: our Jacobians
    # are in the original columns already.
    parts = (splits.label_meats, splits.meats - splits.label_meats, splits.jacobians)
    means = [np.moveaxis(part, 0, -1) / fit.nobs for part in parts]
    unit = np.repeat(np.eye(len(fit.params))[:, :, None], len(splits.params), axis=2)
    return dict(zip(("vcov_main_1", "vcov_main_23", "vcov_J", "vcov_D"), [*means, unit], strict=True))
