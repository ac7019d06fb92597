"""An answer that a step gives in the place of a backend: out of a cache, from memory, a file, or as another request gets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from lbproxy.http.trailers import NONE
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import Strands, Stream

if TYPE_CHECKING:
    from lbproxy.proxy.sink import Sink
    from lbproxy.proxy.steps.step import Course


class Body(Protocol):
    """The body of an answer, of which all or a part is somewhere else."""

    def read(self, at: int, limit: int) -> bytes:
        """From byte `at` on, some `limit` of them at most, at least one; may wait. Raises SourceFailed. Of a body whose size nobody
        knows b"" is the end."""

    def close(self) -> None:
        """Nothing more is read. Closing twice is harmless."""


class _Nobody(Stream):
    """The place of a stream, where there is no connection; others have their turn."""

    __slots__ = ("_strands",)

    def __init__(self, strands: Strands) -> None:
        self._strands = strands

    def give_way(self) -> None:
        """See Stream."""
        self._strands.sleep(0)


class StandIn(Upstream):
    """Whoever relays asks it for pieces, as he would ask a backend."""

    __slots__ = ("_at", "_body", "_end", "lines", "raw", "resume")

    def __init__(self, raw: bytes, lines: bytes, body: bytes | Body, size: int, strands: Strands, at: int = 0) -> None:
        """`raw`: the head as a backend would say it; `lines`: put on to it for this client; `size`: bytes of the body up to its
        end, of which what is before `at` is left out; -1: nobody knows yet."""
        super().__init__(_Nobody(strands), None)  # type: ignore[arg-type]  # nobody asks whose it is
        self.stream.owner = None  # nothing happens there, and each would wait for the collector of cycles
        self.raw = raw
        self.lines = lines
        self.resume: Callable[[Sink], Course] | None = None
        """If it breaks off: makes what a backend is asked with for the rest, which goes to that sink; None: there is nothing."""
        self._at = at
        self._end = size
        self._body: Body | None = None
        if isinstance(body, bytes):
            self.first = body if not at and len(body) == size else body[at:size]
            self.over = True
        else:
            self._body = body

    def all_is_here(self) -> None:
        """Nobody wants a body."""
        self.close()
        self.first = b""
        self.over = True

    def piece(self, limit: int, silence: float) -> bytes:
        """See Upstream."""
        assert self._body is not None
        if self._end < 0:
            data = self._body.read(self._at, limit)
            self.over = not data
        else:
            data = self._body.read(self._at, min(limit, self._end - self._at)) if self._at < self._end else b""
            self.over = self._at + len(data) >= self._end
        self._at += len(data)
        self.trailers = NONE
        return data

    def ready(self) -> bool:
        """See Upstream. A body that does not come is told by its reader."""
        return self.over or self._body is not None

    def close(self) -> None:
        """It is given out, or nobody wants it any more."""
        if self._body is not None:
            self._body.close()
