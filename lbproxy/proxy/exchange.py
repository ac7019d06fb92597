"""One request's journey: route, lease, connection, send, answer, relay; elsewhere again when that is safe; one line in the log.

The lease is held from the pick to the last byte of the response, whatever happens in between. What became of the client's
connection is told in `keep` (it may carry the next request), `broken` (it must be cut so that the client sees that something is
missing), `unread` (more of a body may come that nobody wants, from a client that is not late with it) and `rest` (bytes of the next
request that are here already).
"""

from __future__ import annotations

from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SLOTS, PerSlot
from lbproxy.balance.pick_result import ASK, Unavailable
from lbproxy.balance.pool import Pool
from lbproxy.errors import ClientGone, ClientStalled, ConnectionLost, RequestError, StreamError, TimedOut, UpstreamError
from lbproxy.http.endless import endless, unbuffered
from lbproxy.http.forwarding import response
from lbproxy.http.grammar import END
from lbproxy.http.h1.chunks import LENIENT
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import CHUNKED, NO_BODY, RequestHead, ResponseHead
from lbproxy.http.taken_in import CONTINUE, taken_in
from lbproxy.http.upgrade import upgrade_lines
from lbproxy.proxy import bound
from lbproxy.proxy.buffered import Buffered
from lbproxy.proxy.client_side import KEEP_ALIVE, ClientSide
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.interim import Interim
from lbproxy.proxy.relay import SourceFailed, Transfer
from lbproxy.proxy.requester import Client
from lbproxy.proxy.response_head import next_head, read_piece
from lbproxy.proxy.retry import IDEMPOTENT, REPLAY_LIMIT, Verdict, judge, preference
from lbproxy.proxy.reuse import CURRENT, UNHEARD, Upstream
from lbproxy.proxy.spool import Spool
from lbproxy.proxy.time_limit import TimeLimit
from lbproxy.proxy.tunnel import Tunnel
from lbproxy.proxy.upload import Upload
from lbproxy.proxy.version import ask
from lbproxy.streams import NEVER

_TO_CONNECTS = (PerSlot.CONNECTS - PerSlot.FAILURES) * SLOTS
"""From the cell that counts a backend's failures to the one that counts connections to it."""

UNFILED = 1024 * 1024
"""Bytes of a body that are taken in for a server of HTTP/1.0 where there is no file for them; else REPLAY_LIMIT stay in memory."""
PAUSE = 0.5
"""Seconds that a body may pause before the backend, of which nothing is known, is asked whether it may have it as it comes."""

_CLOSE = b"\r\nConnection: close"
_CHUNKED = b"\r\nTransfer-Encoding: chunked"


class Exchange(ClientSide):
    """Made per request, by __new__; `begin` and `run` once."""

    __slots__ = ("_binds", "_buffered", "_destination", "_first", "_heads", "_over", "_special")

    _destination: Destination
    """Since it was routed."""

    def begin(self, client: Client, head: RequestHead, size: int, rest: bytes, begun: float, parsed: float) -> None:
        """`size`: bytes of the head; `rest`: what arrived behind it; `begun`, `parsed`: when the head began and was whole.

        Instead of a constructor, whose arguments would become objects and be taken apart again: 900 instructions a request.
        """
        self._client = client
        self._service = client.service
        self._head = head
        self.rest = rest
        self._begun = begun
        self._parsed = self._leased = self._answered = self.ended = parsed
        self._status = 0
        self._reason = ""
        self._backend = ""
        self._tries = 0
        self._bytes_in = size
        self._bytes_out = 0
        self._close = not head.keep_alive or (client.service.draining and not rest and not client.pipelined)
        self._special = self._close or not head.minor
        """The answer is passed on with lines of ours."""
        self._lines = self._first = b""
        self._heads = client.service.response_heads
        self._rewriting = None
        self._limit = None
        self._buffered: Buffered | None = None
        self._binds = head.binds
        """The connection to the backend belongs to this client from now on."""
        self._passed_on = False
        self._over = False
        self._upload = None
        self.keep = self.broken = self.unread = False

    def run(self) -> None:
        """Carry the request out to the end and log it. Raises nothing but ClientGone and the client stream's StreamError."""
        try:
            if self._head.body != NO_BODY:
                self._upload = Upload(self.interrupt, self._service, self._client.stream, self._head, self.rest)
                self.rest = b""  # the upload's now: to keep or to forget
            self._route()
        except RequestError as error:
            if self._passed_on:
                self._reason = error.reason
                self.broken, self.keep = True, False
            else:
                self._answer(error.status, error.reason, error.lines)
                self._reason = error.logged
        except SourceFailed as cut:
            self._reason = cut.reason
            self.broken = True
        except (ClientGone, StreamError) as gone:
            self._reason = "client_timeout" if isinstance(gone, (TimedOut, ClientStalled)) else "client_closed"
            self._status = 499
            self._service.counters.aborts += 1
            raise
        except Exception:
            self._status, self._reason = 500, "internal_error"
            raise
        finally:
            self._over = True
            self._unlimited()
            if self._buffered is not None:
                self._bytes_out += self._buffered.stop()
            if self._upload is not None:
                self._upload.stop()
            self._log()

    def interrupt(self, error: Exception) -> None:
        """From the upload's greenlet: the request cannot go on."""
        strands, strand = self._service.strands, self._client.strand

        def throw() -> None:
            if not self._over and strand is not None:
                strand.throw(error)

        strands.later(throw)

    # ---------------------------------------------------------------- where to

    def _route(self) -> None:
        client, head = self._client, self._head
        if client.redirect >= 0 and not client.forwarder.secure(head):
            return self._redirect()
        if head is not client.routed_head:
            head = self._head = client.find_destination(head)
        destination = client.destination
        rewriter = self._service.rewriter if destination is None else destination.rewriter
        if rewriter is not None:
            self._rewriting = rewriter.begin(client.forwarder, head)
            self._heads = self._rewriting.heads
            self._special = self._special or self._rewriting.speaks
        if destination is None:
            raise RequestError(404, "no_route", "no route matches")
        self._destination = destination
        client.stream.write_stall = destination.write_stall
        if destination.buffer_responses:
            self._special = True
        if destination.request:
            self._limit = TimeLimit(client, self._upload, self._begun + destination.request)
        if self._upload is not None:
            self._upload.allow(destination, self._service.retries.method(destination.pool, head) in IDEMPOTENT)
        if destination.filters is None:
            return self._serve(destination.pool)
        with destination.filters.admit(head, client.forwarder):
            return self._serve(destination.pool)

    def _take_in(self, upload: Upload, pause: float = 0.0) -> None:
        """Before the backend hears of the request all of its body is wanted, or what comes before a `pause` of so many seconds."""
        head, destination, service = self._head, self._destination, self._service
        if head.expect_continue and not upload.received:
            self._bytes_out += len(CONTINUE)
            self._client.stream.write(CONTINUE)
        memory = destination.buffer_requests or (UNFILED if service.scratch is None else REPLAY_LIMIT)
        upload.take_in(Spool(service.scratch, memory, destination.buffer_file, service.on_buffer_failed), pause)
        self._head = taken_in(head, upload.received if upload.done else CHUNKED)
        self._parsed = self._leased = self._answered = service.clock()

    def _serve(self, pool: Pool) -> None:
        if self._upload is not None and self._destination.buffer_requests:
            self._take_in(self._upload)
        tried: tuple[int, ...] = ()
        budgeted = -1
        while True:
            picked = pool.pick(tried) if self._client.bound is None or tried else bound.pick(self._client, pool)
            if not isinstance(picked, Lease):
                picked = self._admit(pool, picked, tried)
                if not isinstance(picked, Lease):
                    self._service.retries.end(budgeted)
                    # Say what went wrong at the last one, or that there was none.
                    return self._answer(*((self._status, self._reason) if tried else (503, picked.reason)))
            lease = picked
            if tried:  # the first pick follows the parse at once: there is no queue to wait in
                self._leased = self._answered = self._service.clock()
            self._tries += 1
            self._backend = lease.name
            try:
                failure = self._attempt(lease, pool)
            finally:
                lease.release()
                if tried:
                    self._service.retries.end(budgeted)
            if failure is None:
                if self._buffered is not None:
                    self._buffered.deliver()
                return None
            tried = (*tried, lease.slot)
            if (budgeted := self._service.retries.begin(pool, self._tries, failure.nothing_sent)) < 0:
                return self._answer(self._status, self._reason)

    def _measure(self, lease: Lease, pool: Pool) -> None:
        """A body without a length is for servers that are known to speak 1.1 (RFC 9112 6.1): others take it for none, and say 200.

        So it is taken in before others hear of it. One of whom nothing is known yet is asked once it takes longer.
        """
        upload, idle, slot = self._upload, self._service.idle, lease.slot
        if upload is None or (spoken := idle.speaks(slot)) == CURRENT:
            return
        self._service.strands.sleep(0.0)  # so that the pump of an earlier try has stopped reading
        if spoken == UNHEARD:
            self._take_in(upload, PAUSE)
            if self._head.body != CHUNKED:
                return
            ask(self._dial(lease, pool), self._head, self._service, self._destination)
            self._leased = self._answered = self._service.clock()
            if idle.speaks(slot) == CURRENT:
                return
        self._take_in(upload)
        if self._head.body == CHUNKED:
            raise RequestError(411, "length_unknown", "the body has no length, and is more than may be buffered for HTTP/1.0")

    def _admit(self, pool: Pool, why: Unavailable, tried: tuple[int, ...]) -> Lease | Unavailable:
        """The everyday pick did not give a lease: perhaps the pool only wants to know more of the request."""
        admission = self._service.admissions.get(pool.name)
        if admission is None:
            return pool.pick(tried, preference(self._head)) if why is ASK else why
        admitted = admission.admit(self._head, self._client.forwarder, tried)
        if isinstance(admitted, Unavailable):
            return admitted
        self._leased = self._answered = self._service.clock()  # it may have waited
        self._lines = admitted.lines
        self._special = self._special or self._close or bool(admitted.lines)
        return admitted.lease

    def _attempt(self, lease: Lease, pool: Pool) -> UpstreamError | None:
        """Try the leased backend; None when the client has its answer, else the failure after which another may be tried."""
        reuse = True
        while True:
            upstream = None
            try:
                if self._upload is not None and self._head.body == CHUNKED:
                    self._measure(lease, pool)
                if reuse:
                    upstream = self._kept(lease, pool)
                if upstream is None:
                    upstream = self._dial(lease, pool)
                self._converse(upstream)
                return None
            except UpstreamError as error:
                lease_failed, verdict = error, self._judge(error, upstream, pool)
                if upstream is not None:
                    upstream.stream.abort()
            except BaseException:
                if not self._passed_on:
                    self._service.counters.note(PerSlot.GIVEN_UP, lease.slot)
                if upstream is not None:
                    upstream.stream.abort()
                raise
            if verdict is Verdict.SAME_BACKEND:
                reuse = False
                continue
            self._service.counters.note_failure(lease_failed.kind, lease.slot)
            self._status, self._reason = lease_failed.status, lease_failed.reason
            if verdict is Verdict.GIVE_UP:
                self._answer(lease_failed.status, lease_failed.reason)
                return None
            self._service.counters.retries += 1
            return lease_failed

    def _kept(self, lease: Lease, pool: Pool) -> Upstream | None:
        """An idle connection to the leased backend."""
        service = self._service
        if self._client.bound is not None and (own := bound.take(self._client, lease)) is not None:
            self._binds = True
            return own
        if self._head.method == b"GET" or service.retries.method(pool, self._head) in IDEMPOTENT:
            return service.idle.take(lease.slot)
        return service.idle.take_settled(lease.slot, self._leased, service.strands.sleep)

    def _dial(self, lease: Lease, pool: Pool) -> Upstream:
        backend = lease.backend
        stream = self._service.dialer.dial(backend.ip, backend.port, pool.name, backend.host, self._destination.connect)
        self._service.counters.cells[lease.failures + _TO_CONNECTS] += 1
        return Upstream(stream, backend)

    def _judge(self, error: UpstreamError, upstream: Upstream | None, pool: Pool) -> Verdict:
        upload = self._upload
        if upload is not None:
            upload.pause()
        died_unanswered = error.reason == "response_closed"
        return judge(
            method=self._service.retries.method(pool, self._head),
            nothing_sent=error.nothing_sent,
            reused=upstream is not None and upstream.served > 0,
            died_unanswered=died_unanswered,
            unseen=died_unanswered and upstream is not None and upstream.stream.unseen(upstream.mark),
            replayable=upload is None or upload.replayable,
            tries=self._tries,
            retries=self._service.retries.most(pool, error.kind),
        )

    # ---------------------------------------------------------------- the conversation

    def _converse(self, upstream: Upstream) -> None:
        """Send the request, pass the answer on. Raises UpstreamError while nothing was passed on, later SourceFailed."""
        stream, destination = upstream.stream, self._destination
        stream.write_stall = destination.write_stall
        upstream.mark = stream.wired
        head_bytes = self._client.forwarder.request(self._head)
        if self._rewriting is not None:
            head_bytes = self._rewriting.request(head_bytes)
        upload = self._upload
        try:
            if upload is None:
                stream.write(head_bytes)
            else:
                upload.begin(stream, head_bytes)
        except TimedOut as error:
            raise UpstreamError(504, "write_timeout", "the backend takes no data") from error
        except ConnectionLost:
            pass  # it may have answered before it closed (413 to a long upload); reading tells
        # While the body is on its way the client's and the backend's progress are limited, and then the pump sets this deadline.
        pumping = upload is not None and upload.pumping
        stream.deadline = NEVER if pumping else self._leased + destination.response_head
        known, data = self._first_head(upstream)
        answer, out = known.head, known.out
        if answer.noteworthy:
            if answer.status < 200:
                interim = Interim(self._client, self._head, upload, destination.response_head)
                try:
                    known, data = interim.carry(stream, known, data, self._heads)
                finally:
                    self._bytes_out += interim.written
                upstream.closes = interim.closes
                answer, out = known.head, known.out
                if answer.status == 101:
                    return self._tunnel(upstream, answer, data)
            self._binds = self._binds or answer.binds
            if answer.undated:
                out = known.dated(self._service.date)
            if answer.status >= 500:
                self._service.counters.note_answer(answer.status, upstream.backend.slot)
        self._answered = self._service.clock()
        self._status, self._reason = answer.status, ""  # an earlier try's failure is told by `tries`
        self._first, data = data, b""  # a slow client would have us hold it for as long as the rest takes
        return self._pass_on(upstream, answer, out)

    def _first_head(self, upstream: Upstream) -> tuple[KnownHead, bytes]:
        """As next_head. A connection whose last answer began with the same bytes need not be looked up."""
        stream, last = upstream.stream, upstream.last_head
        data = read_piece(stream, b"")
        if last is not None and data.startswith(last.raw) and last.reader is self._heads and self._head.method != b"HEAD":
            return last, data[len(last.raw) :]
        known, data = next_head(stream, data, self._heads, self._head.method)
        upstream.last_head = None if known.reader is None else known
        self._service.idle.heard(upstream.backend.slot, known.head.minor)
        return known, data

    def _tunnel(self, upstream: Upstream, answer: ResponseHead, data: bytes) -> None:
        """Pass the 101 on, and then bytes until one side, or the worker, ends it. The lease is held for so long."""
        self._status, self._reason = 101, ""
        self._answered = self._service.clock()
        self._passed_on = True
        head = response(answer, upgrade_lines(answer.block) + self._extra(), self._heads.via)
        self._unlimited()
        tunnel = Tunnel(self._service, self._client.stream, upstream.stream, self._destination.tunnel)
        self._client.open_tunnel = tunnel
        try:
            tunnel.run(head, self.rest if self._upload is None else self._upload.rest, data)
        finally:
            self._client.open_tunnel = None
            self._reason, self.broken = tunnel.reason, tunnel.broken
            self._bytes_in += tunnel.bytes_up
            self._bytes_out += tunnel.bytes_down

    # ---------------------------------------------------------------- the answer

    def _pass_on(self, upstream: Upstream, answer: ResponseHead, out: bytes) -> None:
        """Pass the head on (`out`, unless something is to be added) and the body, which begins with `_first`."""
        upload, now = self._upload, self._answered
        body = answer.body
        if body == len(self._first) and upload is None and not self._special and not self._service.draining:
            # The everyday case: the whole answer is here and nothing is to be added to it. It leaves in one write.
            self._passed_on = True
            self._bytes_out += len(out) + body
            self._client.stream.write(out + self._first if body else out)
            self.keep = True
            surplus = False
        else:
            surplus = self._pass_on_otherwise(upstream, answer, out)
            if upload is not None and upload.goes_on and not surplus:
                upload.finish()
                now = self._service.clock()
            self._settle()
        # `unread`: while the client was slow to take the answer more came than the answer, or the backend's end.
        spoilt = upstream.closes or (upload is not None and (not upload.sent or self._head.upgrade))
        if surplus or spoilt or not answer.keep_alive or upstream.stream.unread:
            upstream.stream.close()
        elif self._binds:
            bound.keep(self._client, upstream)
        else:
            self._service.idle.put(upstream, now)

    def _pass_on_otherwise(self, upstream: Upstream, answer: ResponseHead, out: bytes) -> bool:
        """True: bytes came that belong to no response we asked for."""
        head, upload, body = self._head, self._upload, answer.body
        if upload is not None and not upload.outlives(answer, head.expect_continue) and not upload.done:
            self._close = True  # the answer came before the request was over: where the next one begins is not sure
        if self._service.draining and not self._more_is_here():  # asked again: it may have begun while the backend was at work
            self._close = True
        lines = self._extra()
        rechunk = False
        if body < 0:  # chunked, or until the backend closes
            if head.minor == 1:
                rechunk = True
                lines += _CHUNKED
            else:
                self._close = True  # a 1.0 client knows the end of such a body by the end of the connection
        if self._close:
            lines += _CLOSE
        elif head.minor == 0:
            lines += KEEP_ALIVE
        if lines:
            out = out[:-4] + lines + END  # the same as response(answer, lines): what it adds comes last
        if body < 0 or len(self._first) < body:
            return self._relay(upstream, answer, rechunk, out)
        self._passed_on = True
        if self._buffers():
            self._buffer().write_last(out + self._first[:body])
        else:
            self._bytes_out += len(out) + body
            self._write_whole(out + self._first[:body] if body else out)
        return len(self._first) != body

    def _buffers(self) -> bool:
        """Whether the pool wants answers whole. Not where the request goes on behind it: the backend is not free before that."""
        return self._destination.buffer_responses > 0 and (self._upload is None or not self._upload.goes_on)

    def _buffer(self) -> Buffered:
        """Where the answer goes instead of to its client."""
        service, destination = self._service, self._destination
        spool = Spool(service.scratch, destination.buffer_responses, destination.buffer_file, service.on_buffer_failed)
        self._buffered = Buffered(self._client.stream, spool, service.strands, self.interrupt, service.on_fault)
        return self._buffered

    def _relay(self, upstream: Upstream, answer: ResponseHead, rechunk: bool, out: bytes) -> bool:
        """Relay a body that did not come with its head. True: bytes came that belong to no response we asked for."""
        body, silence = answer.body, self._destination.body_idle
        sink = self._client.stream
        if body < 0 and endless(answer):
            silence = self._destination.tunnel
            self._unlimited()
            self._client.streaming = True
        elif self._buffers() and not unbuffered(answer):
            sink = self._buffer()
        tolerance = self._heads.tolerance
        moves = LENIENT if tolerance is None else tolerance.chunks
        transfer = Transfer(upstream.stream, sink, self._service.clock, silence, self._first, moves)
        self._first = b""
        self._passed_on = True
        try:
            return transfer.carry(out, body, rechunk)
        except UpstreamError:
            self._passed_on = False
            raise
        except SourceFailed as cut:
            self._service.counters.note_failure(cut.kind, upstream.backend.slot)
            if self._buffered is not None:
                self._buffered.deliver()  # what there was, before the cut
            raise
        finally:
            self._client.streaming = False
            if self._buffered is None:
                self._bytes_out += transfer.written
