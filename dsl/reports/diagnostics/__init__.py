"""What to look at before believing a fit: surrogates, weights, labels, stability, the model."""

from dsl.reports.diagnostics.diagnose import diagnose
from dsl.reports.diagnostics.results import Check, Diagnostics

__all__ = ["Check", "Diagnostics", "diagnose"]
