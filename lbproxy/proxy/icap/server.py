"""The ICAP servers of one route, in one worker: connections, what they say of themselves, and whether they are left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lbproxy.balance.lease import Lease
from lbproxy.config import model
from lbproxy.errors import UpstreamError
from lbproxy.http.icap import requests
from lbproxy.http.icap.answers import BadIcapAnswer, Options, read_options
from lbproxy.http.icap.requests import IcapService
from lbproxy.http.icap.silence import Silence, short
from lbproxy.http.suspension import Suspension
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.icap.transaction import IcapConnection, Transaction
from lbproxy.proxy.service import Service as Worker
from lbproxy.proxy.spool import Spool
from lbproxy.proxy.subrequest import Asker, lease_for

MOST_OPTIONS = 64 * 1024
"""Bytes of a body in an answer to OPTIONS, which nobody wants."""
Tell = Callable[[str], None]
"""Told that servers are left alone, and why."""


class _Known(NamedTuple):
    options: Options
    until: float


class Servers:
    """Those that are asked about messages in one direction."""

    def __init__(self, settings: model.IcapConfig, path: str, asked: Destination, tell: Tell, silence: Silence) -> None:
        """`path`: of the service; `asked`: the pool, with time limits of its own; `silence`: of its servers, in both directions."""
        self.settings = settings
        self.destination = asked
        self.suspension = Suspension(settings.failure_limit, settings.revival)
        self.silence = silence
        self._path = path.encode("ascii")
        self._options: dict[tuple[int, bytes], _Known] = {}
        self._tell = tell

    def service(self, lease: Lease) -> IcapService:
        """As the leased server is called."""
        written = lease.backend
        host = f"[{written.host}]" if ":" in written.host and written.port else written.host
        return IcapService((f"{host}:{written.port}" if written.port else "localhost").encode("ascii"), self._path)

    def lease(self, worker: Worker, asker: Asker, tried: tuple[int, ...]) -> Lease:
        """Of a server that was not `tried`, and is not silent as far as there are others. Raises UpstreamError."""
        spared = self.silence.spared(worker.clock())
        if spared and any(backend.slot not in (*tried, *spared) for backend in self.destination.pool.backends):
            try:
                return lease_for(self.destination, worker, asker, (*tried, *spared), None)
            except UpstreamError:
                pass  # the others are down: better one that may be silent
        return lease_for(self.destination, worker, asker, tried, None)

    def connect(self, worker: Worker, lease: Lease, fresh: bool) -> tuple[IcapConnection, bool]:
        """(a connection, whether it was idle before); `fresh`: none that was. Raises UpstreamError."""
        if self.silence.holds(lease.slot):
            return self._break_silence(worker, lease), False
        idle = None if fresh else worker.idle.take(lease.slot)
        if isinstance(idle, IcapConnection):
            idle.stream.write_stall = self.destination.write_stall
            return idle, True
        if idle is not None:
            idle.stream.close()
        return self._dial(worker, lease, self.destination.connect), False

    def _dial(self, worker: Worker, lease: Lease, patience: float) -> IcapConnection:
        backend = lease.backend
        stream = worker.dialer.dial(backend.ip, backend.port, backend.pool, backend.host, patience)
        stream.write_stall = self.destination.write_stall
        return IcapConnection(stream, backend)

    def _break_silence(self, worker: Worker, lease: Lease) -> IcapConnection:
        """A connection to a server that was silent, once it has said what it is. Raises UpstreamError when it does not, soon."""
        patience, slot = short(self.settings.timeout), lease.slot
        if self.silence.is_mute(slot, worker.clock()):
            raise UpstreamError(504, "icap_mute", "the server was silent before, as it was just now", nothing_sent=True)
        self.late(worker, slot)  # others are spared while this one finds out
        connection = None
        try:
            connection = self._dial(worker, lease, min(patience, self.destination.connect))
            _, goes_on = self.ask_options(worker, lease, connection, patience)
        except BaseException as error:
            if connection is not None:
                connection.stream.abort()
            if not isinstance(error, UpstreamError):
                raise
            if error.status == 504:
                self.silence.mute(slot, worker.clock(), patience)
                why = f"the server was silent before, and does not say within {patience:g} s what it is"
                raise UpstreamError(504, "icap_silent", why, nothing_sent=True) from error
            if connection is None:
                raise
            goes_on = False  # it runs, and knows no OPTIONS
        if goes_on:
            return connection
        connection.stream.abort()
        return self._dial(worker, lease, self.destination.connect)

    def spool(self, worker: Worker) -> Spool:
        """For a body that is kept until there is a verdict."""
        return Spool(worker.scratch, self.settings.memory, self.settings.max_body, worker.on_buffer_failed)

    def transaction(self, worker: Worker, connection: IcapConnection) -> Transaction:
        """For a message."""
        return Transaction(worker, connection.stream, self.settings.timeout, self.spool(worker), self.settings.max_body)

    def known_options(self, worker: Worker, lease: Lease) -> Options | None:
        """What the leased server said of itself, if that still holds."""
        known = self._options.get((lease.slot, lease.backend.ip.encode()))
        return known.options if known is not None and known.until > worker.clock() else None

    def ask_options(self, worker: Worker, lease: Lease, connection: IcapConnection, patience: float) -> tuple[Options, bool]:
        """(the same, anew; whether the connection goes on). Raises UpstreamError."""
        spool = Spool(None, MOST_OPTIONS, 0, worker.on_buffer_failed)
        transaction = Transaction(worker, connection.stream, patience, spool, MOST_OPTIONS, options=True)
        try:
            transaction.write(requests.options(self.service(lease)), last=True)
            transaction.await_end()
        finally:
            transaction.drop()
        assert transaction.head is not None
        self.silence.heard(lease.slot, worker.clock())
        try:
            options = read_options(transaction.head, self.settings.preview)
        except BadIcapAnswer as error:
            raise UpstreamError(502, "icap_no_service", str(error)) from error
        if len(self._options) > 256:
            self._options.clear()
        self._options[lease.slot, lease.backend.ip.encode()] = _Known(options, worker.clock() + options.ttl)
        return options, transaction.reusable()

    def answered(self, worker: Worker, slot: int) -> None:
        """There is a verdict, by that server."""
        self.suspension.answered()
        self.silence.heard(slot, worker.clock())

    def late(self, worker: Worker, slot: int) -> None:
        """That server has let somebody wait for too long."""
        self.silence.late(slot, worker.clock(), self.settings.timeout)

    def failed(self, worker: Worker, error: UpstreamError) -> None:
        """There is none, by nobody's hand."""
        if self.suspension.failed(worker.clock()):
            self._tell(str(error.reason))
