"""Runs pytest again and again in processes that need not import the libraries anew: ``python -m tests.mutation.server``.

Started in a copy of the tree. Reads a request a line, forks, and answers with the exit status. What it has imported of the
package itself is forgotten before the first fork, so that each process reads the source as it is then.
"""

import json
import os
import resource
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

LIBRARIES = ("pytest", "statsmodels.formula.api", "sklearn.linear_model", "dsl")
MEMORY = 12 * 2**30
"""Bytes of address space: a change may ask for far more than there is."""
WAITING = 10
"""Seconds of the clock allowed for each second of processor time, which a busy machine hands out slowly."""


def child(request: dict[str, Any]) -> int:
    """Run pytest under limits, and write what it says to a file."""
    resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"], request["seconds"] + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    out = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    pytest = import_module("pytest")
    status = int(pytest.main(request["arguments"]))
    sys.stdout.flush()
    return status


def wait(pid: int, seconds: float) -> int:
    """Exit status; that of a signal below zero."""
    end, pause = time.monotonic() + seconds, 0.01
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.killpg(pid, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        time.sleep(pause)
        pause = min(pause * 2, 0.5)


def main() -> None:
    """Serve until the input ends."""
    for name in LIBRARIES:
        module = import_module(name)
    where = Path(str(module.__file__)).parent
    for name in [name for name in sys.modules if name.partition(".")[0] in ("dsl", "tests") and name != "__main__"]:
        del sys.modules[name]
    print(json.dumps({"dsl": str(where)}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            status = 3
            try:
                status = child(request)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(json.dumps({"status": wait(pid, WAITING * request["seconds"])}), flush=True)


if __name__ == "__main__":
    main()
