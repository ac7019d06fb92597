"""One request to an ICAP server, read while it is written.

Theory of operation. Whoever has the message writes; a strand of its own reads. An echo of 20 MB would else never end: both sides
would wait for the other to read. The reader keeps what it gets in a spool, and wakes the writer when there is something to know:
that the server wants the rest behind a preview, or that all of its answer is here, whether it has heard all of the message or not.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.balance.backend import Backend
from lbproxy.errors import ScratchError, StreamError, TimedOut, UpstreamError
from lbproxy.http.h1.chunks import LENIENT, ChunkDecoder, ChunkError
from lbproxy.http.icap.answers import BadIcapAnswer, IcapHead, end_of_head, read_head
from lbproxy.proxy.parked import Parked
from lbproxy.proxy.service import Service
from lbproxy.proxy.spool import Spool
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import BODY_READ, NEVER, Stream

_PASS, _CHANGED = 204, 200
LEAST_RATE = 1024
"""Bytes a second that count as progress of a body. Below it a server is as good as one that says nothing: a byte now and then would
keep a request, its spool and a connection for days. (Squid limits each read alone, and with that nothing.)"""


class IcapConnection(Upstream):
    """A connection to an ICAP server, which is kept among the idle ones of its pool."""

    __slots__ = ()

    def __init__(self, stream: Stream, backend: Backend) -> None:
        super().__init__(stream, backend)


class Transaction:
    """One request and its answer."""

    __slots__ = (
        "_data", "_dropped", "_options", "_owed", "_patience", "_reading", "_room", "_service", "_started", "_stream",
        "_surplus", "_until", "_writer", "all_sent", "continued", "error", "head", "heads", "over", "result", "size",
    )  # fmt: skip

    def __init__(self, service: Service, stream: Stream, patience: float, result: Spool, room: int, *,
                 options: bool = False) -> None:  # fmt: skip
        """`patience`: seconds that the server may say nothing, or next to nothing, while it is its turn; `result`, `room`: for the
        body that it sends back, and how large that may be; `options`: what is asked is OPTIONS."""
        self._service = service
        self._stream = stream
        self._patience = patience
        self.result = result
        """The body that it sends back; for whoever has got a verdict to empty."""
        self._room = room
        self._options = options
        self._data = b""
        self._writer = Parked(service.strands)
        self._reading = self._started = self._dropped = self._surplus = False
        self._owed = False
        self._until = NEVER
        self.all_sent = False
        """The server has all of the request."""
        self.continued = False
        """It wants what comes behind the preview."""
        self.over = False
        """All of its answer is here, or none will come."""
        self.error: UpstreamError | None = None
        self.head: IcapHead | None = None
        self.heads = b""
        """What it encapsulates."""
        self.size = 0
        """Bytes of the body behind that."""

    # ---------------------------------------------------------------- the writer

    def write(self, data: bytes, *, last: bool = False) -> None:
        """More of the request. One that is not taken any more is no failure yet: the answer may be here."""
        if not self._started:
            self._started = True
            self._service.strands.later(self._start)
        if self.over:
            return
        self._turn(ours=True)
        try:
            self._stream.write(data)
            self.all_sent = last
        except TimedOut:
            self._fail(UpstreamError(504, "icap_timeout", "the server takes no data"))
        except StreamError:
            pass  # the reader tells
        if last:
            self._turn(ours=False)

    def await_word(self) -> None:
        """Behind a preview: until the server wants more, or is done."""
        self._turn(ours=False)
        self._wait(lambda: self.continued or self.over)

    def await_end(self) -> None:
        """Until all of the answer is here. Raises UpstreamError when there is none."""
        self._turn(ours=False)
        self._wait(lambda: self.over)
        if self.error is not None:
            raise self.error

    def _turn(self, *, ours: bool) -> None:
        self._owed = not ours
        self._stream.deadline = self._until = NEVER if ours else self._service.clock() + self._patience

    def _wait(self, met: Callable[[], bool]) -> None:
        while not met():
            self._writer.wait()

    def reusable(self) -> bool:
        """The connection may carry another request."""
        sound = self.over and self.error is None and self.all_sent and not self._surplus and not self._stream.unread
        return sound and self.head is not None and self.head.keep_alive

    def drop(self) -> None:
        """Nobody wants the answer, nor what came of it. The stream is the caller's to end."""
        self._dropped = True
        if not self._reading:
            self.result.clear()

    # ---------------------------------------------------------------- the reader

    def _start(self) -> None:
        if not self._dropped:
            self._service.strands.start(self._run)

    def _run(self) -> None:
        self._reading = True
        try:
            self._read()
        except UpstreamError as error:
            self._fail(error)
        except TimedOut:
            self._fail(UpstreamError(504, "icap_timeout", "the server does not answer in time"))
        except StreamError as error:
            self._fail(UpstreamError(502, "icap_closed", str(error)))
        except (BadIcapAnswer, ChunkError) as error:
            self._fail(UpstreamError(502, "icap_malformed", str(error)))
        except ScratchError:
            self._fail(UpstreamError(500, "buffer_unreadable", "what was buffered cannot be read"))
        except Exception as error:  # must not end in the event loop
            self._service.on_fault(error)
            self._fail(UpstreamError(500, "internal_error"))
        finally:
            self._reading = False
            self.over = True
            self._writer.wake()
            if self._dropped:
                self.result.clear()

    def _fail(self, error: UpstreamError) -> None:
        self.error = self.error or error
        self.over = True

    def _more(self) -> bytes:
        data = self._stream.read(BODY_READ)
        if not data:
            raise UpstreamError(502, "icap_closed", "the server closed before its answer was whole")
        return data

    def _goes_on(self) -> None:
        """What was owed is here, and the next has its own time, as a whole: each head, and the beginning of a body."""
        if self._owed:
            self._stream.deadline = self._until = self._service.clock() + self._patience

    def _progress(self, came: int) -> None:
        """So much of a body earns the server time, up to all of its patience: those of any size come to their end, and pauses
        between large pieces may be as long as silence elsewhere."""
        if self._owed:
            self._stream.deadline = self._until = min(self._service.clock() + self._patience, self._until + came / LEAST_RATE)

    def _head(self) -> IcapHead:
        searched = 0
        while (end := end_of_head(self._data, searched)) < 0:
            searched = len(self._data)
            self._data += self._more()
        head = read_head(self._data[:end])
        self._data = self._data[end:]
        self._goes_on()
        return head

    def _read(self) -> None:
        head = self._head()
        if head.status == 100:
            self.continued = True
            self._writer.wake()
            head = self._head()
        self.head = head
        if not self._options and head.status not in (_PASS, _CHANGED):
            raise UpstreamError(502, "icap_refused", f"the server answers {head.status}")
        if head.status == _PASS:
            self._surplus = bool(self._data)
            return
        size = head.encapsulated.size
        while len(self._data) < size:
            self._data += self._more()
        self.heads, self._data = self._data[:size], self._data[size:]
        if head.encapsulated.body:
            self._goes_on()
            self._read_body()
        self._surplus = self._surplus or bool(self._data)

    def _read_body(self) -> None:
        decoder = ChunkDecoder(LENIENT)
        data, self._data = self._data, b""
        while True:
            payload = decoder.feed(data)
            self.size += len(payload)
            if self.size > self._room or (self.result.full and payload):
                raise UpstreamError(502, "icap_answer_too_large", f"a body of more than {self._room} bytes")
            if payload and not self._options:
                self.result.put(payload)
            if decoder.done:
                self._surplus = bool(decoder.rest)
                return
            self._progress(len(payload))
            data = self._more()
