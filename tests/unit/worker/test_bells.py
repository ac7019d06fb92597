"""Workers that wake each other."""

from __future__ import annotations

import os
import threading

import gevent
from gevent.event import Event
from gevent.hub import get_hub

from lbproxy.worker.bells import Bells


class Waiting:
    """A queue that counts."""

    def __init__(self, turns: int) -> None:
        self.served = Event()
        self.over = Event()
        self.turns = turns

    def serve(self) -> None:
        self.served.set()

    def turn(self) -> bool:
        self.turns -= 1
        if not self.turns:
            self.over.set()
        return self.turns > 0


def test_a_ring_is_heard_by_the_worker_of_that_row_only() -> None:
    """As soon as somebody waits there, also when it rang before; and not again."""
    fds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
    try:
        workers = [Bells(get_hub().loop, fds, child) for child in range(2)]
        queues = [Waiting(1_000_000), Waiting(1_000_000)]
        workers[1].ring(0)
        for worker, queue in zip(workers, queues, strict=True):
            worker.attend(queue)
        assert queues[0].served.wait(10)
        queues[0].served.clear()
        workers[0].ring(1)
        workers[0].ring(3)  # the same bell: there are fewer bells than rows
        assert queues[1].served.wait(10)
        assert not queues[0].served.is_set()
    finally:
        for worker in workers:
            worker._watcher.close()
            worker._timer.close()
        for fd in fds:
            os.close(fd)


def test_time_passes_only_while_somebody_waits() -> None:
    """The timer stops with the last one, and starts again with the next."""
    bells = Bells(get_hub().loop, (), 0)
    for _ in range(2):
        queue = Waiting(2)
        bells.attend(queue)
        assert queue.over.wait(10)
        gevent.sleep(0)
        assert not bells._timer.active
        assert not bells._watcher.active
    bells._watcher.close()
    bells._timer.close()
    os.close(bells._mine)


def test_a_bell_that_was_made_to_block_holds_nobody_up() -> None:
    """Whoever shares it can take O_NONBLOCK away and fill or empty it: a worker that rang it, or was rung for, waited for ever."""
    fd = os.eventfd(0)
    os.eventfd_write(fd, 2**64 - 2)
    bells = Bells(get_hub().loop, (fd,), 0)
    try:
        for attempt in (lambda: bells.ring(0), bells._on_ring, bells._on_ring):
            done = threading.Event()
            thread = threading.Thread(target=lambda attempt=attempt, done=done: (attempt(), done.set()), daemon=True)
            thread.start()
            assert done.wait(10)
    finally:
        bells._watcher.close()
        bells._timer.close()
        os.close(fd)
