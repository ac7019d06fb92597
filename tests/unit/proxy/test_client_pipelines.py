"""Pipelined requests and the turns of others."""

from __future__ import annotations

import pytest

from tests.unit.proxy.world import World, get, ok


def test_a_pipeline_of_requests_that_need_no_backend_lets_others_have_their_turn() -> None:
    """Nothing is waited for on their way: four clients that flooded us with them made everybody else wait for 1.6 s."""
    world = World()
    client = world.connect(redirect=True)
    client.feed(get() * 20)
    assert client.take().count(b"HTTP/1.1 308 ") == 20
    assert world.slept == [0.0] * 19
    world.at_rest()


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_pipelined_request_waits_for_its_turn_behind_those_of_others(pieces: int) -> None:
    """A backend's answer was followed at once by the next long head that was here: fifty clients that pipeline were one turn of the
    loop, and a newcomer waited for three of them. In one piece with the first request, or read while that was answered."""
    world = World(1)
    client = world.connect()
    request = get("/", "Cookie: " + "a=b;" * 1000)
    if pieces == 1:
        client.feed(request * 3)
    else:
        for _ in range(3):
            client.feed(request)
    for turns in range(1, 4):
        world.upstream.feed(ok())
        assert world.slept == [0.0] * min(turns, 2)
    assert client.take().count(b"HTTP/1.1 200 ") == 3
    world.at_rest()
