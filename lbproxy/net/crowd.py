"""A thousand clients that trickle do not make the others wait for all of them.

Theory of operation. A turn of the event loop serves whoever has input, in the order of its coming, and looks for more when all are
served. A crowd that sends a few bytes each second, all at the same moment, makes such a turn last for tens of milliseconds, and
whoever asks meanwhile waits for its end. So streams whose input may wait say so (`Stream.patient`: in the middle of a head, or of a
body that comes by drips), and only a few of them are served a turn. The others are found again at the next one, for their watchers
are level-triggered; in between everybody else has been served. As long as there is no crowd nobody is put off.
"""

from __future__ import annotations

from typing import Any

A_TURN = 16
"""Patient streams that are served in one turn: about half a millisecond."""


class Crowd:
    """One worker's patient streams."""

    __slots__ = ("_loop", "_served", "_turn")

    def __init__(self, loop: Any) -> None:
        """`loop`: gevent's, which counts its turns."""
        self._loop = loop
        self._turn = -1
        self._served = 0

    def serves(self) -> bool:
        """Whether one more has its turn now."""
        turn = self._loop.iteration
        if turn != self._turn:
            self._turn = turn
            self._served = 0
        self._served += 1
        return self._served <= A_TURN
