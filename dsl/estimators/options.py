"""Options of a call that are checked without the data: each by itself, and against the others."""

from dsl.data.arguments import TARGETS, check_choice
from dsl.data.refusals import REFUSALS
from dsl.engine.covariance import BY_DESIGN, BY_DESIGN_HC3, SMALL_SAMPLE
from dsl.engine.leave_out import LEAVE_OUT
from dsl.engine.models import MODELS
from dsl.estimators.call import Call
from dsl.estimators.names import ESTIMATORS, known_estimator
from dsl.exceptions import ArgumentError
from dsl.learners.auto import Method
from dsl.learners.names import check_method
from dsl.learners.text.checks import check_reads

VCOVS = (*SMALL_SAMPLE, *LEAVE_OUT, BY_DESIGN)
"""Covariances that a call may ask for."""
OPTIONS = (
    "model",
    "estimator",
    "vcov",
    "target",
    "cluster",
    "across",
    "sl_method",
    "family",
    "refusals",
    "text",
    "tune",
)
"""What `check_options` looks at."""


def check_options(
    *,
    model: str,
    estimator: str,
    vcov: str | None,
    target: str,
    cluster: str | None,
    sl_method: Method,
    family: str,
    refusals: str,
    text: str | None,
    tune: object = None,
    across: str | None = None,
) -> None:
    """Raise ArgumentError unless the options are known and go together."""
    check_choice("model", model, tuple(MODELS))
    check_choice("estimator", estimator, tuple(ESTIMATORS))
    check_choice("target", target, TARGETS)
    check_choice("refusals", refusals, REFUSALS)
    if vcov is not None:
        _check_vcov(vcov, estimator=estimator, target=target, cluster=cluster, tune=tune)
    if across is not None and vcov in (*LEAVE_OUT, BY_DESIGN):
        raise ArgumentError(
            f"vcov='{vcov}' takes clusters in one way, and rows lie in clusters of '{cluster}' and of '{across}'; use "
            "'robust' or 'CR1', or name one of them"
        )
    if target == "finite" and not known_estimator(estimator).uses_labels:
        raise ArgumentError(
            f"estimator='{estimator}' uses no labelled rows: with target='finite' nothing about it is random; use target="
            "'superpopulation', or another estimator"
        )
    check_method(sl_method, family)
    check_reads(sl_method, text)


def _check_vcov(vcov: str, *, estimator: str, target: str, cluster: str | None, tune: object) -> None:
    check_choice("vcov", vcov, VCOVS)
    if vcov.startswith("CR") and cluster is None:
        raise ArgumentError(f"vcov='{vcov}' needs clusters; pass cluster='column', or use '{vcov.replace('CR', 'HC')}'")
    if vcov.startswith("HC") and cluster is not None:
        raise ArgumentError(
            f"vcov='{vcov}' ignores clusters; use '{vcov.replace('HC', 'CR')}' with cluster={cluster!r}, or drop cluster"
        )
    why = _why_not(vcov, estimator=estimator, target=target, tune=tune)
    if why:
        raise ArgumentError(why)


def plain_vcov(cluster: object) -> str:
    """Names of the covariances that leave nothing out, for messages."""
    return "vcov='robust' or 'HC1'" if cluster is None else "vcov='robust' or 'CR1'"


def vcov_for(vcov: str, *, estimator: str, target: str, tune: object) -> str:
    """The covariance for another estimator or target beside it: the same where it has it, else the nearest."""
    if not _why_not(vcov, estimator=estimator, target=target, tune=tune):
        return vcov
    nearest = {"HC2": "HC3", "CR2": "CR3", BY_DESIGN_HC3: BY_DESIGN}.get(vcov, "robust")
    return nearest if not _why_not(nearest, estimator=estimator, target=target, tune=tune) else "robust"


def _why_not(vcov: str, *, estimator: str, target: str, tune: object) -> str:
    """Why a covariance is none of the call's, empty if it is."""
    entry = ESTIMATORS[estimator]
    if vcov == BY_DESIGN:
        return _why_not_by_design(estimator, target)
    if vcov not in LEAVE_OUT:
        return ""
    if target == "finite":
        return (
            f"vcov='{vcov}' leaves rows out of a sample, and with target='finite' the rows are all there are: their variance is "
            "that of the draw of labels, with its own n / (n - 1); leave vcov out"
        )
    if entry.two_sample:
        return (
            f"vcov='{vcov}' is for one sum over rows, and estimator='{estimator}' has the variances of two samples, each with "
            "its own n - 1; leave vcov out, or use estimator='cdi'"
        )
    resolved = entry.default_tune if tune is None else tune
    if vcov in ("PRESS", BY_DESIGN_HC3) and not isinstance(resolved, str):
        other = "'HC3' (with clusters 'CR3')" if vcov == "PRESS" else "'design', 'HC3' (with clusters 'CR3')"
        return (
            f"vcov='{vcov}' allows for a lambda that the data chose, and nothing is chosen here (estimator='{estimator}', tune="
            f"{resolved!r}); use vcov={other}, or tune='coef'"
        )
    if vcov in ("HC2", "CR2") and isinstance(resolved, str):
        other = vcov.replace("2", "3")
        return (
            f"vcov='{vcov}' is the root of what '{other}' takes in full, and where a lambda is chosen (estimator='{estimator}', "
            f"tune={resolved!r}) there is no such root; use vcov='{other}' or 'jackknife', or fix lambda with a number for tune"
        )
    return ""


def _why_not_by_design(estimator: str, target: str) -> str:
    """Why the covariance cannot allow for the draw, or does so anyway, empty if it can."""
    entry, why = ESTIMATORS[estimator], ""
    if not entry.uses_labels:
        why = f"estimator='{estimator}' uses no labelled rows, so that how they were drawn does not matter"
    elif entry.two_sample:
        why = f"estimator='{estimator}' has the variance of two samples of fixed sizes already"
    elif target == "finite":
        why = "the variance with target='finite' is that of the draw alone already"
    return why and f"vcov='{BY_DESIGN}': {why}; leave vcov out"


def check_stages(call: Call) -> None:
    """Raise ArgumentError where labels that come in stages cannot be had."""
    why = ""
    if not call.stages:
        return
    if known_estimator(call.estimator).two_sample:
        why = f"estimator='{call.estimator}' has two samples, labelled rows and others; use estimator='cdi' or 'dsl'"
    elif call.target == "finite":
        why = "target='finite' has the variance of one draw, and each stage is a draw; use target='superpopulation'"
    elif call.trained_on is not None:
        why = "trained_on makes the gold labels a draw given the rows seen, for which no stage before has a probability"
    if why:
        raise ArgumentError(f"labels in stages: {why}, or leave stages out")
