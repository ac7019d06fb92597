"""Backends of the configuration to backends of the processes: one for each address that the written one stands for.

A literal address stands for itself. A name stands for as many as it has, and they change while lbproxy runs; each has a slot of
the ledger of its own. Weight, limit and tier are those of the written backend, for every address of it. The master does this, and
tells the children, who do the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import SLOTS
from lbproxy.config.model import UNIX, Address, Config, PoolConfig
from lbproxy.config.model import BackendConfig as Written

NOWHERE = "255.255.255.255"
"""Where a backend stands whose name nobody knows yet: no name server's answer is taken for it, nothing can be connected to it, and
nobody tries, for it is down. So it has its place in the pool, in `status` and under the operator's orders from the beginning."""


class Endpoint(NamedTuple):
    """An address and its slot."""

    ip: str
    slot: int


def is_name(host: str) -> bool:
    """Whether somebody has to be asked what it stands for."""
    if host.startswith(UNIX):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def names_in(config: Config) -> list[str]:
    """Every DNS name among the backends, once."""
    return list(dict.fromkeys(one.address.host for pool in config.pools for one in pool.backends if is_name(one.address.host)))


def moves(pool: PoolConfig) -> bool:
    """Whether its backends come and go while it lives."""
    return any(is_name(written.address.host) for written in pool.backends)


def identity_of_pool(pool: str) -> str:
    """What keeps the slot of a pool that moves; no backend has it."""
    return f"{pool}/"


def name_at(address: Address, ip: str) -> str:
    """What a backend is called that is written as `address` and stands at `ip`: with it where a name may have several."""
    return f"{address.host}@{Address(ip, address.port)}" if is_name(address.host) and ip != NOWHERE else str(address)


def identity_at(pool: str, address: Address, ip: str) -> str:
    """Its Backend.identity."""
    return f"{pool}/{name_at(address, ip)}"


def backends_at(pool: str, written: Written, endpoints: Iterable[Endpoint], pool_slot: int = -1) -> tuple[Backend, ...]:
    """A backend of the processes for each endpoint."""
    host, port = written.address
    made = []
    for ip, slot in endpoints:
        name = name_at(written.address, ip)
        made.append(Backend(pool, name, host, ip, port, written.weight, written.max_connections, slot, written.tier, pool_slot))
    return tuple(made)


def relocate(pool: PoolConfig, backends: Sequence[Backend], address: Address, endpoints: Iterable[Endpoint]) -> tuple[Backend, ...]:
    """`backends` of the pool, with those of the one written as `address` at these endpoints; in the order of the configuration."""
    grouped: dict[Address, tuple[Backend, ...]] = {}
    for backend in backends:
        grouped[backend.written] = (*grouped.get(backend.written, ()), backend)
    moved = next(written for written in pool.backends if written.address == address)
    grouped[address] = backends_at(pool.name, moved, endpoints, backends[0].pool_slot)
    return tuple(backend for written in pool.backends for backend in grouped.get(written.address, ()))


def unplaced(config: Config, addresses: Mapping[str, Sequence[str]]) -> dict[str, tuple[Backend, ...]]:
    """Every pool's backends, by pool name, in the order of the configuration, without slots; `addresses`: of each name."""

    def of(pool: PoolConfig) -> Iterator[Backend]:
        for written in pool.backends:
            host = written.address.host
            known = addresses[host] if is_name(host) else (host,)
            yield from backends_at(pool.name, written, [Endpoint(ip, -1) for ip in known])

    return {pool.name: tuple(of(pool)) for pool in config.pools}


def identities(config: Config, pools: Mapping[str, Iterable[Backend]]) -> list[str]:
    """Whatever needs a slot."""
    needed = [identity_of_pool(pool.name) for pool in config.pools if moves(pool)]
    return [backend.identity for backends in pools.values() for backend in backends] + needed


def placed(pools: Mapping[str, Iterable[Backend]], slots: Mapping[str, int]) -> dict[str, tuple[Backend, ...]]:
    """The same with their slots, by identity."""
    return {
        name: tuple(
            backend._replace(slot=slots[backend.identity], pool_slot=slots.get(identity_of_pool(name), -1)) for backend in backends
        )
        for name, backends in pools.items()
    }


def in_order(config: Config, pools: Mapping[str, Iterable[Backend]]) -> list[Backend]:
    """All backends, in the order of the configuration; a pool may have none yet."""
    return [backend for pool in config.pools for backend in pools.get(pool.name, ())]


def endpoints_as_text(endpoints: Iterable[Endpoint]) -> str:
    """For a message: "10.0.0.1=5,fd00::1=6"."""
    return ",".join(f"{ip}={slot}" for ip, slot in endpoints)


def endpoints_of_text(text: str) -> tuple[Endpoint, ...]:
    """Raises ValueError."""
    endpoints = []
    for word in text.split(","):
        ip, _, slot = word.partition("=")
        if str(ip_address(ip)) != ip or not slot.isdecimal() or not slot.isascii() or int(slot) >= SLOTS:
            raise ValueError(f"wanted an address and its slot, came {word!r:.60}")
        endpoints.append(Endpoint(ip, int(slot)))
    return tuple(endpoints)
