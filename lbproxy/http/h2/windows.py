"""Flow control: how much of a body is held, in either direction, and how large the windows are that let it come.

What came and was not taken by the backend is held by us: so a peer's window is a promise of memory. A connection that does
nothing promises the least that there is (64 KiB, RFC 9113 6.9.2), a stream that somebody reads faster than it comes gets
what a fast line needs, up to STREAM, and the connection what its streams have, up to CONNECTION. (A window of 64 KiB lets a
client 20 ms away send 3 MB/s.) As the reader stops, so does the peer. A client's stream has a wider window from its beginning, for
it is the connection's that bounds what all of them make us hold; and as long as a body is read that of the connection is wide
enough for several: each time that it is opened costs a write of its own.

What is to be sent is held by us while the peer's windows are shut. Whoever relays a body asks for room first, and is told how much
it may read (`share`): a hundred streams that are asked to read at the same moment find room for all of what they bring. The room of
a connection to a client is not everybody's: the less urgent a stream is (RFC 9218), the sooner there is none for it, so that a
connection full of what may wait takes what may not.
"""

from __future__ import annotations

STREAM = 256 * 1024
"""Bytes held of a stream at most, in either direction."""
CONNECTION = 1024 * 1024
"""Bytes held of all streams of a connection at most, in either direction."""
FIRST = 64 * 1024 - 1
"""A connection's window before any of it was read, and that of a stream to a backend."""
FIRST_OF_CLIENTS = 128 * 1024
"""A client's streams have that."""
OTHERS = 16
"""Streams that end without having needed more, after which a connection promises no more than at its beginning: uploads come in
series, and several of them end together."""
WORTH = 32 * 1024
"""Bytes to come of a stream for which its connection is opened before they are here: with fewer it is opened once more at most."""
STEP = 128 * 1024
"""Bytes of a stream that are put into frames ahead of what the peer takes, before its writer waits: a relay's piece."""
LEAST = 4 * 1024
"""Bytes that whoever has room may always read."""
BEHIND = 64 * 1024
"""So much less may be held of all for each step that a stream is less urgent."""
CROWDED = CONNECTION - STEP - 7 * BEHIND
"""Below it there is room for all of them."""
LEAST_RATE = 1024
"""Bytes a second that count as progress of what waits for its peer, as in net/tcp_stream.py."""


_NONE: dict[int, int] = {}
"""Of all connections of which no stream was widened."""


class Windows:
    """One connection's, for what comes."""

    __slots__ = ("_connection", "_first", "_others", "_streams")

    def __init__(self, first: int = FIRST) -> None:
        """`first`: what streams begin with."""
        self._connection = FIRST
        self._first = first
        self._others = 0
        """Streams that have ended since the last of those."""
        self._streams = _NONE
        """Those that the connection's window is opened for, and what they have."""

    def waited(self, stream: int, left: int, came: int) -> tuple[int, int]:
        """A reader of `stream` has taken all there was, `came` bytes since it last waited, and waits for more; `left`: bytes that
        are still to come, -1 when nobody knows. (the stream's window, the connection's) if they are to be another now; 0: as it
        is. Who sends less at a time than a sixteenth of its window is not held up by it."""
        known = self._streams.get(stream, 0)
        if known >= STREAM:
            return 0, 0
        before, wanted = known or self._first, 0
        if not 0 <= left <= before and came >= before // 16:
            wanted = min(STREAM, 2 * before + 2)
        if not wanted and (known or left < WORTH):
            return 0, 0
        if self._streams is _NONE:
            self._streams = {}
        self._streams[stream] = wanted or before
        whole = min(CONNECTION, FIRST + 2 * sum(self._streams.values()))  # half of it is gone when it is opened anew
        wider = whole if whole > self._connection else 0
        self._connection = max(self._connection, whole)
        return wanted, wider

    def ended(self, stream: int) -> int:
        """The stream is no more. The connection's window if it is to be another now; 0: as it is."""
        if self._connection == FIRST:
            return 0
        if self._streams.pop(stream, 0):
            self._others = 0
        elif not self._streams:
            self._others += 1
            if self._others >= OTHERS:
                return self.idle()
        return 0

    def idle(self) -> int:
        """Nothing is under way. As `ended`."""
        if self._connection == FIRST or self._streams:
            return 0
        self._connection = FIRST
        return FIRST


def may_write(held: int, held_by_all: int, urgency: int = 0) -> bool:
    """Whether a stream of which `held` bytes wait for the peer may add a piece; `urgency`: from 0, the highest, to 7."""
    return held < STEP and held_by_all < CONNECTION - STEP - urgency * BEHIND


def share(wanted: int, spoken_for: int, urgency: int) -> int:
    """How much of `wanted` a stream that may write reads next; `spoken_for`: bytes that are held of all, and what others were told
    here, beyond LEAST, and have not brought yet. Never all that is left: more may come, and some never bring anything."""
    return max(LEAST, min(wanted, (CONNECTION - STEP - urgency * BEHIND - spoken_for) // 2))
