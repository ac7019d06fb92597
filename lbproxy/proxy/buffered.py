"""The buffered answer, of pools that buffer answers: its backend is free as soon as it has said everything.

Theory of operation. The exchange writes here what it reads from the backend, and waits only when memory and file are full. A strand
of its own gives it to the client, piece by piece and from the first piece on: buffering delays nothing. When the backend has said
everything, the exchange gives its connection and its lease back, and then waits in `deliver` until the client has everything, too.

What goes wrong with the client is thrown into the exchange, wherever it waits.
"""

from __future__ import annotations

from lbproxy.errors import ClientGone, ClientStalled, RequestError, ScratchError, StreamError, TimedOut
from lbproxy.http.endless import unbuffered
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import NONE, Trailers
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.parked import Parked
from lbproxy.proxy.request_body import Interrupt
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.spool import Spool
from lbproxy.streams import SWIFT_READ, Strand, Strands


class _FillStopped(BaseException):
    """Nobody wants the rest. Not an Exception, so that nothing on its way takes it for a failure."""


def buffered(downstream: Downstream, answer: ResponseHead, destination: Destination, interrupt: Interrupt) -> Buffered | None:
    """A buffer for the answer, where its pool wants that; `interrupt` throws into the exchange. None: it is passed on as it comes.

    Not where the request goes on behind the answer: its backend is not free before that.
    """
    body, service = downstream.body, downstream.service
    if not destination.buffer_responses or (body is not None and body.goes_on) or unbuffered(answer):
        return None
    spool = Spool(service.scratch, destination.buffer_responses, destination.buffer_file, service.on_buffer_failed)
    return Buffered(downstream, spool, interrupt)


class Buffered(Sink):
    """Takes one answer whole before its client gets it."""

    __slots__ = (
        "_begun", "_downstream", "_exchange", "_head", "_interrupt", "_last", "_over", "_parked", "_spool", "_strand", "_told",
        "_trailers", "_whole",
    )  # fmt: skip

    def __init__(self, downstream: Downstream, spool: Spool, interrupt: Interrupt) -> None:
        """`interrupt`: throws into the exchange."""
        self._downstream = downstream
        self._spool = spool
        self._interrupt = interrupt
        self._head: tuple[ResponseHead, bytes, bytes] | None = None
        """The answer's head and what is added to it."""
        self._trailers = NONE
        self._told = False
        """The client was given the head."""
        self._begun = False
        self._strand: Strand | None = None
        self._parked = False
        """The strand has given everything there was to the client."""
        self._exchange = Parked(downstream.service.strands)
        """While it waits for room or for the end."""
        self._whole = False
        """The backend has said everything."""
        self._last = False
        """It says no more, be that the end or not."""
        self._over = False

    # ---------------------------------------------------------------- in the exchange

    def interim(self, known: KnownHead) -> None:
        """See Sink. Nobody waits with these."""
        self._downstream.interim(known)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink. It came at once: `deliver` needs no strand to give it away."""
        self._head = (answer, out, lines)
        self._spool.put(body)
        self._whole = True

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink. The client gets it from the strand."""
        self._head = (answer, out, lines)
        if data := first.pop():
            self._spool.put(data)
        self._begun = True
        self._strands.later(self._start)

    def room(self) -> int:
        """See Sink."""
        while self._spool.full:
            self._exchange.wait()
        return SWIFT_READ

    def piece(self, data: bytes) -> None:
        """See Sink."""
        if data:
            self._spool.put(data)
            self._go_on()

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        self._whole = True
        self._trailers = trailers
        if data:
            self._spool.put(data)
        self._go_on()

    def deliver(self) -> None:
        """The backend says no more: wait until the client has what there is. Raises the client's StreamError."""
        if self._head is None:  # a step has kept it back, and it broke off
            return
        if not self._begun:
            answer, out, lines = self._head
            pieces = []
            while piece := self._spool.pop():
                pieces.append(piece)
            self._downstream.whole(answer, out, b"".join(pieces), lines)
            return
        self._last = True
        self._go_on()
        while not self._over:
            self._exchange.wait()

    def stop(self) -> None:
        """The exchange is over."""
        self._exchange.forget()
        if self._strand is not None and not self._over:
            self._strands.throw_later(self._strand, _FillStopped())
        self._over = True
        self._spool.clear()

    @property
    def _strands(self) -> Strands:
        return self._downstream.service.strands

    def _go_on(self) -> None:
        if self._parked:
            self._parked = False
            self._strands.later(self._next)

    def _next(self) -> None:
        if self._strand is not None and not self._over:
            self._strand.switch()

    # ---------------------------------------------------------------- in the strand

    def _start(self) -> None:
        if not self._over:
            self._strands.start(self._run)

    def _run(self) -> None:
        self._strand = self._strands.current()
        try:
            self._empty()
        except _FillStopped:
            pass
        except StreamError as error:  # as what it is, wherever the exchange waits: perhaps for the backend's stream
            self._interrupt(ClientStalled(str(error)) if isinstance(error, TimedOut) else ClientGone(str(error)))
        except ScratchError:
            self._interrupt(RequestError(500, "buffer_unreadable", "what was buffered cannot be read"))
        except Exception as error:  # must not end in the event loop
            self._downstream.service.on_fault(error)
            self._interrupt(RequestError(500, "internal_error"))
        finally:
            self._over = True
            self._exchange.wake()

    def _empty(self) -> None:
        while True:
            piece = self._spool.pop()
            last = self._whole and not len(self._spool)
            if piece or not self._told or last:
                self._give(piece, last)
                if not self._spool.full:
                    self._exchange.wake()
            if last:
                return
            if len(self._spool) or self._whole:
                continue
            if self._last:
                return
            self._parked = True
            self._strands.park()

    def _give(self, piece: bytes, last: bool) -> None:
        if not self._told:
            self._told = True
            assert self._head is not None
            answer, out, lines = self._head
            self._downstream.begin(answer, out, lines, [piece])
            piece = b""
        if last:
            self._downstream.end(piece, self._trailers)
        elif piece:
            self._downstream.piece(piece)
