"""Routes that compress, as objects: one allowance for all of a worker, nothing for the others."""

from __future__ import annotations

import mmap
from dataclasses import replace

from lbproxy.balance.ledger import WHOLE_SIZE, Ledger
from lbproxy.config.model import CompressConfig, Config, LimitsConfig, RouteConfig
from lbproxy.proxy.steps.compress import Compression
from lbproxy.worker.wiring.compressing import make_compressor


def test_routes_share_what_they_may_take() -> None:
    """What one has under way, another one may not have."""
    ledger = Ledger(mmap.mmap(-1, WHOLE_SIZE))
    ledger.open_row(0)
    limits = LimitsConfig(compressions_per_worker=1)
    one = RouteConfig("app", compress=CompressConfig(("zstd", "gzip")))
    config = Config("", (), (one, RouteConfig("app", path="/x")), (), limits=limits)
    make = make_compressor(config, ledger, 0, lambda: 0.0)
    first, second = make(one), make(replace(one, path="/y"))
    assert isinstance(first, Compression)
    assert isinstance(second, Compression)
    assert set(first.makers) == {b"gzip", b"zstd"}
    assert first.allowance.begin()
    assert not second.allowance.begin()
    first.allowance.end()
    assert second.allowance.begin()
    assert make(RouteConfig("app")) is None
