"""The running lbproxy's ledger, seen from outside through /proc: what the workers themselves count with."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from lbproxy.balance.ledger import SIZE, Ledger, PerSlot, Scalar, scalar_at
from tests.support.process import LbProxy
from tests.support.waiting import eventually

NAME = "lbproxy-ledger"


class LedgerView:
    """Read-only samples of the ledger of the lbproxy whose master is `pid`."""

    def __init__(self, pid: int) -> None:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(entry)
            except FileNotFoundError:
                continue  # closed while we looked
            if NAME in target:
                break
        else:
            raise AssertionError(f"process {pid} holds no {NAME}")
        with entry.open("rb") as shared:
            self._map = mmap.mmap(shared.fileno(), SIZE, access=mmap.ACCESS_READ)
        self.ledger = Ledger(self._map)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ledger.cells.release()
        del self.ledger
        # The map itself goes with its last view: closing it here would fail while a traceback still shows one.

    def in_flight(self, slots: int) -> list[int]:
        """Requests in flight on each of the first `slots` backend slots, over all workers; two equal readings in a row."""
        before: list[int] = []
        for _ in range(100_000):
            now = [self.ledger.slot_total(PerSlot.IN_FLIGHT, slot) for slot in range(slots)]
            if now == before:
                return now
            before = now
        raise AssertionError("the ledger never held still")

    def connections(self) -> list[int]:
        """Client connections by child row (control's row stays at 0)."""
        return [self._scalar(child, Scalar.CONNECTIONS) for child in range(self.ledger.children)]

    def live(self) -> int:
        """Requests being served."""
        return self.ledger.total(Scalar.LIVE_REQUESTS)

    def verify(self) -> list[str]:
        """The ledger's own invariants, at a moment when nothing moves."""
        return self.ledger.verify()

    def _scalar(self, child: int, scalar: Scalar) -> int:
        return self.ledger.cells[scalar_at(child, scalar)]


def assert_books_close(proxy: LbProxy) -> None:
    """Nothing is in progress any more, and the counts agree, which is what `lbproxy status --verify` tells."""
    with LedgerView(proxy.pid) as view:
        eventually(lambda: view.live() == 0 and not view.verify(), "nothing in progress, and no fault in the books")
