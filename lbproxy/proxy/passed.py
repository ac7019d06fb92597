"""A client's connection that nobody decrypts here: its bytes go to a backend of the pool that the name in its hello leads to.

Theory of operation. What was read of the client so far is its hello (worker/accept/hellos.py), which is kept until a backend has
accepted a connection. Up to there nothing was sent to anybody, so the next backend is tried as for a request: other ones first,
within the pool's budget, and a client that leaves meanwhile ends it. From there on it is a tunnel (tunnel.py) as behind a 101: the
lease is held until its end, a silent one has no greenlet, silence is limited, a drain waits for it and cuts it in the end. A try
that reached a backend is never made again, for the backend may have answered; whether the handshake comes about is the two sides'
business.

Whoever gets no backend is told so by an alert, which every client of TLS understands. Half of a client's connection may end in a
tunnel, but not before: TLS has no use for a client that says hello and nothing else, so its end means that it has gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SLOTS, PerSlot, Scalar, scalar_at
from lbproxy.balance.pick_result import ASK, NoneAvailable
from lbproxy.balance.policy import PickOutcome
from lbproxy.balance.pool import Pool
from lbproxy.balance.selection import Preference
from lbproxy.errors import ClientGone, LbproxyError, StreamError, UpstreamError
from lbproxy.observe.access import NO_STATUS
from lbproxy.prelude.alert import INTERNAL_ERROR, fatal
from lbproxy.prelude.announce import Ends, header
from lbproxy.proxy.client import ConnectionCount
from lbproxy.proxy.retry import RetryVerdict, judge
from lbproxy.proxy.service import Service
from lbproxy.proxy.tunnel import Tunnel
from lbproxy.streams import NEVER, Strand, Stream

_TO_CONNECTS = (PerSlot.CONNECTS - PerSlot.FAILURES) * SLOTS
_UNREAD = Preference(repeatable=False)
PLAIN = ""
"""The pool by whose name nobody re-encrypts: a pool's TLS is for its requests and checks, and these bytes are TLS already."""


class Passage(NamedTuple):
    """Where the clients go that ask for a name; seconds, as the pool has them."""

    pool: Pool
    connect: float
    write_stall: float
    tunnel: float
    announces: str
    """The version of the PROXY header that its backends expect; "": none."""


class _NoBackend(LbproxyError):
    """Nobody takes it; the text is why, as the log has it."""


class PassedConnection:
    """One of them; `serve` once, in the connection's own greenlet. Owner of the client's stream from the beginning."""

    __slots__ = (
        "_answered", "_backend", "_begun", "_bytes_down", "_bytes_up", "_client", "_count", "_ends", "_lease", "_leased", "_name",
        "_open", "_parsed", "_passage", "_reason", "_service", "_strand", "_stream", "_tries",
    )  # fmt: skip

    def __init__(
        self,
        service: Service,
        stream: Stream,
        client: str,
        name: str,
        passage: Passage,
        count: ConnectionCount,
        ends: Callable[[], Ends],
        begun: float,
    ) -> None:
        """`name`: what the hello asks for; `count`: what counts it, and is this object's to release; `ends`: of the client's
        connection, asked where backends are told; `begun`: when its hello began to be waited for."""
        self._service = service
        self._stream = stream
        self._client = client
        self._name = name
        self._passage = passage
        self._count = count
        self._ends = ends
        self._begun = begun
        self._parsed = self._leased = self._answered = service.clock()
        self._reason = self._backend = ""
        self._tries = self._bytes_up = self._bytes_down = 0
        self._strand: Strand | None = None
        self._lease: Lease | None = None
        """Of the backend that it is passed to."""
        self._open: Tunnel | None = None
        stream.deadline = NEVER
        stream.owner = self
        service.connections.add(self)

    # ---------------------------------------------------------------- from the event loop

    def on_readable(self) -> None:
        """See StreamOwner: while a backend is looked for. More of what the client says is kept, within bounds."""
        if not self._stream.read_early() and self._strand is not None:
            self._strand.throw(ClientGone("client closed"))

    def on_expired(self) -> None:
        """See StreamOwner: what limits it here are the limits of the tries."""

    @property
    def tunnel(self) -> bool:
        """See Connection."""
        return self._open is not None

    def drain(self, now: float, grace: float) -> None:
        """See Connection: it is never idle."""

    def cut(self) -> None:
        """See Connection."""
        if self._open is not None:
            self._open.cut("tunnel_drained")
        elif self._strand is not None:
            self._strand.throw(_NoBackend("drain_timeout"))

    # ---------------------------------------------------------------- in the greenlet

    def serve(self, data: bytes) -> None:
        """`data`: what was read of the client. Lets nothing out."""
        self._stream.write_stall = self._passage.write_stall
        self._guarded(data)

    def _wake(self) -> None:
        """From the event loop: bytes have come to a tunnel that rests, or its end."""
        self._service.strands.start(lambda: self._guarded(b""))

    def _guarded(self, data: bytes) -> None:
        service, stream = self._service, self._stream
        self._strand = service.strands.current()
        try:
            if self._open is None:
                self._open = self._tunnel()
                self._run(self._open, data)
            else:
                self._run(self._open, b"")
        except _NoBackend as why:
            self._reason = str(why)
            self._count_as(Scalar.PASSED_FAILED)
            self._refuse()
        except (ClientGone, StreamError):
            self._reason = "client_closed"
            service.counters.aborts += 1
            stream.abort()
        except Exception as error:  # must not end in the event loop
            service.on_fault(error)
            self._reason = "internal_error"
            stream.abort()
        finally:
            self._strand = None
            if self._open is None or not self._open.resting:
                self._close()

    def _close(self) -> None:
        self._open = None
        if self._lease is not None:
            self._lease.release()
        self._service.connections.discard(self)
        self._count.release()
        self._log()

    def _tunnel(self) -> Tunnel:
        """To a backend that has accepted a connection, whose lease is ours. Raises _NoBackend."""
        service, pool = self._service, self._passage.pool
        tried: tuple[int, ...] = ()
        budgeted = -1
        while True:
            try:
                lease = self._pick(tried)
                if not isinstance(lease, Lease):
                    raise _NoBackend(self._reason if tried else lease.reason)
                self._leased = self._answered = service.clock()
                self._tries += 1
                self._backend = lease.name
                try:
                    backend = self._dial(lease)
                    if backend is not None:
                        self._lease = lease
                        backend.write_stall = self._passage.write_stall
                        return Tunnel(service, self._stream, backend, self._passage.tunnel, self._wake)
                finally:
                    if self._lease is None:
                        lease.release()
            finally:
                # One that stands is no further try: it may last for hours, and others have to find room in the budget.
                service.retries.end(budgeted)
            tried = (*tried, lease.slot)
            budgeted = service.retries.begin(pool, self._tries, nothing_sent=True)
            if budgeted < 0:
                raise _NoBackend(self._reason)

    def _pick(self, tried: tuple[int, ...]) -> Lease | NoneAvailable:
        pool = self._passage.pool
        picked = pool.pick(tried)
        if isinstance(picked, Lease):
            return picked
        admission = self._service.admissions.get(pool.name)
        if admission is not None:
            return admission.admit_unread(self._client, tried)
        return pool.pick(tried, _UNREAD) if picked is ASK else picked

    def _dial(self, lease: Lease) -> Stream | None:
        """A connection to it; None: there is none, and another one may be tried. Raises _NoBackend."""
        service, passage, backend = self._service, self._passage, lease.backend
        said = header(passage.announces, self._ends(), self._name.encode("ascii")) if passage.announces else b""
        try:
            stream = service.dialer.dial(backend.ip, backend.port, PLAIN, backend.host, passage.connect, introduction=said)
        except UpstreamError as error:
            service.counters.note_failure(error.kind, lease.slot)
            if lease.told is not None:
                lease.told(service.clock() - self._leased, PickOutcome.FAILED)
            self._reason = error.reason
            if self._verdict(error) is RetryVerdict.GIVE_UP:
                raise _NoBackend(error.reason) from error
            service.counters.retries += 1
            return None
        except BaseException:
            service.counters.note(PerSlot.GIVEN_UP, lease.slot)
            raise
        self._answered = service.clock()
        service.counters.cells[lease.failures + _TO_CONNECTS] += 1
        if lease.told is not None:
            lease.told(self._answered - self._leased, PickOutcome.ANSWERED)
        return stream

    def _verdict(self, error: UpstreamError) -> RetryVerdict:
        return judge(
            method=b"",
            nothing_sent=error.nothing_sent,
            reused=False,
            died_unanswered=False,
            unseen=False,
            replayable=True,
            tries=self._tries,
            retries=self._service.retries.most(self._passage.pool, error.kind),
        )

    def _run(self, tunnel: Tunnel, data: bytes) -> None:
        """Bytes both ways, until it rests or is over. `data`: what was read of the client, for a tunnel that begins."""
        try:
            if data:
                self._reason = ""  # an earlier try's failure is told by `tries`
                self._count_as(Scalar.PASSED)
                tunnel.run(b"", data, b"")
            else:
                tunnel.resume()
        finally:
            self._reason = tunnel.reason
            self._bytes_up, self._bytes_down = tunnel.bytes_up, tunnel.bytes_down
        if tunnel.resting:
            return
        if tunnel.reason == "tunnel_backend_lost" and not tunnel.bytes_down:  # it takes connections, and no more
            assert self._lease is not None
            self._service.counters.note_failure("closed", self._lease.slot)
        if tunnel.broken:
            self._stream.abort()
        else:
            self._stream.finish()

    def _refuse(self) -> None:
        try:
            self._stream.write_last(fatal(INTERNAL_ERROR))
        except StreamError:
            pass  # it is gone; nobody to tell
        self._stream.finish()

    def _count_as(self, what: Scalar) -> None:
        counters = self._service.counters
        counters.cells[scalar_at(counters.child, what)] += 1

    def _log(self) -> None:
        service = self._service
        service.counters.bytes_in += self._bytes_up
        service.counters.bytes_out += self._bytes_down
        access = service.access
        if access is not None:
            about = access.describe(self._client, b"", self._name.encode("ascii"), b"", "TLS") + f',"sni":"{self._name}"'
            access.record(
                about, NO_STATUS, self._reason, self._bytes_up, self._bytes_down, self._backend, self._tries,
                0.0, self._begun, self._parsed, self._leased, self._answered, service.clock(),
            )  # fmt: skip
