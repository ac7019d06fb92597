"""Accepting on a socket that all workers share.

Theory of operation. Every worker watches the same listening socket, so every new connection wakes all idle workers and one gets it.
Accepting one connection per wake-up lets the others have their turn; a loop that drained the queue would hand bursts to whoever
wakes first. Kept connections add up, though, and the kernel wakes the workers in no fair order. So a worker whose connections are
clearly above the mean over all workers leaves the socket to the others for some milliseconds. It comes back after a
bounded number of such pauses: when the others hang, a worker above its share is better than none.

A listener may have a limit (worker/accept/connection_limit.py counts). At the limit newcomers wait in the kernel's queue, and the
socket is not watched until somebody left: nothing spins.

When descriptors run out (EMFILE) the queue stays readable and accepting would spin: it pauses longer, and says so once.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from lbproxy.net.tcp_stream import READ
from lbproxy.net.wire import accept

FIRST = 1  # libev's priorities go from -2 to 2
SHARE_PAUSE = 0.002
"""Seconds for which a worker that is above its share leaves the socket to the others."""
QUEUE_LIMIT = 1024
"""Connections that a worker takes at its end at most; more than its share of any queue."""
MOST_PAUSES = 8
"""Pauses in a row after which a worker above its share accepts all the same: 16 ms at most are added to a connect."""
EXHAUSTED_PAUSE = 0.1
LAST_ORDERS = 0.1
"""Seconds that handshakes which had begun get to end, when the socket is about to be closed for good."""

# accept(2), "Error handling": these belong to the connection that went away, not to the listener. Plus EAGAIN: another worker won.
_NEXT_PLEASE = frozenset(
    {
        errno.EAGAIN,
        errno.ECONNABORTED,
        errno.EINTR,
        errno.EPROTO,
        errno.EPERM,  # a firewall rule said no
        errno.ENETDOWN,
        errno.ENOPROTOOPT,
        errno.EHOSTDOWN,
        errno.ENONET,
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.ENETUNREACH,
        errno.ETIMEDOUT,
    }
)


class Room(Enum):
    """How a worker stands among the others."""

    PLENTY = 1
    ABOVE_SHARE = 2  # more than its share: let the others have the next one
    FULL = 3  # at its limit: the next one waits in the queue


class ConnectionPlaces(Protocol):
    """How many connections may be open at once, and how many are."""

    def acquire(self) -> bool:
        """Take a place for a connection; False: there is none."""

    def acquire_anyway(self) -> None:
        """Take a place, whether there is one or not."""

    def release(self) -> None:
        """Give a place back."""

    def wait(self, go_on: Callable[[], None], /) -> None:
        """Call `go_on` once, from the event loop, when there may be a place."""


class Acceptor:
    """Hands accepted sockets to `on_connection(sock, peer)`, `peer` being an address as text, from the event loop.

    `room()` tells whether this worker has its share or more; `on_exhausted(error)` is told when descriptors or memory run out; each
    connection has taken a place of `limit`; `make_room()` is asked, when there is none, to get somebody to leave.
    """

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        on_connection: Callable[[socket.socket, str], None],
        room: Callable[[], Room],
        on_exhausted: Callable[[OSError], None],
        limit: ConnectionPlaces,
        make_room: Callable[[], bool],
    ) -> None:
        self._sock = sock
        self._limit = limit
        self._make_room = make_room
        self._accept_from: Callable[[socket.socket], tuple[socket.socket, str]] = accept
        self._on_connection = on_connection
        self._room = room
        self._on_exhausted = on_exhausted
        # One newcomer a turn, and before everything else: whoever is inside may make the turn long.
        self._watcher = loop.io(sock.fileno(), READ, priority=FIRST)
        # Repeating ones, started with `again`: one that fires once would on its second start fire at once.
        self._timer = loop.timer(SHARE_PAUSE, SHARE_PAUSE)
        self._exhausted_timer = loop.timer(EXHAUSTED_PAUSE, EXHAUSTED_PAUSE)
        self._last_orders = loop.timer(LAST_ORDERS, LAST_ORDERS)
        self._pauses_left = MOST_PAUSES
        self._stopped = True

    def start(self) -> None:
        """Begin to accept."""
        self._stopped = False
        self._watcher.start(self._on_pending)

    def stop(self) -> None:
        """Accept no more, for good, and close our descriptor of the socket. The queue is left to others who accept from it."""
        self._stopped = True
        if self.open:
            for watcher in (self._watcher, self._timer, self._exhausted_timer, self._last_orders):
                watcher.stop()
                watcher.close()
            self._sock.close()

    @property
    def open(self) -> bool:
        """Whether there may be more connections to come."""
        return self._sock.fileno() >= 0

    def stop_with_queue(self) -> None:
        """Accept what is waiting already, and then stop: nobody else will, and the socket is free again when we return.

        Who is in the queue believes to be connected: when the last process closes the socket the kernel resets them.
        """
        for _ in range(QUEUE_LIMIT):
            if not self._accept():
                break
        self.stop()

    def last_orders(self) -> None:
        """Like `stop_with_queue`, a little later, and also for those whose handshake is under way: the socket goes for good.

        The master has seen to it that no newcomers come (no_newcomers.py). Where it could not, they are taken as well until then.
        """
        self._watcher.start(self._accept)  # whatever the others have
        self._last_orders.start(self.stop_with_queue)

    def _on_pending(self) -> None:
        room = self._room()
        if room is Room.FULL:
            self._pause(self._exhausted_timer)
            return
        if room is Room.ABOVE_SHARE and self._pauses_left:
            self._pauses_left -= 1
            self._pause(self._timer)
            return
        self._pauses_left = MOST_PAUSES
        limit = self._limit
        # Only for somebody who is still there is anybody shown out: each newcomer wakes all workers, and one gets it.
        if limit.acquire() or (self._pending() and self._make_room() and limit.acquire()):
            self._take()
        else:
            self._watcher.stop()
            limit.wait(self._resume)

    def _pending(self) -> bool:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def _accept(self) -> bool:
        """One connection, whatever the limit is; False when there is none to be had now."""
        self._limit.acquire_anyway()
        return self._take()

    def _take(self) -> bool:
        """One connection, its place being taken."""
        try:
            sock, peer = self._accept_from(self._sock)
        except OSError as error:
            self._limit.release()
            if error.errno not in _NEXT_PLEASE:
                self._on_exhausted(error)
                self._pause(self._exhausted_timer)
            return False
        self._on_connection(sock, peer)
        return True

    def _pause(self, timer: Any) -> None:
        self._watcher.stop()
        timer.again(self._resume)

    def _resume(self) -> None:
        if not self._stopped:
            self._timer.stop()
            self._exhausted_timer.stop()
            self._watcher.start(self._on_pending)
