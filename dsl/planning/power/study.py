"""What is known about a study that is planned."""

from dataclasses import dataclass, field

from dsl._typing import FloatArray
from dsl.planning.power.curve import VarianceCurve


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """What is known about the analysis that is planned."""

    terms: tuple[str, ...]
    formula: str
    estimator: str
    basis: str
    """What the figures rest on, for the summary."""
    se: FloatArray  # (k,), at n_labeled
    n_labeled: int
    """Labels that the figures start from: those of the fit, or the planned ones."""
    at_hand: int
    """Labels that exist already."""
    nobs: int
    """Rows of the planned study."""
    exact_to: float
    """Largest number of labels at which no row's probability, scaled up, exceeds one."""
    curve: VarianceCurve = field(repr=False)
    gold_only: VarianceCurve | None = field(repr=False)
    """That of the labelled rows alone, where it follows from the fit's own."""
