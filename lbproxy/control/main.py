"""The control process: health probes for the whole machine, backends' names, metrics and status pages; no client ever talks to it.

It lives until the master says Quit or is gone (end-of-file on the pipe). Drain does not end its work: while workers finish their
requests they still choose backends, so it probes on until the drain's time-out has passed.

Watcher callbacks run in the hub and must not wait; everything that waits has a greenlet.
"""

from __future__ import annotations

import json
import os
import time

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from gevent.pool import Group

from lbproxy.control.key_sets import KeySets
from lbproxy.control.metrics_port import MetricsPort
from lbproxy.control.name_watch import NameWatch
from lbproxy.control.watch import BackendWatch
from lbproxy.errors import FrameError, StreamError
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.master_link import MasterLink
from lbproxy.ipc.messages import (
    AcmeName,
    CertificateDates,
    Drain,
    Heartbeat,
    KeySetState,
    KeysFetched,
    KeysWanted,
    KeyWork,
    Message,
    NewKeyAuthorities,
    NewPoolFiles,
    Placed,
    Quit,
    Ready,
    SetLogLevel,
    TapWork,
)
from lbproxy.observe.log import flush, get_logger, set_level
from lbproxy.observe.metrics import AcmeFacts, CertificateFacts, KeyFacts, KeySetFacts
from lbproxy.observe.process import rss_kib
from lbproxy.observe.tap_facts import TapFacts

CLEAN = 0
BROKEN = 1


def run(handover: Handover) -> int:
    """Run the control process to its end; the exit code: 0 when told to go or left alone, 1 when the pipe cannot be trusted."""
    return Control(handover).run()


def build(handover: Handover) -> None:
    """All that control would run, which never gets its turn: a rehearsal, in a process that ends then."""
    BackendWatch(handover, Group(), lambda message: None).start()
    if handover.metrics_socket is not None:
        MetricsPort(handover)


class Control:
    """The process as an object: what it started, and when it ends."""

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self._group = Group()
        self._over = Event()
        self._code = CLEAN
        self._link = MasterLink(handover.pipe, get_hub().loop, self)
        self._watch = BackendWatch(handover, self._group, self._link.send)
        self._names = NameWatch(handover, self._group, self._link.send)
        self._key_sets = KeySets(handover, self._group, self._tell_keys)
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
        self._link.start(time.monotonic())
        self._link.send(Ready(os.getpid(), walls=" ".join(self._handover.walls)))
        self._group.spawn(self._beat)
        self._watch.start()
        self._names.start()
        self._key_sets.start()
        if self._handover.metrics_socket is not None:
            self._metrics_port = MetricsPort(self._handover)
            self._metrics_port.start()

    def _stop(self) -> None:
        if self._metrics_port is not None:
            self._metrics_port.stop()
        self._group.kill()
        self._link.close()

    # ---- talking to the master

    def _tell_keys(self, told: KeysFetched | KeySetState) -> None:
        self._link.send(told)
        if isinstance(told, KeySetState) and self._metrics_port is not None:
            url = next(keys.url for keys in self._handover.config.key_sets if keys.name == told.name)
            self._metrics_port.key_sets[told.name] = KeySetFacts(url, *told[1:])

    def _beat(self) -> None:
        """A heartbeat at each interval; how late it comes is the loop's lag."""
        while True:
            gevent.sleep(max(0.0, self._link.next_beat() - time.monotonic()))
            flush()
            self._link.send(Heartbeat(self._link.lag_ms(time.monotonic()), rss_kib(), 0, 0))

    def on_lost(self, message: Message, error: StreamError) -> None:
        """See ipc.master_link.Child."""
        get_logger().debug("message to the master lost", kind=type(message).__name__, why=str(error))

    def on_malformed(self, error: FrameError) -> None:
        """See ipc.master_link.Child."""
        get_logger().error("the pipe to the master cannot be trusted", why=str(error))
        self._leave(BROKEN)

    def on_master_gone(self) -> None:
        """See ipc.master_link.Child."""
        self._leave(CLEAN)

    def obey(self, message: Message) -> None:
        """See ipc.master_link.Child."""
        if isinstance(message, Quit):
            self._leave(CLEAN)
        elif isinstance(message, Drain):
            self._group.spawn(self._leave_after, message.timeout_ms / 1000)
        elif isinstance(message, Placed):
            self._watch.relocate(message)
        elif isinstance(message, NewPoolFiles):
            self._watch.renew(message, self._link.take_fd())
        elif isinstance(message, NewKeyAuthorities):
            self._key_sets.renew(message, self._link.take_fd())
        elif isinstance(message, CertificateDates) and self._metrics_port is not None:
            self._metrics_port.certificates = tuple(CertificateFacts(*one) for one in json.loads(message.told))
        elif isinstance(message, AcmeName) and self._metrics_port is not None:
            self._metrics_port.acme[message.name] = AcmeFacts(*message)
        elif isinstance(message, KeyWork) and self._metrics_port is not None:
            self._metrics_port.key_work = KeyFacts(*message)
        elif isinstance(message, TapWork) and self._metrics_port is not None:
            self._metrics_port.taps[message.tap, message.sink] = TapFacts(*message)
        elif isinstance(message, KeysWanted):
            self._key_sets.hurry(message.name)
        elif isinstance(message, SetLogLevel):
            set_level(message.level)
        # ReopenLogs is for those who hold the access log.

    def _leave_after(self, seconds: float) -> None:
        gevent.sleep(seconds)
        self._leave(CLEAN)

    def _leave(self, code: int) -> None:
        self._link.stop_hearing()
        self._code = code
        self._over.set()
