"""Dates; the cases by section are in test_cases.py."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.caching.dates import seconds_of


@given(st.integers(0, 253402300799))
def test_there_and_back(second: int) -> None:
    """What is sent is read as what it was, in each of the three forms."""
    date = datetime.fromtimestamp(second, UTC)
    assert seconds_of(formatdate(second, usegmt=True).encode(), second) == second
    assert seconds_of(date.strftime("%A, %d-%b-%y %H:%M:%S GMT").encode(), second) == second
    assert seconds_of(date.strftime("%a %b %e %H:%M:%S ").encode() + b"%04d" % date.year, second) == second


@given(st.binary(max_size=40))
def test_anything(text: bytes) -> None:
    """Whatever is said, it is a date or it is none."""
    assert isinstance(seconds_of(text, 0), int | None)
