"""Raw surrogates: rows whose probabilities cannot be are named."""

import numpy as np
import pandas as pd
import pytest

from dsl.exceptions import PredictionError
from tests.posts import posts, run

PAIRS = {"topic": ["p_art", "p_sport"]}


def topics() -> pd.DataFrame:
    """Posts on two topics, with even probabilities of each."""
    data = posts().set_index(pd.Index([f"post{j}" for j in range(200)]))
    topic = pd.Series(np.where(data["y"] == 1, "art", "sport"), index=data.index, dtype=object).where(data["y"].notna())
    return data.assign(topic=topic, p_art=0.5, p_sport=0.5)


@pytest.mark.parametrize(
    ("art", "sport", "what"),
    [(1.5, -0.5, r"outside \[0, 1\]"), (-0.25, 1.25, r"outside \[0, 1\]"), (0.5, 0.25, "not one in sum")],
)
def test_rows_of_impossible_probabilities_are_named(art: float, sport: float, what: str) -> None:
    data = topics()
    data.loc[["post7", "post9"], ["p_art", "p_sport"]] = [art, sport]
    call = {"predicted_var": PAIRS, "prediction": None, "estimator": "cdi"}
    with pytest.raises(PredictionError, match=rf"p_art, p_sport of 'topic' are {what} in .*post7.*post9"):
        run(data, "x ~ topic", **call)
    assert np.isfinite(run(topics(), "topic ~ x", **call).params).all()


def test_labels_that_gold_does_not_have_are_counted_one_by_one() -> None:
    data = topics()
    data["label"] = np.where(data["llm"] == 1, "Art", np.where(data["z"] == 0, "music", "sport"))
    art, music = (int((data["label"] == name).sum()) for name in ("Art", "music"))
    call = {"predicted_var": "topic", "prediction": "label", "estimator": "ppi++"}
    with pytest.raises(
        PredictionError, match=rf"'Art' in {art} rows .*, 'music' in {music} rows .*have 'art', 'sport'"
    ):
        run(data, "topic ~ x", **call)
