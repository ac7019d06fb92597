"""Second tries: how many at once, over all workers, and how soon. Whether one is safe is retry.py's to say.

Theory of operation. When a backend fails, second tries help; when all of them fail, they double the load on what is left. So no
more than SHARE of the requests in flight may be on their second try, or LEAST when there are few. The number stands in the ledger,
a gauge per worker, and is only looked at when something has failed. Several workers may look at the same moment, and so go over it
by one each.

Who finds no room waits for it, up to PATIENCE pauses: when one of three backends dies, a third of all requests fails at once, and
they all deserve their second try, only not in the same millisecond. (Without that wait, some of 24 clients on three backends saw
errors when one was killed; measured 2026-11-23.)

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
PATIENCE = 8
"""Pauses; one and a half seconds at most, about."""


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

    def may_go_on(self, tries: int, nothing_sent: bool) -> bool:
        """From the request's greenlet, before the next of its tries: pause, and wait for its turn. False: it has to give up."""
        for waited in range(PATIENCE):
            if waited or not nothing_sent:
                self._pause(tries + waited)
            if self._room():
                return True
        return False

    def _room(self) -> bool:
        cells = self._cells
        rows = range(cells[Header.CHILDREN_HIGH])
        retrying = sum(cells[scalar_at(row, Scalar.RETRYING)] for row in rows)
        return retrying < LEAST or retrying * 100 < SHARE * sum(cells[scalar_at(row, Scalar.LIVE_REQUESTS)] for row in rows)

    def begin(self) -> None:
        """Another try begins: count it until `end`."""
        self._cells[self._mine] += 1

    def end(self) -> None:
        """That try is over."""
        self._cells[self._mine] -= 1

    def _pause(self, tries: int) -> None:
        longest = min(LONGEST, SHORTEST * 2**tries)
        self._sleep(SHORTEST + (longest - SHORTEST) * self._chance())

    def method(self, pool: str, head: RequestHead) -> bytes:
        """The method by whose rules the request may be sent twice: its own, or PUT when its sender gave it a key against doubles
        (draft-ietf-httpapi-idempotency-key-header) and the pool's backends are said to heed that."""
        if pool in self._by_key and next(fields.values(head, b"idempotency-key"), b""):
            return b"PUT"
        return head.method
