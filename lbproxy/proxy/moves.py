"""Tables of states: which event leads from which state to which, and that all others are mistakes of ours.

A table is written as a dictionary, where a reader sees what is possible, and asked as bytes, which costs compiled code nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

IMPOSSIBLE = 255
ROW = 8
"""Events of a state in a table, at most."""


def table(states: type[IntEnum], events: type[IntEnum], moves: Mapping[tuple[int, int], int]) -> bytes:
    """The state behind `event` in `state` at `state * ROW + event`; IMPOSSIBLE where `moves` has none."""
    assert len(events) <= ROW
    made = bytearray([IMPOSSIBLE]) * (ROW * len(states))
    for (state, event), after in moves.items():
        made[state * ROW + event] = after
    return bytes(made)


def impossible(owner: object, state: IntEnum, event: IntEnum) -> AssertionError:
    """What is raised for an event that cannot happen in a state."""
    return AssertionError(f"{owner!r}: {event.name} while {state.name}")
