"""Clients of HTTP/2: several requests under way on one connection, each followed by the next one after a pause.

A connection whose server has said GOAWAY gets no further request; what is under way on it is waited for, while the next requests go
over a new one, as browsers do it.
"""

from __future__ import annotations

import random
import select
import ssl
import time
from typing import NamedTuple

from bench.reload.clients import AFTER_A_LOSS, Client, World, check
from bench.reload.connection import Answer
from bench.reload.h2_connection import PROTOCOL, Elsewhere, H2Connection, Result
from bench.reload.outcome import Lost

LOOK = 0.05
"""Seconds until the next look whether the load is over, or a window has to be opened."""


class Asked(NamedTuple):
    """A request under way."""

    slot: int
    begun: float
    wanted: Answer
    timed: bool


class H2Client(Client):
    """Every second one is quiet: its requests are rare, and its connection is idle in between. The first one downloads, too."""

    kind = "h2"

    def __init__(self, world: World, context: ssl.SSLContext, number: int) -> None:
        """`context` offers h2."""
        super().__init__(world)
        self._context = context
        self._quiet = number % 2 == 1
        self._downloads = number == 0 and world.expected.big is not None
        self._due = [time.monotonic() + random.uniform(0.0, 0.1) for _ in range(world.job.h2_streams)]
        """When each of its requests that are under way at once is to follow the one before."""
        self._current: H2Connection | None = None
        self._leaving: list[H2Connection] = []
        self._under: dict[tuple[H2Connection, int], Asked] = {}

    def run(self) -> None:
        try:
            while not self.world.stop.is_set():
                self._begin()
                self._wait()
            for connection in self._all():
                connection.hurry()
            while self._under:
                self._wait()
            for connection in self._all():
                connection.close()
        except BaseException as error:  # told by the main thread
            self.broken = error

    def _all(self) -> list[H2Connection]:
        return [*self._leaving, *([self._current] if self._current is not None else [])]

    def _free(self) -> list[int]:
        busy = {asked.slot for asked in self._under.values()}
        return [slot for slot in range(len(self._due)) if slot not in busy]

    def _begin(self) -> None:
        """All requests that are due."""
        now = time.monotonic()
        for slot in self._free():
            if self._due[slot] <= now:
                try:
                    self._ask(slot)
                except Lost as loss:
                    self._lose(slot, loss)

    def _ask(self, slot: int) -> None:
        """Lost when there is no connection to be had."""
        if self._current is not None:
            self._settle(self._current)  # the last look before anything is sent
            if not self._current.usable:
                self._leave(self._current)
        if self._current is None:
            self.tally.connections += 1
            self._current = H2Connection(self.world.job, self._context)
        job, expected = self.world.job, self.world.expected
        if slot == 0 and self._downloads and expected.big is not None:
            stream = self._current.begin(job.big, rate=expected.big.length / job.download_seconds)
            asked = Asked(slot, time.monotonic(), expected.big, False)
        else:
            stream = self._current.begin(job.small)
            asked = Asked(slot, time.monotonic(), expected.small, True)
        self._under[self._current, stream] = asked

    def _wait(self) -> None:
        """For answers, or until the next request is due."""
        connections = self._all()
        now = time.monotonic()
        until = min([LOOK, *(max(0.0, self._due[slot] - now) for slot in self._free())])
        if not connections:
            time.sleep(until)
            return
        poll = select.poll()
        for connection in connections:
            poll.register(connection.fileno(), select.POLLIN)
        poll.poll(until * 1000 + 1)
        for connection in connections:
            self._settle(connection)
            if not connection.usable:
                self._leave(connection)

    def _settle(self, connection: H2Connection) -> None:
        for stream, result in connection.take():
            self._record(self._under.pop((connection, stream)), result, connection.local_port)

    def _record(self, asked: Asked, result: Result, local_port: int) -> None:
        job = self.world.job
        pause = random.uniform(*job.idle_pause) if self._quiet else random.uniform(0.0, 2 * job.h2_pause)
        self._due[asked.slot] = time.monotonic() + pause
        if isinstance(result, Elsewhere):
            self.tally.elsewhere += 1
            return
        try:
            if isinstance(result, Lost):
                raise result
            check(result, asked.wanted, local_port)
        except Lost as loss:
            self._lose(asked.slot, loss)
            return
        self.tally.done[self.kind] += 1
        if asked.timed:
            self.tally.waits.append(time.monotonic() - asked.begun)

    def _lose(self, slot: int, loss: Lost) -> None:
        self.tally.lose(time.monotonic() - self.world.began, self.kind, loss)
        self._due[slot] = time.monotonic() + AFTER_A_LOSS

    def _leave(self, connection: H2Connection) -> None:
        """No further request goes over it; closed, once nothing is under way on it."""
        if connection is self._current:
            self._current = None
            self._leaving.append(connection)
            if connection.last is not None:
                self.tally.renewed += 1
            elif not connection.lost:
                self.tally.noticed[connection.how] += 1
        if not connection.open:
            self._leaving.remove(connection)
            connection.close()


def h2_clients(world: World) -> list[Client]:
    """As the job says; not started."""
    if not world.job.h2:
        return []
    context = ssl.create_default_context(cafile=world.job.ca)
    context.set_alpn_protocols([PROTOCOL])
    return [H2Client(world, context, number) for number in range(world.job.h2)]
