"""The steps that answer from the cache, as a worker's objects, made from the configuration."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from lbproxy.cache.interface import IN_MEMORY
from lbproxy.config.model import RouteConfig
from lbproxy.proxy.caching.hand import MOST_AT_HAND, Hand
from lbproxy.proxy.caching.shelf import CacheShelf
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.steps.cache import Cache
from lbproxy.proxy.steps.compress import Compression
from lbproxy.proxy.steps.step import Step
from lbproxy.remembered import Budget
from lbproxy.worker.wiring.storing import Stores

Cacher = Callable[[RouteConfig, str, Destination, Compression | None, bool], Step | None]
"""Makes the step of a route and one of its pools; where that is asked for answers in the background; what compresses the route's
answers, which is the cache's to use then; whether backends are told who asks."""


def no_cacher(route: RouteConfig, pool: str, to: Destination, compression: Compression | None, told: bool) -> Step | None:
    """Of a worker that stores nothing."""
    return None


def make_cacher(
    stores: Stores | None, wall: Callable[[], float] = time.time, chance: Callable[[int], bytes] = os.urandom
) -> Cacher:
    """All routes of a worker have one shelf. `wall`: seconds since 1970; `chance`: so many random bytes."""
    if stores is None:
        return no_cacher
    shelf = CacheShelf(stores.storage, stores.bodies, chance, stores.outcomes)
    hand = Hand(stores.watch, Budget(MOST_AT_HAND))
    most = IN_MEMORY if stores.bodies is None else stores.bodies.most

    def make(route: RouteConfig, pool: str, to: Destination, compression: Compression | None, told: bool) -> Step | None:
        if route.cache is None:
            return None
        personal = told or route.inspects or route.filters.client_certificate is not None
        return Cache(route.cache, shelf, (route.name, pool), personal, wall, most, to, hand, compression)

    return make
