"""Requests of our own: whose failure it is that nobody answers them in time."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import PerSlot
from tests.unit.proxy.steps.test_authorize import asking
from tests.unit.proxy.world import EOF, get


def test_a_client_that_leaves_is_nobodys_failure() -> None:
    """Nor is it an answer: how often a backend fails is seen beside how often it answers."""
    world = asking()
    client = world.connect()
    client.feed(get())
    client.feed(EOF)
    assert world.outcomes() == [(499, "client_closed")]
    assert (world.count(PerSlot.FAILURES, 0), world.count(PerSlot.GIVEN_UP, 0)) == (0, 1)
    world.at_rest()


@pytest.mark.parametrize("how", ["silent", "hanging"])
def test_one_that_has_stopped_does_not_pass_for_one_that_answers(how: str) -> None:
    """Its kernel goes on accepting connections, and so checks that look for no more than that go on passing: what it did not answer
    in time is all that tells, and who looks at that (outlier) has to see it."""
    world = asking(timeout=2.0)
    if how == "hanging":
        world.hanging.add(9000)
    client = world.connect()
    client.feed(get())
    world.pass_time(2.25)
    assert client.take().startswith(b"HTTP/1.1 503 ")
    assert (world.count(PerSlot.FAILURES, 0), world.count(PerSlot.GIVEN_UP, 0)) == (1, 0)
    world.hanging.clear()
    world.at_rest()


def test_one_that_had_little_of_the_time_is_not_to_blame() -> None:
    """The first one took it."""
    world = asking(2, timeout=2.0)
    client = world.connect()
    client.feed(get())
    world.pass_time(1.5)
    world.upstream.feed(EOF)
    world.pass_time(0.75)
    assert world.dials == [9000, 9001]
    assert client.take().startswith(b"HTTP/1.1 503 ")
    assert [world.count(PerSlot.FAILURES, slot) for slot in (0, 1)] == [1, 0]
    assert [world.count(PerSlot.GIVEN_UP, slot) for slot in (0, 1)] == [0, 1]
    world.at_rest()
