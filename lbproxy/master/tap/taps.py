"""The master's end of the one process that sends taps' conversations on to whoever reads them now.

One process for the workers of all generations, and no worker's own: several readers connect to one port, and each gets everything;
a pipe has one writer, so that no record is torn; connections that are told of get their ports in one place, so that none is told of
twice; a reload goes on where it was. Workers have no descriptor that sends anything into a network but to their backends, and what
is slow, or attacked, holds up neither requests nor health checks. It is executed anew, so that it has nothing of the master's
memory, and opens nothing: the master opens for it, again and again, what is not there yet (a pipe without a reader, an interface).

Each worker has a socket of its own to it, whose other end the master keeps, too: a process that takes the place of one that has
died goes on with them.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from lbproxy.config.model import Address, Config, TapConfig
from lbproxy.ipc.messages import TapWork
from lbproxy.master.system import tap_openings
from lbproxy.master.system.executed import execute
from lbproxy.master.system.privileges import Account
from lbproxy.observe.log import get_logger
from lbproxy.observe.tap_facts import INTERFACE, LISTEN, SINKS, TapOutputWork

LEAST_LIFE = 1.0
"""Seconds from one process to the next: one that cannot live must not keep the master busy."""
LOOK_EVERY = 0.25
"""Seconds from one try to open what is not there to the next."""
ROOM = 1024 * 1024
"""Bytes of conversations on their way, for each worker; the kernel gives what it allows."""
MOST_HEARD = 100


def live(config: Config) -> list[TapConfig]:
    """Those of its taps that somebody reads while it happens."""
    return [tap for tap in config.taps if tap.sinks]


class Taps:
    """The process, while there is any such tap. `close` it."""

    def __init__(self, account: Account | None, sockets: Mapping[Address, socket.socket]) -> None:
        """`sockets`: all that listen, by address."""
        self._account = account
        self._sockets = sockets
        self._process: socket.socket | None = None
        self._started = float("-inf")
        self._look_at = 0.0
        self._walls = True
        self._wanted: dict[str, TapConfig] = {}
        self._told: dict[str, tuple[TapConfig, int]] = {}
        """What the process goes by: the tap, and the descriptor of its listening socket (-1: none)."""
        self._workers: dict[int, socket.socket] = {}
        """The process's ends, by the worker's row."""
        self._work: dict[tuple[str, str], TapOutputWork] = {}
        self._before: dict[tuple[str, str], TapOutputWork] = {}
        """What processes before this one did."""
        self._failed: dict[tuple[str, str], str] = {}
        """Why something cannot be opened, so that it is told once."""

    def serve(self, row: int, configs: Sequence[Config], now: float) -> socket.socket | None:
        """For a worker that is about to be forked: its end of a socket. `configs`: of living generations, those that win first.
        None: its conversations go nowhere but into files. Raises OSError."""
        self._want(configs)
        if not self._wanted:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        self._forget_worker(row)
        self._workers[row] = theirs
        if self._process is None:
            self._begin(now)
        else:
            self._settle()
            self._order({"what": "serve"}, theirs.fileno())
        return ours

    def look(self, configs: Sequence[Config], rows: Collection[int], now: float) -> None:
        """Everything that is due. `rows`: of living workers."""
        if self._process is None and not self._wanted and not self._workers:
            return  # nobody asked for it yet
        for row in [row for row in self._workers if row not in rows]:
            self._forget_worker(row)
        self._want(configs)
        if self._process is not None:
            self._hear(self._process)
        if self._process is None and (self._wanted or self._workers) and now >= self._started + LEAST_LIFE:
            self._begin(now)
        self._settle()
        if self._process is not None and not self._wanted and not self._workers:
            self._end()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._open(self._missing())

    def next_deadline(self) -> float:
        """When something is to be opened, or begun, monotonic seconds."""
        if self._process is None:
            return self._started + LEAST_LIFE if self._wanted else float("inf")
        return self._look_at if any(self._missing()) else float("inf")

    def work(self) -> list[TapWork]:
        """What each output of each tap did, for metrics and status."""
        found = []
        for name, tap in self._wanted.items():
            for sink in tap.sinks:
                at = name, sink
                found.append(TapWork(name, sink, *_sum(self._before.get(at, TapOutputWork()), self._work.get(at, TapOutputWork()))))
        return found

    def close(self) -> None:
        """It goes on until the workers have ended."""
        self._end()
        for row in [*self._workers]:
            self._forget_worker(row)

    close_in_child = close

    # ---- the process

    def _begin(self, now: float) -> None:
        self._started = now
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                execute("lbproxy.master.tap.process", (theirs.fileno(),))
            except OSError as error:
                ours.close()
                get_logger().error("tap.not_started", why=error.strerror or str(error))
                return
        ours.setblocking(False)
        self._process, self._told = ours, {}
        self._order({"account": None if self._account is None else list(self._account), "walls": self._walls})
        self._settle()
        for sock in self._workers.values():  # last: what they have told already finds everything in its place
            self._order({"what": "serve"}, sock.fileno())

    def _end(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None
        for at, work in self._work.items():
            self._before[at] = _sum(self._before.get(at, TapOutputWork()), work)._replace(readers=0)
        self._work, self._told = {}, {}

    def _order(self, order: Mapping[str, Any], descriptor: int = -1) -> None:
        if self._process is None:
            return
        data = json.dumps(order).encode("ascii")
        try:
            socket.send_fds(self._process, [data], [] if descriptor < 0 else [descriptor])
        except OSError as error:  # it has died, or does not read: then it is no more use
            self._lose(error.strerror or str(error))

    def _lose(self, why: str) -> None:
        get_logger().error("tap.gone", why=why, then="another one takes its place")
        self._end()

    def _hear(self, sock: socket.socket) -> None:
        for _ in range(MOST_HEARD):
            try:
                said = sock.recv(1024 * 1024)
            except BlockingIOError:
                return
            except OSError:
                said = b""
            if not said:
                self._lose("the process has ended")
                return
            told = json.loads(said)
            self._work = {(name, sink): TapOutputWork(*done) for name, one in told["work"].items() for sink, done in one.items()}

    # ---- what it is to have

    def _want(self, configs: Sequence[Config]) -> None:
        wanted: dict[str, TapConfig] = {}
        for config in configs:
            for tap in live(config):
                wanted.setdefault(tap.name, tap)
        self._wanted = wanted
        if configs:
            self._walls = configs[0].proxy.walls

    def _settle(self) -> None:
        for name in [name for name in self._told if name not in self._wanted]:
            self._order({"what": "forget", "tap": name})
            self._told.pop(name, None)
        for name, tap in self._wanted.items():
            sock = None if tap.listen is None else self._sockets.get(tap.listen)
            descriptor = -1 if sock is None else sock.fileno()
            old, *_ = self._told.get(name, (None, -1))
            if self._process is None or self._told.get(name) == (tap, descriptor):
                continue
            anew = [sink for sink in SINKS if old is not None and getattr(old, sink) != getattr(tap, sink)]
            terms = [tap.sinks, tap.readers, tap.reader_queue, list(map(str, tap.allow))]
            self._order({"what": "settle", "tap": name, "terms": terms, "anew": anew}, descriptor)
            if self._process is not None:
                self._told[name] = tap, descriptor
                self._open([(tap, sink) for sink in tap.sinks if sink != LISTEN and (old is None or sink in anew)])

    def _missing(self) -> list[tuple[TapConfig, str]]:
        """What the process does not have, as far as is known."""
        return [
            (tap, sink)
            for tap, _ in self._told.values()
            for sink in tap.sinks
            if sink != LISTEN and not self._work.get((tap.name, sink), TapOutputWork()).readers
        ]

    def _open(self, missing: Iterable[tuple[TapConfig, str]]) -> None:
        for tap, sink in missing:
            if self._process is None:
                return
            order: dict[str, Any] = {"what": "open", "tap": tap.name, "sink": sink}
            try:
                if sink == INTERFACE:
                    descriptor, order["mtu"] = tap_openings.interface(tap.interface or "")
                else:
                    descriptor = tap_openings.fifo(tap.fifo)
            except OSError as error:
                self._tell_why(tap.name, sink, error)
                continue
            if descriptor < 0:
                self._failed.pop((tap.name, sink), None)
                continue  # nobody reads
            self._order(order, descriptor)
            os.close(descriptor)
            if self._failed.pop((tap.name, sink), None) is not None:
                get_logger().info("tap.opened", tap=tap.name, sink=sink)

    def _tell_why(self, name: str, sink: str, error: OSError) -> None:
        why = error.strerror or str(error)
        if self._failed.get((name, sink)) != why:
            self._failed[name, sink] = why
            get_logger().error("tap.not_opened", tap=name, sink=sink, why=why, then="tried again")

    def _forget_worker(self, row: int) -> None:
        sock = self._workers.pop(row, None)
        if sock is not None:
            sock.close()


def _sum(one: TapOutputWork, other: TapOutputWork) -> TapOutputWork:
    return TapOutputWork(*(a + b for a, b in zip(one, other, strict=True)))._replace(readers=other.readers)


