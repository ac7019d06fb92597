"""The state of names: what the master remembers of them, and of slots that change hands, as long as it lives, over generations.

A slot that a backend has left may not get a new owner at once: a worker that has not read the news yet still counts there, and a
request may go on there for hours. So it stays taken until nothing is in flight there, and for LINGER in any case: a child that
did not hear the news in that time is replaced for being silent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lbproxy.balance.backend import Backend
from lbproxy.balance.endpoints import NOWHERE
from lbproxy.balance.ledger import SLOTS, HealthState, Ledger, PerSlot, SlotState, admin_cell, is_drained, state_at

LINGER = 30.0
"""Seconds; several times what a silent child has to live."""


class Counting(Protocol):
    """A generation, as far as slots are concerned."""

    @property
    def slots(self) -> frozenset[int]:
        """Where it counts."""


@dataclass(slots=True)
class NameState:
    """Addresses of names, slots that linger, and orders of an operator by name."""

    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of every name in use: what was learned last."""
    left: dict[int, float] = field(default_factory=dict)
    """Slots that some backend has left: until when they linger, monotonic seconds."""
    orders: dict[str, int] = field(default_factory=dict)
    """What an operator ordered for a name ("api/app.internal:8080"), as a cell of the ledger: addresses to come get it, too."""

    @classmethod
    def from_dict(cls, told: Mapping[str, Any], now: float) -> NameState:
        """As `as_dict` gave it, perhaps that of a program that knew of no names."""
        addresses = {name: tuple(known) for name, known in told.get("addresses", {}).items()}
        left = {int(slot): now + seconds for slot, seconds in told.get("left", {}).items()}
        return cls(addresses, left, dict(told.get("orders", {})))

    def as_dict(self, now: float) -> dict[str, Any]:
        """For a legacy, as JSON has it."""
        left = {str(slot): until - now for slot, until in self.left.items() if until > now}
        return {"addresses": self.addresses, "left": left, "orders": self.orders}

    def leave(self, slots: Iterable[int], now: float) -> None:
        """Backends have gone from these."""
        self.left |= dict.fromkeys(slots, now + LINGER)

    def taken(self, ledger: Ledger, generations: Iterable[Counting], now: float) -> set[int]:
        """Slots that must not get a new owner now."""
        self.left = {slot: until for slot, until in self.left.items() if until > now}
        in_flight = ledger.slot_totals(PerSlot.IN_FLIGHT, SLOTS)
        busy = {slot for slot, count in enumerate(in_flight) if count}
        return busy.union(self.left, *(one.slots for one in generations))

    def begin(self, ledger: Ledger, backends: Iterable[Backend], watched: Collection[int]) -> None:
        """Of these, all whose slots are not `watched` are new or come back: nobody has looked at them meanwhile. Nobody need look
        at what is NOWHERE."""
        for backend in backends:
            if backend.ip == NOWHERE or backend.slot not in watched:
                health = HealthState.DOWN if backend.ip == NOWHERE else HealthState.UNKNOWN
                ledger.cells[state_at(SlotState.HEALTH, backend.slot)] = health
                self.obey(ledger, backend)

    def obey(self, ledger: Ledger, backend: Backend) -> None:
        """What is ordered for its name is ordered for it."""
        order = self.orders.get(f"{backend.pool}/{backend.written}")
        if order is not None:
            ledger.cells[state_at(SlotState.ADMIN, backend.slot)] = order

    def order(self, name: str, cell: int) -> None:
        """From an operator."""
        if cell:
            self.orders[name] = cell
        else:
            self.orders.pop(name, None)

    def forget_weights(self) -> None:
        """A reload goes by the file again, but for what is drained."""
        for name, cell in list(self.orders.items()):
            self.order(name, admin_cell(is_drained(cell), None))
