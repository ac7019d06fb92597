"""What a policy is: given who may take a request, say who does. One file each; adding one touches no other.

Policies run while the pick lock is held: they read what they are given, keep what several processes must agree on (whose turn it
is) in the ledger (SlotState.TIE), and do nothing that waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Policy(Protocol):
    """Interface. All indexes are those of the pool's backends."""

    def choose(self, usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
        """One of `usable` (not empty, weights > 0); `loads`: requests in flight over all workers."""
