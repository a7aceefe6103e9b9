"""The plot of a multiverse: what is drawn is what was estimated."""

from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from dsl import exceptions as e
from dsl.analyses.multiverse import multiverse as estimate
from dsl.reports.multiverse import Multiverse
from dsl.reports.plots import multiverse
from tests.posts import posts

matplotlib.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore:.*rest on few labels")


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def found() -> Multiverse:
    data = posts().assign(other=lambda t: 1.0 - t["llm"])
    names = {"right": "llm", "wrong": "other"}
    return estimate("y ~ x", data, predicted_var="y", predictions=names, sl_method="lm", sample_split=1)


def test_lines_are_the_estimates_by_the_naive_one(found: Multiverse) -> None:
    ax = multiverse(found)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["right", "wrong"]
    naive, corrected = (np.asarray(each.lines[0].get_xdata()) for each in ax.containers)
    rows = found.table[found.table["term"] == "x"].set_index("universe").loc[["right", "wrong"]]
    np.testing.assert_array_equal(naive, rows["naive_estimate"])
    np.testing.assert_array_equal(corrected, rows["estimate"])
    assert ax.get_xlabel() == "x, 95% confidence interval"
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["naive (surrogates as truth)", "DSL"]


def test_axes_and_terms(found: Multiverse) -> None:
    _, ax = plt.subplots()
    assert found.plot("Intercept", ax) is ax
    assert ax.get_xlabel().startswith("Intercept")
    with pytest.raises(e.ArgumentError, match="term='z' is no coefficient; they are Intercept, x"):
        multiverse(found, term="z")
    with pytest.raises(e.ArgumentError, match="ax must be matplotlib Axes"):
        multiverse(found, 3)  # type: ignore[arg-type]
