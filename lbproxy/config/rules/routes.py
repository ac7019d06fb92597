"""[[route]]: what holds between its keys."""

from __future__ import annotations

from lbproxy.config.model import Route
from lbproxy.config.read import Context
from lbproxy.config.tables import Table
from lbproxy.config.units import did_you_mean


def route(table: Table, route: Route, context: Context) -> Route:
    """[[route]]"""
    pools = list(context.pools)
    if "pool" not in table:
        hint = f'add pool = "{pools[0]}"' if pools else 'add pool = "..." and a [pool.NAME] for it'
        table.complain("", '"pool" is missing', hint)
    elif route.pool and route.pool not in pools:
        known = ", ".join(pools)
        hint = did_you_mean(route.pool, pools) or (f"there are: {known}" if pools else f"add [pool.{route.pool}]")
        table.complain("pool", f'there is no pool "{route.pool}"', hint)
    if route.merge_slashes and route.raw_path:
        table.complain("raw_path", "a path that is forwarded as it came cannot have its slashes merged", "take one of them out")
    return route
