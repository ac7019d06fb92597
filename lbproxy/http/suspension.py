"""Suspension of a server that fails one time after another: it is left alone for a while (Squid: icap_service_failure_limit)."""

from __future__ import annotations


class Suspension:
    """One service's, in one worker."""

    __slots__ = ("_failures", "_limit", "_revival", "until")

    def __init__(self, limit: int, revival: float) -> None:
        """`limit`: failures in a row; 0: it is asked whatever it does; `revival`: seconds after which one request tries again."""
        self._limit = limit
        self._revival = revival
        self._failures = 0
        self.until = 0.0

    def holds(self, now: float) -> bool:
        """It is not asked. Who is told otherwise when the time is up tries it for all, who wait for another turn."""
        if self.until > now:
            return True
        if self.until:
            self.until = now + self._revival
        return False

    def answered(self) -> None:
        """It did its work."""
        self._failures, self.until = 0, 0.0

    def failed(self, now: float) -> bool:
        """It did not. Whether it is left alone from now on, and was not before."""
        self._failures += 1
        if not self._limit or self._failures < self._limit:
            return False
        fresh = not self.until
        self.until = now + self._revival
        return fresh
