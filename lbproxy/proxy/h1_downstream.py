"""A client that speaks HTTP/1: how answers are laid out for it, and what becomes of its connection.

What became of the connection is told behind an answer in `keep` (it may carry the next request), `broken` (it must be cut so that
the client sees that something is missing), `unread` (more of a body may come that nobody wants, from a client that is not late with
it) and `rest` (bytes of the next request that are here already).

Pieces are larger as long as the client takes each at once: 100 KiB are relayed with two reads instead of three, for four fifths of
the CPU time. With the first that has to wait they become smaller.
"""

from __future__ import annotations

from lbproxy.http.forwarding import response
from lbproxy.http.grammar import END
from lbproxy.http.h1.chunks import LAST_CHUNK, encode_chunk, last_chunk
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import CHUNKED, NO_BODY, RequestHead, ResponseHead
from lbproxy.http.taken_in import CONTINUE
from lbproxy.http.trailers import Trailers, written
from lbproxy.http.upgrade import upgrade_lines
from lbproxy.proxy.answer_state import AnswerEvent, AnswerState
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.h1_body import H1Body
from lbproxy.proxy.replies import OwnAnswer, laid_out
from lbproxy.proxy.request_body import Interrupt, RequestBody
from lbproxy.proxy.tunnel import Tunnel
from lbproxy.streams import BODY_READ, SWIFT_READ

KEEP_ALIVE = b"\r\nConnection: keep-alive"  # a 1.0 client keeps its connection only if it is told so
_CLOSE = b"\r\nConnection: close"
_CHUNKED = b"\r\nTransfer-Encoding: chunked"
_AWAITED, _BEGUN = int(AnswerState.AWAITED), int(AnswerState.BEGUN)
_INTERIM, _WHOLE, _BEGIN, _PIECE, _END, _BREAK = map(int, AnswerEvent)


class H1Downstream(Downstream):
    """One connection's; `receive` begins each request."""

    __slots__ = (
        "_closes", "_in_chunks", "_length", "_minor", "_owed", "_special", "_stalls", "_wordless", "keep", "rest",
        "unread",
    )  # fmt: skip

    _length: int
    """Of the request's body, as RequestHead has it. An idle connection keeps no head, but what is needed of it in these three."""
    _minor: int
    _wordless: bool
    """HEAD: an answer of ours has no body."""
    rest: bytes
    """What arrived behind the request, and is read already."""
    keep: bool
    unread: bool
    _closes: bool
    """The answer is the last one on the connection."""
    _special: bool
    """Any answer gets lines of ours."""
    _in_chunks: bool
    """The present answer's body leaves in chunks."""
    _owed: int
    """Bytes of the present answer's body that are still to be given, once it has begun; below 0: no length was told."""
    _stalls: int
    """Of the stream, when the present answer began."""

    def receive(self, head: RequestHead, rest: bytes) -> None:
        """A request came; `rest`: what is here behind its head."""
        self._length = head.body
        self._minor = head.minor
        self._wordless = head.method == b"HEAD"
        self.rest = rest
        self.body = None
        self.bytes_out = 0
        self._closes = not head.keep_alive or (self.service.draining and not rest and not self.pipelined)
        self._special = self._closes or not head.minor
        self.answer_state = _AWAITED
        self.keep = self.broken = self.unread = False

    def open_body(self, interrupt: Interrupt) -> None:
        """See Downstream."""
        length = self._length
        self.body = RequestBody(interrupt, self.service, H1Body(self.stream, length), length == CHUNKED, self.rest)
        self.rest = b""  # the body's now: to keep or to forget

    def invite(self) -> None:
        """See Downstream."""
        self.stream.write(CONTINUE)
        self.bytes_out += len(CONTINUE)

    # ---------------------------------------------------------------- a backend's answer

    def interim(self, known: KnownHead) -> None:
        """See Sink. RFC 9110 15.2: a 1.0 client does not know 1xx."""
        self.answering(_INTERIM)
        if self._minor == 1:
            self.stream.write(known.out)
            self.bytes_out += len(known.out)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self.answering(_WHOLE)
        if not self._special and self.body is None and not lines and not self.service.draining and answer.body >= 0:
            # The everyday case: nothing is to be added to it. It leaves in one write.
            self.bytes_out += len(out) + len(body)
            self.stream.write(out + body if body else out)
            return
        out = self._laid_out(answer, out, lines)
        self._write_last(out + self._coded(body) + (LAST_CHUNK if self._in_chunks else b""))

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        out = self._laid_out(answer, out, lines)
        self._stalls = self.stream.stalls
        self.answering(_BEGIN)
        payload = first.pop()
        self._owed = answer.body - len(payload)
        self._write(out + self._coded(payload))

    def room(self) -> int:
        """See Sink."""
        self.stream.await_room()
        return SWIFT_READ if self.stream.stalls == self._stalls else BODY_READ

    def piece(self, data: bytes) -> None:
        """See Sink."""
        self.answering(_PIECE)
        self._owed -= len(data)
        self._write(self._coded(data))

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink. A body that is not in chunks has no place for trailers."""
        self.answering(_END)
        if self._in_chunks:
            data = self._coded(data) + (last_chunk(written(trailers)) if trailers else LAST_CHUNK)
        self._write(data)

    def _laid_out(self, answer: ResponseHead, out: bytes, lines: bytes) -> bytes:
        """The head with what it has to say about the body and the connection."""
        body, minor = self.body, self._minor
        if body is not None and not body.goes_on and not body.done:
            self._closes = True  # the answer came before the request was over: where the next one begins is not sure
        if self.service.draining and not self._more_is_here():  # asked again: it may have begun while the backend was at work
            self._closes = True
        self._in_chunks = False
        if answer.body < 0:  # chunked, or until the backend closes
            if minor == 1:
                self._in_chunks = True
                lines += _CHUNKED
            else:
                self._closes = True  # a 1.0 client knows the end of such a body by the end of the connection
        if self._closes:
            lines += _CLOSE
        elif minor == 0:
            lines += KEEP_ALIVE
        return out[:-4] + lines + END if lines else out  # the same as response(answer, lines): what it adds comes last

    def _coded(self, payload: bytes) -> bytes:
        return encode_chunk(payload) if self._in_chunks and payload else payload

    def _write(self, data: bytes) -> None:
        if data:
            self.stream.write(data)
            self.bytes_out += len(data)

    def _write_last(self, data: bytes) -> None:
        """Behind it the connection ends, unless something is to follow."""
        self.bytes_out += len(data)
        if self._closes and (self.body is None or not self.body.goes_on):
            self.stream.write_last(data)
        else:
            self.stream.write(data)

    def _more_is_here(self) -> bool:
        """A pipelined request came before the client could be told that none will be answered: it is, and told then."""
        rest = self.rest if self.body is None else self.body.rest
        return bool(rest) or self.pipelined

    def upgrade(self, answer: ResponseHead, lines: bytes, via: bytes, tunnel: Tunnel, early: bytes) -> None:
        """See Downstream."""
        self.answering(_BEGIN)
        self._owed = -1
        head = response(answer, upgrade_lines(answer.block) + lines, via)
        self.carry(tunnel, head, self.rest if self.body is None else self.body.rest, early)

    # ---------------------------------------------------------------- answers of our own

    def own(self, answer: OwnAnswer, extra: bytes) -> None:
        """See Downstream."""
        body = self.body
        # The rest of the body may be on its way, and nobody will read it. Who is cut for being slow with it has had his time.
        unread = self._length != NO_BODY and (body is None or not body.done)
        self._closes = self._closes or unread or (self.service.draining and not self._more_is_here())
        if not self._closes and not self._minor:
            extra = KEEP_ALIVE + extra
        self.answering(_WHOLE)
        self._write_last(laid_out(answer, close=self._closes, body=not self._wordless, extra=extra))
        self.finished()
        self.unread = unread and answer.status != 408

    # ---------------------------------------------------------------- the end

    def finished(self) -> None:
        """See Downstream."""
        body = self.body
        if body is not None:
            self.unread = not body.done
            self._closes = self._closes or self.unread
            self.rest = body.rest
        self.keep = not self._closes

    def lacks_nothing(self) -> bool:
        """See Downstream. It was told a length and has it: it waits for nothing, and may have sent its next request."""
        return self.answer_state == _BEGUN and self._owed == 0

    def say_nothing(self) -> None:
        """See Downstream. What was answered before is not lost: the connection is closed as any other."""
        self.keep = False

    def break_off(self) -> None:
        """See Downstream."""
        self.answering(_BREAK)
        self.broken, self.keep = True, False
