"""Servers that fail time after time are left alone."""

from __future__ import annotations

from lbproxy.http.suspension import Suspension


def test_failures_in_a_row() -> None:
    """Behind the limit, until its time is up; then one tries it, and what becomes of that counts for all."""
    found = Suspension(2, 10.0)
    assert not found.failed(0.0)
    found.answered()
    assert not found.failed(1.0)
    assert found.failed(2.0), "told once"
    assert found.holds(11.9)
    assert not found.holds(12.1)
    assert found.holds(12.2), "others wait for the one that tries it"
    assert not found.failed(12.3)
    assert found.holds(22.0)
    assert not found.holds(22.4)
    found.answered()
    assert not found.holds(22.5)
    never = Suspension(0, 10.0)
    assert not any(never.failed(0.0) or never.holds(0.0) for _ in range(100))
