"""Requests that come with their own resets, in every cut."""

from __future__ import annotations

from lbproxy.http.h2.bounds import RESETS
from lbproxy.http.h2.vocabulary import Failure, H2Code
from tests.support.h2_frames import headers, reset
from tests.unit.proxy.h2_client import H2Client, body
from tests.unit.proxy.world import World, ok


def test_a_request_that_comes_with_its_own_reset_is_counted() -> None:
    """As a request and as a reset; no backend hears of it, and the next one is served."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1) + reset(1))
    counters = world.service.counters
    assert (counters.h2_requests, counters.h2_live, world.upstreams) == (1, 0, [])
    client.ask(3)
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    world.at_rest()


def test_such_requests_are_a_flood_however_they_are_cut_into_reads() -> None:
    """One by one, or with the reset in the next piece."""
    for pieces in (1, 2):
        world = World(backends=1)
        client = H2Client(world)
        sent = 0
        while not client.floods:
            frames = headers(2 * sent + 1), reset(2 * sent + 1)
            for piece in (b"".join(frames),) if pieces == 1 else frames:
                client.say(piece)
            sent += 1
        assert sent == RESETS + 1
        assert client.floods == [Failure(H2Code.ENHANCE_YOUR_CALM, "h2_resets")]
        world.at_rest()
