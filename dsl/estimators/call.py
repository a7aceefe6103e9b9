"""The call behind a fit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """The call, resolved."""

    formula: str
    model: str
    estimator: str
    predicted_var: tuple[str, ...]
    prediction: tuple[str, ...]
    feature: tuple[str, ...]
    sample_prob: str | None
    cluster: str | None
    index: tuple[str, ...]
    family: str
    seed: int
    vcov: str
    tune: str | float | None = None
    target: str = "superpopulation"
    use_t: bool = False
