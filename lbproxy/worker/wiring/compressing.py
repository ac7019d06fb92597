"""The steps that compress answers, as a worker's objects, made from the configuration."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.balance.ledger import Ledger
from lbproxy.coders import maker
from lbproxy.config.model import Config, RouteConfig
from lbproxy.http.compression import CompressedHeads
from lbproxy.proxy.steps.compress import Allowance, Compression

Compressor = Callable[[RouteConfig], Compression | None]


def no_compressor(route: RouteConfig) -> Compression | None:
    """Of a worker that compresses nothing."""
    return None


def make_compressor(config: Config, ledger: Ledger, child: int, clock: Callable[[], float]) -> Compressor:
    """Makes the step of a route that compresses; all of a worker share what they may take of it. `clock`: monotonic seconds."""
    limits = config.limits
    allowance = Allowance(limits.compressions_per_worker, limits.compression_cpu / 100, clock, ledger, child)
    heads = CompressedHeads()

    def make(route: RouteConfig) -> Compression | None:
        if route.compress is None:
            return None
        return Compression(route.compress, {coding: maker(coding) for coding in route.compress.codings}, allowance, heads)

    return make
