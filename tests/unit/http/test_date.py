"""The Date of a second of the wall clock, in the form that RFC 9110 5.6.7 wants."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from lbproxy.http.date import date_line

NOW = date_line(1_800_000_000)


def test_the_line() -> None:
    name, _, value = NOW.partition(b": ")
    assert name == b"\r\nDate"
    assert value == b"Fri, 15 Jan 2027 08:00:00 GMT"
    assert parsedate_to_datetime(value.decode()).timestamp() == 1_800_000_000
