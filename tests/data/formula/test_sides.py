"""The two sides of a formula."""

import pytest

from dsl.data.formula.matrices import build, parse
from tests.posts import posts


@pytest.mark.parametrize(
    ("formula", "predicted"), [("y ~ x", ["y"]), ("log(y + 1) ~ x", ["log(y + 1)"]), ("x ~ y", [])]
)
def test_predicted_outcomes(formula: str, predicted: list[str]) -> None:
    """Positions among the outcome's names of those that hold a predicted variable."""
    data = posts()
    outcome = build(parse(formula, list(data.columns)), data, data["lab"].to_numpy() == 1, ("y",)).outcome
    assert [outcome.names[j] for j in outcome.predicted_index] == predicted
