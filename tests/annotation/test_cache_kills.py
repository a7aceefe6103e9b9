"""A process that is killed at any moment: nothing whole is lost, nothing is paid for twice, and the table is the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl.annotation import Codebook
from dsl.annotation.cache import Cache
from dsl.annotation.exchange import Item
from dsl.annotation.plan import planned
from dsl.exceptions import CacheError
from tests.annotation.server import SECRET, Fake

BOOK = Codebook("Is it positive?", ["positive", "negative"])
THREADS = 8
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
LIFE = """
import pandas as pd, sys
import dsl
book = dsl.annotation.Codebook("Is it positive?", ["positive", "negative"])
data = pd.DataFrame({"body": [f"#{i} so" for i in range(int(sys.argv[2]))]})
found = dsl.annotate(data, text="body", codebook=book, model="m", base_url=sys.argv[1], progress=False)
found.to_pickle("found.pkl")
"""


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


def start(fake: Fake, texts: int) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen([sys.executable, "-c", LIFE, fake.url, str(texts)], env=environment)


def wait_for(fake: Fake, answers: int) -> None:
    until = time.monotonic() + 120.0
    while fake.answered < answers:
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.long
def test_killed_at_random_moments(kills: int) -> None:
    texts = 60 * kills
    data = pd.DataFrame({"body": [f"#{i} so" for i in range(texts)]})
    what = planned(data, text="body", codebook=BOOK, model="m")
    keys = [what.interview(what.parts[0]).questions(Item(text=body), [])[0].key() for body in data["body"]]
    rng = np.random.default_rng(kills)
    path, before = Path("labels.jsonl"), b""
    with Fake(every=0.02) as fake:
        for life in range(kills + 1):
            with Cache(path) as cache:
                stored = {number for number, key in enumerate(keys) if key in cache}
            asked = fake.asked.copy()
            process = start(fake, texts)
            if life < kills:
                wait_for(fake, fake.answered + int(rng.integers(1, 50)))
                time.sleep(0.02 * float(rng.random()))
                process.send_signal(KILL)
            process.wait(120.0)
            # what was written stays as it was, to the byte, and a new life asks once for what is not there
            after = path.read_bytes()
            assert after.startswith(before)
            before = after
            mine = fake.asked - asked
            assert set(mine.values()) <= {1}
            assert stored.isdisjoint(mine)
        # of each life those in flight at its end may have to be asked again
        assert texts <= sum(fake.asked.values()) <= texts + kills * THREADS
        assert process.returncode == 0
        found = pd.read_pickle("found.pkl")
        undisturbed = dsl.annotate(
            data, text="body", codebook=BOOK, model="m", base_url=fake.url, cache="other.jsonl", progress=False
        )
    pd.testing.assert_frame_equal(found, undisturbed)
    with Cache(path) as cache:
        assert len(cache) == texts


@pytest.mark.long
def test_two_processes_on_one_cache() -> None:
    """The second is refused, and the first one's answers are whole."""
    with Fake(every=0.03) as fake:
        process = start(fake, 80)
        # more than can be in flight, so that some are stored
        wait_for(fake, 2 * THREADS)
        data = pd.DataFrame({"body": [f"#{i} so" for i in range(90)]})
        more = {"text": "body", "codebook": BOOK, "model": "m", "base_url": fake.url, "progress": False}
        with pytest.raises(CacheError, match=r"another process writes its answers to '.*labels.jsonl'"):
            dsl.annotate(data, **more)  # type: ignore[arg-type]
        # looking is allowed
        seen = dsl.annotation.estimate_cost(data, **more).cached
        assert 0 < seen < 80
        assert process.wait(120.0) == 0
        dsl.annotate(data, **more)  # type: ignore[arg-type]
        assert fake.asked == dict.fromkeys(range(90), 1)
