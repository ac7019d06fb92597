"""One message's inspection: it is fed as the message comes, and tells the verdict.

Theory of operation. All of the message that came so far is in a spool of the caller's, too. So when a server fails, the message is
shown to another one from its beginning; a connection that was idle and turns out to be closed costs no more than that. Where a
server takes too long nobody else is asked: another one would take as long, and the client has waited already. Unless it was silent
before (http/icap/silence.py): then nobody has waited for long.
"""

from __future__ import annotations

from enum import Enum, auto

from lbproxy.balance.lease import Lease
from lbproxy.balance.policy import PickOutcome
from lbproxy.errors import ScratchError, UpstreamError
from lbproxy.http.icap.answers import NO_OPTIONS
from lbproxy.http.icap.requests import IEOF, LAST, REQMOD, RESPMOD, EncapsulatedHeads, ask, chunk
from lbproxy.proxy.icap.server import Servers
from lbproxy.proxy.icap.transaction import IcapConnection, Transaction
from lbproxy.proxy.service import Service as Worker
from lbproxy.proxy.spool import Spool
from lbproxy.proxy.subrequest import Asker

MOST_TRIES = 2
"""Servers that are asked about a message."""


class _Sent(Enum):
    NOTHING = auto()
    HELD = auto()
    """Connected; the preview is not whole."""
    BODY = auto()
    ALL = auto()


class Inspection:
    """One message, whichever server looks at it."""

    def __init__(self, servers: Servers, worker: Worker, asker: Asker, heads: EncapsulatedHeads, spool: Spool, *, body: bool,
                 lines: bytes = b"") -> None:  # fmt: skip
        """`spool`: has what is fed, before it is fed; `body`: there is one; `lines`: more fields of ICAP."""
        self._servers = servers
        self._worker = worker
        self._asker = asker
        self._heads = heads
        self._spool = spool
        self._body = body
        self._lines = lines
        self._ended = not body
        self._sent = _Sent.NOTHING
        self._held = b""
        self._preview = -1
        self._tried: tuple[int, ...] = ()
        self._lease: Lease | None = None
        self._connection: IcapConnection | None = None
        self._transaction: Transaction | None = None
        self._was_idle = False
        self._fresh = False
        self._since = 0.0
        self.keeps = True
        """The spool still has all of it."""

    # ---------------------------------------------------------------- from the exchange's greenlet

    def feed(self, data: bytes, *, ended: bool) -> None:
        """More of the body, which the spool has by now. Raises UpstreamError when nobody looks at it."""
        self._ended = ended
        try:
            self._feed(data)
        except UpstreamError as error:
            self._try_again(error)
        if self._transaction is not None and self._transaction.error is not None:
            self._try_again(self._transaction.error)

    def verdict(self) -> Transaction:
        """The transaction that is over, whose head tells. Raises UpstreamError."""
        while True:
            try:
                if self._sent is _Sent.NOTHING:
                    self._replay()
                assert self._transaction is not None
                self._transaction.await_end()
                break
            except UpstreamError as error:
                self._try_again(error)
        assert self._lease is not None
        self._servers.answered(self._worker, self._lease.slot)
        transaction = self._transaction
        self._settle()
        return transaction

    @property
    def early(self) -> bool:
        """The verdict is here, whatever is still to come."""
        return self._transaction is not None and self._transaction.over and self._transaction.error is None

    def stop(self) -> None:
        """Nobody wants to know any more."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.drop()
        if self._connection is not None:
            self._connection.stream.abort()
            self._connection = None
        self._release()

    # ---------------------------------------------------------------- what is sent

    def _feed(self, data: bytes) -> None:
        if self._sent is _Sent.NOTHING:
            self._begin()
        transaction = self._transaction
        assert transaction is not None
        if self._sent is _Sent.HELD:
            self._held += data
            if not self._ended and len(self._held) <= self._preview:
                return
            held, self._held = self._held, b""
            if self._ended and len(held) <= self._preview:
                self._sent = _Sent.ALL
                transaction.write(self._question() + chunk(held) + IEOF, last=True)
                return
            transaction.write(self._question() + chunk(held[: self._preview]) + LAST)
            transaction.await_word()
            self._sent, data = _Sent.BODY, held[self._preview :]
        if self._sent is _Sent.BODY and not transaction.over:
            out = chunk(data) + (LAST if self._ended else b"")
            if out:
                transaction.write(out, last=self._ended)
            if self._ended:
                self._sent = _Sent.ALL

    def _question(self) -> bytes:
        assert self._lease is not None
        service = self._servers.service(self._lease)
        return ask(service, self._heads, body=self._body, preview=self._preview, lines=self._lines)

    def _begin(self) -> None:
        """Up to where the body begins, or the preview. Raises UpstreamError."""
        servers, worker = self._servers, self._worker
        if not self._tried and not self._fresh and servers.suspension.holds(worker.clock()):
            raise UpstreamError(503, "icap_suspended", "it failed too often", nothing_sent=True)
        self._lease = lease = servers.lease(worker, self._asker, self._tried)
        self._since = worker.clock()
        self._connection, self._was_idle = servers.connect(worker, lease, self._fresh)
        options = servers.known_options(worker, lease) if self._body else NO_OPTIONS
        if options is None:
            options, goes_on = servers.ask_options(worker, lease, self._connection, servers.settings.timeout)
            if not goes_on:
                self._connection.stream.close()
                self._connection, self._was_idle = servers.connect(worker, lease, True)
        method = RESPMOD if self._heads.answer else REQMOD
        if not options.allows(method):
            raise UpstreamError(502, "icap_no_service", f"the service is not for {method.decode()}")
        self._preview = options.preview
        self._transaction = servers.transaction(worker, self._connection)
        self._held = b""
        if not self._body:
            self._sent = _Sent.ALL
            self._transaction.write(self._question(), last=True)
        elif self._preview >= 0:
            self._sent = _Sent.HELD
        else:
            self._sent = _Sent.BODY
            self._transaction.write(self._question())

    def _replay(self) -> None:
        """From the beginning, all that is here."""
        if not self._body:
            self._begin()
            return
        ended, count = self._ended, len(self._spool)
        try:
            for index in range(count):
                self._ended = ended and index == count - 1
                self._feed(self._spool.read(index))
        except ScratchError as error:
            raise UpstreamError(500, "buffer_unreadable", str(error)) from error
        finally:
            self._ended = ended
        if not count:
            self._feed(b"")

    # ---------------------------------------------------------------- what becomes of it

    def _try_again(self, error: UpstreamError) -> None:
        """At another server, or over a fresh connection. Raises UpstreamError when that is no use."""
        while True:
            stale = self._was_idle and error.reason == "icap_closed"
            self._gone_wrong(error, stale=stale)
            unasked = error.reason in ("icap_suspended", "icap_mute")
            hopeless = error.reason in ("icap_timeout", "icap_suspended") or len(self._tried) >= MOST_TRIES
            if not self.keeps or (hopeless and not stale):
                if not unasked:
                    self._servers.failed(self._worker, error)
                raise error
            try:
                self._replay()
                return
            except UpstreamError as another:
                if another.nothing_sent and self._lease is None:  # there is no other
                    if not unasked:
                        self._servers.failed(self._worker, error)
                    raise error from another
                error = another

    def _gone_wrong(self, error: UpstreamError, *, stale: bool) -> None:
        lease = self._lease
        if lease is not None and not stale:
            self._tried = (*self._tried, lease.slot)
            self._worker.counters.note_failure(error.kind, lease.slot)
            if error.status == 504:
                self._servers.late(self._worker, lease.slot)
            if lease.told is not None:
                lease.told(self._worker.clock() - self._since, PickOutcome.FAILED)
        self._fresh = stale
        self._was_idle = False
        self._sent = _Sent.NOTHING
        self.stop()

    def _settle(self) -> None:
        """There is a verdict: the connection may be of use to others."""
        connection, transaction, lease = self._connection, self._transaction, self._lease
        assert connection is not None
        assert transaction is not None
        if lease is not None and lease.told is not None:
            lease.told(self._worker.clock() - self._since, PickOutcome.ANSWERED)
        self._connection = self._transaction = None
        if transaction.reusable():
            self._worker.idle.put(connection, self._worker.clock())
        else:
            connection.stream.close()
        self._release()

    def _release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()
