"""WebSockets over HTTP/2 (RFC 8441) pass the steps of a route as those over HTTP/1.1 do: before anything of them is passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lbproxy.config import model
from lbproxy.waf.messages import WafVerdict
from tests.support.h2_frames import GET, data, headers
from tests.unit.proxy.h2_client import H2Client
from tests.unit.proxy.icap_world import PASS
from tests.unit.proxy.steps.test_jwt import KEYS
from tests.unit.proxy.steps.test_waf import Inspectors
from tests.unit.proxy.world import ICAP, World

ASKED = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:], (b"sec-websocket-version", b"13"))
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n"
)


def opened(route: model.RouteConfig, **world: Any) -> World:
    """A world in which a client has asked for one, and has begun to speak."""
    made = World(1, route=route, **world)
    client = H2Client(made)
    client.say(headers(1, ASKED, end=False) + data(1, b"evil", end=False))
    made.settle()
    return made


@pytest.mark.parametrize("blocked", [True, False])
def test_rules_look_at_its_head(blocked: bool) -> None:
    """And wait for no body, which never ends."""
    inspectors = Inspectors()
    inspectors.verdict = WafVerdict(0, blocked, 403 if blocked else 200, 5, ())
    world = opened(model.RouteConfig("app", waf=model.WafConfig("block")), inspectors=inspectors)
    [asked] = inspectors.asked
    assert (asked.method, asked.body) == (b"GET", b"")
    assert len(world.dials) == (not blocked)
    if not blocked:
        world.upstream.feed(SWITCHED)
        assert world.upstream.take().endswith(b"evil")


def test_a_token_is_asked_for() -> None:
    """As of any request."""
    jwt = model.JwtConfig(jwks_file=Path("keys"), algorithms=("RS256",), audience=("shop",), issuer="idp")
    world = opened(model.RouteConfig("app", jwt=jwt), contents=(KEYS,))
    assert world.dials == []
    assert world.outcomes() == [(401, "auth_required")]


def test_icap_servers_are_shown_its_head() -> None:
    """Bytes of WebSockets nobody looks at."""
    world = opened(model.RouteConfig("app", icap=model.IcapConfig("av", reqmod="/req")), icap_servers=1)
    [server] = world.upstreams
    assert world.dials == [9000 + ICAP]
    assert b"null-body" in server.take()
    server.feed(PASS)
    world.settle()
    world.upstream.feed(SWITCHED)
    assert world.upstream.take().endswith(b"evil")


def test_a_mirror_gets_none() -> None:
    """A tunnel cannot be copied."""
    world = opened(model.RouteConfig("app", mirror=model.MirrorConfig("next")))
    world.upstream.feed(SWITCHED)
    world.settle()
    assert len(world.dials) == 1
