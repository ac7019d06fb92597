"""The long way to a choice: who may take the request at all, then whom the request or the policy wants.

"May this backend take a request" is answered here and nowhere else, in this order:

1. Never: weight 0, drained by an operator, tried already.
2. By tier, the lowest number first, those that are fit: up, warming up, or on trial and idle. A tier with anybody fit hides the
   tiers behind it.
3. While nobody is fit: by tier, those that were never checked (a cold start serves).
4. Fail open: with less than `fail_open` percent of a tier up, and nobody fit behind it, those that are down by what they answer to
   checks, or ejected, join the fit ones. The few that are left would not carry the load of all, and what is wrong with so many is
   rather what is behind them. Who cannot be reached at all stays out.
5. Of these, those below their limit; when all are at it, the pool is full. A full tier does not spill into the next one: that one
   is for when the first is down.

A backend on trial had rather take a request that can be tried elsewhere if it fails: another kind goes to the other backends as
long as there are any, but for every SPARED-th, so that the trial ends where no other kind comes. While a backend is on trial, one
has to say of what kind the request is.

Then a request that belongs to a backend (a sticky cookie) gets it if it is among them, one that has a source (source hash)
gets its source's within the bound, and everybody else is the policy's to place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import HealthState, SlotState, is_drained, ordered_weight, state_at
from lbproxy.balance.pick_result import ASK_MORE, NO_BACKEND, POOL_FULL
from lbproxy.balance.policy import Policy
from lbproxy.balance.source_hash import HashRing

SPARED = 16

_UP = int(HealthState.UP)
_UNKNOWN = int(HealthState.UNKNOWN)
_DOWN = int(HealthState.DOWN)
_EJECTED = int(HealthState.EJECTED)
_TRIAL = int(HealthState.TRIAL)
_WARMING = int(HealthState.WARMING)


class Preference(NamedTuple):
    """What a request says of itself that decides where it goes, and whether it is its turn."""

    first: int = -1
    """The index of the backend that its client was served by before; -1 for none."""
    source: int = 0
    """What its source comes to (source_hash.number_of), where there is a `ring`."""
    ring: HashRing | None = None
    """Of the pool's backends; None when the request does not say its source."""
    repeatable: bool | None = None
    """It may be tried elsewhere if it fails; None: nobody looked."""
    ticket: int = 0
    """Its number in the pool's queue (queued_pool.py); 0: it has not waited."""


NO_PREFERENCE = Preference()


class Selection:
    """Decides which backend of a pool takes a request; one for each pool in each worker."""

    __slots__ = (
        "_able",
        "_cells",
        "_fail_open",
        "_limited",
        "_limits",
        "_policy",
        "_reachable",
        "_shares",
        "_slots",
        "_spared",
        "_tiers",
        "_weights",
    )

    def __init__(self, backends: Sequence[Backend], policy: Policy, cells: memoryview, fail_open: int = 0) -> None:
        """`cells`: the ledger's; `fail_open`: see above."""
        self._cells = cells
        self._fail_open = fail_open
        self._slots = [backend.slot for backend in backends]
        self._weights = [backend.weight for backend in backends]
        self._limits = [backend.max_connections for backend in backends]
        self._limited = any(self._limits)
        tiers = sorted({backend.tier for backend in backends})
        self._tiers = [[index for index, backend in enumerate(backends) if backend.tier == tier] for tier in tiers]
        self._able = self._ables(self._weights, ())  # of everyday: no orders, nothing tried
        self._policy = policy
        self._reachable = [state_at(SlotState.REACHABLE, slot) for slot in self._slots]
        self._shares = [state_at(SlotState.SHARE, slot) for slot in self._slots]
        self._spared = 0

    def choose(
        self,
        health: Sequence[int],
        orders: Sequence[int],
        loads: Sequence[int],
        tried: Sequence[int],
        preference: Preference | None = None,
    ) -> int:
        """An index, or a number of pick_result.py. The sequences hold a value per backend, as the ledger has it; `tried`: slots
        that the request failed on; `preference`: None for one that says nothing of itself."""
        first, source, ring, repeatable, _ = preference or NO_PREFERENCE
        if repeatable is None and _TRIAL in health:
            return ASK_MORE
        weights = self._weights
        able = self._able
        if any(orders):
            weights = self._ordered_weights(orders)
            able = self._ables(weights, tried)
        elif tried:
            able = self._ables(weights, tried)
        if able[0] and health.count(_UP) == len(health):
            usable = able[0]
        else:
            usable = self._usable(able, health, weights, loads)
        if not usable:
            return NO_BACKEND
        if self._limited:
            usable = [index for index in usable if not self._limits[index] or loads[index] < self._limits[index]]
            if not usable:
                return POOL_FULL
        if not repeatable and _TRIAL in health:
            usable = self._spare(usable, health)
        if _WARMING in health:
            weights = self._warming_weights(health, weights)
        if first in usable:
            return first
        if ring is not None:
            return ring.within_bound(source, usable, loads, weights)
        return self._policy.choose(usable, loads, weights)

    def _spare(self, usable: list[int], health: Sequence[int]) -> list[int]:
        """Without those on trial, most of the time and if there are others."""
        proven = [index for index in usable if health[index] != _TRIAL]
        if not proven or len(proven) == len(usable):
            return usable
        self._spared = (self._spared + 1) % SPARED
        return proven if self._spared else usable

    def _ordered_weights(self, orders: Sequence[int]) -> list[int]:
        """Configured weights, as an operator changed them; 0 for a backend that is drained."""
        weights = []
        for order, configured in zip(orders, self._weights, strict=True):
            ordered = ordered_weight(order)
            weights.append(0 if is_drained(order) else configured if ordered is None else ordered)
        return weights

    def _warming_weights(self, health: Sequence[int], weights: list[int]) -> list[int]:
        """All weights times a hundred, those of backends that warm up times their share in percent."""
        cells, shares, warming = self._cells, self._shares, _WARMING
        times = []
        for index in range(len(weights)):
            weight, state = weights[index], health[index]
            share = 100
            if state == warming:
                at = shares[index]
                share = min(max(1, cells[at]), 100)
            times.append(weight * share)
        return times

    def _ables(self, weights: Sequence[int], tried: Sequence[int]) -> list[list[int]]:
        """By tier, who is not out of the question."""
        slots = self._slots
        return [[index for index in tier if weights[index] and slots[index] not in tried] for tier in self._tiers]

    def _usable(self, able: list[list[int]], health: Sequence[int], weights: Sequence[int], loads: Sequence[int]) -> list[int]:
        for number, tier in enumerate(able):
            fit = _fit(tier, health, loads)
            if fit:
                if len(fit) < len(tier) and self._too_few(number, health, weights):
                    behind = able[number + 1 :]
                    if not any(_fit(other, health, loads) for other in behind):
                        return fit + self._in_need(tier, health)
                return fit
        for tier in able:
            if unknown := [index for index in tier if health[index] == _UNKNOWN]:
                return unknown
        for tier in able if self._fail_open else ():
            if reachable := self._in_need(tier, health):
                return reachable
        return []

    def _too_few(self, number: int, health: Sequence[int], weights: Sequence[int]) -> bool:
        """Of this tier, tried or not, so few are up that it fails open."""
        tier = [index for index in self._tiers[number] if weights[index]]
        return sum(health[index] in (_UP, _WARMING) for index in tier) * 100 < self._fail_open * len(tier)

    def _in_need(self, tier: Sequence[int], health: Sequence[int]) -> list[int]:
        """Those that are not fit but may do."""
        cells, reachable = self._cells, self._reachable
        return [
            index for index in tier if health[index] in (_EJECTED, _TRIAL) or (health[index] == _DOWN and cells[reachable[index]])
        ]


def _fit(tier: list[int], health: Sequence[int], loads: Sequence[int]) -> list[int]:
    """Those of a tier that are up, warming up, or on trial and idle; beside them who was not checked yet.

    Else whoever passes its first check first, after a start or when all were down, gets everything there is until the others have
    passed theirs. One that refuses connections costs nobody anything: the request goes elsewhere.
    """
    up, warming, trial, unknown = _UP, _WARMING, _TRIAL, _UNKNOWN
    fit, known = [], False
    for index in tier:
        state = health[index]
        if state in (up, warming) or (state == trial and not loads[index]):
            known = True
            fit.append(index)
        elif state == unknown:
            fit.append(index)
    return fit if known else []
