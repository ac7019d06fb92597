"""A pool that wants to know more of a request before it places it: where its client belongs (sticky cookie, source hash).

The everyday pool's `pick` needs nothing of the request but where it failed already. This one's `pick` answers ASK without a
preference; whoever gets that answer asks again with one. So the everyday request pays nothing for what it does not use.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.balance.lease import Lease
from lbproxy.balance.pick_result import ASK, NoneAvailable
from lbproxy.balance.pool import Pool
from lbproxy.balance.selection import Preference


class KeyedPool(Pool):
    """Backends that are picked by what a request says of itself (Preference)."""

    __slots__ = ()

    keyed = True

    def pick(self, tried: Sequence[int] = (), preference: Preference | None = None) -> Lease | NoneAvailable:
        """ASK, until there is a preference."""
        return ASK if preference is None else super().pick(tried, preference)
