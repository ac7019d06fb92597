"""The configuration's routes as a worker's destinations: what [proxy], pool and route say about header fields, put together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lbproxy.balance.pool import Pool
from lbproxy.config.model import Config, HeaderRules, Route
from lbproxy.http.heads import HEADS_KEPT
from lbproxy.http.trace_context import Ids
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.rewriter import UNTOUCHED, Rewriter, RewriteSettings
from lbproxy.proxy.service import most_response_fields
from lbproxy.proxy.steps.filters import Filters
from lbproxy.remembered import Budget


class Destinations(NamedTuple):
    routes: list[tuple[Route, Destination]]
    rewriter: Rewriter | None
    """For requests without a route."""


def make_destinations(config: Config, pools: Mapping[str, Pool], filters: Sequence[Filters | None]) -> Destinations:
    """`pools`: by name; `filters`: by the number of the route. Destinations that want the same of header fields share a
    rewriter, those that want nothing have none."""
    of_routes = [rewrite_settings(config, route) for route in config.routes]
    without_route = rewrite_settings(config, None)
    different = {settings for settings in (without_route, *of_routes) if settings != UNTOUCHED}
    ids = Ids(os.urandom)
    budget = Budget(HEADS_KEPT)  # one, however many routes have rules of their own
    rewriters = {settings: Rewriter(settings, most_response_fields(config), budget, ids) for settings in different}
    routes = [
        (route, make_destination(config, route, pools, rewriters.get(settings), asked))
        for route, settings, asked in zip(config.routes, of_routes, filters, strict=True)
    ]
    return Destinations(routes, rewriters.get(without_route))


def make_destination(
    config: Config, route: Route, pools: Mapping[str, Pool], rewriter: Rewriter | None, filters: Filters | None
) -> Destination:
    """Of one route."""
    answers = route.client_close == "answer"
    timeouts, body = config.timeouts_of(route), most_body(config, route)
    steps = None if filters is None else (filters,)
    return Destination(pools[route.pool], timeouts, rewriter, body, steps, answers).buffers(config.pool(route.pool))


def most_body(config: Config, route: Route) -> int:
    """Bytes of a request's body; 0: any number."""
    own = route.filters.max_body
    return config.limits.body if own is None else own


def rewrite_settings(config: Config, route: Route | None) -> RewriteSettings:
    """Of a route, or of requests that have none. The nearest table that says something wins: route, pool, [proxy]."""
    tables = () if route is None else (config.pool(route.pool).headers, route.headers)
    words = config.proxy.headers
    for table in tables:
        words = table.over(words)
    return RewriteSettings(
        requests=tuple(table.request for table in tables if table.request != HeaderRules()),
        responses=tuple(table.response for table in tables if table.response != HeaderRules()),
        security_headers=words.security_headers or UNTOUCHED.security_headers,
        hsts=words.hsts or UNTOUCHED.hsts,
        request_id=words.request_id or UNTOUCHED.request_id,
        trace=words.trace or UNTOUCHED.trace,
        tolerate=() if route is None else tuple(sorted(config.pool(route.pool).tolerate)),
    )
