"""Plots of an evaluation: what is drawn, and that lines can be told apart without colours."""

from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import pytest

from dsl import exceptions as e
from dsl.planning.evaluation import EvaluationResults
from tests.archive import quick

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def result() -> EvaluationResults:
    return quick(
        n_labels=[60, 100], designs=["srs", "bernoulli"], estimators=["naive", "gold_only", "dsl"], replications=3
    )


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def drawn(ax: Any) -> dict[str, Any]:
    """Data lines by label."""
    return {box.get_label(): box.lines[0] for box in ax.containers}


@pytest.mark.parametrize("kind", ["coverage", "effective", "rmse", "width"])
def test_lines_are_the_summary(result: EvaluationResults, kind: str) -> None:
    lines = drawn(result.plot(kind, term="x"))
    table = result.summary().query("term == 'x'").set_index(["estimator", "design"]).sort_index()
    assert ("naive, srs" in lines) == (kind != "effective")  # it has none
    for label, line in lines.items():
        np.testing.assert_allclose(np.asarray(line.get_ydata(), dtype=float), table.loc[tuple(label.split(", ")), kind])


def test_few_replications_have_rings(result: EvaluationResults) -> None:
    ax = result.plot("effective", term="x")
    rings = [part for part in ax.collections if part.get_label() == "few replications"]
    marked = result.summary().query("term == 'x' and note != ''")
    assert len(rings) == 1
    np.testing.assert_allclose(sorted(rings[0].get_offsets()[:, 1]), sorted(marked["effective"]))
    assert "few replications" in [text.get_text() for text in ax.get_legend().get_texts()]
    ax = result.plot("rmse", term="x")
    assert "few replications" not in [text.get_text() for text in ax.get_legend().get_texts()]


def test_lines_differ_without_colours(result: EvaluationResults) -> None:
    for kind in ("coverage", "effective"):
        styles = [
            (line.get_marker(), line.get_linestyle(), line.get_markerfacecolor() == "white")
            for line in drawn(result.plot(kind, term="x")).values()
        ]
        assert len(set(styles)) == len(styles)
    one_design = quick(estimators=["gold_only", "dsl"]).plot("rmse", term="x")
    assert list(drawn(one_design)) == ["gold_only", "dsl"]
    assert len({line.get_linestyle() for line in drawn(one_design).values()}) == 2


def test_an_estimator_looks_the_same_in_every_plot(result: EvaluationResults) -> None:
    looks = [drawn(result.plot(kind, term="x"))["dsl, srs"] for kind in ("coverage", "effective")]
    assert looks[0].get_marker() == looks[1].get_marker()
    assert looks[0].get_color() == looks[1].get_color()


def test_nominal_level_and_limits(result: EvaluationResults) -> None:
    ax = result.plot("coverage", term="x")
    assert [line.get_ydata() for line in ax.lines if len(set(line.get_xdata())) == 2 and line.get_color() == "0.6"] == [
        [0.95] * 2
    ]
    ends = np.concatenate([np.asarray(part.get_segments())[:, :, 1].ravel() for part in ax.collections])
    assert ends.max() <= 1.0 + 1e-12
    assert ax.get_ylabel() == "coverage of 95% intervals"
    assert ax.get_title() == "x"


def test_drawn_on_the_axes_given(result: EvaluationResults) -> None:
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert result.plot("rmse", term="x", ax=ax) is ax


def test_wrong_plots(result: EvaluationResults) -> None:
    with pytest.raises(e.ArgumentError, match=r"which coefficient\? .*Intercept, x"):
        result.plot()
    with pytest.raises(e.ArgumentError, match=r"'z'.*Intercept, x"):
        result.plot(term="z")
    with pytest.raises(e.ArgumentError, match=r"'bias'.*coverage, effective, rmse, width"):
        result.plot("bias", term="x")


def test_one_coefficient_needs_no_name() -> None:
    assert quick(truth={"x": 0.5}).plot("width").get_title() == "x"
