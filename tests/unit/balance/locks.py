"""A lock for tests: like multiprocessing.Lock, but it can be looked into, and waiting for it in vain takes no time."""

from __future__ import annotations


class Lock:
    """Anybody may release it; releasing a free one is a ValueError."""

    def __init__(self) -> None:
        self.held = False
        self.asked = 0
        self.waits: list[float | None] = []
        """The time-outs of acquisitions that got nothing."""

    def acquire(self, block: bool = True, timeout: float | None = None, /) -> bool:
        """False when it is held: the wait is over at once."""
        self.asked += 1
        if self.held:
            if not block:
                return False
            assert timeout is not None, "would wait for ever"
            self.waits.append(timeout)
            return False
        self.held = True
        return True

    def release(self) -> None:
        """See multiprocessing.Lock."""
        if not self.held:
            raise ValueError("semaphore or lock released too many times")
        self.held = False
