"""What a connection leaves behind: nothing that waits for the collector of cycles, which comes to what is old after hours."""

from __future__ import annotations

import gc
from collections import Counter

import pytest

from tests.support.h2_frames import headers
from tests.unit.proxy.fake_stream import LOST
from tests.unit.proxy.h2_client import H2Client
from tests.unit.proxy.world import World, ok

WATCHED = {"H2Stream", "H2Downstream", "Exchange", "_BodySource"}


@pytest.mark.parametrize("when", ["stalled", "asked"])
def test_nothing_waits_for_the_collector(when: str) -> None:
    """Not even bodies that its client has not taken: with a thousand streams that was 100 MiB, time and again."""
    world = World(backends=1)

    def connect() -> None:
        client = H2Client(world)
        client.say(b"".join(headers(stream) for stream in (1, 3, 5)))
        for upstream in list(world.upstreams):
            if when != "asked" and upstream.is_open() and upstream.take():
                upstream.feed(ok(b"x" * 300_000))
        world.settle()
        client.heard()
        client.stream.feed(LOST)
        world.settle()
        world.pass_time(1)
        client.stream.owner = None  # as a real one that is closed
        vars(client).clear()  # which knows itself

    for _ in range(3):
        connect()
    gc.collect()
    gc.disable()
    try:
        before = alive()
        for _ in range(5):
            connect()
        assert not alive() - before
    finally:
        gc.enable()


def alive() -> Counter[str]:
    """How many there are of what is watched, garbage or not."""
    return Counter(type(each).__qualname__ for each in gc.get_objects() if type(each).__qualname__ in WATCHED)
