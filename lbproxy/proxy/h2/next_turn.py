"""The loop's next turn for one HTTP/2 connection, which carries out what the last bytes asked for: readers of bodies are woken, who
was given up is thrown out, and requests that have come begin, as many as the turn has time for.

So a request that comes with its own reset in one piece costs no more than that, and those that the engine has refused are known.
None with a body begins before: libnghttp2 tells that it has refused one, for what came behind its head, when it is asked for what
there is to say (`held`). While the writer waits for the client nobody asks it.

One begins at once, as that of a client with a connection for each request would. Those behind it are work that one client brings
all together, and take their turns with whatever else is much (net/work_budget.py).
"""

from __future__ import annotations

from lbproxy.errors import StreamError
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.vocabulary import Fields
from lbproxy.proxy.h2.h2_downstream import Bearer, H2Downstream
from lbproxy.proxy.h2.stream import H2Stream
from lbproxy.proxy.h2.unbegun import Unbegun

_NONE: list[H2Downstream] = []
"""Of all connections on which nobody waits to begin."""


class NextTurn:
    """That of one connection: requests in the order of coming."""

    __slots__ = (
        "_bearer", "_lost", "_next", "_planned", "_put_off", "_strands", "_stream", "_unbegun", "_waiting", "_wakes",
        "held", "over",
    )  # fmt: skip

    def __init__(self, bearer: Bearer) -> None:
        """`bearer`: the connection, whose stream knows whose turn it is."""
        self._bearer = bearer
        self._stream = bearer.stream
        self._strands = bearer.service.strands
        self._lost: list[tuple[H2Downstream, StreamError]] = []
        self._wakes: list[H2Stream] = []
        self._unbegun: Unbegun | None = None
        """None has been over since the last turn."""
        self._waiting = _NONE
        self._next = 0
        """Of those, who begins next; all before have."""
        self._planned = self._put_off = False
        self.held = False
        """It is not known yet which of them were refused."""
        self.over = False
        """The connection has ended: none begins any more."""

    def __len__(self) -> int:
        """Requests that have not begun."""
        return len(self._waiting) - self._next

    def add(self, request: H2Downstream) -> None:
        """It begins when its turn comes."""
        if self._waiting is _NONE:
            self._waiting = []
        self._waiting.append(request)

    def wake(self, stream: H2Stream) -> None:
        """Somebody waits for what has come of it."""
        self._wakes.append(stream)

    def lose(self, request: H2Downstream, error: StreamError) -> None:
        """It was given up."""
        self._lost.append((request, error))
        self.plan()

    def never_began(self, error: Exception | None, fields: Fields, came: float) -> None:
        """See Bearer."""
        if self._unbegun is None:
            self._unbegun = Unbegun(self._bearer)
        self._unbegun.note(error, fields, came)
        self.plan()

    def came(self, engine: H2Engine) -> None:
        """All of a read was told."""
        self.held = engine.unsure()
        if len(self) or self._wakes or self._lost:
            self.plan()

    def was_asked(self, engine: H2Engine) -> None:
        """The engine has given what there was to say, or some of it: those that have waited for that wait no more."""
        if self.held and not engine.unsure():
            self.held = False
            if len(self):
                self.plan()

    def plan(self) -> None:
        """There is something to be done."""
        if not self._planned:
            self._planned = True
            self._strands.later(self.carry_out)

    def carry_out(self) -> None:
        """From the event loop."""
        self._planned = False
        lost, self._lost = self._lost, []
        for request, error in lost:
            request.lose(error)
        wakes, self._wakes = self._wakes, []
        for stream in wakes:
            stream.wake_reader()
        if not self._put_off:  # who was waits for `go_on` already
            self.go_on()
        if self._unbegun is not None:
            unbegun, self._unbegun = self._unbegun, None
            unbegun.tell()

    def go_on(self) -> None:
        """See PutOff."""
        self._put_off = False
        for behind in range(len(self._waiting) - self._next):
            if behind and not self.over and not self._stream.has_turn(self):
                self._put_off = True
                return
            request = self._waiting[self._next]
            if self.held and not self.over and not request.h2.ended:
                return
            self._next += 1
            if self._next == len(self._waiting):
                self._waiting, self._next = _NONE, 0
            if self.over or request.h2.loss is not None:
                request.pass_over()
            else:
                self._strands.start(request.run)

    def end(self) -> None:
        """The connection is over, and so are those that have not begun."""
        self.over = True
        self.plan()
