"""The leader's own client, who is given the answer as those who wait for it are: out of what is stored of it so far.

A strand of its own writes to that client, however slowly it reads, while the exchange takes in what the backend says. So nobody
waits for another one's client. What is held for the client is what the store holds anyway, in memory or in the file. When that can
hold no more, the exchange waits until the client has all there is (`catch_up`), and passes on what comes.
"""

from __future__ import annotations

from lbproxy.cache.interface import Bodies, CacheError, Reading
from lbproxy.errors import ClientGone, ClientStalled, LbproxyError, RequestError, StreamError, TimedOut
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import NONE, Trailers
from lbproxy.proxy.caching.fill import Fill
from lbproxy.proxy.parked import Parked
from lbproxy.proxy.request_body import Interrupt
from lbproxy.proxy.service import Service
from lbproxy.proxy.sink import Sink
from lbproxy.streams import BODY_READ, HEAD_READ, SWIFT_READ, Strand


class _GivenUp(BaseException):
    """Nobody wants the rest. Not an Exception, so that nothing on its way takes it for a failure."""


class OwnClient:
    """A leader's own client, and how far it is."""

    __slots__ = (
        "_ahead", "_at", "_behind", "_exchange", "_fill", "_head", "_interrupt", "_last", "_over", "_parked", "_reading",
        "_service", "_strand", "_trailers", "_whole",
    )  # fmt: skip

    def __init__(
        self, behind: Sink, fill: Fill, service: Service, interrupt: Interrupt, head: tuple[ResponseHead, bytes, bytes]
    ) -> None:
        """`interrupt`: throws into the exchange; `head`: as Sink.begin has it."""
        self._behind = behind
        self._fill = fill
        self._service = service
        self._interrupt = interrupt
        self._head: tuple[ResponseHead, bytes, bytes] | None = head
        """Until the client has it."""
        self._at = 0
        """Bytes of the body that it was given."""
        self._ahead = b""
        """What comes at `_at`, if that need not be looked for."""
        self._reading: Reading | None = None
        self._strand: Strand | None = None
        self._parked = False
        """The strand has given all there was."""
        self._exchange = Parked(service.strands)
        """While it waits for the strand."""
        self._last = False
        """Nothing more comes this way."""
        self._whole = False
        """That is all of the answer."""
        self._trailers = NONE
        self._over = False
        fill.others += 1
        service.strands.later(self._start)

    # ---------------------------------------------------------------- in the exchange

    def room(self) -> int:
        """How much is read from the backend next."""
        return SWIFT_READ if self._parked else BODY_READ

    def in_file(self, bodies: Bodies | None, number: int) -> bool:
        """From now on the body is there, and no more in memory. False: it cannot be read. May wait for the disk."""
        try:
            self._reading = None if bodies is None else bodies.open(number)
        except CacheError:
            return False
        return self._reading is not None

    def go_on(self, data: bytes) -> None:
        """The fill has more, `data` at its end."""
        if self._parked:
            if self._at + len(data) == self._fill.there:
                self._ahead = data
            self._wake_strand()

    def catch_up(self) -> None:
        """Until the client has what there is; then more may be given to it in another way. Raises what is thrown in."""
        self._last = True
        self._wake_strand()
        while not self._over:
            self._exchange.wait()

    def finish(self, trailers: Trailers) -> None:
        """All of it is there: until the client has it, too. Raises what is thrown in."""
        self._trailers = trailers
        self._whole = True
        head, fill = self._head, self._fill
        if head is None or fill.file:
            self.catch_up()
            return
        self.stop()  # not begun yet: it leaves at once
        answer, out, lines = head
        if trailers:
            self._behind.begin(answer, out, lines, [bytes(fill.body)])
            self._behind.end(b"", trailers)
        else:
            self._behind.whole(answer, out, bytes(fill.body), lines)

    def stop(self) -> None:
        """It gets nothing more from here. Twice is harmless."""
        self._exchange.forget()
        if self._over:
            return
        if self._strand is not None:
            self._service.strands.throw_later(self._strand, _GivenUp())
        self._ended()

    def _ended(self) -> None:
        if not self._over:
            self._over = True
            self._fill.others -= 1
            self._ahead = b""
            reading, self._reading = self._reading, None
            if reading is not None:
                reading.close()

    def _wake_strand(self) -> None:
        if self._parked:
            self._parked = False
            self._service.strands.later(self._next)

    def _next(self) -> None:
        if self._strand is not None and not self._over:
            self._strand.switch()

    # ---------------------------------------------------------------- in the strand

    def _start(self) -> None:
        if not self._over:
            self._service.strands.start(self._run)

    def _run(self) -> None:
        self._strand = self._service.strands.current()
        try:
            self._give()
        except _GivenUp:
            pass
        except StreamError as error:  # as what it is, wherever the exchange waits: perhaps for the backend's stream
            self._interrupt(ClientStalled(str(error)) if isinstance(error, TimedOut) else ClientGone(str(error)))
        except CacheError:
            self._interrupt(RequestError(500, "cache_file", "what was stored cannot be read"))
        except LbproxyError as error:  # of a step
            self._interrupt(error)
        except Exception as error:  # must not end in the event loop
            self._service.on_fault(error)
            self._interrupt(RequestError(500, "internal_error"))
        finally:
            self._strand = None
            self._ended()
            self._exchange.wake()

    def _give(self) -> None:
        behind, fill, head = self._behind, self._fill, self._head
        assert head is not None
        self._head = None
        answer, out, lines = head
        behind.begin(answer, out, lines, [self._piece(HEAD_READ)])
        while True:
            if self._at == fill.there and self._last:
                if self._whole:
                    behind.end(b"", self._trailers)
                return
            limit = behind.room()  # first of all: nothing is held for a client that takes nothing
            if self._at == fill.there and not self._last:
                self._parked = True
                self._service.strands.park()
            if self._at < fill.there and self._pass_on(limit):
                return

    def _pass_on(self, limit: int) -> bool:
        """What is there, up to about `limit` bytes. Whether that was the end."""
        data = self._piece(limit)
        if self._whole and self._at == self._fill.there:
            self._behind.end(data, self._trailers)
            return True
        self._behind.piece(data)
        return False

    def _piece(self, limit: int) -> bytes:
        """What the client gets next. Raises CacheError."""
        fill = self._fill
        data, self._ahead = self._ahead, b""
        if not data:
            size = min(limit, fill.there - self._at)
            if fill.file and size:
                assert self._reading is not None
                data = self._reading.read(self._at, size)
            else:
                data = fill.piece(self._at, size)
        self._at += len(data)
        return data
