"""Further tries: how many, how many at once, over all workers, and how soon. Whether one is safe is retry.py's to say.

Theory of operation. When a backend fails, second tries help; when all of them fail, they double the load on what is left. So no
more than a pool's `retry_budget` percent of its requests in flight may be on a further try, or LEAST when there are few. The number
stands in the ledger, a gauge per worker in the cells of the pool's first backend. It is only looked at when something has failed,
and looking and counting are one step under the pick lock: the budget is exact over all workers.

Who finds no room waits for it, up to PATIENCE pauses: when one of three backends dies, a third of all requests fails at once, and
they all deserve their second try, only not in the same millisecond. (Without that wait, some of 24 clients on three backends saw
errors when one was killed; measured 2026-11-23.)

A try that may have reached the backend is followed by a pause of chance length, longer each time: whatever went wrong for many at
once must not come back for all of them at once. One that sent nothing (a refused connection) is not, the first time: it cost nobody
anything, the next backend has done nothing wrong, and the client would wait for no reason. From its second time on it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

from lbproxy.balance.ledger import PerSlot, PickLock, at_once, cell_at, rows_of
from lbproxy.balance.pool import Pool
from lbproxy.config import model
from lbproxy.errors import Unprocessed, UpstreamError, WantsOtherProtocol
from lbproxy.http import fields
from lbproxy.http.message import RequestHead
from lbproxy.proxy.retry import IDEMPOTENT, RetryVerdict, judge
from lbproxy.proxy.upstream import Upstream

LEAST = 3
SHORTEST, LONGEST = 0.025, 0.25
"""Seconds of a pause."""
PATIENCE = 8
"""Pauses; one and a half seconds at most, about."""
_DEFAULTS = model.PoolConfig("", ())
_ENDED = ("response_closed", "h2_goaway")
"""The connection has ended before a byte of the answer came: on a fresh one the same backend may do better."""


class RetryBudgets:
    """Counts the further tries of one worker's requests against the budgets of pools."""

    __slots__ = ("_cells", "_chance", "_child", "_keyed", "_lock", "_pools", "_sleep")

    def __init__(
        self,
        cells: memoryview,
        child: int,
        lock: PickLock,
        sleep: Callable[[float], None],
        pools: Collection[model.PoolConfig] = (),
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`cells`: the ledger's; `chance`: 0 <= chance < 1."""
        self._cells = cells
        self._child = child
        self._lock = lock
        self._sleep = sleep
        self._pools = {pool.name: pool for pool in pools}
        self._keyed = {pool.name for pool in pools if pool.idempotency_key}
        self._chance = chance

    def begin(self, pool: Pool, tries: int, nothing_sent: bool) -> int:
        """From the request's greenlet, before the next of its tries: pause, and wait for its turn.

        The cell that counts it from now on, for `end`; -1: it has to give up.
        """
        for waited in range(PATIENCE):
            if waited or tries > 1 or not nothing_sent:
                self._pause(tries + waited)
            with self._lock:
                if self._room(pool):
                    mine = cell_at(self._child, PerSlot.RETRYING, pool.backends[0].slot)
                    self._cells[mine] += 1
                    return mine
        return -1

    def end(self, mine: int) -> None:
        """That try is over, or cannot be made. -1: there was none."""
        if mine >= 0:
            self._cells[mine] -= 1

    def _room(self, pool: Pool) -> bool:
        cells = self._cells
        rows = range(rows_of(cells))
        retrying = sum(at_once(cells[cell_at(row, PerSlot.RETRYING, pool.backends[0].slot)]) for row in rows)
        if retrying < LEAST:
            return True
        live = sum(at_once(cells[cell_at(row, PerSlot.IN_FLIGHT, backend.slot)]) for row in rows for backend in pool.backends)
        return retrying * 100 < self._of(pool).retry_budget * live

    def _pause(self, tries: int) -> None:
        longest = min(LONGEST, SHORTEST * 2**tries)
        self._sleep(SHORTEST + (longest - SHORTEST) * self._chance())

    def _of(self, pool: Pool) -> model.PoolConfig:
        return self._pools.get(pool.name, _DEFAULTS)

    def most(self, pool: Pool, kind: str) -> int:
        """Further tries that a request gets after a failure of this kind (see UpstreamError)."""
        wanted = self._of(pool)
        return wanted.retries if kind in wanted.retry_on else 0

    def judge(
        self, pool: Pool, head: RequestHead, error: UpstreamError, upstream: Upstream | None, replayable: bool, tries: int
    ) -> RetryVerdict:
        """What becomes of a request after so many `tries`, the last of which failed with `error` on `upstream` (None: none was
        opened); `replayable`: its body can be sent once more."""
        proved = isinstance(error, Unprocessed)
        died_unanswered = error.leaving if isinstance(error, Unprocessed) else error.reason in _ENDED
        return judge(
            method=self.method(pool, head),
            nothing_sent=error.nothing_sent,
            reused=(upstream is not None and upstream.served > 0) or isinstance(error, WantsOtherProtocol),
            died_unanswered=died_unanswered,
            unseen=proved or (died_unanswered and upstream is not None and upstream.stream.unseen(upstream.mark)),
            replayable=replayable,
            tries=tries,
            retries=self.most(pool, error.kind),
        )

    def repeatable(self, pool: Pool, head: RequestHead) -> bool:
        """Whether it may be sent twice whatever its backend did (RFC 9110 9.2.2)."""
        return self.method(pool, head) in IDEMPOTENT

    def method(self, pool: Pool, head: RequestHead) -> bytes:
        """The method by whose rules the request may be sent twice: its own, or PUT when its sender gave it a key against doubles
        (draft-ietf-httpapi-idempotency-key-header) and the pool's backends are said to heed that."""
        if pool.name in self._keyed and next(fields.values(head, b"idempotency-key"), b""):
            return b"PUT"
        return head.method
