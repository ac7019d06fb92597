"""Turns of the inspectors around one socket: who takes the next question.

Rules and what they keep at hand are megabytes: an inspector that has just looked is quicker than one that has not, and two that
share a core drive each other out of its caches. As many as there are cores for are eager, and of those the kernel wakes the first
one that waits (EPOLLEXCLUSIVE keeps their order). The others are patient: they step in when none of the eager ones has come to an
end for a while, each of them being busy with something that takes long, or dead.
"""

from __future__ import annotations

import mmap
import select
import socket
import struct
import time

PATIENCE = 0.005
"""Seconds; most requests are looked at in one or two milliseconds."""
MOST = 64
"""Inspectors around one socket."""
_NUMBER = struct.Struct("=Q")
_SIZE = _NUMBER.size


class Progress:
    """What inspectors tell each other and whoever forked them, in memory that forks share: how much each has looked at, until when
    it may look at what it has, which question that is, and how often it was born. Each number has one writer. `close` it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 4 * MOST * _SIZE)
        self._untils = memoryview(self._memory).cast("d")[2 * MOST : 3 * MOST]
        """Written and read at once, not byte by byte."""
        self._held = memoryview(self._memory).cast("Q")[3 * MOST :]

    def looked(self, rank: int) -> None:
        """By that inspector."""
        self._untils[rank] = 0.0
        self._add(rank)

    def looks_until(self, rank: int, moment: float, question: int) -> None:
        """By that inspector: it has taken the question of that number, which is to be done with by then (time.monotonic)."""
        self._held[rank] = question + 1
        self._untils[rank] = moment

    def answered(self, rank: int) -> None:
        """By that inspector: whoever asked has the answer, or needs none."""
        self._held[rank] = 0

    def held(self, rank: int) -> int | None:
        """The number of the question that nobody answers if that inspector ends now; None: there is none."""
        return self._held[rank] - 1 if self._held[rank] else None

    def until(self, rank: int) -> float:
        """What that inspector said of the question that it has; 0: it has none."""
        return self._untils[rank]

    def born(self, rank: int) -> None:
        """By whoever forks it."""
        self._untils[rank] = 0.0
        self._held[rank] = 0
        self._add(MOST + rank)

    def looks(self, ranks: int) -> bytes:
        """Of the first ones: others than before once one of them has come to an end."""
        return self._memory[: ranks * _SIZE]

    def births(self, ranks: int) -> bytes:
        """Of the first ones, likewise."""
        return self._memory[MOST * _SIZE : (MOST + ranks) * _SIZE]

    def close(self) -> None:
        """For this process."""
        self._untils.release()
        self._held.release()
        self._memory.close()

    def _add(self, number: int) -> None:
        at = number * _SIZE
        _NUMBER.pack_into(self._memory, at, (_NUMBER.unpack_from(self._memory, at)[0] + 1) % 2**64)


class Turns:
    """When one inspector may take a question."""

    def __init__(self, sock: socket.socket, progress: Progress, rank: int, eager: int) -> None:
        """`rank`: its number, from 0; `eager`: how many of the first ones are."""
        self._socket = sock
        self._progress = progress
        self._rank = rank
        self._eager = eager
        self._stuck: bytes | None = None
        """Where the eager ones stood when this one stepped in."""
        self._epoll = select.epoll()
        self._line_up()

    def take(self, size: int) -> bytes:
        """Wait for a question, and take it; b"": nobody asks any more. Raises OSError."""
        patient = self._rank >= self._eager
        while True:
            if patient and not self._steps_in():
                continue
            try:
                return self._socket.recv(size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                if not patient:
                    self._epoll.poll()

    def begun(self, until: float, question: int) -> None:
        """With what it took; when that is to be done with, and its number."""
        self._progress.looks_until(self._rank, until, question)

    def done(self) -> None:
        """With what it took."""
        self._progress.looked(self._rank)

    def answered(self) -> None:
        """Whoever asked has the answer, or needs none."""
        self._progress.answered(self._rank)

    def _line_up(self) -> None:
        """Behind all who wait at the socket."""
        self._ahead = self._progress.births(self._eager)
        self._epoll.register(self._socket, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def _steps_in(self) -> bool:
        """Once something is to be taken: whether those whose turn it is leave it for long."""
        self._epoll.poll()
        if self._progress.births(self._eager) != self._ahead:  # one that came later stands behind this one, and was not woken
            self._epoll.unregister(self._socket)
            self._line_up()
            return True
        before = self._progress.looks(self._eager)
        if before != self._stuck:
            time.sleep(PATIENCE)
            if self._progress.looks(self._eager) != before:
                return False
            self._stuck = before
        return True
