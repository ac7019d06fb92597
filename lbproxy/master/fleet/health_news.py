"""News of backends' health: what was said of each last, so that it stands in the log once.

A control process that was replaced tells it all again.
"""

from __future__ import annotations

from collections.abc import Iterable

from lbproxy.ipc.messages import HealthChanged


class HealthNews:
    """What control has said last of each backend of all pools."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], str] = {}

    def is_news(self, message: HealthChanged) -> bool:
        """Whether it says another thing than what was said last; it is remembered."""
        backend = message.pool, message.backend
        if self._states.get(backend) == message.state:
            return False
        self._states[backend] = message.state
        return True

    def forget(self, pool: str, backends: Iterable[str]) -> None:
        """They are gone; should they come back, everything is news."""
        for backend in backends:
            self._states.pop((pool, backend), None)
