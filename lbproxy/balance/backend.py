"""A backend as the processes share it: resolved, with its slot in the ledger."""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.config.model import Address


class Backend(NamedTuple):
    """One place a request may go to. Slots are handed out by the master alone."""

    pool: str
    name: str
    """As configured ("10.0.0.7:8080"), with its address where a name was written ("app1.internal@10.0.0.7:8080"): a name may have
    several. Stands in logs, metrics and commands."""
    host: str
    """The host as configured; the server name for TLS when the pool sets none."""
    ip: str
    """The literal address to dial."""
    port: int
    weight: int
    max_connections: int
    slot: int
    tier: int = 0
    """Used while nobody of a lower tier is up."""
    pool_slot: int = -1
    """The slot of what belongs to the pool as a whole (its queue), where the pool's backends come and go with their names; -1: it
    stands in that of the pool's first backend."""

    @property
    def identity(self) -> str:
        """What keeps its slot, and so its counts and health, over a reload."""
        return f"{self.pool}/{self.name}"

    @property
    def written(self) -> Address:
        """As the configuration has it; the same for all addresses of a name."""
        return Address(self.host, self.port)
