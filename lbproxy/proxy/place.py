"""Where the requests of a route go, and what is special about them.

What a route wants of its requests beyond a pool hangs here, None where nothing was configured: the everyday request pays one test.
"""

from __future__ import annotations

from lbproxy.balance.pool import Pool
from lbproxy.proxy.filters import Filters
from lbproxy.proxy.rewriter import Rewriter


class Place:
    """Of one route in one worker."""

    __slots__ = ("filters", "max_body", "pool", "rewriter")

    def __init__(self, pool: Pool, rewriter: Rewriter | None = None, max_body: int = 0, filters: Filters | None = None) -> None:
        """`rewriter`: what is done to header fields beyond the everyday; `max_body`: bytes of a request's body, 0: any number;
        `filters`: what is refused."""
        self.pool = pool
        self.rewriter = rewriter
        self.max_body = max_body
        self.filters = filters
