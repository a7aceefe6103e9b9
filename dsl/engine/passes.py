"""Tasks side by side that read the same passes over data which are not in memory.

The solvers of `dsl.engine.fit` read all rows again and again, each in its own loop. Here every split's solver runs in a thread of
its own. A pass begins when all solvers that are not done wait for one, reads every block once and hands it to each of them. What
a solver makes of its pass is its own business: one may be at a Newton step while another sums the meat. Sums are taken in the
order of the rows, so that no number depends on the threads.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")
B = TypeVar("B")
Maker = Callable[[int], B]
"""Makes the block of one task from what a pass has read."""


class StoppedError(Exception):
    """Another task failed, or the user stopped all."""


class Passes(Generic[B]):
    """Passes over blocks, for several tasks at once.

    Parameters
    ----------
    read : callable
        One pass: for each block what makes it, task by task. It runs in the thread that calls `run`.

    Examples
    --------
    >>> passes = Passes(lambda: iter([lambda task: task, lambda task: 10 * task]))
    >>> def twice(task):
    ...     return sum(passes.blocks(task)) + sum(passes.blocks(task))
    >>> passes.run([twice, twice, twice])
    [0, 22, 44]
    """

    def __init__(self, read: Callable[[], Iterator[Maker[B]]]) -> None:
        self.count = 0
        self._read = read
        self._changed = threading.Condition()
        self._waiting = set[int]()
        self._reading = set[int]()
        self._busy = set[int]()
        self._item: Maker[B] | None = None
        self._turn = self._begun = 0
        self._live = self._run = 0
        self._stopped = False

    def blocks(self, task: int) -> Iterator[B]:
        """The blocks of one pass, for one task."""
        run = self._run
        with self._changed:
            self._waiting.add(task)
            self._changed.notify_all()
            self._wait(lambda: task in self._reading)
            turn = self._begun
        try:
            while True:
                with self._changed:
                    self._wait(lambda seen=turn: self._turn > seen)  # type: ignore[misc]
                    turn, maker = self._turn, self._item
                if maker is None:
                    return
                yield maker(task)
                with self._changed:
                    self._busy.discard(task)
                    self._changed.notify_all()
        finally:
            with self._changed:
                # a loop that an error ended may be closed late, when others read
                if run == self._run:
                    self._reading.discard(task)
                    self._busy.discard(task)
                    self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self._stopped or ready())
        if self._stopped:
            raise StoppedError

    def run(self, tasks: Sequence[Callable[[int], T]]) -> list[T]:
        """Results of the tasks, each called with its number. Whatever the first of them raises is raised here."""
        results: dict[int, T] = {}
        errors: dict[int, BaseException] = {}

        def work(number: int) -> None:
            try:
                with np.errstate(all="ignore"):
                    results[number] = tasks[number](number)
            except StoppedError:
                pass
            except BaseException as error:
                errors[number] = error
            finally:
                with self._changed:
                    self._live -= 1
                    self._stopped = self._stopped or bool(errors)
                    self._changed.notify_all()

        self._live, self._stopped, self._run = len(tasks), False, self._run + 1
        self._waiting, self._reading, self._busy = set(), set(), set()
        threads = [threading.Thread(target=copy_context().run, args=(work, j), daemon=True) for j in range(len(tasks))]
        for thread in threads:
            thread.start()
        try:
            self._serve()
        except StoppedError:
            pass
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            for thread in threads:
                thread.join()
        if errors:
            raise errors[min(errors)]
        return [results[number] for number in range(len(tasks))]

    def _serve(self) -> None:
        """One pass after the other, until no task is left."""
        while True:
            with self._changed:
                self._wait(lambda: len(self._waiting) == self._live)
                if not self._live:
                    return
                self._reading, self._waiting, self._begun = self._waiting, set(), self._turn
                self._changed.notify_all()
            self.count += 1
            items = self._read()
            while (item := next(items, None)) is not None:
                self._publish(item)
            self._publish(None)

    def _publish(self, item: Maker[B] | None) -> None:
        """Hand the next block (None at the end) to all that read, once they are done with the one before."""
        with self._changed:
            self._wait(lambda: not self._busy)
            self._item, self._busy = item, set() if item is None else set(self._reading)
            self._turn += 1
            self._changed.notify_all()
            if item is None:
                self._wait(lambda: not self._reading)
