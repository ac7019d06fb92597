"""Interim answers: any number of them, and no flood."""

from __future__ import annotations

from lbproxy.proxy.interim import AT_ONCE, RATE
from tests.unit.proxy.world import World, ok, post


def test_interim_answers_are_limited_by_how_much_comes_in_how_much_time() -> None:
    """Any number of them over a long time is progress; a flood is not."""
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    for pause, flooded in ((0.0, True), (len(interim) / RATE, False)):
        world = World(backends=1)
        client = world.connect()
        client.feed(post(b"x"))
        sent = 0
        while sent <= AT_ONCE and not world.upstream.end:
            world.upstream.feed(interim)
            world.now += pause
            sent += len(interim)
        if flooded:
            assert world.outcomes() == [(502, "response_endless_interim")]
        else:
            world.upstream.feed(ok())
            assert world.outcomes() == [(200, "")]
        world.at_rest()
