"""Tasks side by side that read the same passes over data which are not in memory.

The solvers of `dsl.engine.fit` read all rows again and again, each in its own loop. Here every split's solver runs in a thread of
its own. A pass begins when all solvers that are not done wait for one, and reads every block once. A solver may read the blocks
itself, or ask for sums that are taken for all who ask at once. What a solver makes of its pass is its own business: one may be at
a Newton step while another sums the meat.

What was asked for is summed over each block in a few threads, while the next blocks are read. Sums are added in the order of the
rows, so that no number depends on the threads.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Generic, Protocol, TypeVar

import numpy as np

T = TypeVar("T")
B = TypeVar("B")
Maker = Callable[[int], B]
"""Makes the block of one task from what a pass has read."""
Q = TypeVar("Q")
A = TypeVar("A")
M = TypeVar("M", contravariant=True)
V = TypeVar("V", covariant=True)


class Gathers(Protocol[M, V]):
    """Sums that several tasks have asked for."""

    def part(self, made: M) -> Callable[[], None]:
        """Take sums over one block, in any thread. What adds them is called in the order of the blocks."""
        ...

    def answers(self) -> Mapping[int, V]:
        """By task, after the last block."""
        ...


class StoppedError(Exception):
    """Another task failed, or the user stopped all."""


class Passes(Generic[B, Q, A]):
    """Passes over blocks, for several tasks at once.

    Parameters
    ----------
    read : callable
        One pass: for each block what makes it, task by task. It runs in the thread that calls `run`.
    gather : callable, optional
        Sums over blocks of what tasks ask for, by task.
    threads : int
        Blocks over which sums are taken at the same time.
    between : callable, optional
        Called in that thread before each pass and after the last, when no task works.

    Examples
    --------
    >>> passes = Passes(lambda: iter([lambda task: task, lambda task: 10 * task]))
    >>> def twice(task):
    ...     return sum(passes.blocks(task)) + sum(passes.blocks(task))
    >>> passes.run([twice, twice, twice])
    [0, 22, 44]
    """

    def __init__(
        self,
        read: Callable[[], Iterator[Maker[B]]],
        gather: Callable[[Mapping[int, Q]], Gathers[Maker[B], A]] | None = None,
        threads: int = 1,
        between: Callable[[], object] = lambda: None,
    ) -> None:
        self.count = 0
        self._read, self._gather, self._threads, self._between = read, gather, threads, between
        self._asked: dict[int, Q] = {}
        self._answers: dict[int, A] = {}
        self._changed = threading.Condition()
        self._waiting = set[int]()
        self._reading = set[int]()
        self._busy = set[int]()
        self._item: Maker[B] | None = None
        self._turn = self._begun = 0
        self._live = self._run = 0
        self._stopped = False

    def blocks(self, task: int, like: int | None = None) -> Iterator[B]:
        """The blocks of one pass, for one task: its own, or those of the task that it looks over the shoulder of."""
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
                yield maker(task if like is None else like)
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

    def ask(self, task: int, what: Q) -> A:
        """Sums of one pass, for one task."""
        with self._changed:
            self._asked[task] = what
            self._waiting.add(task)
            self._changed.notify_all()
            self._wait(lambda: task in self._answers)
            return self._answers.pop(task)

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
        self._asked, self._answers = {}, {}
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
        with ThreadPoolExecutor(self._threads) as pool:
            while True:
                with self._changed:
                    self._wait(lambda: len(self._waiting) == self._live)
                self._between()
                with self._changed:
                    if not self._live:
                        return
                    asked, self._asked = self._asked, {}
                    self._reading, self._waiting, self._begun = self._waiting.difference(asked), set(), self._turn
                    self._changed.notify_all()
                self.count += 1
                self._one_pass(pool, asked)

    def _one_pass(self, pool: ThreadPoolExecutor, asked: Mapping[int, Q]) -> None:
        gathered = None if self._gather is None or not asked else self._gather(asked)
        reading, under_way = bool(self._reading), deque[Future[Callable[[], None]]]()
        items = self._read()
        try:
            for made in items:
                if gathered is not None:
                    under_way.append(pool.submit(copy_context().run, gathered.part, made))
                    # as many are under way as there are threads, and one waits
                    while len(under_way) > self._threads:
                        under_way.popleft().result()()
                if reading:
                    self._publish(made)
        finally:
            # what reads has something to close, where the user interrupts
            if isinstance(items, Generator):
                items.close()
        if gathered is not None:
            for part in under_way:
                part.result()()
            with self._changed:
                self._answers.update(gathered.answers())
                self._changed.notify_all()
        if reading:
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
