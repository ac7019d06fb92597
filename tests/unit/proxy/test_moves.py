"""Tables of states: every pair of a state and an event either leads somewhere or is a mistake, and the code says which."""

from __future__ import annotations

from enum import IntEnum
from itertools import product
from types import ModuleType

import pytest

from lbproxy.proxy import answer_state, connection_state, sending_state
from lbproxy.proxy.client import ClientConnection
from lbproxy.proxy.moves import IMPOSSIBLE, ROW, table
from lbproxy.proxy.request_body import RequestBody
from tests.unit.proxy.world import World, post

TABLES = [connection_state, answer_state, sending_state]


class Light(IntEnum):
    """A traffic light."""

    GREEN = 0
    RED = 1


class Push(IntEnum):
    """What can be done to it."""

    BUTTON = 0
    HAMMER = 1


def test_a_table_says_what_its_dictionary_says() -> None:
    """And IMPOSSIBLE for the rest, also beyond the events there are."""
    made = table(Light, Push, {(Light.GREEN, Push.BUTTON): Light.RED})
    assert made[Light.GREEN * ROW + Push.BUTTON] == Light.RED
    assert [made[Light.RED * ROW + event] for event in range(ROW)] == [IMPOSSIBLE] * ROW
    assert made[Light.GREEN * ROW + Push.HAMMER] == IMPOSSIBLE


@pytest.mark.parametrize("module", TABLES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_pair_is_in_the_table(module: ModuleType) -> None:
    """Compiled bytes and written moves are the same; every state can be reached from the first, and every event can happen."""
    kinds: tuple[type[IntEnum], ...] = tuple(map(type, next(iter(module.MOVES))))
    states, events = map(list, kinds)
    for state, event in product(states, events):
        assert module.AFTER[state * ROW + event] == module.MOVES.get((state, event), IMPOSSIBLE)
    reached = {0}
    while more := {int(after) for (state, _), after in module.MOVES.items() if state in reached} - reached:
        reached |= more
    assert reached == set(map(int, states))
    assert {event for _, event in module.MOVES} == set(events)


def scene() -> tuple[ClientConnection, RequestBody]:
    """A connection in the middle of an upload."""
    world = World()
    world.connect().feed(post(b"a", length=9))
    [connection] = world.service.connections
    assert isinstance(connection, ClientConnection)
    assert connection.body is not None
    return connection, connection.body


@pytest.mark.parametrize(("state", "event"), list(product(connection_state.ConnectionState, connection_state.ConnectionEvent)))
def test_a_connection_moves_by_its_table(state: connection_state.ConnectionState, event: connection_state.ConnectionEvent) -> None:
    """Each pair: where the table says, or an error that names both."""
    connection, _ = scene()
    connection.state = state
    _moves(lambda: connection._move(event), lambda: connection.state, connection_state.MOVES.get((state, event)), state, event)


@pytest.mark.parametrize(("state", "event"), list(product(answer_state.AnswerState, answer_state.AnswerEvent)))
def test_an_answer_moves_by_its_table(state: answer_state.AnswerState, event: answer_state.AnswerEvent) -> None:
    """The same for the calls of a downstream."""
    connection, _ = scene()
    connection.answer_state = state
    after = answer_state.MOVES.get((state, event))
    _moves(lambda: connection.answering(event), lambda: connection.answer_state, after, state, event)
    assert connection.begun is (connection.answer_state != answer_state.AnswerState.AWAITED)


@pytest.mark.parametrize(("state", "event"), list(product(sending_state.SendingState, sending_state.SendingEvent)))
def test_a_body_moves_by_its_table(state: sending_state.SendingState, event: sending_state.SendingEvent) -> None:
    """The same for what a backend has of a body."""
    _, body = scene()
    body.sending = state
    _moves(lambda: body._move(event), lambda: body.sending, sending_state.MOVES.get((state, event)), state, event)
    assert (body.sent, body.pumping) == (
        body.sending == sending_state.SendingState.SENT,
        body.sending == sending_state.SendingState.PUMPING,
    )


def _moves(move: object, now: object, after: int | None, state: IntEnum, event: IntEnum) -> None:
    assert callable(move)
    assert callable(now)
    if after is None:
        with pytest.raises(AssertionError, match=f"{event.name} while {state.name}"):
            move()
        assert now() == state
    else:
        move()
        assert now() == after
