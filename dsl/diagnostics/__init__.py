"""What to look at before believing a fit: surrogates, weights, labels, stability, the model."""

from dsl.diagnostics.api import diagnose
from dsl.diagnostics.results import Check, Diagnostics

__all__ = ["Check", "Diagnostics", "diagnose"]
