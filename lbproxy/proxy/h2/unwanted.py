"""Requests of an HTTP/2 connection that were answered before they were whole: what still comes of them is thrown away for a while.

RFC 9113 8.1 lets a server ask for no more behind its whole answer (RST_STREAM, NO_ERROR). Asked at once, plain clients never read
that answer: curl 7.88 calls it a failure of the stream, or waits for ever; httpx goes on until the window is shut, and times out.
So they may go on as long as those of HTTP/1 may (net/lingering.py), and are asked then. Their windows open meanwhile: what comes
is held by nobody.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.vocabulary import H2Code
from lbproxy.proxy.service import Service
from lbproxy.streams import Alarm

QUIET, WHOLE = 5.0, 30.0
"""Seconds: for each piece, and for all of it (nginx's lingering_timeout and lingering_time)."""


class Unwanted:
    """The streams of one connection whose requests go on behind their answers, for nobody."""

    __slots__ = ("_alarm", "_due", "_engine", "_late", "_on_late", "_service", "any")

    def __init__(self, engine: H2Engine, service: Service, on_late: Callable[[], None]) -> None:
        """`on_late`: called from the event loop when it is time for `reset_late`."""
        self._engine = engine
        self._service = service
        self._on_late = on_late
        self._due: dict[int, tuple[float, float]] = {}
        """When they are asked to stop: if nothing comes, and whatever comes."""
        self._late: set[int] = set()
        self._alarm: Alarm | None = None
        self.any = False
        """There are such streams; else nobody need ask."""

    def add(self, stream: int) -> None:
        """It was answered."""
        self.any = True
        if self._service.draining:
            self._late.add(stream)
            self._on_late()
            return
        now = self._service.clock()
        self._due[stream] = now + QUIET, now + WHOLE
        if self._alarm is None:
            self._wake_in(QUIET)

    def came(self, stream: int, now: float) -> None:
        """More of a body that nobody takes."""
        due = self._due.get(stream)
        if due is not None:
            self._due[stream] = min(now + QUIET, due[1]), due[1]

    def closed(self, stream: int) -> None:
        """It is no more."""
        self._late.discard(stream)
        self._due.pop(stream, None)
        if not self._due:
            self._sleep()
            self.any = bool(self._late)

    def hurry(self) -> None:
        """The connection is to end: all of them are late."""
        self._late.update(self._due)
        self._due.clear()
        self._sleep()

    def reset_late(self) -> bool:
        """Those that are late are asked to stop, once their answers have left; whether there were any."""
        whole = [stream for stream in self._late if not self._engine.held(stream)]
        for stream in whole:
            self._late.discard(stream)
            self._engine.reset(stream, H2Code.NO_ERROR)
        self.any = bool(self._due or self._late)
        return bool(whole)

    def forget(self) -> None:
        """The connection is over."""
        self.any = False
        self._due.clear()
        self._late.clear()
        self._sleep()

    def _wake_in(self, seconds: float) -> None:
        self._alarm = self._service.strands.alarm(seconds, self._look)

    def _sleep(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.stop()

    def _look(self) -> None:
        self._alarm = None
        now = self._service.clock()
        late = [stream for stream, (due, _) in self._due.items() if due <= now]
        for stream in late:
            del self._due[stream]
        self._late.update(late)
        if self._due:
            self._wake_in(min(due for due, _ in self._due.values()) - now)
        if late:
            self._on_late()
