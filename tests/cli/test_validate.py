"""``dsl validate``: the numbers of the function, in every format."""

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.annotation import validate
from dsl.cli import main
from tests.command_line import read_exact, read_json

pytestmark = pytest.mark.usefixtures("folder")


def posts() -> pd.DataFrame:
    """The folder's posts with 0/1 labels and a probability."""
    data = pd.read_csv("posts.csv")
    return data.assign(
        y=data["y"].mask(data["y"].notna(), (data["y"] > 0.5) * 1.0),
        llm=(data["llm"] > 0.5).astype(int),
        llm_p=1.0 / (1.0 + np.exp(-data["llm"])),
    )


def command(*more: str) -> int:
    posts().to_csv("coded.csv", index=False)
    return main(["validate", "coded.csv", "--gold", "y", "--prediction", "llm", *more])


def test_the_numbers_of_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--probability", "llm_p", "--by", "g", "--bins", "4", "--json", "v.json", "--out-csv", "v.csv") == 0
    expected = validate(pd.read_csv("coded.csv"), gold="y", prediction="llm", probability="llm_p", by="g", bins=4)
    assert expected.summary() in capsys.readouterr().out
    np.testing.assert_array_equal(read_exact("v.csv")["estimate"], expected.table["estimate"])
    record = read_json("v.json")
    assert [row["estimate"] for row in record["table"]] == expected.table["estimate"].tolist()
    assert len(record["calibration"]) == len(expected.calibration)
    assert record["call"]["probability"] == "llm_p"
    assert (record["n"], record["n_missing"], record["version"]) == (80, 0, dsl.__version__)


def test_columns_of_several_labels() -> None:
    both = ["--probability", "1=llm_p", "--probability", "0=llm_q"]
    posts().assign(llm_q=lambda d: 1.0 - d["llm_p"]).to_csv("both.csv", index=False)
    assert main(["validate", "both.csv", "--gold", "y", "--prediction", "llm", *both, "--out-csv", "two.csv"]) == 0
    assert command("--probability", "llm_p", "--out-csv", "one.csv") == 0
    np.testing.assert_allclose(read_exact("two.csv")["estimate"], read_exact("one.csv")["estimate"], rtol=1e-12)


def test_designs() -> None:
    posts().drop(columns="pi").to_csv("all.csv", index=False)
    sample = ["sample", "all.csv", "--method", "bernoulli", "--n-labels", "60", "--columns", "text", "--label", "y"]
    assert main([*sample, "--design", "d.npz", "--coder", "c.csv"]) == 0
    design = dsl.sampling.LabelDesign.load("d.npz")
    data = posts().assign(y=lambda d: (d["x"] > 0) * 1.0)
    data.loc[~design.drawn, "y"] = np.nan
    data.to_csv("drawn.csv", index=False)
    asked = ["validate", "drawn.csv", "--gold", "y", "--prediction", "llm", "--design", "d.npz", "--json", "v.json"]
    assert main(asked) == 0
    record = read_json("v.json")
    assert record["call"]["design"] == {"path": "d.npz", "fingerprint": design.fingerprint}
    assert record["n"] == design.n_drawn


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--probability", "llm_p", "--probability", "pi"], "name the label of each of several columns once"),
        (["--probability", "1=llm_p", "--probability", "1=pi"], "name the label of each of several columns once"),
        (["--by", "nothing"], "column 'nothing', named in by"),
        (["--out-csv", "coded.csv"], "coded.csv"),
        (["--bins", "1"], "bins is 1; it must be at least 2"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], more: list[str], words: str) -> None:
    assert command(*more) == 2
    assert words in capsys.readouterr().err
