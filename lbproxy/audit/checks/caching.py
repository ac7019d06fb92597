"""Dangers of routes that store answers: whose they are, and who decides when they are asked for anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lbproxy.audit.finding import Check, Evidence, Severity
from lbproxy.config.model import Config, RouteConfig
from lbproxy.config.model.caching import CacheConfig

LONG = 86_400.0
"""Seconds: what nobody has said a lifetime of is out of date by then."""


def _caching(config: Config) -> Iterator[tuple[int, RouteConfig, CacheConfig]]:
    for number, route in enumerate(config.routes):
        if route.cache is not None:
            yield number, route, route.cache


def _looks_at_cookies(cache: CacheConfig) -> bool:
    return cache.bypass is not None and any(name.lower() == "cookie" for name, _ in cache.bypass.headers)


def _anybodys_pages(config: Config) -> Iterable[Evidence]:
    for number, route, cache in _caching(config):
        if cache.default_ttl and not _looks_at_cookies(cache):
            yield Evidence(("route", number, "cache", "default_ttl"), f"{cache.default_ttl:g}s", route.line)


def _behind_a_login(config: Config) -> Iterable[Evidence]:
    for number, route, _ in _caching(config):
        asks = [name for name in ("authorize", "basic_auth", "jwt") if getattr(route, name) is not None]
        asks += ["client_certificate"] if route.filters.client_certificate is not None else []
        if asks:
            yield Evidence(("route", number, "cache"), f"behind {' '.join(asks)}", route.line)


def _asked_anew_by_strangers(config: Config) -> Iterable[Evidence]:
    for number, route, cache in _caching(config):
        if cache.respect_client:
            yield Evidence(("route", number, "cache", "respect_client"), "true", route.line)


def _long(config: Config) -> Iterable[Evidence]:
    for number, route, cache in _caching(config):
        if cache.default_ttl > LONG:
            yield Evidence(("route", number, "cache", "default_ttl"), f"{cache.default_ttl:g}s", route.line)


CHECKS = (
    Check(
        "cache-default-cookies",
        Severity.MEDIUM,
        "Answers that say nothing of caching are stored: a page that was made for who is logged in by a cookie is given to all.",
        'Add bypass = { headers = { Cookie = "*session=*" } } with your cookie\'s name, or let backends say Cache-Control.',
        _anybodys_pages,
    ),
    Check(
        "cache-behind-login",
        Severity.LOW,
        "What backends call public, s-maxage or must-revalidate is given to everybody who may come in, whoever it was made for.",
        "See that backends say so of nothing that is one user's; Cache-Control: private is never stored.",
        _behind_a_login,
    ),
    Check(
        "cache-respects-strangers",
        Severity.LOW,
        "Whoever says Cache-Control: no-cache has a backend asked, as often as he likes.",
        "Take respect_client out, or give the route a rate.",
        _asked_anew_by_strangers,
    ),
    Check(
        "cache-default-long",
        Severity.LOW,
        "What nobody has said a lifetime of is given out for days after it was changed.",
        "Let default_ttl be minutes, and backends say Cache-Control where answers last; lbproxy cache purge is for what is left.",
        _long,
    ),
)
