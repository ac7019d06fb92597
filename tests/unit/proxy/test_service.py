"""What a worker's connections share: counters that reach the ledger, limits taken from the configuration."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import LATENCY_BUCKETS, Scalar, scalar_at
from lbproxy.config import model
from lbproxy.errors import UpstreamError
from lbproxy.proxy.service import latency_bucket
from tests.unit.proxy.world import EOF, World, get, ok, post


@pytest.mark.parametrize(("seconds", "bucket"), [
    (0.0, 0), (0.000_099, 0), (0.000_1, 1), (0.000_199, 1), (0.000_2, 2), (0.000_399, 2), (0.000_4, 3), (1.0, 14), (1e9, 23),
])  # fmt: skip
def test_latency_buckets_double(seconds: float, bucket: int) -> None:
    """Bucket i holds what took less than 2**i * 100 us."""
    assert latency_bucket(seconds) == bucket
    assert bucket == LATENCY_BUCKETS - 1 or seconds < 2**bucket * 0.000_1


def test_counters_reach_the_ledger_when_published() -> None:
    world = World()
    client = world.connect()
    client.feed(post(b"hello"))
    world.upstream.feed(ok())
    client.feed(get())
    world.upstreams[-1].feed(ok(status="404 Not Found"))
    client.feed(get())
    client.feed(EOF)
    out = len(client.take())
    assert world.ledger.total(Scalar.REQUESTS) == 0
    for _ in range(2):
        world.service.counters.publish()
        total = world.ledger.total
        assert total(Scalar.REQUESTS) == 3
        assert [total(Scalar.STATUS_1XX + index) for index in range(5)] == [0, 1, 0, 2, 0]
        assert total(Scalar.CLIENT_ABORTS) == 1
        assert total(Scalar.BYTES_OUT) == out
        assert total(Scalar.BYTES_IN) == len(post(b"hello")) + 2 * len(get())
        assert sum(world.ledger.cells[scalar_at(0, Scalar.LATENCY + index)] for index in range(LATENCY_BUCKETS)) == 3
    world.at_rest()


def test_limits_come_from_the_configuration() -> None:
    """A response may have twice the fields of a request."""
    world = World(limits=model.LimitsConfig(fields=11))
    world.service.response_heads.read(b"HTTP/1.1 204 No Content\r\n" + b"a: b\r\n" * 22 + b"\r\n", b"GET")
    with pytest.raises(UpstreamError):
        world.service.response_heads.read(b"HTTP/1.1 204 No Content\r\n" + b"a: b\r\n" * 23 + b"\r\n", b"GET")
