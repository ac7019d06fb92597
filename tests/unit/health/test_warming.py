"""A share that grows."""

from __future__ import annotations

from lbproxy.health.warming import share


def test_from_a_tenth_to_all_of_it() -> None:
    """In a straight line, and never outside."""
    assert [share(left, 30.0) for left in (30.0, 15.0, 3.0, 0.0)] == [10, 55, 91, 100]
    assert (share(99.0, 30.0), share(-1.0, 30.0)) == (10, 100)
