"""Dates as HTTP writes them (RFC 9110 5.6.7): one form that is sent, two old ones that are still read."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import datetime

_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_MONTH = b"(" + b"|".join(_MONTHS) + b")"
_TIME = rb"([0-2][0-9]):([0-5][0-9]):([0-6][0-9])"
_FIXED = re.compile(rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-3][0-9]) " + _MONTH + rb" ([0-9]{4}) " + _TIME + rb" GMT\Z")
_RFC_850 = re.compile(
    rb"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, ([0-3][0-9])-" + _MONTH + rb"-([0-9]{2}) " + _TIME + rb" GMT\Z"
)
_ASCTIME = re.compile(rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) " + _MONTH + rb" ([ 0-3][0-9]) " + _TIME + rb" ([0-9]{4})\Z")
_HALF_A_CENTURY = 50


def seconds_of(text: bytes, now: float) -> int | None:
    """Since 1970; None: that is no date. `now`: of the wall clock, for years of two digits, which are never 50 years ahead."""
    if (match := _FIXED.match(text)) is not None:
        day, month, year, *clock = match.groups()
    elif (match := _RFC_850.match(text)) is not None:
        day, month, year, *clock = match.groups()
        year = b"%d" % _year(int(year), now)
    elif (match := _ASCTIME.match(text)) is not None:
        month, day, *clock, year = match.groups()
    else:
        return None
    hour, minute, second = map(int, clock)
    try:
        datetime(int(year), _MONTHS[month], int(day), hour, minute, min(second, 59))
    except ValueError:
        return None
    return timegm((int(year), _MONTHS[month], int(day), hour, minute, second))


def _year(short: int, now: float) -> int:
    this = 1970 + int(now / 31_556_952)
    year = this - this % 100 + short
    return year - 100 if year > this + _HALF_A_CENTURY else year
