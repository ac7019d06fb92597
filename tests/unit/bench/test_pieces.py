"""The pieces that are measured do what they are named after."""

from __future__ import annotations

import pytest

from bench.micro import h2
from bench.micro.command import LIMITS, table
from bench.micro.pieces import SIZES, pieces
from lbproxy.balance.lease import Lease

ALL = pieces()


@pytest.mark.parametrize("name", ALL)
def test_each_does_its_work(name: str) -> None:
    """Twice, the second time as well as the first; over HTTP/2 when all windows would be used up as well."""
    for _ in range(2):
        made = ALL[name]()
        if name.startswith(("pick", "lease")):
            assert isinstance(made, Lease)
        elif name.startswith("TLS"):
            assert isinstance(made, bytes)
            assert len(made) in (500, 16_384)
        elif name.startswith("relay"):
            assert made == 10 * 65_536
        elif name.startswith("HTTP/2"):
            assert isinstance(made, bytes)
            assert made.count(b"hello") == h2.AT_ONCE
            for _ in range(1000):
                made = ALL[name]()
            assert isinstance(made, bytes)
            assert made.count(b"hello") == h2.AT_ONCE
        elif name == "access line":
            assert isinstance(made, bytes)
            assert made.count(b"\n") == 1
        else:
            assert made


def test_the_table() -> None:
    """In microseconds, with the limit where there is one."""
    assert set(LIMITS) == set(SIZES)
    times = {"pick least_conn, 3": (1.5e-6, 2e-8), "access line": (4e-7, 0.0)}
    assert table(times)[2:] == ["| pick least_conn, 3 | 1.50 | 0.02 | 2 |", "| access line | 0.40 | 0.00 |  |"]
