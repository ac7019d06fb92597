"""The client's half of an exchange: what became of its request, the answers that are ours, the end of it, its line in the log."""

from __future__ import annotations

from lbproxy.http.message import NO_BODY, RequestHead
from lbproxy.proxy.replies import https_location, redirect, reply
from lbproxy.proxy.requester import Client
from lbproxy.proxy.rewriter import Rewriting, own_lines
from lbproxy.proxy.service import Service
from lbproxy.proxy.time_limit import TimeLimit
from lbproxy.proxy.upload import Upload

KEEP_ALIVE = b"\r\nConnection: keep-alive"  # a 1.0 client keeps its connection only if it is told so


class ClientSide:
    """See exchange.Exchange, which is the rest of it and sets all of this: a call more would cost each request."""

    __slots__ = (
        "_answered", "_backend", "_begun", "_bytes_in", "_bytes_out", "_client", "_close", "_head", "_leased",
        "_limit", "_lines", "_parsed", "_passed_on", "_reason", "_rewriting", "_service", "_status", "_tries",
        "_upload", "broken", "ended", "keep", "rest", "unread",
    )  # fmt: skip

    _client: Client
    _service: Service
    _head: RequestHead
    rest: bytes
    """What arrived behind the request, and is read already."""
    _begun: float
    """When the head began; the next four: when it was whole, a backend was chosen, its answer's head was here, all was over."""
    _parsed: float
    _leased: float
    _answered: float
    ended: float
    _status: int
    _reason: str
    _backend: str
    _tries: int
    _bytes_in: int
    _bytes_out: int
    _close: bool
    """The answer is the last one on the client's connection."""
    _lines: bytes
    _rewriting: Rewriting | None
    _limit: TimeLimit | None
    _passed_on: bool
    """The client has got something of an answer."""
    _upload: Upload | None
    keep: bool
    broken: bool
    unread: bool

    def _unlimited(self) -> None:
        """From here on it is as long as it is, or over but for some last words."""
        if self._limit is not None:
            self._limit.stop()

    def _extra(self) -> bytes:
        """What the answer is given on its way beyond what is the same for all answers of the destination."""
        return self._lines if self._rewriting is None else self._lines + self._rewriting.lines(self._backend)

    def _write_whole(self, out: bytes) -> None:
        if self._close and (self._upload is None or not self._upload.goes_on):
            self._client.stream.write_last(out)
        else:
            self._client.stream.write(out)

    def _more_is_here(self) -> bool:
        """A pipelined request came before the client could be told that none will be answered: it is, and told then."""
        rest = self.rest if self._upload is None else self._upload.rest
        return bool(rest) or self._client.pipelined

    # ---------------------------------------------------------------- answers of our own

    def _answer(self, status: int, reason: str, lines: bytes = b"") -> None:
        self._unlimited()
        self._status, self._reason = status, reason
        # The rest of the body may be on its way, and nobody will read it.
        self.unread = self._head.body != NO_BODY and (self._upload is None or not self._upload.done)
        self._close = self._close or self.unread or (self._service.draining and not self._more_is_here())
        out = reply(status, reason, close=self._close, body=self._head.method != b"HEAD", extra=self._extra_of_own() + lines)
        self._write_own(out)

    def _redirect(self) -> None:
        head = self._head
        location = https_location(head, self._client.forwarder, self._client.redirect, self._service.https_port)
        if head.body != NO_BODY:
            self._close = True
        self._status, self._reason = 308, "redirect_to_https"
        self._write_own(redirect(location, close=self._close, body=head.method != b"HEAD", extra=self._extra_of_own()))

    def _extra_of_own(self) -> bytes:
        lines = KEEP_ALIVE if not self._close and self._head.minor == 0 else b""
        return self._service.date + lines + own_lines(self._rewriting, self._service.rewriter, self._client.forwarder, self._head)

    def _write_own(self, out: bytes) -> None:
        self._passed_on = True
        self._bytes_out += len(out)
        self._write_whole(out)
        self._settle()
        if self.keep and self.rest:
            self._client.stream.give_way()  # no backend was waited for: a pipeline of such requests would keep the loop to itself

    # ---------------------------------------------------------------- the end

    def _settle(self) -> None:
        """The client has its answer: may its connection carry the next request?"""
        upload = self._upload
        if upload is not None:
            self._close = self._close or not upload.done
            self.unread = not upload.done and self._status != 408  # who is cut for being slow has had his time
            self.rest = upload.rest
        self.keep = not self._close

    def _log(self) -> None:
        service, client = self._service, self._client
        self.ended = ended = service.clock()
        bytes_in = self._bytes_in if self._upload is None else self._bytes_in + self._upload.received
        # A tunnel's latency is that of its 101: how long it lasted afterwards is no delay.
        waited = ended - self._begun if self._status != 101 else self._answered - self._begun
        service.counters.count(self._status, bytes_in, self._bytes_out, waited)
        if service.access is not None:
            about = client.about(self._head)
            if self._rewriting is not None:
                about += self._rewriting.logged()
            service.access.record(
                about, self._status, self._reason, bytes_in, self._bytes_out, self._backend, self._tries,
                client.tls_seconds, self._begun, self._parsed, self._leased, self._answered, ended,
            )  # fmt: skip
