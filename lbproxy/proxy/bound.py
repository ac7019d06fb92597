"""Connections to backends that belong to one client connection.

NTLM, Negotiate and CredSSP authenticate the connection, not the request (RFC 4559, MS-NTHT): whoever comes over it later is taken
for the user who logged in. So from the first such challenge or credential on a connection to a backend carries the requests of
one client connection only, is kept whatever the pool says of idle ones, and closes with it. It has no lease while it is idle:
requests over it are counted, limited and drained as any others are, and when its backend may not be used, another one asks for
credentials anew.
"""

from __future__ import annotations

from lbproxy.balance.lease import Lease
from lbproxy.balance.pick_result import NoneAvailable
from lbproxy.balance.pool import Pool
from lbproxy.balance.selection import Preference
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.upstream import Upstream


def pick(client: Downstream, pool: Pool) -> Lease | NoneAvailable:
    """The backend that the client has a connection of its own to, if that may be used; else any."""
    bound = client.bound or {}
    for index, backend in enumerate(pool.backends):
        if backend.slot in bound:
            picked = pool.pick((), Preference(first=index))
            return picked if isinstance(picked, Lease) else pool.pick()
    return pool.pick()


def take(client: Downstream, lease: Lease) -> Upstream | None:
    """The client's own connection to the leased backend."""
    upstream = (client.bound or {}).get(lease.slot)
    if upstream is None:
        return None
    upstream.unbind()
    if upstream.backend != lease.backend:  # its place was given to another one
        upstream.stream.close()
        return None
    return upstream


def keep(client: Downstream, upstream: Upstream) -> None:
    """From now on it is the client's."""
    if client.bound is None:
        client.bound = {}
    before = client.bound.get(upstream.backend.slot)
    if before is not None and before is not upstream:
        before.unbind()
        before.stream.close()
    upstream.bind(client.bound)


def close(client: Downstream) -> None:
    """The client is gone, and nobody else may use them."""
    bound, client.bound = client.bound or {}, None
    for upstream in list(bound.values()):
        upstream.unbind()
        upstream.stream.close()
