"""Requests of one HTTP/2 connection that have come and not begun: each turn of the loop begins as many as it has time for.

One begins at once, as that of a client with a connection for each request would. Those behind it are work that one client brings
all together, and take their turns with whatever else is much (net/work_budget.py).
"""

from __future__ import annotations

from lbproxy.proxy.h2.h2_downstream import H2Downstream
from lbproxy.streams import Strands, Stream

_NONE: list[H2Downstream] = []
"""Of all connections on which nobody waits to begin."""


class H2Beginnings:
    """The queue of one connection, in the order of coming."""

    __slots__ = ("_next", "_put_off", "_strands", "_stream", "_waiting", "over")

    def __init__(self, stream: Stream, strands: Strands) -> None:
        """`stream`: the connection's, which knows whose turn it is."""
        self._stream = stream
        self._strands = strands
        self._waiting = _NONE
        self._next = 0
        """Of those, who begins next; all before have."""
        self._put_off = False
        self.over = False
        """The connection has ended: none begins any more."""

    def __len__(self) -> int:
        return len(self._waiting) - self._next

    def add(self, request: H2Downstream) -> None:
        """It begins when its turn comes; `begin` has to be called."""
        if self._waiting is _NONE:
            self._waiting = []
        self._waiting.append(request)

    def begin(self) -> None:
        """From the event loop. Who was put off already waits for `go_on`."""
        if not self._put_off:
            self.go_on()

    def go_on(self) -> None:
        """See PutOff."""
        self._put_off = False
        for behind in range(len(self._waiting) - self._next):
            if behind and not self._stream.has_turn(self):
                self._put_off = True
                return
            request = self._waiting[self._next]
            self._next += 1
            if self._next == len(self._waiting):
                self._waiting, self._next = _NONE, 0
            if self.over or request.h2.loss is not None:
                request.pass_over()
            else:
                self._strands.start(request.run)
