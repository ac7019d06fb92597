"""Smooth weighted round robin, continued by whichever process picks next.

Every candidate gains its weight, the richest is chosen and pays the gains of all: with weights 3, 1, 1 the turns are a b a c a, not
a a a b c. The running weights stand in the ledger (SlotState.TIE), so that all workers walk one round together.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.balance.ledger import SlotState, state_at

_FAR = 2**32
"""Beyond what running weights come to: the sum of all weights."""


class SmoothRoundRobin:
    """Smooth weighted round robin over the ledger: every worker goes on where the last pick of any worker stopped."""

    __slots__ = ("_at", "_cells")

    def __init__(self, cells: memoryview[int], slots: Sequence[int]) -> None:
        self._cells = cells
        self._at = [state_at(SlotState.TIE, slot) for slot in slots]

    def next(self, among: Sequence[int], weights: Sequence[int]) -> int:
        """Whose turn it is among some (not empty); only for the holder of the pick lock."""
        cells, places, far = self._cells, self._at, _FAR
        total = 0
        chosen = among[0]
        at = places[chosen]
        most = cells[at]  # without its gain: whoever comes first wins a tie
        if not -far < most < far:
            most = 0
        for index in among:
            weight = weights[index]
            total += weight
            at = places[index]
            current = cells[at]
            if not -far < current < far:  # nobody sound wrote that
                current = 0
            current += weight
            cells[at] = current
            if current > most:
                chosen, most = index, current
        at = places[chosen]
        cells[at] -= total
        return chosen
