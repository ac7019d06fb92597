"""Keys: where a client's numbers stand in the shared tables.

A place and a tag come out of a keyed hash. The key is drawn at start and never leaves this machine, so nobody can work out which
addresses share a place with his own, or with a victim's.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from lbproxy.remembered import Budget

SIZE = 384
"""Bytes of a key that is remembered: its numbers, the site, the place of both in a memory."""


class LimitKey(NamedTuple):
    place: int  # any number from 0; a table takes it modulo its size
    tag: int  # 1 to 2**63 - 1


class LimitKeys:
    """The keys of one limit's clients."""

    __slots__ = ("_budget", "_known", "_seed")

    def __init__(self, secret: bytes, limit: str, budget: Budget) -> None:
        """`limit`: its name, the same over reloads and different from every other's; `budget`: for keys that are remembered."""
        self._seed = blake2b(limit.encode() + b"\0", digest_size=16, key=secret, person=b"lbproxy limits")
        self._budget = budget
        self._known: dict[bytes, LimitKey] = budget.draws({})

    def of(self, site: bytes) -> LimitKey:
        """The key of a client (see addresses.Client.site)."""
        key = self._known.get(site)
        if key is None:
            digest = self._seed.copy()
            digest.update(site)
            raw = digest.digest()
            key = LimitKey(int.from_bytes(raw[:4], "big"), (int.from_bytes(raw[8:], "big") >> 1) or 1)
            self._budget.keep(self._known, site, key, SIZE)
        return key
