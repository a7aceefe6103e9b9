"""Many questions at once: threads that take work, and results in the order in which they come."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
ROOM = 4
"""Finished results, for each thread, that may wait to be taken."""
LOOK = 0.5
"""Seconds after which the waiting main thread looks for an interruption: some systems deliver none to a thread that waits."""


class _End:
    """A thread has nothing more to do."""


def in_threads(
    tasks: Iterable[T],
    work: Callable[[T], R],
    *,
    concurrency: int,
    stop: threading.Event,
    idle: Callable[[], None] | None = None,
) -> Generator[tuple[T, R], None, None]:
    """Each task with what `work` makes of it, in order of completion.

    Tasks are taken when a thread is free, so that few of them and of their results are in memory.

    Parameters
    ----------
    tasks : iterable
    work : callable
        Called in several threads at once.
    concurrency : int
        Number of threads.
    stop : threading.Event
        Set when an error, an interruption or the caller ends the iteration. `work` may look at it. No task is begun any more;
        those that are begun are waited for.
    idle : callable, optional
        Called now and then while there is no result.

    Raises
    ------
    BaseException
        The first that `work` raised, after all threads have ended.

    Examples
    --------
    >>> sorted(in_threads(range(4), lambda n: n * n, concurrency=2, stop=threading.Event()))
    [(0, 0), (1, 1), (2, 4), (3, 9)]
    """
    source = iter(tasks)
    turn = threading.Lock()
    done: queue.Queue[tuple[T, R] | _End] = queue.Queue(maxsize=ROOM * concurrency)
    errors: list[BaseException] = []

    def labour() -> None:
        try:
            while not stop.is_set():
                with turn:
                    try:
                        task = next(source)
                    except StopIteration:
                        break
                done.put((task, work(task)))
        except BaseException as error:
            # before the others are stopped, so that the first error is the cause
            errors.append(error)
            stop.set()
        done.put(_End())

    threads = [threading.Thread(target=labour, daemon=True) for _ in range(concurrency)]
    running = 0
    try:
        for thread in threads:
            thread.start()
            running += 1
        while running:
            found = _taken(done, idle)
            if not isinstance(found, _End):
                yield found
                continue
            running -= 1
            if errors:
                raise errors[0]
    finally:
        stop.set()
        # what is in flight is finished and stored by `work`; a second interruption leaves at once
        while running:
            running -= isinstance(_taken(done, idle), _End)


def _taken(done: "queue.Queue[R]", idle: Callable[[], None] | None) -> R:
    while True:
        try:
            return done.get(timeout=LOOK)
        except queue.Empty:
            if idle is not None:
                idle()
