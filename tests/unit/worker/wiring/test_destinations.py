"""Who says what a route wants of header fields: the route, its pool, or [proxy]."""

from __future__ import annotations

from typing import cast

import pytest

from lbproxy.balance.pool import Pool
from lbproxy.config.model import HeaderRulesConfig, Hsts, RouteConfig
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.rewriter import UNTOUCHED, RewriteSettings
from lbproxy.proxy.split import Split
from lbproxy.proxy.steps.answer import FixedAnswer
from lbproxy.proxy.steps.compress import Compression
from lbproxy.proxy.steps.filters import Filters
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
    assert rewrite_settings(config, config.routes[0], "app") == RewriteSettings(
        (HeaderRulesConfig(set=(("X-A", "pool"),)), HeaderRulesConfig(set=(("X-A", "route"),))), (), "basic", Hsts(), "make", "off"
    )
    assert rewrite_settings(config, None) == RewriteSettings((), (), "strict", Hsts(86400), "make", "off")
    destinations = make_destinations(config, POOLS, [None])
    assert destinations.rewriter is not None
    assert destinations.routes[0][1].rewriter not in (None, destinations.rewriter)


def test_nothing_to_rewrite() -> None:
    """Nothing there."""
    config = read(LEAST)
    assert rewrite_settings(config, config.routes[0], "app") == rewrite_settings(config, None) == UNTOUCHED
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


# ---------------------------------------------------------------- where routes lead

TWO = """
[[listen]]
address = ":8443"
[[route]]
{}
[pool.blue]
backends = ["app.internal:80", "10.0.0.1:8080", "unix:/run/a.sock"]
request_headers = {{ set = {{ X-Pool = "blue" }} }}
buffer_responses = "8KiB"
[pool.blue.timeouts]
connect = "1s"
[pool.green]
backends = ["10.0.0.2:80"]
tls = {{ server_name = "green.internal" }}
"""
BOTH = {"blue": cast(Pool, object()), "green": cast(Pool, object())}


def test_a_split_has_a_destination_for_each_pool() -> None:
    """With what pool and route say, and the route's filters; words that the same secret makes, whatever the worker."""
    lines = 'split = { blue = 1, green = 1 }\nsticky = { cookie = "c" }\nresponse_headers = { set = { X-R = "1" } }'
    config = read(TWO.format(lines))
    filters = cast(Filters, object())
    [(_, made)] = make_destinations(config, BOTH, [filters], b"s" * 32, 0).routes
    [(_, other)] = make_destinations(config, BOTH, [filters], b"s" * 32, 1).routes
    assert isinstance(made.split, Split)
    assert isinstance(other.split, Split)
    blue, green = made.split._shares
    assert (blue.destination.pool, green.destination.pool) == (BOTH["blue"], BOTH["green"])
    assert (blue.destination.connect, green.destination.connect) == (1.0, 4.0)
    assert (blue.destination.buffer_responses, green.destination.buffer_responses) == (8192, 0)
    assert blue.destination.rewriter is not green.destination.rewriter
    assert blue.destination.steps == green.told[1].steps == (filters,)
    assert blue.told[0].rewriter is blue.destination.rewriter
    assert green.told[1].lines == green.told[0].lines + b"; Secure"
    assert [share.told[0].lines for share in other.split._shares] == [blue.told[0].lines, green.told[0].lines]


@pytest.mark.parametrize(("lines", "pool", "told"), [
    ("", "", False),
    ('request_headers = { set = { X-A = "{client_ip} {host}", X-B = "{{client_subject}" } }', "", True),
    ('request_headers = { set = { X-A = "{client_ip} {scheme}" } }', "", False),
    ('request_headers = { add = { X-A = "{client_cert}" } }', "", True),
    ('request_headers = { replace = { X-A = { from = "a", to = "{client_verify}" } } }', "", True),
    ("", 'request_headers = { set = { X-A = "{client_san_email}" } }', True),
    ('response_headers = { set = { X-A = "{client_subject}" } }', "", False),
])  # fmt: skip
def test_backends_that_are_told_of_certificates_know_who_asks(lines: str, pool: str, told: bool) -> None:
    """Whatever table tells them, what they answer is that client's: the cache hears of it."""
    asks = 'tls = { client_ca = "ca.pem", client_auth = "optional" }\ncertificates = [{ cert = "a.crt", key = "a.key" }]'
    text = LEAST.replace('pool = "app"', f'pool = "app"\n{lines}').replace("[[route]]", f"{asks}\n[[route]]") + pool
    heard: list[bool] = []

    def cacher(route: RouteConfig, name: str, to: Destination, compression: Compression | None, told: bool) -> None:
        heard.append(told)

    make_destinations(read(text), POOLS, [None], cacher=cacher)
    assert heard == [told]


def test_answers_of_a_routes_own_have_no_pool() -> None:
    """Its timeouts and rules are the route's and those of all."""
    lines = 'respond = { status = 204 }\nresponse_headers = { set = { X-R = "1" } }\ntimeouts = { write_stall = "7s" }'
    config = read(TWO.format(lines))
    filters = cast(Filters, object())
    [(_, made)] = make_destinations(config, BOTH, [filters]).routes
    assert made.steps is not None
    assert made.steps[0] is filters
    assert isinstance(made.steps[1], FixedAnswer)
    assert made.pool is None
    assert (made.write_stall, made.connect) == (7.0, 4.0)
    assert made.rewriter is not None


def test_prefixes_know_what_backends_are_called() -> None:
    """By what is written in their pool; a redirect's prefix is no rule for answers."""
    config = read(TWO.format('split = { blue = 1, green = 1 }\npath = "/a"\nstrip_prefix = "/a"'))
    [route] = config.routes
    blue, green = (rewrite_settings(config, route, name) for name in ("blue", "green"))
    assert (blue.paths, green.paths) == (route.paths, route.paths)
    assert blue.names == ("10.0.0.1:8080", "app.internal:80")
    assert green.names == ("10.0.0.2:80", "green.internal")
    config = read(TWO.format('redirect = "https://n{path}"\npath = "/a"\nstrip_prefix = "/a"'))
    assert rewrite_settings(config, config.routes[0]) == UNTOUCHED
