"""Workers that wake each other."""

from __future__ import annotations

import os
import threading

import gevent
from gevent.event import Event
from gevent.hub import get_hub

from lbproxy.worker.wakeups import Wakeups


class Waiting:
    """A queue that counts."""

    def __init__(self, turns: int) -> None:
        self.served = Event()
        self.over = Event()
        self.turns = turns

    def serve(self) -> None:
        self.served.set()

    def look_again(self) -> bool:
        self.turns -= 1
        if not self.turns:
            self.over.set()
        return self.turns > 0


def test_only_the_worker_of_that_row_wakes_up() -> None:
    """As soon as somebody waits there, also when it was woken before; and not again."""
    fds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
    try:
        workers = [Wakeups(get_hub().loop, fds, child) for child in range(2)]
        queues = [Waiting(1_000_000), Waiting(1_000_000)]
        workers[1].wake(0)
        for worker, queue in zip(workers, queues, strict=True):
            worker.watch(queue)
        assert queues[0].served.wait(60)
        queues[0].served.clear()
        workers[0].wake(1)
        workers[0].wake(3)  # the same eventfd: there are fewer of them than rows
        assert queues[1].served.wait(60)
        assert not queues[0].served.is_set()
    finally:
        for worker in workers:
            worker._watcher.close()
            worker._timer.close()
        for fd in fds:
            os.close(fd)


def test_time_passes_only_while_somebody_waits() -> None:
    """The timer stops with the last one, and starts again with the next."""
    wakeups = Wakeups(get_hub().loop, (), 0)
    for _ in range(2):
        queue = Waiting(2)
        wakeups.watch(queue)
        assert queue.over.wait(60)
        gevent.sleep(0)
        assert not wakeups._timer.active
        assert not wakeups._watcher.active
    wakeups._watcher.close()
    wakeups._timer.close()
    os.close(wakeups._mine)


def test_an_eventfd_that_was_made_to_block_holds_nobody_up() -> None:
    """Whoever shares it can take O_NONBLOCK away and fill or empty it: a worker that wrote to it, or read it, waited for ever."""
    fd = os.eventfd(0)
    os.eventfd_write(fd, 2**64 - 2)
    wakeups = Wakeups(get_hub().loop, (fd,), 0)
    try:
        for attempt in (lambda: wakeups.wake(0), wakeups._on_wakeup, wakeups._on_wakeup):
            done = threading.Event()
            thread = threading.Thread(target=lambda attempt=attempt, done=done: (attempt(), done.set()), daemon=True)
            thread.start()
            assert done.wait(60)
    finally:
        wakeups._watcher.close()
        wakeups._timer.close()
        os.close(fd)
