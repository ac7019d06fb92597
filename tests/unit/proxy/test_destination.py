"""Routes may share a pool and differ in everything else."""

from __future__ import annotations

from lbproxy.config.model import RouteConfig, TimeoutsConfig
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.router import Router
from tests.unit.http.heads import asking
from tests.unit.proxy.world import World


def test_two_routes_may_share_a_pool() -> None:
    here = World().service.router.match(asking(b"h", b"/"))
    assert here is not None
    there = Destination(here.pool, TimeoutsConfig())
    router = Router([(RouteConfig("app", None, "/a"), there), (RouteConfig("app"), here)])
    assert router.match(asking(b"h", b"/a")) is there
    assert router.match(asking(b"h", b"/")) is here
