"""A small study from a shell: a file of posts without labels, the truth, and coders who type it."""

import pandas as pd

from dsl.cli import main
from tests.posts import posts

BEGIN = [
    *("adaptive", "start", "raw.csv", "y ~ x", "--predicted", "y", "--prediction", "llm", "--confidence", "words"),
    *("--n-labels", "80", "--batches", "2", "--sl-method", "lm", "--error-model", "lm", "--seed", "3"),
    *("--log", "study.log", "--columns", "text", "--coder", "one.csv"),
]


def write_posts() -> None:
    """Posts whose texts are their numbers."""
    data = posts().drop(columns=["y", "lab", "pi"])
    data.assign(text=[f"post {j}" for j in range(len(data))]).to_csv("raw.csv", index=False)


def truth() -> pd.Series:
    """Labels of all posts, by row."""
    data = posts()
    return (data["x"] > 0).astype(int)


def fill(path: str, label: str = "y") -> pd.DataFrame:
    """The coder at work."""
    sheet = pd.read_csv(path, dtype=str).set_index("row")
    sheet[label] = truth()[sheet.index.astype(int)].to_numpy()
    sheet.to_csv(path)
    return sheet


def dsl(*arguments: str) -> int:
    """`dsl adaptive STEP raw.csv --log study.log ...`."""
    return main(["adaptive", arguments[0], "raw.csv", "--log", "study.log", *arguments[1:]])
