"""The states of a client's HTTP/1 connection, and what leads from one to the other.

What the event loop wants of a connection (input, a time-out, a drain, shedding, a cut) depends on the state and changes none by
itself; see client.py.
"""

from __future__ import annotations

from enum import IntEnum

from lbproxy.proxy.moves import table


class ConnectionState(IntEnum):
    """What the connection is doing."""

    IDLE = 0
    """Between requests, with or without a greenlet."""
    HEAD = 1
    """A head has begun, and is not whole."""
    EXCHANGE = 2
    """A request is served, or what was none is refused."""
    CLOSED = 3


class ConnectionEvent(IntEnum):
    """What happens to a connection that changes its state."""

    BEGUN = 0
    """Bytes came that are no whole head."""
    REQUEST = 1
    """A head is whole."""
    ANSWERED = 2
    """The client has its answer, and its connection goes on."""
    OVER = 3
    """It has ended, or was ended."""


MOVES: dict[tuple[int, int], int] = {
    (ConnectionState.IDLE, ConnectionEvent.BEGUN): ConnectionState.HEAD,
    (ConnectionState.IDLE, ConnectionEvent.REQUEST): ConnectionState.EXCHANGE,  # as a rule: a head comes at once
    (ConnectionState.IDLE, ConnectionEvent.OVER): ConnectionState.CLOSED,
    (ConnectionState.HEAD, ConnectionEvent.REQUEST): ConnectionState.EXCHANGE,
    (ConnectionState.HEAD, ConnectionEvent.OVER): ConnectionState.CLOSED,
    (ConnectionState.EXCHANGE, ConnectionEvent.ANSWERED): ConnectionState.IDLE,
    (ConnectionState.EXCHANGE, ConnectionEvent.OVER): ConnectionState.CLOSED,
}
AFTER = table(ConnectionState, ConnectionEvent, MOVES)
