"""Tables to try the package on: real ones, and simulated ones whose true coefficients are known."""

from dsl.datasets.real import load_sentiment
from dsl.datasets.simulated import (
    simulate_appendix_e,
    simulate_features_only,
    simulate_linear,
    simulate_logit,
    simulate_unequal,
)
from dsl.datasets.simulated_groups import simulate_nested, simulate_panel, simulate_yearly

__all__ = [
    "load_sentiment",
    "simulate_appendix_e",
    "simulate_features_only",
    "simulate_linear",
    "simulate_logit",
    "simulate_nested",
    "simulate_panel",
    "simulate_unequal",
    "simulate_yearly",
]
