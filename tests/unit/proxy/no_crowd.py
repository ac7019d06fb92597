"""What a world with one worker and no limits has in place of wake-ups and locks."""

from __future__ import annotations

from lbproxy.worker.accept.connection_limit import ConnectionLimit


class NoWakeups:
    """For a listener without a limit."""

    def wake(self, child: int) -> None:
        raise AssertionError("nobody waits")

    def watch(self, queue: ConnectionLimit) -> None:
        raise AssertionError("there is no limit")


class NoLock:
    """A pick lock for one worker."""

    def acquire(self, block: bool = True, timeout: float | None = None, /) -> bool:
        return True

    def release(self) -> None:
        pass
