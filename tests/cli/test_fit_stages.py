"""``dsl fit --stage``: labels of lower quality on more rows."""

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.cli import main
from dsl.cli.options import stages_of

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("crowd=p", ("crowd", "p")),
        ("crowd", "crowd"),
        ("y:y_all=p_y", ({"y": "y_all"}, "p_y")),
        ("y:y_all+d:d_crowd=p", ({"y": "y_all", "d": "d_crowd"}, "p")),
    ],
)
def test_stages_are_read(text: str, found: object) -> None:
    assert stages_of([text]) == [found]


@pytest.mark.parametrize("text", ["=p", "crowd=", "a+b=p", "y:+d:e=p", "y:a+b=p", ""])
def test_stages_that_cannot_be_read(text: str) -> None:
    with pytest.raises(dsl.exceptions.ArgumentError, match="--stage"):
        stages_of([text])


def test_a_crowd_and_experts() -> None:
    posts = pd.read_csv("posts.csv")
    rng = np.random.default_rng(0)
    order = rng.permutation(len(posts))
    truth = posts["y"].fillna(posts["llm"])
    crowd, expert = order < len(posts) // 2, order < len(posts) // 6
    table = posts.assign(crowd=truth.where(crowd), y=truth.where(expert), p_crowd=crowd.mean(), p_expert=expert.mean())
    table.to_csv("staged.csv", index=False)
    options = ["--predicted", "y", "--prediction", "llm", "--stage", "crowd=p_crowd", "--sample-prob", "p_expert"]
    assert main(["fit", "staged.csv", "y ~ x", *options, "--splits", "1", "--quiet", "--out-csv", "out.csv"]) == 0
    call = {"predicted_var": "y", "prediction": "llm", "sample_prob": "p_expert", "sample_split": 1}
    fit = dsl.dsl("y ~ x", table, stages=[("crowd", "p_crowd")], **call)
    found = pd.read_csv("out.csv")
    np.testing.assert_allclose(found["estimate"], fit.params, rtol=1e-10)
    np.testing.assert_allclose(found["std_error"], fit.bse, rtol=1e-10)
