"""Routes with a cache, as objects: one shelf for all of a worker, nothing for the others."""

from __future__ import annotations

from lbproxy.cache.interface import IN_MEMORY
from lbproxy.config.model import CacheConfig as Settings
from lbproxy.config.model import RouteConfig
from lbproxy.proxy.steps.cache import Cache
from lbproxy.worker.wiring.caching import make_cacher, no_cacher
from lbproxy.worker.wiring.storing import Stores
from tests.unit.http.heads import asking
from tests.unit.proxy.caching.stores import FakeBodies, Stored
from tests.unit.proxy.world import World


def test_routes_share_a_shelf() -> None:
    """What one worker's routes store is in one place; bodies that cannot be stored anywhere are not begun with."""
    to = World(1).service.router.match(asking(b"h", b"/"))
    assert to is not None
    make = make_cacher(Stores(Stored(FakeBodies()), None), lambda: 0.0, bytes)
    first = make(RouteConfig("app", cache=Settings()), "app", to, None, False)
    second = make(RouteConfig("app", path="/x", cache=Settings(max_body=100)), "app", to, None, False)
    assert isinstance(first, Cache)
    assert isinstance(second, Cache)
    assert first.shelf is second.shelf
    assert (first.asking.most, second.asking.most) == (IN_MEMORY, 100)
    assert make(RouteConfig("app"), "app", to, None, False) is None
    assert make_cacher(None, lambda: 0.0, bytes) is no_cacher
    assert no_cacher(RouteConfig("app", cache=Settings()), "app", to, None, False) is None


def test_who_backends_are_told_of_is_asked_for_by_himself() -> None:
    """As where a step finds out: what does not say that it is for anybody is for nobody else."""
    to = World(1).service.router.match(asking(b"h", b"/"))
    assert to is not None
    make = make_cacher(Stores(Stored(FakeBodies()), None), lambda: 0.0, bytes)
    for told in (False, True):
        made = make(RouteConfig("app", cache=Settings()), "app", to, None, told)
        assert isinstance(made, Cache)
        assert made._personal is told
