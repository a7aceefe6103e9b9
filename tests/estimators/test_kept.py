"""One preparation for several estimators: what it serves, and the warnings that come with it each time."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dsl.analyses import regression
from dsl.data.drawn import labels_known
from dsl.data.formula.caller import NOBODY, call_among
from dsl.estimators import kept
from dsl.estimators.kept import analyses_kept
from dsl.exceptions import LabelError
from tests.posts import posts


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Formulas of the calls that were prepared, one for each time."""
    out: list[str] = []
    own = kept.prepare_analysis

    def noted(call: Any, *arguments: Any) -> Any:
        out.append(call.formula)
        return own(call, *arguments)

    monkeypatch.setattr(kept, "prepare_analysis", noted)
    return out


def fit(data: Any, formula: str = "y ~ x", **arguments: Any) -> Any:
    call = {"predicted_var": "y", "prediction": "llm", "sl_method": "lm", "sample_split": 1, **arguments}
    return call_among(NOBODY, regression.dsl, {"formula": formula, "data": data, **call})


def said(call: Callable[[], object]) -> list[tuple[str, str]]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return sorted((each.category.__name__, str(each.message)) for each in found)


ESTIMATORS = ("dsl", "gold_only", "dsl+", "ppi++", "naive")


@pytest.mark.filterwarnings("ignore")
def test_the_same_numbers_from_one_preparation(prepared: list[str]) -> None:
    data = posts()
    alone = {name: fit(data, estimator=name) for name in ESTIMATORS}
    assert len(prepared) == len(ESTIMATORS)
    prepared.clear()
    with analyses_kept():
        for name, other in alone.items():
            found = fit(data, estimator=name)
            np.testing.assert_array_equal(found.params, other.params)
            np.testing.assert_array_equal(found.cov_params(), other.cov_params())
        assert prepared == ["y ~ x"]
        fit(data, "y ~ 1")
        fit(data.copy())
        fit(data, weights="words")
        assert len(prepared) == 4


def test_warnings_each_time() -> None:
    data = posts()
    data.loc[:4, "x"] = np.nan
    alone = said(lambda: fit(data))
    assert alone
    with analyses_kept():
        assert said(lambda: fit(data)) == alone
        assert said(lambda: fit(data)) == alone
        with pytest.raises(LabelError):
            fit(data.assign(y=np.nan))


def test_labels_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one preparation and by one design, with what is found and said each time."""
    looks = []
    own = kept.look
    monkeypatch.setattr(kept, "look", lambda *arguments: looks.append(1) or own(*arguments))
    data = posts()
    data["y"] = data["y"].sort_values(na_position="last").to_numpy()  # the first rows are the labelled ones
    alone = said(lambda: fit(data))
    assert any(name == "LabelingWarning" for name, _ in alone)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = fit(data).core.sample.looked
    looks.clear()
    with analyses_kept():
        assert said(lambda: fit(data)) == alone
        assert said(lambda: fit(data, estimator="gold_only")) == alone
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = fit(data, estimator="dsl+").core.sample.looked
            assert looks == [1]
            with labels_known():
                assert fit(data).core.sample.looked == ()
            fit(data.copy())
        assert looks == [1, 1, 1]
    assert found == expected
    assert expected
