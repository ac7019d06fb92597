"""Which backend gets a request: the keys balance, hash, sticky and queue of [pool.NAME]."""

from __future__ import annotations

import re
from typing import NamedTuple

from lbproxy.config import values
from lbproxy.config.model import Hash, Pool, Sticky
from lbproxy.config.tables import Table
from lbproxy.config.units import Refused, show

BALANCE = ("least_conn", "round_robin", "random_two", "source_hash")
"""The policies there are."""

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}"  # RFC 9110 5.6.2; RFC 6265 4.1.1 has the same for names of cookies
_HASH = re.compile(rf"(address|header|cookie)(?: ({_NAME}))?\Z")
_COOKIE = re.compile(rf"{_NAME}\Z")


class Balancing(NamedTuple):
    balance: str
    hash: Hash
    sticky: Sticky | None
    queue: int
    queue_timeout: float


def read_balancing(table: Table) -> Balancing:
    """From a pool's table."""
    default = Pool("", ())
    balance = table.take("balance", values.choice(*BALANCE), default.balance)
    hashed = table.take("hash", hash_source, default.hash)
    if "hash" in table and balance != "source_hash":
        table.complain("hash", f'means nothing to balance = "{balance}"', 'add balance = "source_hash"')
    sticky = _sticky(table.table("sticky", 'a table such as { cookie = "lbproxy" } or {}'))
    queue = table.take("queue", values.whole(0, 1_000_000), default.queue)
    queue_timeout = table.take("queue_timeout", values.duration(3600.0), default.queue_timeout)
    return Balancing(balance, hashed, sticky if "sticky" in table else None, queue, queue_timeout)


def _sticky(table: Table) -> Sticky:
    default = Sticky()
    sticky = Sticky(
        cookie=table.take("cookie", cookie_name, default.cookie),
        same_site=table.take("same_site", values.choice("strict", "lax", "none"), default.same_site),
        max_age=table.take("max_age", values.duration(400 * 86400.0, zero=True), default.max_age),
    )
    table.close()
    return sticky


def hash_source(value: object) -> Hash:
    """ "address", "header X-User" or "cookie session"."""
    match = _HASH.match(value) if isinstance(value, str) else None
    if match is None or (match[1] == "address") is (match[2] is not None):
        raise Refused(f'wanted "address", "header NAME" or "cookie NAME", got {show(value)}')
    name = match[2] or ""
    return Hash(match[1], name.lower() if match[1] == "header" else name)


def cookie_name(value: object) -> str:
    """A token."""
    if not isinstance(value, str) or not _COOKIE.match(value):
        raise Refused(f'wanted the name of a cookie, such as "lbproxy", got {show(value)}')
    return value
