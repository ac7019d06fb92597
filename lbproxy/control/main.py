"""The control process: health probes for the whole machine, backends' names, metrics and status pages; no client ever talks to it.

It lives until the master says Quit or is gone (end-of-file on the pipe). Drain does not end its work: while workers finish their
requests they still choose backends, so it probes on until the drain's time-out has passed.

Watcher callbacks run in the hub and must not wait; everything that waits has a greenlet.
"""

from __future__ import annotations

import os
import time

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from gevent.pool import Group

from lbproxy.control.metrics_port import MetricsPort
from lbproxy.control.names import Names
from lbproxy.control.watch import Watch
from lbproxy.errors import FrameError, StreamError
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import HEARTBEAT_INTERVAL, Drain, Heartbeat, Message, Placed, Quit, Ready, SetLogLevel
from lbproxy.ipc.pipe import ChildPipe
from lbproxy.ipc.uplink import Uplink
from lbproxy.observe.log import flush, get_logger, set_level
from lbproxy.observe.process import rss_kib

READ = 1  # libev's EV_READ

CLEAN = 0
BROKEN = 1


def run(handover: Handover) -> int:
    """Run the control process to its end; the exit code: 0 when told to go or left alone, 1 when the pipe cannot be trusted."""
    return Control(handover).run()


def build(handover: Handover) -> None:
    """All that control would run, which never gets its turn: a rehearsal, in a process that ends then."""
    Watch(handover, Group(), lambda message: None).start()
    if handover.metrics_socket is not None:
        MetricsPort(handover)


class Control:
    """The process as an object: what it started, and when it ends."""

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self._pipe = ChildPipe(handover.pipe)
        self._group = Group()
        self._over = Event()
        self._code = CLEAN
        self._readable = get_hub().loop.io(self._pipe.fileno(), READ)
        self._uplink = Uplink(self._pipe, get_hub().loop, self._lost)
        self._watch = Watch(handover, self._group, self._uplink.send)
        self._names = Names(handover, self._group, self._uplink.send)
        self._metrics_port: MetricsPort | None = None

    def run(self) -> int:
        """Returns the exit code."""
        try:
            self._start()
            self._over.wait()
            return self._code
        finally:
            self._stop()

    def _start(self) -> None:
        self._readable.start(self._on_readable)
        self._uplink.send(Ready(os.getpid(), walls=" ".join(self._handover.walls)))
        self._group.spawn(self._beat)
        self._watch.start()
        self._names.start()
        if self._handover.metrics_socket is not None:
            self._metrics_port = MetricsPort(self._handover)
            self._metrics_port.start()

    def _stop(self) -> None:
        self._readable.close()
        self._uplink.close()
        if self._metrics_port is not None:
            self._metrics_port.stop()
        self._group.kill()
        self._pipe.close()

    # ---- talking to the master

    def _beat(self) -> None:
        """A heartbeat at each interval; how late it comes is the loop's lag."""
        due = time.monotonic() + HEARTBEAT_INTERVAL
        while True:
            gevent.sleep(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            flush()
            self._uplink.send(Heartbeat(int(max(0.0, now - due) * 1000), rss_kib(), 0, 0))
            due = now + HEARTBEAT_INTERVAL

    def _lost(self, message: Message, error: StreamError) -> None:
        get_logger().debug("message to the master lost", kind=type(message).__name__, why=str(error))

    def _on_readable(self) -> None:
        try:
            messages = self._pipe.receive()
        except FrameError as error:
            get_logger().error("the pipe to the master cannot be trusted", why=str(error))
            self._leave(BROKEN)
            return
        if messages is None:
            self._leave(CLEAN)
            return
        for message in messages:
            self._obey(message)

    def _obey(self, message: Message) -> None:
        if isinstance(message, Quit):
            self._leave(CLEAN)
        elif isinstance(message, Drain):
            self._group.spawn(self._leave_after, message.timeout_ms / 1000)
        elif isinstance(message, Placed):
            self._watch.relocate(message)
        elif isinstance(message, SetLogLevel):
            set_level(message.level)
        # ReopenLogs is for those who hold the access log.

    def _leave_after(self, seconds: float) -> None:
        gevent.sleep(seconds)
        self._leave(CLEAN)

    def _leave(self, code: int) -> None:
        self._readable.stop()
        self._code = code
        self._over.set()
