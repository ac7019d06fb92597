"""Where an answer goes whose pool buffers answers: its backend is free as soon as it has said everything.

Theory of operation. The exchange writes here what it reads from the backend, and waits only when memory and file are full. A strand
of its own gives it to the client, piece by piece and from the first piece on: buffering delays nothing. When the backend has said
everything, the exchange gives its connection and its lease back, and then waits in `deliver` until the client has everything, too.

What goes wrong with the client is thrown into the exchange, wherever it waits.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.errors import ClientGone, ClientStalled, RequestError, ScratchError, StreamError, TimedOut
from lbproxy.proxy.spool import Spool
from lbproxy.streams import Buffer, Strand, Strands, Stream


class _Stopped(BaseException):
    """Nobody wants the rest. Not an Exception, so that nothing on its way takes it for a failure."""


class Buffered(Stream):
    """One answer's. A stream only to be written to: reading and closing are its client's."""

    __slots__ = (
        "_begun", "_client", "_interrupt", "_on_fault", "_over", "_parked", "_spool", "_strand", "_strands", "_waits", "_whole",
        "written",
    )  # fmt: skip

    def __init__(
        self,
        client: Stream,
        spool: Spool,
        strands: Strands,
        interrupt: Callable[[Exception], None],
        on_fault: Callable[[BaseException], None],
    ) -> None:
        """`interrupt`: throws into the exchange; `on_fault`: see Service."""
        self._client = client
        self._spool = spool
        self._strands = strands
        self._interrupt = interrupt
        self._on_fault = on_fault
        self._begun = False
        self._strand: Strand | None = None
        self._parked = False
        """The strand has given everything there was to the client."""
        self._waits: Strand | None = None
        """The exchange, while it waits for room or for the end."""
        self._whole = False
        self._over = False
        self.stalls = 0
        self.written = 0
        """Bytes that the client's connection took."""

    # ---------------------------------------------------------------- in the exchange

    def write(self, data: Buffer) -> None:
        """See Stream. The client gets it from the strand."""
        self.await_room()
        self._spool.put(bytes(data))
        if self._begun:
            self._go_on()
        else:
            self._begun = True
            self._strands.later(self._start)

    def await_room(self) -> None:
        """See Stream."""
        while self._spool.full:
            self._wait()

    def write_last(self, data: Buffer) -> None:
        """All of the answer, which came at once: `deliver` needs no strand to write it."""
        self._spool.put(bytes(data))

    def deliver(self) -> None:
        """Everything was written here: wait until the client has it. Raises the client's StreamError."""
        self._whole = True
        if not self._begun:
            while piece := self._spool.pop():
                self._give(piece)
            return
        self._go_on()
        while not self._over:
            self._wait()

    def stop(self) -> int:
        """The exchange is over; how many bytes the client got."""
        self._waits = None
        if self._strand is not None and not self._over:
            self._strands.throw_later(self._strand, _Stopped())
        self._over = True
        self._spool.clear()
        return self.written

    def _wait(self) -> None:
        self._waits = self._strands.current()
        try:
            self._strands.park()
        finally:
            self._waits = None

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
        except _Stopped:
            pass
        except StreamError as error:  # as what it is, wherever the exchange waits: perhaps for the backend's stream
            self._interrupt(ClientStalled(str(error)) if isinstance(error, TimedOut) else ClientGone(str(error)))
        except ScratchError:
            self._interrupt(RequestError(500, "buffer_unreadable", "what was buffered cannot be read"))
        except Exception as error:  # must not end in the event loop
            self._on_fault(error)
            self._interrupt(RequestError(500, "internal_error"))
        finally:
            self._over = True
            self._wake()

    def _empty(self) -> None:
        while True:
            piece = self._spool.pop()
            if piece:
                self._give(piece)
                if not self._spool.full:
                    self._wake()
            elif self._whole:
                return
            else:
                self._parked = True
                self._strands.park()

    def _give(self, piece: bytes) -> None:
        self._client.write(piece)
        self.written += len(piece)

    def _wake(self) -> None:
        """The exchange looks again; from the event loop, where it may have been woken by something else already."""

        def switch() -> None:
            waits, self._waits = self._waits, None
            if waits is not None:
                waits.switch()

        if self._waits is not None:
            self._strands.later(switch)
