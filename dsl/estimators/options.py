"""Options of a call that are checked without the data: each by itself, and against the others."""

from dsl.data.arguments import TARGETS, check_choice
from dsl.data.refusals import REFUSALS
from dsl.engine.covariance import SMALL_SAMPLE
from dsl.engine.models import MODELS
from dsl.estimators.names import ESTIMATORS, known_estimator
from dsl.exceptions import ArgumentError
from dsl.learners.auto import Method
from dsl.learners.names import check_method
from dsl.learners.text.checks import check_reads

OPTIONS = ("model", "estimator", "vcov", "target", "cluster", "sl_method", "family", "refusals", "text")
"""What `check_options` looks at."""


def check_options(
    *,
    model: str,
    estimator: str,
    vcov: str,
    target: str,
    cluster: str | None,
    sl_method: Method,
    family: str,
    refusals: str,
    text: str | None,
) -> None:
    """Raise ArgumentError unless the options are known and go together."""
    check_choice("model", model, tuple(MODELS))
    check_choice("estimator", estimator, tuple(ESTIMATORS))
    check_choice("vcov", vcov, SMALL_SAMPLE)
    check_choice("target", target, TARGETS)
    check_choice("refusals", refusals, REFUSALS)
    if vcov.startswith("CR") and cluster is None:
        raise ArgumentError(f"vcov='{vcov}' needs clusters; pass cluster='column', or use 'HC0' or 'HC1'")
    if vcov.startswith("HC") and cluster is not None:
        raise ArgumentError(
            f"vcov='{vcov}' ignores clusters; use 'CR0' or 'CR1' with cluster={cluster!r}, or drop cluster"
        )
    if target == "finite" and not known_estimator(estimator).uses_labels:
        raise ArgumentError(
            f"estimator='{estimator}' uses no labelled rows: with target='finite' nothing about it is random; use target="
            "'superpopulation', or another estimator"
        )
    check_method(sl_method, family)
    check_reads(sl_method, text)
