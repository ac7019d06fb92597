"""Rules of the tables that say who is asked whether a request may pass."""

from __future__ import annotations

from lbproxy.config.model import AuthorizeConfig, IcapConfig, MirrorConfig
from lbproxy.config.read import Context
from lbproxy.config.tables import Table
from lbproxy.config.units import did_you_mean


def authorize(table: Table, settings: AuthorizeConfig, context: Context) -> AuthorizeConfig:
    """[route.authorize]"""
    asked_pool(table, settings.pool, context)
    if ("cache" in table and settings.cache) and not settings.cache_by:
        hint = 'add cache_by = ["Cookie", "Authorization"]: whatever tells users apart'
        table.complain("cache", "one user's answer would hold for another", hint)
    if "cache_by" in table and not settings.cache:
        table.complain("cache_by", 'means nothing without "cache"', 'add cache = "10s"')
    return settings


def mirror(table: Table, settings: MirrorConfig, context: Context) -> MirrorConfig:
    """[route.mirror]"""
    asked_pool(table, settings.pool, context)
    return settings


def icap(table: Table, settings: IcapConfig, context: Context) -> IcapConfig:
    """[route.icap]"""
    asked_pool(table, settings.pool, context)
    if settings.stream_after > settings.max_body:
        table.complain("stream_after", "a message may not be larger than max_body", "say a smaller size, or a larger max_body")
    return settings


def asked_pool(table: Table, name: str, context: Context) -> None:
    """The pool of whoever is asked has to be there. That one is said is for the route's rule: this is asked of no table, too."""
    if name and name not in context.pools:
        hint = did_you_mean(name, list(context.pools)) or f"add [pool.{name}] with its backends"
        table.complain("pool", f'there is no pool "{name}"', hint)
