"""The reload that is wanted and has not begun: it begins at once, unless one has just begun; bursts become one.

A deployment that signals a hundred times, or a hook for each of a hundred renewed certificates, wants the last state applied once,
not a hundred generations. So the first wish is served at once; one that comes within CALM seconds of a beginning waits until the
wishes have paused for QUIET seconds, but no longer than PATIENCE. Pure; times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

FOREVER = float("inf")
CALM = 1.0
QUIET = 0.2
PATIENCE = 2.0


@dataclass(slots=True)
class PendingReload:
    """The wishes for a reload since the last one began. Times are monotonic seconds."""

    begun: float = -FOREVER
    """When the last reload began."""
    first: float = FOREVER
    """When the oldest wish that is not served came; FOREVER: there is none."""
    last: float = FOREVER

    @property
    def any(self) -> bool:
        """Whether a reload is wanted."""
        return self.first < FOREVER

    def add(self, now: float) -> None:
        """Another wish."""
        self.first = min(self.first, now)
        self.last = now

    def due(self) -> float:
        """When to begin; FOREVER when nobody wants it."""
        if not self.any or self.first - self.begun >= CALM:
            return self.first
        return min(self.last + QUIET, self.first + PATIENCE)

    def serve(self, now: float) -> None:
        """A reload begins, for all who have wished so far."""
        self.begun = now
        self.first = self.last = FOREVER
