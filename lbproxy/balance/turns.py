"""Whose turn is it: smooth weighted round robin, continued by whichever process picks next.

Every candidate gains its weight, the richest is chosen and pays the gains of all: with weights 3, 1, 1 the turns are a b a c a, not
a a a b c. The running weights stand in the ledger's TIE column, so that all workers walk one round together.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence

from lbproxy.balance.ledger import Column, column_at


def break_tie(tied: Sequence[int], weights: Sequence[int], current: MutableSequence[int]) -> int:
    """One of `tied` (not empty) by smooth weighted round robin; `current` holds the running weights and is updated."""
    total = 0
    chosen = tied[0]
    for index in tied:
        weight = weights[index]
        total += weight
        current[index] += weight
        if current[index] > current[chosen]:
            chosen = index
    current[chosen] -= total
    return chosen


class Turns:
    """Smooth weighted round robin over the ledger: every worker goes on where the last pick of any worker stopped."""

    def __init__(self, cells: memoryview[int], slots: Sequence[int]) -> None:
        self._cells = cells
        self._at = [column_at(Column.TIE, slot) for slot in slots]

    def next(self, among: Sequence[int], weights: Sequence[int]) -> int:
        """Whose turn it is among some; only for the holder of the pick lock."""
        cells, at = self._cells, self._at
        current = [cells[cell] for cell in at]
        chosen = break_tie(among, weights, current)
        for index in among:
            cells[at[index]] = current[index]
        return chosen
