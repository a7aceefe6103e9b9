"""Tasks side by side over the same passes."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from dsl.engine.passes import Maker, Passes


def test_a_pass_serves_all_that_wait_for_one() -> None:
    passes = Passes(lambda: iter([lambda task: (task, n) for n in range(4)]))  # noqa: B023

    def task(number: int) -> list[int]:
        # as many passes as the task's number
        return [len([*passes.blocks(number)]) for _ in range(number)]

    assert passes.run([task] * 5) == [[], [4], [4] * 2, [4] * 3, [4] * 4]
    assert passes.count == 4


def test_the_first_error_is_raised_and_all_stop() -> None:
    passes = Passes(lambda: iter([lambda task: task] * 100))

    def task(number: int) -> int:
        for _ in passes.blocks(number):
            if number == 2:
                raise ValueError("two")
        return number

    with pytest.raises(ValueError, match="two"):
        passes.run([task] * 4)
    # it can be used again
    assert passes.run([lambda number: sum(passes.blocks(number))] * 2) == [0, 100]


def test_an_error_while_reading_is_raised() -> None:
    def read() -> Iterator[object]:
        yield lambda task: task
        raise OSError("gone")

    passes = Passes(read)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="gone"):
        passes.run([lambda number: list(passes.blocks(number))] * 3)


def test_a_task_may_leave_a_pass_early() -> None:
    passes = Passes(lambda: iter([lambda task: 1] * 10))

    def task(number: int) -> int:
        blocks = passes.blocks(number)
        first = next(blocks)
        if number:
            blocks.close()
            return first
        return first + sum(blocks)

    assert passes.run([task] * 3) == [10, 1, 1]


class Total:
    """The sum of the blocks of each task that asks, times what it asks."""

    def __init__(self, asked: Mapping[int, int]) -> None:
        self.asked, self.parts = asked, list[dict[int, int]]()

    def part(self, made: Maker[int]) -> Callable[[], None]:
        found = {task: factor * made(task) for task, factor in self.asked.items()}
        return lambda: self.parts.append(found)

    def answers(self) -> dict[int, int]:
        return {task: sum(part[task] for part in self.parts) for task in self.asked}


def test_tasks_that_ask_and_tasks_that_read_share_a_pass() -> None:
    passes: Passes[int, int, int] = Passes(lambda: iter([lambda task: task, lambda task: 10 * task]), Total, threads=3)

    def task(number: int) -> tuple[int, int]:
        first = passes.ask(number, 2) if number % 2 else sum(passes.blocks(number))
        return first, passes.ask(number, -1)

    assert passes.run([task] * 4) == [(0, 0), (22, -11), (22, -22), (66, -33)]
    assert passes.count == 2


def test_an_error_in_sums_is_raised() -> None:
    def made(task: int) -> int:
        raise ValueError("sums")

    passes: Passes[int, int, int] = Passes(lambda: iter([made] * 9), Total, threads=2)
    with pytest.raises(ValueError, match="sums"):
        passes.run([lambda number: passes.ask(number, 1)] * 2)


def test_what_is_called_between_passes_finds_no_task_at_work() -> None:
    done, seen = list[int](), list[int]()
    passes: Passes[int, int, int] = Passes(
        lambda: iter([lambda task: 1] * 3), Total, between=lambda: seen.append(len(done))
    )

    def task(number: int) -> int:
        for _ in range(2 + number):
            total = passes.ask(number, 1) if done else sum(passes.blocks(number))
            time.sleep(0.01)
            done.append(total)
        return number

    assert passes.run([task] * 2) == [0, 1]
    # passes of both, of both, of one
    assert seen == [0, 2, 4, 5]


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal to a thread")
def test_an_interruption_stops_all() -> None:
    threads, closed = threading.enumerate(), list[bool]()

    def read() -> Iterator[Maker[int]]:
        try:
            for _ in range(100):
                yield lambda task: task
        finally:
            closed.append(True)

    passes: Passes[int, int, int] = Passes(read, Total, threads=2)

    def task(number: int) -> int:
        if number == 2:
            return passes.ask(number, 1)
        for count, _ in enumerate(passes.blocks(number)):
            # while the main thread waits for this one
            if number == 1 and count == 5:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                time.sleep(0.05)
        return number

    # other tests, or what runs them, may handle the signal in their own way
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            passes.run([task] * 3)
    finally:
        signal.signal(signal.SIGINT, before)
    assert closed == [True]
    assert threading.enumerate() == threads
