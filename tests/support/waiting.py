"""Waiting for a condition with a deadline, and for lines from a pipe: what tests do instead of sleeping for luck."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import IO, TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds before a test gives up on something that normally takes milliseconds; the machine may be busy with other things. It costs
nothing where all is well: nothing that passes waits for its end."""
FOREVER = 600.0
"""Seconds for a time-out that must not be what ends something: whoever waited for it took longer than PATIENCE."""


def eventually(condition: Callable[[], T], what: str, *, within: float = PATIENCE, every: float = 0.01) -> T:
    """Ask until the answer is truthy, and return it. AssertionError naming `what` and the last answer otherwise."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what} (last answer: {answer!r})")
        time.sleep(every)


class Lines:
    """The lines of a pipe, collected by a thread as they come; ends when the pipe does."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        for line in self._pipe:
            with self._changed:
                self._lines.append(line.decode("utf-8", "backslashreplace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def all(self) -> list[str]:
        """What came so far."""
        with self._changed:
            return list(self._lines)

    def wait(self, found: Callable[[list[str]], T | None], within: float = PATIENCE) -> T | None:
        """The first answer of `found` over all lines that is not None; None at the deadline or at the end of the pipe."""
        deadline = time.monotonic() + within
        with self._changed:
            while True:
                answer = found(self._lines)
                left = deadline - time.monotonic()
                if answer is not None or self._ended or left <= 0:
                    return answer
                self._changed.wait(left)

    def finish(self) -> list[str]:
        """Everything, after the writers have closed the pipe."""
        self._thread.join(PATIENCE)
        self._pipe.close()
        return self.all()
