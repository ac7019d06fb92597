"""What is given to the thread is done in order, and no more waits than may."""

from __future__ import annotations

import threading

import pytest

from lbproxy.net.tap_thread import TapThread
from tests.support.waiting import eventually


def test_no_more_waits_than_may() -> None:
    """One that finds no room is dropped, at once; there is room again when some are done."""
    going = threading.Event()
    done: list[str] = []
    lost: list[int] = []

    def do(one: str) -> None:
        assert going.wait(120)
        done.append(one)

    thread = TapThread(do, 100, lambda: lost.append(1))
    assert thread.idle
    assert [thread.take(40, one) for one in "abc"] == [True, True, False]
    assert not thread.idle
    going.set()
    eventually(lambda: thread.idle, "both are done")
    assert thread.take(100, "d")
    eventually(lambda: done == ["a", "b", "d"], "in their order")
    assert lost == []


@pytest.mark.parametrize("error", [OSError, ValueError])
def test_one_that_fails_is_lost_and_the_next_is_done(error: type[Exception]) -> None:
    """It is told of each; what a failed one held is free again."""
    done: list[str] = []
    lost: list[int] = []

    def do(one: str) -> None:
        if one == "bad":
            raise error
        done.append(one)

    thread = TapThread(do, 100, lambda: lost.append(1))
    assert thread.take(100, "bad")
    eventually(lambda: thread.take(100, "good"), "there is room again")
    eventually(lambda: (done, lost) == (["good"], [1]), "the one is lost, the other done")
