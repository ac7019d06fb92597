"""The assignment of the ledger's slots to backends and listeners.

One that stays over a reload keeps its slot, and so its counts and its health. One that goes away keeps it too, in case it
comes back, until the slots run out: then the one that went away first gives way. Slots that a living generation still counts in
are never given away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from lbproxy.balance.ledger import SLOTS
from lbproxy.errors import StartError


class Assignment(NamedTuple):
    """What `SlotTable.assign` has decided for each identity."""

    slots: dict[str, int]
    """By identity (Backend.identity)."""
    fresh: tuple[int, ...]
    """Slots that have a new owner: Ledger.forget_slot has to be called for each before anybody counts in them."""


class SlotTable:
    """Kept by the master for its whole life."""

    def __init__(self, size: int = SLOTS) -> None:
        self._size = size
        self._slots: dict[str, int] = {}  # in order of last use, the longest unused first

    @classmethod
    def from_dict(cls, slots: dict[str, int]) -> SlotTable:
        """As `as_dict` gave it."""
        table = cls()
        table._slots = dict(slots)
        return table

    def as_dict(self) -> dict[str, int]:
        """Slots by identity, the longest unused first."""
        return dict(self._slots)

    def assign(self, identities: Iterable[str], busy: Collection[int] = ()) -> Assignment:
        """A slot for every identity. `busy`: slots that older, living generations use. Raises StartError when there are not
        enough; then nothing has changed.
        """
        wanted = tuple(dict.fromkeys(identities))
        missing = [identity for identity in wanted if identity not in self._slots]
        free = iter(sorted(set(range(self._size)) - set(self._slots.values())))
        unused = iter([name for name, slot in self._slots.items() if name not in wanted and slot not in busy])
        taken: dict[str, int] = {}
        evicted: list[str] = []
        for identity in missing:
            slot = next(free, None)
            if slot is None:
                loser = next(unused, None)
                if loser is None:
                    raise StartError(f"{len(wanted)} backends and listeners need more than the {self._size} places there are")
                evicted.append(loser)
                slot = self._slots[loser]
            taken[identity] = slot
        for loser in evicted:
            del self._slots[loser]
        for identity in wanted:  # moves each to the end
            self._slots[identity] = taken[identity] if identity in taken else self._slots.pop(identity)
        return Assignment({identity: self._slots[identity] for identity in wanted}, tuple(taken.values()))
