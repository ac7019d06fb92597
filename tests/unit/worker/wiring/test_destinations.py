"""Who says what a route wants of header fields: the route, its pool, or [proxy]."""

from __future__ import annotations

from typing import cast

from lbproxy.balance.pool import Pool
from lbproxy.config.model import HeaderRules, Hsts
from lbproxy.proxy.rewriter import UNTOUCHED, RewriteSettings
from lbproxy.worker.wiring.destinations import make_destinations, rewrite_settings
from tests.unit.config.text import LEAST, read

POOLS = {"app": cast(Pool, object())}


def test_the_nearest_wins() -> None:
    """Each key by itself; rules add up, the pool's first."""
    text = LEAST.replace('pool = "app"', 'pool = "app"\nhsts = "off"\nrequest_headers = { set = { X-A = "route" } }') + (
        'security_headers = "basic"\nrequest_headers = { set = { X-A = "pool" } }\n'
        '[proxy]\nhsts = "1d"\nsecurity_headers = "strict"\nrequest_id = "make"\n'
    )
    config = read(text)
    assert rewrite_settings(config, config.routes[0]) == RewriteSettings(
        (HeaderRules(set=(("X-A", "pool"),)), HeaderRules(set=(("X-A", "route"),))), (), "basic", Hsts(), "make", "off"
    )
    assert rewrite_settings(config, None) == RewriteSettings((), (), "strict", Hsts(86400), "make", "off")
    destinations = make_destinations(config, POOLS, [None])
    assert destinations.rewriter is not None
    assert destinations.routes[0][1].rewriter not in (None, destinations.rewriter)


def test_nothing_to_rewrite() -> None:
    """Nothing there."""
    config = read(LEAST)
    assert rewrite_settings(config, config.routes[0]) == rewrite_settings(config, None) == UNTOUCHED
    destinations = make_destinations(config, POOLS, [None])
    assert destinations.rewriter is None
    assert [destination.rewriter for _, destination in destinations.routes] == [None]
    assert destinations.routes[0][1].pool is POOLS["app"]


def test_who_wants_the_same_shares_it() -> None:
    """And the memory for response heads is shared out."""
    route = '[[route]]\npath = "/{0}/"\npool = "app"\nhsts = "{1}d"\n'
    text = LEAST.replace("[[route]]", "".join(route.format(n, n % 30) for n in range(60)) + "[[route]]")
    destinations = make_destinations(read(text), POOLS, [None] * 61)
    rewriters = [destination.rewriter for _, destination in destinations.routes]
    assert len(set(rewriters)) == 31
    assert rewriters[1] is rewriters[31]
    first = rewriters[1]
    assert first is not None
    last = rewriters[29]
    assert last is not None
    assert first.heads._budget is last.secure_heads._budget


def test_a_route_has_its_own_limit_for_bodies() -> None:
    """Zero is one: none."""
    route = '[[route]]\npath = "/a"\nmax_body = "0"\npool = "app"\n'
    text = LEAST.replace("[[route]]", route + "[[route]]") + '[limits]\nbody = "1KiB"\n'
    destinations = make_destinations(read(text), POOLS, [None, None])
    assert [destination.max_body for _, destination in destinations.routes] == [0, 1024]
