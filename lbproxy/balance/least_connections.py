"""Least connections: the backend with the smallest (in_flight + queued + 1) / weight.

"Connections" means requests in flight here, counted from the pick to the last byte of the response (a tunnel until it closes), not
sockets: keep-alive connections to a backend say nothing about its load. The +1 is the request being placed: it compares the loads
as they would be afterwards, so that a backend of weight 2 gets its first two requests before one of weight 1 gets its second.

Ties are broken by smooth weighted round robin among the tied (every tied backend gains its weight, the richest is chosen and pays
the gains of all), so that an idle pool of equal weights is walked round evenly. With unequal weights an idle pool has no tie: one
request more weighs least on the largest.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.balance.policy import Ground
from lbproxy.balance.smooth_round_robin import SmoothRoundRobin


def least_loaded(usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> list[int]:
    """The indexes among `usable` (not empty, weights > 0) with the least load; several when tied. Exact: no floating point."""
    best: list[int] = []
    best_load, best_weight = 1, 0  # more than anybody has
    for index in usable:
        load, weight = loads[index] + 1, weights[index]
        difference = load * best_weight - best_load * weight
        if difference < 0:
            best, best_load, best_weight = [index], load, weight
        elif difference == 0:
            best.append(index)
    return best


class LeastConnections:
    """The policy (policy.Policy) that chooses the least loaded of all, in turn where loads are equal."""

    __slots__ = ("_smooth",)

    ended = None

    def __init__(self, smooth: SmoothRoundRobin) -> None:
        self._smooth = smooth

    def choose(self, usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
        """See Policy."""
        best = least_loaded(usable, loads, weights)
        return best[0] if len(best) == 1 else self._smooth.next(best, weights)


def make(ground: Ground) -> LeastConnections:
    """See policy.py."""
    return LeastConnections(SmoothRoundRobin(ground.cells, ground.slots))
