"""The long way to a choice: who may take the request at all, then whom the request or the policy wants.

"May this backend take a request" is answered here and nowhere else, in this order:

1. Never: weight 0, drained by an operator, tried already.
2. By tier, the lowest number first, those that are known to be up. A tier with anybody up hides the tiers behind it.
3. While nobody is known to be up: by tier, those that were never checked (a cold start serves).
4. Of these, those below their limit; when all are at it, the pool is full. A full tier does not spill into the next one: that one
   is for when the first is down.

Then a request that belongs to a backend (a sticky cookie) gets it if it is among them, one that has a ranking (source hash) gets
the first of it within its bound, and everybody else is the policy's to place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import Health, is_drained, ordered_weight
from lbproxy.balance.policy import Policy
from lbproxy.balance.source_hash import within_bound

NONE = -1
"""No backend may take it."""
FULL = -2
"""Those that may are at their limits."""

_UP = int(Health.UP)
_UNKNOWN = int(Health.UNKNOWN)


class Preference(NamedTuple):
    """What a request says about where it belongs."""

    first: int = -1
    """The index of the backend that its client was served by before; -1 for none."""
    ranking: Sequence[int] = ()
    """All backends, best first; empty when it says nothing."""


NO_PREFERENCE = Preference()


class Selection:
    """Of one pool in one worker."""

    def __init__(self, backends: Sequence[Backend], policy: Policy) -> None:
        self._slots = [backend.slot for backend in backends]
        self._weights = [backend.weight for backend in backends]
        self._limits = [backend.max_connections for backend in backends]
        self._limited = any(self._limits)
        tiers = sorted({backend.tier for backend in backends})
        self._tiers = [[index for index, backend in enumerate(backends) if backend.tier == tier] for tier in tiers]
        self._policy = policy
        self.preference = NO_PREFERENCE
        """Of the request that is being placed."""

    def choose(self, health: Sequence[int], orders: Sequence[int], loads: Sequence[int], tried: Sequence[int]) -> int:
        """An index, or NONE, or FULL. The sequences hold a value per backend, as the ledger has it."""
        weights = self._ordered_weights(orders)
        usable = self._usable(health, weights, tried)
        if not usable:
            return NONE
        if self._limited:
            usable = [index for index in usable if not self._limits[index] or loads[index] < self._limits[index]]
            if not usable:
                return FULL
        first, ranking = self.preference
        if first in usable:
            return first
        if ranking:
            return within_bound(ranking, usable, loads, weights)
        return self._policy.choose(usable, loads, weights)

    def _ordered_weights(self, orders: Sequence[int]) -> list[int]:
        """Configured weights, as an operator changed them; 0 for a backend that is drained."""
        if not any(orders):
            return self._weights
        weights = []
        for order, configured in zip(orders, self._weights, strict=True):
            ordered = ordered_weight(order)
            weights.append(0 if is_drained(order) else configured if ordered is None else ordered)
        return weights

    def _usable(self, health: Sequence[int], weights: Sequence[int], tried: Sequence[int]) -> list[int]:
        slots = self._slots
        for wanted in (_UP, _UNKNOWN):
            for tier in self._tiers:
                usable = [index for index in tier if health[index] == wanted and weights[index] and slots[index] not in tried]
                if usable:
                    return usable
        return []
