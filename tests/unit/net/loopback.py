"""Streams on real loopback sockets and a real event loop, with peers that are plain sockets of gevent."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import gevent
from gevent import socket as gsocket
from gevent.hub import get_hub
from greenlet import greenlet

from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tcp_stream import TcpStream
from tests.support.waiting import PATIENCE

T = TypeVar("T")


def loop() -> Any:
    return get_hub().loop


def sockets(small: bool = False) -> tuple[socket.socket, gsocket.socket]:
    """(ours, non-blocking; the peer's, cooperative), connected over loopback. `small`: buffers as small as the kernel allows."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if small:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours = socket.socket()
        if small:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        ours.connect(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setblocking(False)
    peer = gsocket.socket(theirs.family, theirs.type, fileno=theirs.detach())
    peer.settimeout(PATIENCE)
    return ours, peer


@contextmanager
def deadlines_running() -> Iterator[Deadlines]:
    """A sweep on the real clock; nothing may be left open in it."""
    deadlines = Deadlines(loop())
    deadlines.start()
    try:
        yield deadlines
    finally:
        for stream in list(deadlines.streams):
            stream.abort()
        deadlines.stop()


class Job(Generic[T]):
    """Work in a raw greenlet, as connections are served."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._value: list[T] = []
        self._error: BaseException | None = None
        self.greenlet = greenlet(self._run, get_hub())

    def _run(self) -> None:
        try:
            self._value.append(self._work())
        except BaseException as error:
            self._error = error

    @property
    def over(self) -> bool:
        return bool(self.greenlet.dead)

    def result(self) -> T:
        """What it returned or raised; AssertionError when it does not end."""
        until(lambda: self.over, "the greenlet ends")
        if self._error is not None:
            raise self._error
        return self._value[0]


def start(work: Callable[[], T]) -> Job[T]:
    """Run `work` in a greenlet until it first waits."""
    job = Job(work)
    get_hub().loop.run_callback(job.greenlet.switch)
    gevent.sleep(0)
    return job


def result(job: Job[T]) -> T:
    """See Job."""
    return job.result()


def until(condition: Callable[[], object], what: str) -> None:
    """Let the loop run until the condition holds."""
    with gevent.Timeout(PATIENCE, AssertionError(f"never: {what}")):
        while not condition():
            gevent.sleep(0.002)


def turns(count: int = 10) -> None:
    """Let the loop poll that many times."""
    for _ in range(count):
        gevent.sleep(0)


def loop_rests() -> bool:
    """Whether the loop sleeps when there is nothing to do: a watcher that nobody serves would make it go round at full speed."""
    turns()
    before = loop().iteration
    gevent.sleep(0.05)
    return bool(loop().iteration - before < 20)


class Watched:
    """An owner that notes what it is told."""

    def __init__(self, stream: TcpStream, take: bool = False) -> None:
        self.stream = stream
        self.take = take
        self.readable = 0
        self.expired = 0
        self.alive: list[bool] = []
        stream.owner = self

    def on_readable(self) -> None:
        self.readable += 1
        if self.take:
            self.alive.append(self.stream.read_early())

    def on_expired(self) -> None:
        self.expired += 1
