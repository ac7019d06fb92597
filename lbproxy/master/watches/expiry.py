"""The days until a certificate ends, told when there are 30, 14, 7, 3 and 1 of them left, and when there is none.

Of one that is short-lived by design only what is less than half of its life is told: it is renewed later than that as a rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from lbproxy.tls.contexts import HeldPair

DAYS = (30, 14, 7, 3, 1, 0)
DAY = 86_400


class Ending(NamedTuple):
    """A certificate that ends soon, or has ended."""

    held: HeldPair
    days: int
    """At most so many are left; 0: it has ended."""


class Expiry:
    """The memory of what was told of each file."""

    def __init__(self) -> None:
        self._told: dict[Path, tuple[datetime, int]] = {}

    def due(self, held: Iterable[HeldPair], now: datetime) -> list[Ending]:
        """What is to be told now; of all that are shown, so that others are forgotten."""
        before, self._told = self._told, {}
        found = []
        for one in held:
            days = self._days(one, now)
            if days is None:
                continue
            mark = (one.candidate.end, days)
            if before.get(one.pem.files.cert) != mark and one.pem.files.cert not in self._told:
                found.append(Ending(one, days))
            self._told[one.pem.files.cert] = mark
        return found

    def _days(self, held: HeldPair, now: datetime) -> int | None:
        one = held.candidate
        left = (one.end - now).total_seconds()
        life = (one.end - one.start).total_seconds()
        return min((days for days in DAYS if left <= days * DAY <= life / 2), default=None)
