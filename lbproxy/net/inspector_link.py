"""A worker's line to its inspectors: datagrams there and back, each question with a time of its own.

Several inspectors read from the one socket, so whoever has time takes the next. What they answer is checked as if strangers had
said it: they have read what strangers sent. A question whose inspector was killed or stopped by somebody is asked once more, while
there is time: whoever forks inspectors tells which one that is.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub
from greenlet import getcurrent, greenlet

from lbproxy.waf.messages import LARGEST, LARGEST_ANSWER, WafQuestion, WafVerdict, heard, lost_number, pack

MOST_WAITING = 256
MOST_MISSED, PROBES = 32, 4
"""Questions that nobody has answered, one after the other, after which so few wait at a time, until one is answered: inspectors are
gone for long, or have more than they can look at, and each request would wait for nothing."""
READ = 1  # libev's EV_READ
_switch_to = greenlet.switch

OnVerdict = Callable[[WafVerdict | None], None]
"""Told what was found; None: nobody says."""
OnWaiting = Callable[[int, bool], None]
"""Told how many questions are under way, and whether one of them has just been given up."""


class _Asked:
    """A question that is under way."""

    __slots__ = ("again", "on_verdict", "timer")

    def __init__(self, on_verdict: OnVerdict, timer: Any, again: bytes) -> None:
        self.on_verdict = on_verdict
        self.timer = timer
        self.again = again
        """What is asked once more if it is lost; b"": that was done. There are as many as the kernel keeps, or inspectors have."""


class InspectorLink:
    """From now on the socket, which does not block, is its own."""

    def __init__(self, sock: socket.socket, on_waiting: OnWaiting = lambda number, late: None) -> None:
        self._socket = sock
        self._on_waiting = on_waiting
        self._hub = get_hub()
        self._asked: dict[int, _Asked] = {}
        self._last = 0
        self._missed = 0
        """Since the last one that was answered."""
        self._readable = self._hub.loop.io(sock.fileno(), READ)
        self._readable.start(self._on_readable)

    def tell(self, question: WafQuestion, on_verdict: OnVerdict) -> bool:
        """Ask, and go on; told later, from the event loop. False: nobody takes it."""
        if len(self._asked) >= (MOST_WAITING if self._missed < MOST_MISSED else PROBES):
            return False
        self._last = number = (self._last + 1) % 2**32
        data = pack(question._replace(number=number, until=time.monotonic() + question.seconds))
        try:
            if len(data) > LARGEST or self._socket.send(data) < len(data):
                return False
        except OSError:  # as much waits as the kernel keeps, or they are gone
            return False
        timer = self._hub.loop.timer(question.seconds)
        self._asked[number] = _Asked(on_verdict, timer, data)
        timer.start(self._late, number)
        self._on_waiting(len(self._asked), False)
        return True

    def ask(self, question: WafQuestion) -> WafVerdict | None:
        """From a greenlet, which waits. None: nobody says in time. Raises what is thrown into the greenlet."""
        waiter: list[greenlet] = [getcurrent()]
        said: list[WafVerdict | None] = [None]

        def on_verdict(verdict: WafVerdict | None) -> None:
            said[0] = verdict
            if waiter:
                waiter.pop().switch()

        if not self.tell(question, on_verdict):
            return None
        try:
            _switch_to(self._hub)
        finally:
            waiter.clear()
        return said[0]

    def close(self) -> None:
        """Nobody is asked any more."""
        self._readable.stop()
        self._readable.close()
        for number in [*self._asked]:
            self._over(number, None)
        self._socket.close()

    def _late(self, number: int) -> None:
        self._over(number, None, late=True)

    def _ask_again(self, number: int) -> None:
        asked = self._asked.get(number)
        if asked is None:
            return
        data, asked.again = asked.again, b""
        try:
            if not data or self._socket.send(data) < len(data):
                self._late(number)
        except OSError:
            self._late(number)

    def _over(self, number: int, verdict: WafVerdict | None, *, late: bool = False) -> None:
        asked = self._asked.pop(number, None)
        if asked is not None:
            self._missed = self._missed + 1 if late else 0
            asked.timer.stop()
            asked.timer.close()
            self._on_waiting(len(self._asked), late)
            asked.on_verdict(verdict)

    def _on_readable(self) -> None:
        while True:
            try:
                data = self._socket.recv(LARGEST_ANSWER)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:  # they are gone, and will not come back
                self._readable.stop()
                for number in [*self._asked]:
                    self._late(number)
                return
            if (lost := lost_number(data)) is not None:
                self._ask_again(lost)
                continue
            try:
                verdict = heard(data)
            except ValueError:
                continue
            self._over(verdict.number, verdict)
