"""What `dsl.annotate` costs beside the client and the server: time for each text, and memory.

    python -m benchmarks.annotate                    100,000 texts, some minutes
    python -m benchmarks.annotate --texts 10000

A fake server in a process of its own answers at once. The same client asks it the same questions from as many threads, without
cache, labels or table: the bare loop. What annotate needs more, in seconds of the clock and of the processor, is its
overhead: the median over pairs of runs on a tenth of the texts, in fresh processes and in turns, so that a busy machine
distorts it little. Memory is the peak above what was there before the call, less the columns that it adds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

import pandas as pd

from benchmarks import measure

SHARED = """
import os, sys, threading, time
import pandas as pd
import dsl
from benchmarks import measure
from dsl.annotation import Codebook
from dsl.annotation.client import ServerModel
from dsl.annotation.exchange import Item
from dsl.annotation.plan import planned

url, n, threads, folder = {url!r}, {n}, {threads}, {folder!r}
os.environ["OPENAI_API_KEY"] = "unused"
book = Codebook("Is the post positive?", {{"positive": "joy, praise or hope", "negative": "anything else"}})
words = "a post of some twenty words, as people write them every day about anything at all, and then a few more words"
data = pd.DataFrame({{"body": [f"#{{i}} {{words}}" for i in range(n)]}})
call = {{"text": "body", "codebook": book, "model": "m", "base_url": url, "concurrency": threads}}
"""
BARE = """
what = planned(data, **call)
interview = what.interview(what.parts[0])
requests = [interview.questions(Item(text=text), [])[0] for text in data["body"]]
ask = ServerModel(url)
source, turn = iter(requests), threading.Lock()

def loop():
    while True:
        with turn:
            request = next(source, None)
        if request is None:
            return
        ask(request)

wall, cpu = time.perf_counter(), time.process_time()
pool = [threading.Thread(target=loop) for _ in range(threads)]
for each in pool: each.start()
for each in pool: each.join()
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
ANNOTATE = """
found = []
def run():
    found.append(dsl.annotate(data, **call, cache=os.path.join(folder, f"{{os.getpid()}}.jsonl"), progress={progress}))
dsl.annotate(data.iloc[:100], **call, cache=os.path.join(folder, f"first-{{os.getpid()}}.jsonl"), progress=False)
wall, cpu = time.perf_counter(), time.process_time()
peak = measure.peak_above(run)
added = int(found[0].iloc[:, 1:].memory_usage(deep=True).sum())
print(time.perf_counter() - wall, time.process_time() - cpu, peak, added)
"""


def run(code: str, **values: object) -> list[float]:
    return [float(each) for each in measure.fresh_process((SHARED + code).format(**values)).split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.annotation.server"], stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        try:
            assert server.stdout is not None
            values = {
                "url": server.stdout.readline().strip(),
                "threads": args.threads,
                "folder": folder,
                "progress": False,
            }
            pairs = [
                (run(BARE, n=args.texts // 10, **values), run(ANNOTATE, n=args.texts // 10, **values))
                for _ in range(args.repeats)
            ]
            whole = run(ANNOTATE, n=args.texts, **values)
        finally:
            server.kill()
    n, million = args.texts, 1e6
    wall, cpu = (statistics.median(10_000 * (ours[j] - bare[j]) / n for bare, ours in pairs) for j in (0, 1))
    client = statistics.median(10_000 * bare[1] / n for bare, _ in pairs)
    peaks = {n / 10: pairs[0][1], n: whole}
    rows = [
        ("overhead a text, by the clock", f"{wall:.3f} ms", "<= 1 ms", "met" if wall <= 1.0 else "MISSED"),
        ("overhead a text, of the processor", f"{cpu:.3f} ms", "<= 1 ms", "met" if cpu <= 1.0 else "MISSED"),
        ("the client itself, of the processor", f"{client:.3f} ms", "", ""),
        (f"annotate, {n:,} texts, {args.threads} threads", f"{whole[0]:.0f} s", "", ""),
        *(
            (f"peak memory at {size:,.0f} texts, less new columns", f"{(each[2] - each[3]) / million:.1f} MB", "", "")
            for size, each in peaks.items()
        ),
    ]
    print(pd.DataFrame(rows, columns=["what", "figure", "target", ""]).to_string(index=False))


if __name__ == "__main__":
    main()
