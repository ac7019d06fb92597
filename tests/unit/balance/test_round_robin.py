"""Round robin."""

from __future__ import annotations

from lbproxy.balance.ledger import SIZE, Ledger
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.smooth_round_robin import SmoothRoundRobin


def test_in_turn_whatever_they_have_to_do() -> None:
    """Loads do not matter, weights do, and who is not usable is left out."""
    policy = RoundRobin(SmoothRoundRobin(Ledger(bytearray(SIZE)).cells, [0, 1, 2]))
    assert [policy.choose([0, 1, 2], [9, 0, 0], [1, 1, 1]) for _ in range(6)] == [0, 1, 2, 0, 1, 2]
    assert [policy.choose([0, 2], [0, 0, 0], [3, 1, 1]) for _ in range(4)] == [0, 0, 2, 0]
