"""What is given to the thread is done in order, and no more waits than may."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from lbproxy.net.tap_thread import AT_ONCE, MUCH, TapThread
from tests.support.waiting import eventually


def test_no_more_waits_than_may() -> None:
    """One that finds no room is dropped, at once; there is room again when some are done."""
    going = threading.Event()
    done: list[str] = []

    def do(some: Sequence[str]) -> None:
        assert going.wait(120)
        done.extend(some)

    thread = TapThread(do, 100)
    assert thread.idle
    assert [thread.take(40, one) for one in "abc"] == [True, True, False]
    assert not thread.idle
    going.set()
    eventually(lambda: thread.idle, "both are done")
    assert thread.take(100, "d")
    eventually(lambda: done == ["a", "b", "d"], "in their order")


def test_some_at_a_time() -> None:
    """No more of them than the loop may wait for, in their order, and all before the process ends."""
    going = threading.Event()
    done: list[list[int]] = []

    def do(some: Sequence[int]) -> None:
        assert going.wait(120)
        done.append([*some])

    thread = TapThread(do, 1000)
    for number in range(100):
        assert thread.take(10, number)
    thread.settle(time.monotonic())
    assert not done, "nobody waits for longer than that"
    going.set()
    thread.settle(time.monotonic() + 120)
    assert [number for some in done for number in some] == [*range(100)]
    assert max(map(len, done)) <= AT_ONCE


def test_little_at_a_time() -> None:
    """Of large ones fewer, since what they take is told by their bytes; one that is larger than that goes alone."""
    going = threading.Event()
    done: list[list[int]] = []

    def do(some: Sequence[int]) -> None:
        assert going.wait(120)
        done.append([*some])

    thread = TapThread(do, 100 * MUCH)
    sizes = [1, MUCH // 2, MUCH // 2, MUCH // 2, 3 * MUCH, 1, 1]
    for number, size in enumerate(sizes):
        assert thread.take(size, number)
    going.set()
    thread.settle(time.monotonic() + 120)
    assert [number for some in done for number in some] == [*range(len(sizes))]
    assert all(len(some) == 1 or sum(sizes[number] for number in some) <= MUCH for some in done)
