"""Second tries: how many at once, over all workers, and how soon. Whether one is safe is retry.py's to say.

Theory of operation. When a backend fails, second tries help; when all of them fail, they double the load on what is left. So no
more than SHARE of the requests in flight may be on their second try, or LEAST when there are few. The number stands in the ledger,
a gauge per worker, and is only looked at when something has failed. Several workers may look at the same moment, and so go over it
by one each.

A try that may have reached the backend is followed by a pause of chance length, longer each time: whatever went wrong for many at
once must not come back for all of them at once. One that sent nothing is not: it cost nobody anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

from lbproxy.balance.ledger import Header, Scalar, scalar_at
from lbproxy.http import fields
from lbproxy.http.message import RequestHead

SHARE = 20
"""Percent."""
LEAST = 3
SHORTEST, LONGEST = 0.025, 0.25
"""Seconds of a pause."""


class Retries:
    """One worker's."""

    def __init__(
        self,
        cells: memoryview,
        child: int,
        sleep: Callable[[float], None],
        by_key: Collection[str] = (),
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`cells`: the ledger's; `by_key`: pools where an Idempotency-Key makes a request repeatable; `chance`: 0 <= chance < 1."""
        self._cells = cells
        self._mine = scalar_at(child, Scalar.RETRYING)
        self._sleep = sleep
        self._by_key = by_key
        self._chance = chance

    def begin(self) -> bool:
        """A request goes for another try: count it until `end`. False, and nothing to end, when too many do."""
        cells = self._cells
        rows = range(cells[Header.CHILDREN_HIGH])
        retrying = sum(cells[scalar_at(row, Scalar.RETRYING)] for row in rows)
        if retrying >= LEAST and retrying * 100 >= SHARE * sum(cells[scalar_at(row, Scalar.LIVE_REQUESTS)] for row in rows):
            return False
        cells[self._mine] += 1
        return True

    def end(self) -> None:
        """That try is over."""
        self._cells[self._mine] -= 1

    def pause(self, tries: int) -> None:
        """From the request's greenlet: wait a little before the next of its tries, of which there were `tries`."""
        longest = min(LONGEST, SHORTEST * 2**tries)
        self._sleep(SHORTEST + (longest - SHORTEST) * self._chance())

    def method(self, pool: str, head: RequestHead) -> bytes:
        """The method by whose rules the request may be sent twice: its own, or PUT when its sender gave it a key against doubles
        (draft-ietf-httpapi-idempotency-key-header) and the pool's backends are said to heed that."""
        if pool in self._by_key and next(fields.values(head, b"idempotency-key"), b""):
            return b"PUT"
        return head.method
