"""Greenlets for proxy/, which does not know gevent: see streams.Strands.

Raw greenlets, not gevent.Greenlet: a connection needs no links, no name and no start event, and saves their microseconds.

A greenlet whose run has ended waits for the next one: for each new one Python maps and unmaps a stack of 16 KiB for its frames (two
system calls, and pages that the kernel clears), and a connection that stays for one request, or an upload, would pay that every
time. So whoever throws into a strand must know that it still does what is meant; `throw_later` makes sure of that itself.
Those that nobody has needed for a while go (`_thin_out`): two hundred of them are as much memory as two hundred idle connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub
from greenlet import getcurrent, greenlet

from lbproxy.streams import Alarm, Strand, Strands

IDLE_STRANDS = 1024
"""Greenlets that wait for work at most: what comes and goes within a moment, as sixteen requests over each of sixteen connections
of HTTP/2 do, with those who read and write for them; each keeps some 20 KiB, for a moment (UNNEEDED). Of 256 that were kept a third
of the calls of gRPC over such connections met none, and mapped a stack."""
UNNEEDED = 0.25
"""Seconds that a greenlet waits for nothing: then it ends. What comes and goes within a moment comes again sooner."""

_switch_to = greenlet.switch  # see tcp_stream


class _Runner:
    """A greenlet that runs one task after another. It is of greenlet's own type: of one derived from that greenlet asks the type's
    bases for each reference that a switch takes, a thousand instructions a request."""

    __slots__ = ("_strands", "strand", "task")

    def __init__(self, strands: GeventStrands, hub: greenlet) -> None:
        self._strands = strands
        self.strand = greenlet(self.serve, hub)
        self.task: Callable[[], None] | None = None
        """What it does now, None while it waits for something to do."""

    def serve(self) -> None:
        """In the greenlet."""
        strands = self._strands
        try:
            while self.task is not None:
                self.task()
                self.task = None  # it may hold a connection
                if not strands.rests(self):
                    return
                strands.park()
        finally:
            strands.has_ended(self)


class GeventStrands(Strands):
    """Children of this thread's hub: what a greenlet lets out would stop the event loop, so `run` must let nothing out."""

    __slots__ = ("_hub", "_idle", "_least", "_run_callback", "_runners", "_thins_out", "_timer")

    def __init__(self) -> None:
        self._hub = get_hub()
        self._run_callback = self._hub.loop.run_callback
        self._idle: list[_Runner] = []
        self._runners: dict[Strand, _Runner] = {}
        """All, by their greenlets."""
        self._least = 0
        """Of those that wait, how many have not been needed since `_thin_out` looked."""
        # A repeating one, started with `again`: one that fires once would on its second start fire at once.
        self._timer = self._hub.loop.timer(UNNEEDED, UNNEEDED, ref=False)
        self._thins_out = False

    def current(self) -> Strand:
        """See Strands."""
        return getcurrent()

    def start(self, run: Callable[[], None]) -> None:
        """See Strands."""
        idle = self._idle
        if idle:
            runner = idle.pop()
            if len(idle) < self._least:
                self._least = len(idle)
        else:
            runner = _Runner(self, self._hub)
            self._runners[runner.strand] = runner
        runner.task = run  # not as an argument of the switch: a greenlet holds those that it is started with until it ends
        _switch_to(runner.strand)

    def rests(self, runner: _Runner) -> bool:
        """It has nothing more to do; whether it waits for more. From its greenlet."""
        idle = self._idle
        if len(idle) >= IDLE_STRANDS:
            return False
        idle.append(runner)
        if not self._thins_out:
            self._thins_out = True
            self._timer.again(self._thin_out)
        return True

    def has_ended(self, runner: _Runner) -> None:
        """It runs no more tasks."""
        del self._runners[runner.strand]

    def _thin_out(self) -> None:
        """From the event loop, as long as there are any."""
        idle, unneeded = self._idle, self._least
        for runner in idle[:unneeded]:  # the longest unused
            runner.strand.switch()  # with no task it ends
        del idle[:unneeded]
        self._least = len(idle)
        if not idle:
            self._thins_out = False
            self._timer.stop()

    def later(self, run: Callable[[], None]) -> None:
        """See Strands."""
        self._run_callback(run)

    def park(self) -> None:
        """See Strands."""
        _switch_to(self._hub)

    def sleep(self, seconds: float) -> None:
        """See Strands."""
        self._hub.wait(self._hub.loop.timer(seconds))

    def alarm(self, seconds: float, run: Callable[[], None]) -> Alarm:
        """See Strands."""
        return _Alarm(self._hub.loop.timer(seconds), run)

    def throw_later(self, strand: Strand, error: BaseException) -> None:
        """See Strands."""
        runner = self._runners.get(strand)
        self._run_callback(_throw, strand, runner, None if runner is None else runner.task, error)


class _Alarm:
    """A timer of the loop that is closed as soon as nobody needs it."""

    __slots__ = ("_run", "_timer")

    def __init__(self, timer: Any, run: Callable[[], None]) -> None:
        self._timer = timer
        self._run = run
        timer.start(self._ring)

    def _ring(self) -> None:
        self.stop()
        self._run()

    def stop(self) -> None:
        """See Alarm."""
        self._timer.stop()
        self._timer.close()


def _throw(strand: Strand, runner: _Runner | None, task: Callable[[], None] | None, error: BaseException) -> None:
    if runner is not None:
        if task is not None and runner.task is task:
            strand.throw(error)
    elif isinstance(strand, greenlet) and not strand.dead:
        strand.throw(error)
