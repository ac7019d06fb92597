"""Round robin: everybody in turn, by weight, whatever they have to do. One round over all workers."""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.balance.policy import Ground
from lbproxy.balance.smooth_round_robin import SmoothRoundRobin


class RoundRobin:
    """The policy (policy.Policy) that takes everybody in turn, whatever they have to do."""

    ended = None

    def __init__(self, smooth: SmoothRoundRobin) -> None:
        self._smooth = smooth

    def choose(self, usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
        """See Policy."""
        return self._smooth.next(usable, weights)


def make(ground: Ground) -> RoundRobin:
    """See policy.py."""
    return RoundRobin(SmoothRoundRobin(ground.cells, ground.slots))
