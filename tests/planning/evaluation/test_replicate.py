"""Estimators of one draw share what they prepare and predict: the numbers of each alone."""

from contextlib import nullcontext
from typing import Any

import pandas as pd
import pytest

from dsl.learners import crossfit
from dsl.planning.evaluation import replicate
from tests.archive import quick

ESTIMATORS = ("naive", "gold_only", "dsl", "tuned", "dsl+", "ppi++")


def evaluated() -> pd.DataFrame:
    options: dict[str, Any] = {"sl_method": "ridge", "sample_split": 2, "estimators": ESTIMATORS}
    table: pd.DataFrame = quick(n_labels=60, replications=2, **options).replications
    return table


def test_shared_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    own = crossfit._predicted

    def counted(*arguments: Any) -> Any:
        fits.append(1)
        return own(*arguments)

    monkeypatch.setattr(crossfit, "_predicted", counted)
    shared, n_shared = evaluated(), len(fits)
    for name in ("analyses_kept", "predictions_kept"):
        monkeypatch.setattr(replicate, name, nullcontext)
    alone = evaluated()
    pd.testing.assert_frame_equal(shared, alone, check_exact=True)
    # dsl and tuned dsl have the same predictions, dsl+ others: in two draws and in the rehearsal
    assert (n_shared, len(fits) - n_shared) == (6, 9)
