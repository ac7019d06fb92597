"""Silence: a server that has let a question wait for too long is asked something short before it gets another one.

Theory of operation. That a question was not answered in time tells nothing of the next one while others are answered: the message
may be one that takes long, and whoever can send such a message must not keep the server from looking at those of others. A server
that answered nobody meanwhile may have stopped, though. It is asked for OPTIONS then, which takes no time, in front of whatever
comes next, and is waited for no longer than that takes, nor by others who come just then. Those who can be asked elsewhere are.
"""

from __future__ import annotations

SHORTEST, PART = 1.0, 0.1
"""How long a server that was silent may take to answer something short: a part of what others get, so many seconds at least."""


def short(patience: float) -> float:
    """Seconds, where a server may say nothing for `patience` as a rule."""
    return min(patience, max(SHORTEST, patience * PART))


class Silence:
    """Which servers of a route are silent, as one worker knows; by their slots, of which there are few."""

    __slots__ = ("_heard", "_mute", "_spared")

    def __init__(self) -> None:
        self._heard: dict[int, float] = {}
        self._spared: dict[int, float] = {}
        self._mute: dict[int, float] = {}

    def heard(self, slot: int, now: float) -> None:
        """It said something."""
        self._heard[slot] = now
        self._spared.pop(slot, None)
        self._mute.pop(slot, None)

    def late(self, slot: int, now: float, patience: float) -> None:
        """It has let a question wait for so long."""
        if slot in self._spared or now - self._heard.get(slot, float("-inf")) >= patience:
            self._spared[slot] = now + patience

    def mute(self, slot: int, now: float, patience: float) -> None:
        """Nor has it answered something short, for so long."""
        self._mute[slot] = now + patience

    def is_mute(self, slot: int, now: float) -> bool:
        """That was just now."""
        return self._mute.get(slot, now) > now

    def holds(self, slot: int) -> bool:
        """It was silent, and has said nothing since."""
        return slot in self._spared

    def spared(self, now: float) -> tuple[int, ...]:
        """Those that are not asked now where there are others. When its time is up one message finds out."""
        return tuple(slot for slot, until in self._spared.items() if until > now)
