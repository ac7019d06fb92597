"""What a world with one worker and open doors has in place of bells and locks."""

from __future__ import annotations

from lbproxy.worker.door import Door


class NoBells:
    """For a door that nobody waits at."""

    def ring(self, child: int) -> None:
        raise AssertionError("nobody waits")

    def attend(self, queue: Door) -> None:
        raise AssertionError("the door is wide open")


class NoLock:
    """A pick lock for one worker."""

    def acquire(self, block: bool = True, timeout: float | None = None, /) -> bool:
        return True

    def release(self) -> None:
        pass
