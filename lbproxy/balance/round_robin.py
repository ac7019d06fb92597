"""Round robin: everybody in turn, by weight, whatever they have to do. One round over all workers."""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.balance.turns import Turns


class RoundRobin:
    """See policy.Policy."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def choose(self, usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
        """See Policy."""
        return self._turns.next(usable, weights)
