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
from lbproxy.http.icap.suspension import Suspension
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.icap.transaction import IcapConnection, Transaction
from lbproxy.proxy.service import Service as Worker
from lbproxy.proxy.spool import Spool

MOST_OPTIONS = 64 * 1024
"""Bytes of a body in an answer to OPTIONS, which nobody wants."""
Tell = Callable[[str], None]
"""Told that servers are left alone, and why."""


class _Known(NamedTuple):
    options: Options
    until: float


class Servers:
    """Those that are asked about messages in one direction."""

    def __init__(self, settings: model.IcapConfig, path: str, asked: Destination, tell: Tell) -> None:
        """`path`: of the service; `asked`: the pool, with time limits of its own."""
        self.settings = settings
        self.destination = asked
        self.suspension = Suspension(settings.failure_limit, settings.revival)
        self._path = path.encode("ascii")
        self._options: dict[tuple[int, bytes], _Known] = {}
        self._tell = tell

    def service(self, lease: Lease) -> IcapService:
        """As the leased server is called."""
        written = lease.backend
        host = f"[{written.host}]" if ":" in written.host and written.port else written.host
        return IcapService((f"{host}:{written.port}" if written.port else "localhost").encode("ascii"), self._path)

    def connect(self, worker: Worker, lease: Lease, fresh: bool) -> tuple[IcapConnection, bool]:
        """(a connection, whether it was idle before); `fresh`: none that was. Raises UpstreamError."""
        idle = None if fresh else worker.idle.take(lease.slot)
        backend, destination = lease.backend, self.destination
        if isinstance(idle, IcapConnection):
            idle.stream.write_stall = destination.write_stall
            return idle, True
        if idle is not None:
            idle.stream.close()
        stream = worker.dialer.dial(backend.ip, backend.port, backend.pool, backend.host, destination.connect)
        stream.write_stall = destination.write_stall
        return IcapConnection(stream, backend), False

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

    def ask_options(self, worker: Worker, lease: Lease, connection: IcapConnection) -> tuple[Options, bool]:
        """(the same, anew; whether the connection goes on). Raises UpstreamError."""
        spool = Spool(None, MOST_OPTIONS, 0, worker.on_buffer_failed)
        transaction = Transaction(worker, connection.stream, self.settings.timeout, spool, MOST_OPTIONS, options=True)
        try:
            transaction.write(requests.options(self.service(lease)), last=True)
            transaction.await_end()
        finally:
            transaction.drop()
        assert transaction.head is not None
        try:
            options = read_options(transaction.head, self.settings.preview)
        except BadIcapAnswer as error:
            raise UpstreamError(502, "icap_no_service", str(error)) from error
        if len(self._options) > 256:
            self._options.clear()
        self._options[lease.slot, lease.backend.ip.encode()] = _Known(options, worker.clock() + options.ttl)
        return options, transaction.reusable()

    def answered(self) -> None:
        """There is a verdict."""
        self.suspension.answered()

    def failed(self, worker: Worker, error: UpstreamError) -> None:
        """There is none, by nobody's hand."""
        if self.suspension.failed(worker.clock()):
            self._tell(str(error.reason))
