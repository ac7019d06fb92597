"""Greenlets for proxy/, which does not know gevent: see streams.Strands.

Raw greenlets, not gevent.Greenlet: a connection needs no links, no name and no start event, and saves their microseconds.
"""

from __future__ import annotations

from collections.abc import Callable

from gevent.hub import get_hub
from greenlet import getcurrent, greenlet

from lbproxy.streams import Strand


class GeventStrands:
    """Children of this thread's hub: what a greenlet lets out would stop the event loop, so `run` must let nothing out."""

    def __init__(self) -> None:
        self._hub = get_hub()
        self._run_callback = self._hub.loop.run_callback

    def current(self) -> Strand:
        """See Strands."""
        return getcurrent()

    def start(self, run: Callable[[], None]) -> None:
        """See Strands."""
        greenlet(run, self._hub).switch()

    def later(self, run: Callable[[], None]) -> None:
        """See Strands."""
        self._run_callback(run)

    def park(self) -> None:
        """See Strands."""
        self._hub.switch()

    def sleep(self, seconds: float) -> None:
        """See Strands."""
        self._hub.wait(self._hub.loop.timer(seconds))

    def throw_later(self, strand: Strand, error: BaseException) -> None:
        """See Strands."""
        self._run_callback(_throw, strand, error)


def _throw(strand: Strand, error: BaseException) -> None:
    if isinstance(strand, greenlet) and not strand.dead:
        strand.throw(error)
