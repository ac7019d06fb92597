"""A backend as the processes share it: resolved, with its slot in the ledger."""

from __future__ import annotations

from typing import NamedTuple


class Backend(NamedTuple):
    """One place a request may go to. Made by the master, which alone resolves names and hands out slots."""

    pool: str
    name: str
    """As configured ("app1.internal:8080"); stands in logs, metrics and commands."""
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

    @property
    def identity(self) -> str:
        """What keeps its slot, and so its counts and health, over a reload."""
        return f"{self.pool}/{self.name}"
