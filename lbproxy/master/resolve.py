"""Backends as configured to backends as the children use them: one literal address and one column of the ledger each.

Only the master resolves names, once per generation and before it forks: a worker must never wait for a name server.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from lbproxy.balance.backend import Backend
from lbproxy.config.model import Backend as Configured
from lbproxy.config.model import Config, Pool
from lbproxy.errors import Complaint, StartError

Lookup = Callable[[str, int], str]
"""Host and port to a literal address; raises OSError or UnicodeError."""


def first_address(host: str, port: int) -> str:
    """The first address of `host` in the order of the system's resolver (RFC 6724); literal addresses pass."""
    return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])


def resolve(config: Config, lookup: Lookup = first_address) -> dict[str, tuple[Backend, ...]]:
    """Every pool's backends, by pool name, in the order of the configuration; slots are -1 until `place` gives them.

    Raises StartError with a line for each name that cannot be resolved.
    """
    faults: list[Complaint] = []
    pools = {pool.name: tuple(_resolve_pool(config, pool, lookup, faults)) for pool in config.pools}
    if faults:
        raise StartError("\n".join(map(str, faults)))
    return pools


def place(pools: dict[str, tuple[Backend, ...]], slots: dict[str, int]) -> dict[str, tuple[Backend, ...]]:
    """The same with their columns; `slots` by identity, from SlotTable.assign."""
    return {name: tuple(backend._replace(slot=slots[backend.identity]) for backend in backends) for name, backends in pools.items()}


def _resolve_pool(config: Config, pool: Pool, lookup: Lookup, faults: list[Complaint]) -> list[Backend]:
    backends = []
    for backend in pool.backends:
        try:
            ip = lookup(*backend.address)
        except (OSError, UnicodeError) as error:
            faults.append(_complaint(config, pool, backend, error))
        else:
            backends.append(_backend(pool, backend, ip))
    return backends


def _backend(pool: Pool, backend: Configured, ip: str) -> Backend:
    host, port = backend.address
    return Backend(pool.name, str(backend.address), host, ip, port, backend.weight, backend.max_connections, -1, backend.tier)


def _complaint(config: Config, pool: Pool, backend: Configured, error: OSError | UnicodeError) -> Complaint:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Complaint(
        config.source,
        backend.line or pool.line,
        f"pool.{pool.name}.backends",
        f'cannot resolve "{backend.address.host}": {why}',
        "check the spelling and /etc/resolv.conf, or write the address as a number",
    )
