"""Archives that one environment writes and another makes again: `python -m tests.round_trip other/bin/python` goes both ways.

`make test-lowest` runs it, between today's versions and the lowest ones.
"""

import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

import dsl
from dsl.analyses import archive
from dsl.cli import main
from tests.posts import posts, run

TABLE: dict[str, Any] = {"predicted_var": "topic", "prediction": "topic_llm"}
CALLS: dict[str, dict[str, Any]] = {
    "lm": {"formula": "y ~ poly(x, 2) + cut(words, breaks = c(0, 20, 60)) + stage", "sample_split": 3},
    "logit": {"formula": "y ~ x + day", "model": "logit", "sl_method": "ridge", "vcov": "HC1"},
    "felm": {"formula": "y ~ x | g", "model": "felm", "cluster": "cl"},
    "poisson": {"formula": "y ~ x", "model": "poisson", "tune": "matrix"},
    "dsl+": {"formula": "y ~ x + g", "estimator": "dsl+", "cluster": "cl", "sl_method": "auto"},
    "ppi++": {"formula": "y ~ x", "estimator": "ppi++"},
    "cdi": {"formula": "y ~ x", "estimator": "cdi", "sample_prob": "pi"},
    "stratified": {"formula": "y ~ x", "design": "stratified", "target": "finite"},
    "clusters": {"formula": "y ~ x", "design": "clustered", "cluster": "cl"},
    "categories": {"formula": "topic ~ x", "model": "multinom", **TABLE},
    "dummy": {"formula": "I(topic == 'law') ~ x", "estimator": "dsl+", **TABLE},
    "covariate": {"formula": "x ~ topic", **TABLE},
}
"""Each is a fit, with what `tests.posts.run` adds."""
WITH_DATA = ("lm", "categories")
"""Made again from the data in the archive, the others from a CSV file."""


def table() -> pd.DataFrame:
    """Posts with a topic of three in words that ASCII lacks, an ordered category and a date."""
    data, rng = posts(), np.random.default_rng(5)
    topics = np.array(["Ökologie", "law", "スポーツ"])
    true = (data["z"] + (rng.random(len(data)) < 0.2)) % 3
    guess = np.where(rng.random(len(data)) < 0.75, true, rng.integers(0, 3, len(data)))
    return data.assign(
        topic=pd.Series(topics[true]).where(data["y"].notna()),
        topic_llm=topics[guess],
        stage=pd.Categorical(
            np.array(["low", "top", "mid"])[data["z"]], categories=["low", "mid", "top"], ordered=True
        ),
        day=pd.Timestamp("2020-01-01") + pd.to_timedelta(data["words"], unit="D"),
    )


def fitted(case: str) -> tuple[Any, pd.DataFrame]:
    """A fit and its data."""
    given, data = dict(CALLS[case]), table()
    if "design" in given:
        truth = data["y"].fillna(data["llm"])
        if given["design"] == "stratified":
            given["design"] = dsl.sampling.stratified(data, by="g", n_labels=90, seed=1)
        else:
            given["design"] = dsl.sampling.clustered(data, 10, by="cl", seed=1)
        data = data.assign(y=truth.where(given["design"].drawn))
    return run(data, given.pop("formula"), **given), data


def write(folder: Path, case: str) -> None:
    """The archive of a case, and its data as a CSV file."""
    fit, data = fitted(case)
    fit.archive(folder / f"{case}.zip", include_data=case in WITH_DATA)
    data.to_csv(folder / f"{case}.csv", index=False)


def read(folder: Path, case: str) -> tuple[int, str]:
    """Exit code and output of ``dsl replicate``."""
    out, path = StringIO(), folder / f"{case}.zip"
    with redirect_stdout(out):
        code = main(["replicate", str(path), *([] if case in WITH_DATA else [str(path.with_suffix(".csv"))])])
    return code, out.getvalue()


def _go(*words: str) -> None:
    subprocess.run([words[0], "-m", "tests.round_trip", *words[1:]], check=True)


def _here(what: str, folder: Path) -> int:
    """Write all archives, or read all, in this process."""
    # the page is the slowest part of an archive and no number is read from it: one is written whole
    page, bad = archive.report_html, 0
    for case in CALLS:
        archive.report_html = page if case == "lm" else lambda *_, **__: ""  # type: ignore[assignment]
        if what == "--write":
            write(folder, case)
            continue
        code, out = read(folder, case)
        if code or "Versions that differ" not in out:
            bad += 1
            print(f"{case}: exit code {code}\n{out}")
    if what == "--read":
        print(f"{len(CALLS) - bad} of {len(CALLS)} archives of another environment give the same numbers")
    return int(bad > 0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if len(sys.argv) == 3:
        sys.exit(_here(sys.argv[1], Path(sys.argv[2])))
    for first, second in ((sys.executable, sys.argv[1]), (sys.argv[1], sys.executable)):
        with TemporaryDirectory() as made:
            _go(first, "--write", made)
            _go(second, "--read", made)
