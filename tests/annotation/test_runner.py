"""Threads take work, results come as they are done, and an end of any kind waits for what is in flight."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from dsl.annotation.runner import ROOM, in_threads


def test_every_task_once() -> None:
    found = list(in_threads(range(500), lambda n: n + 1, concurrency=7, stop=threading.Event()))
    assert sorted(found) == [(n, n + 1) for n in range(500)]


def test_in_order_of_completion() -> None:
    gate = threading.Event()

    def work(n: int) -> int:
        if n == 0:
            assert gate.wait(10.0)
        return n

    results = in_threads(range(4), work, concurrency=2, stop=threading.Event())
    assert [next(results)[0] for _ in range(3)] == [1, 2, 3]
    gate.set()
    assert next(results) == (0, 0)


def test_tasks_are_taken_when_they_are_needed() -> None:
    """Of an endless source no more is taken than threads and waiting results can hold."""
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with closing(in_threads(source(), lambda n: n, concurrency=3, stop=threading.Event())) as results:
        for _ in range(10):
            next(results)
        time.sleep(0.05)
        assert taken <= 10 + ROOM * 3 + 3


def test_the_first_error_ends_it_after_the_others() -> None:
    stop = threading.Event()
    ended: list[int] = []
    all_begun = threading.Barrier(5)

    def work(n: int) -> int:
        all_begun.wait(10.0)
        if n == 3:
            raise ValueError("three")
        assert stop.wait(10.0)
        time.sleep(0.02)
        ended.append(n)
        return n

    with pytest.raises(ValueError, match="three"):
        list(in_threads(range(100), work, concurrency=5, stop=stop))
    assert sorted(ended) == [0, 1, 2, 4]


def test_an_error_of_the_source() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        list(in_threads(source(), lambda n: n, concurrency=2, stop=threading.Event()))


def test_leaving_waits_for_what_is_in_flight() -> None:
    stop = threading.Event()
    begun: list[int] = []
    ended: list[int] = []

    def work(n: int) -> int:
        begun.append(n)
        time.sleep(0.01)
        ended.append(n)
        return n

    with closing(in_threads(range(1000), work, concurrency=4, stop=stop)) as results:
        next(results)
    assert sorted(begun) == sorted(ended)
    assert len(begun) < 100
