"""The process that sends taps' conversations on: see taps.py for who starts it, and why it is one.

It opens nothing: pipes, listening sockets and sockets on interfaces are sent to it. It waits for nobody: what is slow has a bounded
queue, and whoever is slow loses whole conversations. When the master closes its end nobody connects any more; when the last worker
has, it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_network
from typing import Any, NoReturn

from setproctitle import setproctitle

from lbproxy.master.system.privileges import Account, give_up
from lbproxy.net.tap_interface import TapInterface
from lbproxy.net.tap_outputs import TapOutputs, TapTerms
from lbproxy.net.tap_stream import TapStream
from lbproxy.observe.tap_facts import FIFO, INTERFACE
from lbproxy.observe.tapped import LARGEST, Gathering, Tapped, apart
from lbproxy.sandbox import kernel, walls

TELL_EVERY = 0.25
"""Seconds from one word to the master to the next."""
MOST_HEARD = 64
"""Messages of a worker until others have their turn."""
LAST_WORDS = 2.0
"""Seconds in which readers may take what is left when the last worker has gone."""
FULL_LOOK = 0.005
"""Seconds until an interface that took no more is tried again: not all of them say when they do."""
LESS = 5
"""Of nice(2): where workers want the core that it has, theirs is three quarters of it (sched(7))."""
_GONE = select.EPOLLERR | select.EPOLLHUP


def main(descriptor: int) -> NoReturn:
    """Until master and workers are gone."""
    sock = socket.socket(fileno=descriptor)
    setproctitle("lbproxy: tap")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # who is told so is the master; the end comes with the workers'
        signal.signal(number, signal.SIG_IGN)
    told = json.loads(sock.recv(LARGEST))
    stand_back()
    kernel.no_core_files()
    give_up(None if told["account"] is None else Account(*told["account"]))
    if told["walls"]:
        walls.build(walls.Needs(frozenset(), unix=False, names=False))
        kernel.no_more_processes()
    TapProcess(sock).serve()
    os._exit(0)


def stand_back() -> None:
    """Behind who serves requests: with less of a core that both want, and none the moment a message comes, while they have it.
    Where that may not be said it is no reason to do nothing."""
    with suppress(OSError):
        os.nice(LESS)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class TapProcess:
    """The loop of the process, and what it has: taps, their readers, workers."""

    def __init__(self, sock: socket.socket) -> None:
        """`sock`: from the master."""
        self._socket: socket.socket | None = sock
        self._taps: dict[str, TapOutputs] = {}
        self._workers: dict[int, socket.socket] = {}
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._dirty: dict[int, tuple[TapOutputs, TapStream]] = {}
        """Streams that have got something to write, by descriptor."""
        self._quiet: dict[int, int] = {}
        """What is looked for at a stream while nothing is to be written."""
        self._blocked: set[int] = set()
        """Streams that take no more for now."""
        self._torn = 0
        self._said: bytes = b""
        self._say_at = 0.0
        self._watch(sock.fileno(), self._on_master)

    def serve(self) -> None:
        """Until master and workers are gone, and readers have what there was."""
        while self._socket is not None or self._workers:
            self._turn()
        end = time.monotonic() + LAST_WORDS
        while time.monotonic() < end and any(self._behind(tap) for tap in self._taps.values()):
            self._turn()

    def _turn(self) -> None:
        full = any(tap.interface is not None and tap.interface.waiting for tap in self._taps.values())
        for descriptor, events in self._epoll.poll(FULL_LOOK if full else TELL_EVERY):
            handler = self._handlers.get(descriptor)
            if handler is not None:  # else: closed earlier in this turn
                handler(events)
        for tap in self._taps.values():
            if tap.interface is not None:
                tap.interface.write()
                if not tap.interface.usable:
                    tap.detach()  # the master sees that it is not there, and tries
        for tap, stream in [*self._dirty.values()]:
            self._write(tap, stream)
        self._tell()

    def _behind(self, tap: TapOutputs) -> bool:
        """Something is left that somebody may yet take."""
        return any(stream.waiting for stream in tap.streams()) or (tap.interface is not None and tap.interface.waiting)

    def _watch(self, descriptor: int, handler: Callable[[int], None], events: int = select.EPOLLIN) -> None:
        self._epoll.register(descriptor, events)
        self._handlers[descriptor] = handler

    def _ignore(self, descriptor: int) -> None:
        if self._handlers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
        self._dirty.pop(descriptor, None)
        self._quiet.pop(descriptor, None)
        self._blocked.discard(descriptor)

    # ---- workers

    def _on_worker(self, sock: socket.socket, gathering: Gathering, _: int) -> None:
        torn = gathering.torn
        try:
            for _ in range(MOST_HEARD):
                message = sock.recv(LARGEST + 1)
                if not message:
                    raise ConnectionResetError
                told = {tap for each in apart(message) if (tap := self._tell_of(gathering.take(each))) is not None}
                for tap in told:
                    for stream in tap.streams():
                        if stream.fd not in self._blocked:
                            self._dirty[stream.fd] = tap, stream
        except BlockingIOError:
            pass  # nothing more
        except (OSError, ValueError):  # it has ended, or says what no worker of ours would
            self._ignore(sock.fileno())
            del self._workers[sock.fileno()]
            sock.close()
        self._torn += gathering.torn - torn

    def _tell_of(self, found: tuple[str, Tapped] | None) -> TapOutputs | None:
        tap = None if found is None else self._taps.get(found[0])
        if found is not None and tap is not None:
            tap.tell(found[1])
        return tap

    # ---- readers

    def _on_connection(self, tap: TapOutputs, _: int) -> None:
        assert tap.listener is not None
        try:
            sock, address = tap.listener.accept()
        except OSError:
            return  # gone again, or no descriptor is left
        fd = sock.detach()
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)  # the walls leave this way to say it
        stream = tap.admit(fd, address[0])
        if stream is not None:
            self._begin(tap, stream, select.EPOLLIN)

    def _begin(self, tap: TapOutputs, stream: TapStream, quiet: int) -> None:
        self._quiet[stream.fd] = quiet
        self._watch(stream.fd, partial(self._on_reader, tap, stream), quiet)
        self._dirty[stream.fd] = tap, stream

    def _on_reader(self, tap: TapOutputs, stream: TapStream, events: int) -> None:
        if events & _GONE:
            self._leave(tap, stream)
            return
        if events & select.EPOLLIN:
            try:
                said = os.read(stream.fd, LARGEST)  # nothing of it matters
            except OSError:
                said = b" "
            if not said:  # nobody will say anything: many who read close that half
                self._quiet[stream.fd] = 0
                self._epoll.modify(stream.fd, select.EPOLLOUT if stream.fd in self._blocked else 0)
        if events & select.EPOLLOUT:
            self._write(tap, stream)

    def _write(self, tap: TapOutputs, stream: TapStream) -> None:
        fd = stream.fd
        self._dirty.pop(fd, None)
        try:
            stream.write()
        except OSError:
            self._leave(tap, stream)
            return
        if stream.waiting != (fd in self._blocked):
            self._blocked ^= {fd}
            self._epoll.modify(fd, self._quiet[fd] | (select.EPOLLOUT if stream.waiting else 0))

    def _leave(self, tap: TapOutputs, stream: TapStream) -> None:
        self._ignore(stream.fd)
        tap.leave(stream)

    # ---- the master

    def _on_master(self, _: int) -> None:
        assert self._socket is not None
        try:
            said, descriptors, _, _ = socket.recv_fds(self._socket, LARGEST, 1)
        except ConnectionResetError:
            said, descriptors = b"", []
        if not said:
            self._ignore(self._socket.fileno())
            self._socket.close()
            self._socket = None
            for tap in self._taps.values():
                self._deafen(tap)
            return
        order: dict[str, Any] = json.loads(said)
        ORDERS[order["what"]](self, order, descriptors[0] if descriptors else -1)

    def _serve(self, _: dict[str, Any], fd: int) -> None:
        """A worker."""
        sock = socket.socket(fileno=fd)
        self._workers[fd] = sock
        self._watch(fd, partial(self._on_worker, sock, Gathering()))

    def _settle(self, order: dict[str, Any], fd: int) -> None:
        """A tap is new, or other than it was; its listening socket comes along."""
        sinks, readers, room, allow = order["terms"]
        terms = TapTerms(tuple(sinks), readers, room, tuple(map(ip_network, allow)))
        tap = self._taps.get(order["tap"])
        if tap is None:
            tap = self._taps[order["tap"]] = TapOutputs(terms)
        tap.terms = terms
        self._deafen(tap)
        for sink in order["anew"]:
            self._shut(tap, sink)
        if fd >= 0:
            tap.listener = socket.socket(fileno=fd)
            self._watch(fd, partial(self._on_connection, tap))

    def _shut(self, tap: TapOutputs, sink: str) -> None:
        """What it stands for is another now, or nothing."""
        if sink == INTERFACE:
            tap.detach()
            return
        for stream in [tap.fifo] if sink == FIFO else [*tap.readers.values()]:
            if stream is not None:
                self._leave(tap, stream)

    def _deafen(self, tap: TapOutputs) -> None:
        if tap.listener is not None:
            self._ignore(tap.listener.fileno())
            tap.deafen()

    def _forget(self, order: dict[str, Any], _: int) -> None:
        tap = self._taps.pop(order["tap"])
        self._deafen(tap)
        for stream in tap.streams():
            self._ignore(stream.fd)
        tap.close()

    def _open(self, order: dict[str, Any], fd: int) -> None:
        """A pipe that has a reader, or a socket on an interface."""
        tap = self._taps.get(order["tap"])
        if tap is None or (tap.interface if order["sink"] == INTERFACE else tap.fifo) is not None:
            os.close(fd)
        elif order["sink"] == INTERFACE:
            tap.interface = TapInterface(socket.socket(fileno=fd), order["mtu"], tap.terms.room)
        else:
            tap.fifo = TapStream(fd, tap.terms.room)
            self._begin(tap, tap.fifo, 0)

    def _tell(self) -> None:
        """The master, what was done. While it does not read, the kernel keeps some; what comes later says all anew."""
        now = time.monotonic()
        if self._socket is None or now < self._say_at:
            return
        self._say_at = now + TELL_EVERY
        work = {name: {sink: list(done) for sink, done in tap.work().items()} for name, tap in self._taps.items()}
        said = json.dumps({"work": work, "torn": self._torn}).encode("ascii")
        if said != self._said:
            try:
                self._socket.send(said, socket.MSG_DONTWAIT)
                self._said = said
            except OSError:
                pass


ORDERS: dict[str, Callable[[TapProcess, dict[str, Any], int], None]] = {
    "serve": TapProcess._serve,
    "settle": TapProcess._settle,
    "forget": TapProcess._forget,
    "open": TapProcess._open,
}
