"""A connection to a backend, as an exchange sees it: send a request, take the answer, pieces of its body, and settle.

It *returns* what its backend says and passes nothing on: where that goes is the exchange's business. What protocol is spoken on it
is nobody's business but its own (h1_upstream.py). Between two exchanges it stands in the pool of idle connections
(upstream_pool.py), or belongs to one client connection (bound.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbproxy.balance.backend import Backend
from lbproxy.http.heads import KnownHead, ResponseHeads
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import NONE, Trailers
from lbproxy.streams import NEVER, Stream

if TYPE_CHECKING:
    from lbproxy.proxy.announced import Announcement
    from lbproxy.proxy.upstream_pool import IdleShelf

SETTLED = 0.05
"""Seconds after an answer by which a backend that means to close has closed."""


class Upstream:
    """One connection; owner of its stream while idle. One exchange at a time calls the methods of the seam, in their order:
    `send` (and `more`, and `conclude` for a body that has trailers), `answer`, `piece` until `over`, `settle`."""

    __slots__ = (
        "_bound", "_idle", "_retires", "_shelf", "announced", "backend", "first", "mark", "over", "private", "served", "since",
        "stream", "surplus", "trailers",
    )  # fmt: skip

    def __init__(self, stream: Stream, backend: Backend) -> None:
        self.carry_on(stream, backend)

    def carry_on(self, stream: Stream, backend: Backend) -> None:
        """The constructor, for whoever makes one per request."""
        self.stream = stream
        self.backend = backend
        self.served = 0
        """Requests so far. If it dies before the first byte of a later answer, it was probably closed as idle."""
        self.mark = 0
        """`stream.wired` when the present request began; `send` notes it."""
        self.since = 0.0
        """When it became idle."""
        self.first = b""
        """Behind the head of a final answer: the bytes of its body that came along."""
        self.over = False
        """All of the body is here: in `first`, or in what `piece` has given. With its head comes none that has trailers: `piece` is
        asked then."""
        self.trailers: Trailers = NONE
        """What came behind the body, when `piece` has said that it is `over`: all of it, for whoever asks for pieces to take."""
        self.private = False
        """It belongs to one client connection: somebody has logged in on it, or is about to."""
        self.surplus = False
        """Bytes came that belong to no answer that we asked for."""
        self.announced: Announcement | None = None
        """It began with a PROXY header, and is one client's."""
        self._bound: dict[int, Upstream] | None = None
        """Where it is kept while it is idle and belongs to one client connection."""
        self._idle = False
        self._retires = NEVER
        self._shelf: IdleShelf | None = None
        """Where it stands while it is idle; kept, to spare the look-up."""
        stream.owner = self

    # ---------------------------------------------------------------- the seam

    def send(self, head: bytes, payload: bytes, chunked: bool, last: bool) -> None:
        """A request: `head` as lines of HTTP/1.1, and what is here of its body; `last`: that is all of it; `chunked`: no length was
        told. Raises StreamError."""
        raise NotImplementedError

    def more(self, payload: bytes, last: bool) -> None:
        """More of the body. Raises StreamError."""
        raise NotImplementedError

    def conclude(self, trailers: Trailers) -> None:
        """The end of a body that has trailers, of which nothing was the `last`; rules may have left none. Where they have no place
        they are left out. Raises StreamError."""
        raise NotImplementedError

    def answer(self, heads: ResponseHeads, method: bytes) -> KnownHead:
        """The next head, which may be an interim one; `heads` reads it. Within the stream's deadline. Raises UpstreamError."""
        raise NotImplementedError

    def piece(self, limit: int, silence: float) -> bytes:
        """Wait `silence` seconds at most for the next bytes of the body, some `limit` of them; b"" may be a piece, too, as in
        chunks that have not said anything yet. Raises SourceFailed."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether `piece` would find something at once, be that the end or a loss."""
        raise NotImplementedError

    def settle(self, answer: ResponseHead, clean: bool) -> bool:
        """The exchange is over; whether another one may follow. `clean`: all of the request was sent. False: it is closed."""
        raise NotImplementedError

    # ---------------------------------------------------------------- idle

    def on_readable(self) -> None:
        """Idle: condemned. Busy: the input waits for its reader."""
        if self._bound is not None:
            self.unbind()
            self.stream.close()
        if self._idle and self.announced is not None:
            self._idle = False
            self.announced.forget(self)
            self.stream.close()
        if self._idle and self._shelf is not None:
            self._idle = False
            shelf = self._shelf
            shelf.idle.remove(self)
            if shelf.clock() - self.since < SETTLED:
                shelf.hasty = True
            self.stream.close()

    def on_expired(self) -> None:
        """Idle for too long."""
        self.on_readable()

    def bind(self, kept: dict[int, Upstream]) -> None:
        """Idle, and for one client connection alone: authenticated as such, or about to be. It lives as long as that does, whatever
        the pool says of idle connections."""
        self.served += 1
        self.stream.deadline = NEVER
        self.private = True
        self._bound = kept
        kept[self.backend.slot] = self

    def unbind(self) -> None:
        """Idle no longer."""
        if self._bound is not None:
            self._bound.pop(self.backend.slot, None)
            self._bound = None
