"""The kinds of clients. Each is a thread with one connection at a time and a tally of its own; none ever asks again.

busy      over a kept connection, one request after the other
idle      the same with 0.2 to 1.5 s between two requests: the connection is nearly always idle
fresh     a new TLS connection for each request; every second one offers the TLS session of the one before
download  a large body, read slowly
upload    a body in a POST over a kept connection
"""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.reload.connection import Answer, Connection
from bench.reload.job import Job
from bench.reload.outcome import Lost, Tally

AFTER_A_LOSS = 0.02
"""Seconds before the next request, so that a proxy that is gone for a moment does not lose thousands."""


class Expected(NamedTuple):
    """The right answers, learnt before the load begins."""

    small: Answer
    big: Answer | None
    upload: Answer | None


class World(NamedTuple):
    """What all clients of a load share."""

    job: Job
    context: ssl.SSLContext
    expected: Expected
    stop: threading.Event
    began: float


def get(job: Job, target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: {job.name}\r\nUser-Agent: reload-bench\r\n\r\n".encode("ascii")


def post(job: Job) -> bytes:
    """The same body each time, so that an answer which mirrors it can be checked."""
    head = f"POST {job.upload} HTTP/1.1\r\nHost: {job.name}\r\nContent-Length: {job.upload_bytes}\r\n\r\n".encode("ascii")
    return head + bytes(range(256)) * (job.upload_bytes // 256) + b"." * (job.upload_bytes % 256)


def check(answer: Answer, wanted: Answer, local_port: int) -> None:
    """Lost unless it is the one that was expected."""
    if answer.status != wanted.status:
        raise Lost("status", f"{answer.status} instead of {wanted.status}", local_port)
    if (answer.length, answer.sha256) != (wanted.length, wanted.sha256):
        raise Lost("content", f"{answer.length} other bytes instead of {wanted.length}", local_port)


class Client(threading.Thread):
    """Asks until the world stops. `tally` is complete when the thread has ended."""

    kind = ""
    timed = True
    """Whether what it waits for its answers says something about the proxy, rather than about their size."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self.world = world
        self.tally = Tally()
        self.broken: BaseException | None = None
        """A fault of ours, not of the proxy."""

    def run(self) -> None:
        try:
            for ask in self.requests():
                try:
                    begun = time.monotonic()
                    ask()
                except Lost as loss:
                    self.tally.lose(time.monotonic() - self.world.began, self.kind, loss)
                    time.sleep(AFTER_A_LOSS)
                else:
                    self.tally.done[self.kind] += 1
                    if self.timed:
                        self.tally.waits.append(time.monotonic() - begun)
        except BaseException as error:  # told by the main thread
            self.broken = error

    def requests(self) -> Iterator[Callable[[], None]]:
        """Each is one request: returns when it is answered rightly, raises Lost otherwise. Ends when the world stops."""
        raise NotImplementedError

    def connect(self, *, session: ssl.SSLSession | None = None, slow: bool = False) -> Connection:
        self.tally.connections += 1
        return Connection(self.world.job, self.world.context, session=session, slow=slow)


class Keeping(Client):
    """Over a kept connection, as long as it stands."""

    def __init__(self, world: World, request: bytes, wanted: Answer, wire: float = 0.0) -> None:
        super().__init__(world)
        self._request, self._wanted, self._wire = request, wanted, wire
        self._kept: Connection | None = None

    def pause(self) -> float:
        """Seconds until the next request."""
        raise NotImplementedError

    def requests(self) -> Iterator[Callable[[], None]]:
        while not self.world.stop.is_set():
            yield self._ask
            self.world.stop.wait(self.pause())
        if self._kept is not None:
            self._kept.close()

    def _ask(self) -> None:
        connection, self._kept = self._kept, None
        if connection is not None and (how := connection.ended()):
            self.tally.noticed[how] += 1
            connection.close()
            connection = None
        if connection is None:
            connection = self.connect()
        try:
            if self._wire:
                time.sleep(self._wire)
            answer = connection.ask(self._request)
            check(answer, self._wanted, connection.local_port)
        except BaseException:
            connection.close()
            raise
        if answer.closes:
            self.tally.renewed += 1
            connection.close()
        else:
            self._kept = connection


class Busy(Keeping):
    """Hardly a pause."""

    kind = "busy"

    def __init__(self, world: World) -> None:
        super().__init__(world, get(world.job, world.job.small), world.expected.small)

    def pause(self) -> float:
        return random.uniform(0.0, 2 * self.world.job.busy_pause)


class Idle(Keeping):
    """A connection that nearly always waits."""

    kind = "idle"

    def __init__(self, world: World) -> None:
        super().__init__(world, get(world.job, world.job.small), world.expected.small, world.job.wire)

    def pause(self) -> float:
        return random.uniform(*self.world.job.idle_pause)


class Upload(Keeping):
    """Bodies to the backend."""

    kind = "upload"
    timed = False

    def __init__(self, world: World) -> None:
        assert world.expected.upload is not None
        super().__init__(world, post(world.job), world.expected.upload)

    def pause(self) -> float:
        return random.uniform(0.0, 2 * self.world.job.upload_pause)


class Fresh(Client):
    """A new TLS connection for each request."""

    kind = "fresh"

    def requests(self) -> Iterator[Callable[[], None]]:
        self._session: ssl.SSLSession | None = None
        while not self.world.stop.is_set():
            yield self._ask
            self.world.stop.wait(random.uniform(0.0, 2 * self.world.job.fresh_pause))

    def _ask(self) -> None:
        offered, self._session = self._session, None
        connection = self.connect(session=offered)
        try:
            answer = connection.ask(get(self.world.job, self.world.job.small))
            check(answer, self.world.expected.small, connection.local_port)
            if offered is None:
                self._session = connection.session
            else:
                self.tally.offered += 1
                self.tally.resumed += connection.resumed
        finally:
            connection.close()


class Download(Client):
    """Large bodies, slowly; one that is under way when the world stops is read to its end at full speed."""

    kind = "download"
    timed = False

    def requests(self) -> Iterator[Callable[[], None]]:
        time.sleep(random.uniform(0.0, 0.3))
        while not self.world.stop.is_set():
            yield self._ask

    def _ask(self) -> None:
        wanted = self.world.expected.big
        assert wanted is not None
        connection = self.connect(slow=True)
        try:
            rate = wanted.length / self.world.job.download_seconds
            check(connection.ask(get(self.world.job, self.world.job.big), rate=rate), wanted, connection.local_port)
        finally:
            connection.close()


def clients(world: World) -> list[Client]:
    """As the job says; not started."""
    job = world.job
    kinds: list[tuple[type[Busy | Idle | Fresh | Download | Upload], int]] = [
        (Busy, job.busy),
        (Idle, job.idle),
        (Fresh, job.fresh),
        (Download, job.downloads),
        (Upload, job.uploads),
    ]
    return [kind(world) for kind, count in kinds for _ in range(count)]


def learn(job: Job, context: ssl.SSLContext) -> Expected:
    """Ask for each thing once, before anything is reloaded. Lost when that already fails."""

    def once(request: bytes) -> Answer:
        connection = Connection(job, context)
        try:
            answer = connection.ask(request)
        finally:
            connection.close()
        if answer.status not in (200, 204):
            raise Lost("status", f"{answer.status} for {request[:60]!r} before the load began")
        return answer

    return Expected(
        once(get(job, job.small)),
        once(get(job, job.big)) if job.downloads else None,
        once(post(job)) if job.uploads else None,
    )
