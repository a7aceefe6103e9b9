"""Marginal effects: what a variable does to the fitted mean, by the delta method."""

from dsl.reports.margins.effects import marginal_effects
from dsl.reports.margins.results import MarginalEffects

__all__ = ["MarginalEffects", "marginal_effects"]
