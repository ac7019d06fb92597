"""The pulse of a connection that requests share: whether a backend that says nothing is asked if it lives, and taken for dead.

One dead machine would hold all requests of a connection for as long as each may take. But not often: servers of gRPC take more than
two PINGs in five minutes without an answer of theirs for an attack, and end the connection with all of its calls.
"""

from __future__ import annotations

SILENCE = 10.0
"""Seconds without a byte, while requests wait, after which the backend is asked whether it lives."""
PATIENCE = 5.0
"""Seconds for its answer, or anything else that it says."""
RARELY = 310.0
"""Seconds between two such questions, unless an answer to a request came between them."""


class Pulse:
    """When a backend was heard, and asked."""

    __slots__ = ("_asked", "_heard")

    def __init__(self, now: float) -> None:
        """`now`: monotonic seconds, as everywhere below."""
        self._heard = now
        self._asked = -RARELY

    def heard(self, now: float) -> None:
        """Anything came."""
        self._heard = now

    def answered(self) -> None:
        """A part of an answer to a request was among it."""
        self._asked = -RARELY

    def asks(self, now: float) -> bool:
        """Whether to ask now; then that is noted."""
        if now - self._heard < SILENCE or now - self._asked < RARELY:
            return False
        self._asked = now
        return True

    def gone(self, now: float) -> bool:
        """It was asked, and has not said anything since."""
        return self._asked > self._heard and now - self._asked >= PATIENCE
