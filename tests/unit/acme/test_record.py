"""Records of names."""

from __future__ import annotations

import json

import pytest

from lbproxy.acme.record import LONGEST_WHY, IssuedCertificate, NameRecord, read, written


def test_written_and_read() -> None:
    """Whatever happened to a name."""
    record = NameRecord("https://a/dir", 5.5, 6.0).failed("no\n" + "x" * 9999, 77.0)
    assert read(written(record)) == record
    assert len(record.why) == LONGEST_WHY
    assert "\n" not in record.why


@pytest.mark.parametrize("content", [
    b"", b"\xff", b"[]", b'{"version": 2}', b'{"version": 1}', b"[" * 100_000,
    written(NameRecord()).replace(b'"failures": 0', b'"failures": true'), written(NameRecord()).replace(b"0.0", b"1e99"),
])  # fmt: skip
def test_nonsense_is_a_fresh_record(content: bytes) -> None:
    """It costs an order at most."""
    assert read(content) == NameRecord()


def test_when_it_is_due() -> None:
    """Without a certificate at once, or when the failure's time is over; with one when it is to be renewed, and not before that."""
    held = IssuedCertificate(0.0, 100.0)
    assert NameRecord().due(None) == 0.0
    assert NameRecord(renew_at=60.0).due(held) == 60.0
    failed = NameRecord(renew_at=60.0).failed("why", 80.0)
    assert (failed.due(None), failed.due(held), failed.failures) == (80.0, 80.0, 1)
    again = failed.obtained("https://b/dir", 500.0)
    assert (again.failures, again.why, again.due(held)) == (0, "", 500.0)


def test_an_order_that_nobody_answered_to_is_gone_on_with() -> None:
    """One that was refused is not."""
    under_way = NameRecord(order="https://a/order/1", order_at="https://a/dir")
    assert under_way.failed("cannot be reached", 1.0, lost=True).order == "https://a/order/1"
    assert under_way.failed("refused", 1.0).order == ""
    assert json.loads(written(under_way))["version"] == 1
