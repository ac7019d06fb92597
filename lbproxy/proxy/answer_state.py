"""The life of one answer on its way to a client, as the calls of a Downstream: in which order they may come.

This is the contract between an exchange and whoever lays an answer out: a piece before the head, a second head, an answer of ours
behind the first byte of another one would each be read as something else than was meant.
"""

from __future__ import annotations

from enum import IntEnum

from lbproxy.proxy.moves import table


class AnswerState(IntEnum):
    """What the client has got."""

    AWAITED = 0
    """Nothing but interim answers."""
    BEGUN = 1
    """A head, and a part of its body."""
    ENDED = 2
    """All of it."""
    BROKEN = 3
    """A part, and no more will follow."""


class AnswerEvent(IntEnum):
    """The calls of a Downstream that an answer consists of."""

    INTERIM = 0
    WHOLE = 1
    """`whole` or `own`."""
    BEGIN = 2
    """`begin` or `upgrade`."""
    PIECE = 3
    END = 4
    """`end`, or the end of a tunnel."""
    BREAK = 5


MOVES: dict[tuple[int, int], int] = {
    (AnswerState.AWAITED, AnswerEvent.INTERIM): AnswerState.AWAITED,
    (AnswerState.AWAITED, AnswerEvent.WHOLE): AnswerState.ENDED,
    (AnswerState.AWAITED, AnswerEvent.BEGIN): AnswerState.BEGUN,
    (AnswerState.BEGUN, AnswerEvent.PIECE): AnswerState.BEGUN,
    (AnswerState.BEGUN, AnswerEvent.END): AnswerState.ENDED,
    (AnswerState.BEGUN, AnswerEvent.BREAK): AnswerState.BROKEN,
    (AnswerState.ENDED, AnswerEvent.BREAK): AnswerState.BROKEN,  # all of it was handed over, and the client could not take it
    (AnswerState.BROKEN, AnswerEvent.BREAK): AnswerState.BROKEN,  # a tunnel that was cut, by a body that could not be brought
}
AFTER = table(AnswerState, AnswerEvent, MOVES)
