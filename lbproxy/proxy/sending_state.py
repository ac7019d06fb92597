"""The states of a request's body on its way to a backend, of which there may be several, one after another."""

from __future__ import annotations

from enum import IntEnum

from lbproxy.proxy.moves import table


class SendingState(IntEnum):
    """What the present backend has."""

    HELD = 0
    """Nothing: there is none, or its try is over; or it takes no more, and its answer decides."""
    PUMPING = 1
    """A part, and the rest is being brought."""
    SENT = 2
    """All of it was handed to its stream; unless it was, the next request cannot follow it there."""


class SendingEvent(IntEnum):
    """What happens to a body that changes its state."""

    TRY = 0
    """Another backend, or the same once more, is about to get it."""
    GIVEN_ALL = 1
    """That has all of it at once."""
    GIVEN_PART = 2
    """That has what was here, and the rest is pumped."""
    PAUSED = 3
    """The try is over, or the exchange."""
    WHOLE = 4
    """The pump has brought the last of it."""
    STOPPED = 5
    """The pump has ended."""


MOVES: dict[tuple[int, int], int] = {
    (SendingState.HELD, SendingEvent.TRY): SendingState.HELD,
    (SendingState.HELD, SendingEvent.GIVEN_ALL): SendingState.SENT,
    (SendingState.HELD, SendingEvent.GIVEN_PART): SendingState.PUMPING,
    (SendingState.HELD, SendingEvent.PAUSED): SendingState.HELD,
    (SendingState.HELD, SendingEvent.STOPPED): SendingState.HELD,  # a pump that was told to stop ends a turn later
    (SendingState.PUMPING, SendingEvent.PAUSED): SendingState.HELD,
    (SendingState.PUMPING, SendingEvent.WHOLE): SendingState.SENT,
    (SendingState.PUMPING, SendingEvent.STOPPED): SendingState.HELD,
    (SendingState.SENT, SendingEvent.TRY): SendingState.HELD,
    (SendingState.SENT, SendingEvent.PAUSED): SendingState.SENT,  # it stays known that the last one has all of it
    (SendingState.SENT, SendingEvent.STOPPED): SendingState.SENT,
}
AFTER = table(SendingState, SendingEvent, MOVES)
