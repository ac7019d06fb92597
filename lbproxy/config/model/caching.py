"""The table [route.cache]."""

from __future__ import annotations

from dataclasses import dataclass

from lbproxy.config.atoms import GIB, MIB
from lbproxy.config.key import key, table_or_none
from lbproxy.config.kinds import BOOLEAN, ListOf, choice, duration, size
from lbproxy.config.model.routing import MatchConfig


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """[route.cache], answers that are given out again, by the rules of RFC 9111 for shared caches."""

    default_ttl: float = key(
        duration(366 * 86400.0, zero=True),
        0.0,
        "how long answers last that do not say it themselves (status 200, 203, 300, 301, 308, 404 and 410). 0: they are not stored",
        example="1m",
    )
    stale_while_revalidate: float = key(
        duration(366 * 86400.0, zero=True),
        0.0,
        "how long behind that an answer is given out while it is asked for anew, where it says nothing of that itself",
        example="10s",
    )
    stale_if_error: float = key(
        duration(366 * 86400.0, zero=True),
        0.0,
        "how long it is given out while backends fail or answer 500, 502, 503 or 504, where it says nothing of that itself. "
        "must-revalidate, proxy-revalidate, s-maxage and no-cache forbid both",
        example="1h",
    )
    methods: tuple[str, ...] = key(
        ListOf(choice("GET", "HEAD"), 'a list such as ["GET"]', empty=("method", "leave the key out for GET and HEAD")),
        ("GET", "HEAD"),
        "what is answered from what is stored. Stored are answers to GET alone",
        example=["GET"],
    )
    bypass: MatchConfig | None = table_or_none(
        MatchConfig,
        "requests that meet all of this go by the cache: neither is anything stored given to them nor is their answer stored",
        'a table such as { headers = { Cookie = "*session=*" } }',
    )
    respect_client: bool = key(
        BOOLEAN,
        False,
        "true: what clients say with Cache-Control (no-cache, max-age, min-fresh, only-if-cached) or Pragma is done",
    )
    max_body: int = key(size(0, 64 * GIB), 16 * MIB, "larger bodies are not stored")
    collapse_wait: float = key(
        duration(60.0, zero=True),
        5.0,
        "of those who ask for the same at a time one asks the backend, and the others wait so long at most. 0: each asks",
    )
