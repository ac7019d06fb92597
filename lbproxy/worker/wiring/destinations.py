"""The configuration's routes as a worker's destinations: what [proxy], pool and route say about header fields, put together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from lbproxy.balance.pool import Pool
from lbproxy.balance.sticky import Words
from lbproxy.config import model
from lbproxy.config.model import AS_THEY_ARE, Config, HeaderRulesConfig, RouteConfig
from lbproxy.http.heads import HEADS_KEPT
from lbproxy.http.trace_context import Ids
from lbproxy.http.variables import OF_CERTIFICATES, template
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.rewriter import UNTOUCHED, Rewriter, RewriteSettings
from lbproxy.proxy.service import most_response_fields
from lbproxy.proxy.split import Share, Split, cookie_line
from lbproxy.proxy.steps.answer import answer_of
from lbproxy.proxy.steps.filters import Filters
from lbproxy.proxy.steps.step import Step
from lbproxy.remembered import Budget
from lbproxy.worker.wiring.caching import Cacher, no_cacher
from lbproxy.worker.wiring.compressing import Compressor, no_compressor
from lbproxy.worker.wiring.inspecting import NO_MEANS, Means, inspections


class Destinations(NamedTuple):
    routes: list[tuple[RouteConfig, Destination]]
    rewriter: Rewriter | None
    """For requests without a route."""


class Material(NamedTuple):
    """What destinations of one worker are made of."""

    config: Config
    pools: Mapping[str, Pool]
    rewriter: Callable[[RewriteSettings], Rewriter | None]
    secret: bytes
    """For the words of cookies: the same in all workers."""
    child: int
    """The worker's own number."""
    means: Means
    compressor: Compressor
    cacher: Cacher


def make_destinations(
    config: Config,
    pools: Mapping[str, Pool],
    filters: Sequence[Filters | None],
    secret: bytes = b"",
    child: int = 0,
    means: Means = NO_MEANS,
    compressor: Compressor = no_compressor,
    cacher: Cacher = no_cacher,
) -> Destinations:
    """`pools`: by name; `filters`: by the number of the route; `means`: of steps that ask about requests; `compressor`,
    `cacher`: see there. Destinations that want the same of header fields share a rewriter, those that want nothing have none."""
    ids = Ids(os.urandom)
    budget = Budget(HEADS_KEPT)  # one, however many routes have rules of their own
    made: dict[RewriteSettings, Rewriter | None] = {UNTOUCHED: None}

    def rewriter(settings: RewriteSettings) -> Rewriter | None:
        if settings not in made:
            made[settings] = Rewriter(settings, most_response_fields(config), budget, ids)
        return made[settings]

    of = Material(config, pools, rewriter, secret, child, means, compressor, cacher)
    routes = [(route, make_destination(of, route, asked)) for route, asked in zip(config.routes, filters, strict=True)]
    return Destinations(routes, rewriter(rewrite_settings(config, None)))


def make_destination(of: Material, route: RouteConfig, filters: Filters | None) -> Destination:
    """Of one route."""
    steps = (filters, *inspections(route, of.means, partial(_asked, of)))
    if route.pool:
        return _to_pool(of, route, route.pool, steps)
    if route.split:
        return Destination(None, of.config.timeouts_of(route), split=_split(of, route, steps))
    rewriter = of.rewriter(rewrite_settings(of.config, route))
    timeouts = of.config.timeouts_of(route)
    return Destination(None, timeouts, rewriter, most_body(of.config, route), _steps(*steps, answer_of(route)))


def _asked(of: Material, pool: str, timeout: float) -> Destination:
    """Whoever answers requests of our own, which may take `timeout` seconds each. Of what the pool does to header fields the rules
    for requests hold."""
    config, settings = of.config, of.config.pool(pool)
    wanted = config.timeouts.nearer(settings.timeouts)
    most = {name: min(timeout, getattr(wanted, name)) for name in ("connect", "response_head", "body_idle", "write_stall")}
    rules = settings.headers.request
    rewriter = of.rewriter(RewriteSettings(requests=(rules,)) if rules != HeaderRulesConfig() else UNTOUCHED)
    return Destination(of.pools[pool], replace(wanted, **most), rewriter)


Steps = tuple[Step | None, ...]


def _to_pool(of: Material, route: RouteConfig, pool: str, steps: Steps, lines: bytes = b"") -> Destination:
    config, answers = of.config, route.client_close == "answer"
    rewriter = of.rewriter(rewrite_settings(config, route, pool))
    timeouts, body = config.timeouts_of(route, pool), most_body(config, route)
    compression = of.compressor(route)
    cache = of.cacher(route, pool, Destination(of.pools[pool], timeouts), compression, _tells_who(config, route, pool))
    made = Destination(of.pools[pool], timeouts, rewriter, body, _steps(*steps, cache or compression), answers, lines)
    return made.buffers(config.pool(pool))


def _steps(*steps: Step | None) -> tuple[Step, ...] | None:
    return tuple(step for step in steps if step is not None) or None


def _split(of: Material, route: RouteConfig, steps: Steps) -> Split:
    names = [name for name, _ in route.split]
    cookie, header = ("", "") if route.sticky is None else (route.sticky.cookie, route.sticky.header)
    words = Words(of.secret, [f"split {name}" for name in names]) if cookie else None
    shares = []
    for index, (name, weight) in enumerate(route.split):
        plain = _to_pool(of, route, name, steps)
        told = (plain, plain)
        if words is not None:
            clear, secure = (cookie_line(cookie, words.of(index), secure=secure) for secure in (False, True))
            told = (_to_pool(of, route, name, steps, clear), _to_pool(of, route, name, steps, secure))
        shares.append(Share(name, weight, plain, told))
    return Split(shares, of.child, cookie, words, header)


def _tells_who(config: Config, route: RouteConfig, pool: str) -> bool:
    """Whether header rules tell backends of the client's certificate."""
    rules = rewrite_settings(config, route, pool).requests
    values = [pair[-1] for each in rules for pair in (*each.set, *each.add, *each.replace)]
    return any(not OF_CERTIFICATES.isdisjoint(template(value).names) for value in values)


def most_body(config: Config, route: RouteConfig) -> int:
    """Bytes of a request's body; 0: any number."""
    own = route.filters.max_body
    return config.limits.body if own is None else own


def rewrite_settings(config: Config, route: RouteConfig | None, pool: str = "") -> RewriteSettings:
    """Of a route and the pool that it leads to, if there is one, or of requests that have no route. The nearest table that says
    something wins: route, pool, [proxy]."""
    settings = config.pool(pool) if pool else None
    tables = [] if settings is None else [settings.headers]
    tables += [] if route is None else [route.headers]
    words = config.proxy.headers
    for table in tables:
        words = table.over(words)
    paths = AS_THEY_ARE if route is None or settings is None else route.paths
    return RewriteSettings(
        requests=tuple(table.request for table in tables if table.request != HeaderRulesConfig()),
        responses=tuple(table.response for table in tables if table.response != HeaderRulesConfig()),
        security_headers=words.security_headers or UNTOUCHED.security_headers,
        hsts=words.hsts or UNTOUCHED.hsts,
        request_id=words.request_id or UNTOUCHED.request_id,
        trace=words.trace or UNTOUCHED.trace,
        tolerate=() if settings is None else tuple(sorted(settings.tolerate)),
        paths=paths if paths else AS_THEY_ARE,
        names=tuple(sorted(_names(settings))) if paths and settings is not None else (),
        inspected=route is not None and route.inspects,
        claimed=() if route is None else route.claims,
    )


def _names(pool: model.PoolConfig) -> set[str]:
    """What its backends may call themselves: the hosts that are written there, and whose certificates they show."""
    found = {str(backend.address) for backend in pool.backends if not backend.address.path}
    return found | ({pool.tls.server_name} if pool.tls is not None and pool.tls.server_name else set())
