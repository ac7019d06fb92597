"""What becomes of a pick gets back to the policy that wants to know it."""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.balance.policy import PickOutcome
from tests.unit.proxy.tunnels import ASK, GRANT
from tests.unit.proxy.world import EOF, World, get, ok, post


class Curious:
    """A policy that takes the first, and notes what it is told: index, seconds, outcome."""

    def __init__(self) -> None:
        self.told: list[tuple[int, float, PickOutcome]] = []

    def choose(self, usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
        return usable[0]

    def ended(self, index: int, seconds: float, outcome: PickOutcome) -> None:
        self.told.append((index, round(seconds, 3), outcome))


def scene(backends: int = 2) -> tuple[World, Curious]:
    world, policy = World(backends), Curious()
    world.pool.set_backends(world.pool.backends, policy)
    return world, policy


def test_the_time_to_the_head() -> None:
    """As soon as it is there, whatever the body takes; one from the pick on, over a kept connection, too."""
    world, policy = scene()
    client = world.connect()
    client.feed(get())
    world.pass_time(0.25)
    world.upstream.feed(ok(b"x" * 10)[:-5])
    assert policy.told == [(0, 0.25, PickOutcome.ANSWERED)]
    world.pass_time(3.0)
    world.upstream.feed(b"x" * 5)
    client.feed(get())
    world.pass_time(0.5)
    world.upstream.feed(ok(status="503 Busy"))
    assert policy.told[1:] == [(0, 0.5, PickOutcome.ERROR)]
    world.at_rest()


def test_a_backend_without_an_answer() -> None:
    """One that refuses, one that closes."""
    world, policy = scene()
    world.refuse(0)
    client = world.connect()
    client.feed(get())
    world.pass_time(0.1)
    world.upstream.feed(EOF)
    assert [(index, outcome) for index, _, outcome in policy.told] == [(0, PickOutcome.FAILED), (1, PickOutcome.FAILED)]
    assert policy.told[1][1] >= 0.1
    assert client.take().startswith(b"HTTP/1.1 502 ")


def test_a_second_try_is_a_pick_of_its_own() -> None:
    """Its time begins with it."""
    world, policy = scene()
    client = world.connect()
    client.feed(get())
    world.pass_time(4.0)
    world.upstream.feed(EOF)
    world.pass_time(0.25)
    world.upstream.feed(ok())
    assert [(index, outcome) for index, _, outcome in policy.told] == [(0, PickOutcome.FAILED), (1, PickOutcome.ANSWERED)]
    assert policy.told[0][1] == 4.0
    assert policy.told[1][1] <= 0.25
    world.at_rest()


def test_how_long_a_client_takes_is_not_its_backends() -> None:
    """A body that was here at once counts, one that was on its way when the backend got the head does not."""
    world, policy = scene()
    client = world.connect()
    client.feed(post(b"abc", length=6))
    world.pass_time(5.0)
    client.feed(b"def")
    world.upstream.feed(ok())
    assert policy.told == []
    client.feed(post(b"abc"))
    world.pass_time(0.25)
    world.upstream.feed(ok())
    assert policy.told == [(0, 0.25, PickOutcome.ANSWERED)]
    world.at_rest()


def test_a_client_that_left_says_nothing_of_its_backend() -> None:
    """Nobody knows what would have come."""
    world, policy = scene()
    client = world.connect()
    client.feed(get())
    world.pass_time(2.0)
    client.feed(EOF)
    world.settle()
    assert policy.told == []
    assert [status for status, _ in world.outcomes()] == [499]


def test_tunnels_are_answers() -> None:
    """A 101, however long the tunnel lives."""
    world, policy = scene()
    client = world.connect()
    client.feed(ASK)
    world.pass_time(0.125)
    world.upstream.feed(GRANT)
    assert policy.told == [(0, 0.125, PickOutcome.ANSWERED)]
    client.feed(EOF)
    world.upstream.feed(EOF)
    world.at_rest()
