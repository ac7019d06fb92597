"""Connections to backends that began with a PROXY header, which says whose they are.

Theory of operation. A header names one client, once, in front of everything else; whatever comes over the connection later is that
client's for the backend. So such a connection never goes to the idle ones that all share. It belongs to the client connection for
which it was opened, of either version of HTTP, and carries its requests, one after another; it is closed with it at the latest, and
before, as [pool.NAME.connections] says. Picks are what they are elsewhere: each request goes to the backend with the least to do,
over the client's own idle connection to that one, if there is any.

Where the client connection is one of a trusted proxy's, who speaks for many, the header names the client of the request (its port
is 0, which nobody knows), and only requests of that client go over the connection. What is nobody's (a question of our own to a
backend) says so, and is used once.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lbproxy.balance.lease import Lease
from lbproxy.config.model import ConnectionsConfig
from lbproxy.http.message import RequestHead
from lbproxy.prelude.announce import LOCAL, Ends, header
from lbproxy.proxy.upstream import SETTLED, Upstream
from lbproxy.streams import NEVER

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream
    from lbproxy.proxy.rewriter import Rewriting

NOBODY = Ends("", 0, "", 0)


class AnnouncedUpstreams:
    """One client connection's connections to backends, and what these are told of it."""

    __slots__ = ("_alpn", "_authority", "_closed", "_ends", "_find_ends", "_idle")

    def __init__(self, find_ends: Callable[[], Ends], authority: str = "", alpn: str = "") -> None:
        """`find_ends`: asked once, when a backend is to be told; `authority`: the name that the client has asked for by SNI."""
        self._find_ends = find_ends
        self._ends: Ends | None = None
        self._authority = authority.encode("ascii")
        self._alpn = alpn.encode("ascii")
        self._idle: list[Upstream] = []
        self._closed = False

    def header(self, version: str, named: str, unique_id: str = "") -> bytes:
        """What a backend is told. `named`: the client of the request."""
        if self._ends is None:
            self._ends = self._find_ends()
        ends = self._ends if named == self._ends.source else _of_another(self._ends, named)
        return header(version, ends, self._authority, self._alpn, unique_id.encode("ascii"))

    def take(self, lease: Lease, named: str, repeatable: bool, now: float) -> Upstream | None:
        """An idle connection to the leased backend that was opened for that client. `repeatable`: the request may be sent twice;
        others get one that its backend means to keep, as far as that can be known (upstream_pool.py)."""
        for index in range(len(self._idle) - 1, -1, -1):
            upstream = self._idle[index]
            said = upstream.announced
            if upstream.backend != lease.backend or said is None or said.named != named:
                continue
            if repeatable or upstream.served > 1 or upstream.since + SETTLED <= now:
                del self._idle[index]
                upstream._idle = False
                upstream.stream.deadline = NEVER
                return upstream
        return None

    def keep(self, upstream: Upstream, settings: ConnectionsConfig, now: float) -> None:
        """Its response ended cleanly: for the client's next request."""
        upstream.served += 1
        if upstream._retires == NEVER and settings.max_age:
            upstream._retires = now + settings.max_age
        idle = sum(each.backend == upstream.backend for each in self._idle)
        spent = 0 < settings.max_requests <= upstream.served or now >= upstream._retires
        if self._closed or spent or idle >= settings.idle:
            upstream.stream.close()
            return
        upstream._idle = True
        upstream.since = now
        upstream.stream.deadline = min(now + settings.idle_timeout, upstream._retires)
        self._idle.append(upstream)

    def forget(self, upstream: Upstream) -> None:
        """It is idle, and about to be closed."""
        self._idle.remove(upstream)

    def close(self) -> None:
        """The client is gone."""
        self._closed = True
        while self._idle:
            upstream = self._idle.pop()
            upstream._idle = False
            upstream.stream.close()

    def __len__(self) -> int:
        return len(self._idle)


class Announcement:
    """What was said when a connection to a backend began."""

    __slots__ = ("header", "keeper", "named")

    def __init__(self, header: bytes, keeper: AnnouncedUpstreams | None, named: str) -> None:
        """`keeper`: whose it is; None: nobody's."""
        self.header = header
        self.keeper = keeper
        self.named = named

    def keep(self, upstream: Upstream, settings: ConnectionsConfig, now: float) -> None:
        """See AnnouncedUpstreams.keep."""
        if self.keeper is None:
            upstream.stream.close()
        else:
            self.keeper.keep(upstream, settings, now)

    def forget(self, upstream: Upstream) -> None:
        """See AnnouncedUpstreams.forget."""
        if self.keeper is not None:
            self.keeper.forget(upstream)


def announce(
    version: str, downstream: Downstream | None, head: RequestHead | None, rewriting: Rewriting | None
) -> Announcement:
    """For a connection that is opened for a request, or (None) for a question of our own."""
    if downstream is None or head is None or (keeper := downstream.forwarder.announced) is None:
        return Announcement(LOCAL[version], None, "")
    named = downstream.forwarder.client(head)
    return Announcement(keeper.header(version, named, "" if rewriting is None else rewriting.id()), keeper, named)


def _of_another(ends: Ends, named: str) -> Ends:
    """A client for whom a trusted proxy speaks."""
    try:
        ip_address(named)
    except ValueError:
        return NOBODY
    return ends._replace(source=named, source_port=0)
