"""A pool that wants to know more of a request before it places it: where its client belongs (sticky cookie, source hash).

The everyday pool's `pick` needs nothing of the request but where it failed already. This one's `pick` always answers ASK; whoever
gets that answer asks again with `pick_for`. So the everyday request pays nothing for what it does not use.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.balance.board import Lease
from lbproxy.balance.pool import ASK, Pool, Unavailable


class AskingPool(Pool):
    """See above."""

    __slots__ = ()

    asks = True

    def pick(self, tried: Sequence[int] = ()) -> Lease | Unavailable:
        """ASK, always."""
        return ASK
