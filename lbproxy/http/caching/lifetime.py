"""The times until which a stored answer may be used: worked out once, so that a hit compares numbers (RFC 9111 4.2, 5861).

All of it is in seconds of a clock that is never set (monotonic, the same for all processes of the machine). The wall clock is asked
once, what Date and Expires mean; somebody who sets it later neither makes anything last nor ages it.
"""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.http.caching.dates import seconds_of
from lbproxy.http.caching.directives import MOST_SECONDS, Directives, counted
from lbproxy.http.fields import values
from lbproxy.http.message import ResponseHead


class Lifetime(NamedTuple):
    """When it was made, and until when it is what."""

    born: float
    """Its age is counted from here."""
    fresh_until: float
    stale_until: float
    """Given out while somebody asks anew (stale-while-revalidate)."""
    error_until: float
    """Given out while the backend fails (stale-if-error)."""

    def age(self, now: float) -> int:
        """RFC 9111 5.1."""
        return max(0, min(int(now - self.born), MOST_SECONDS))


class Arrival(NamedTuple):
    """The time at which an answer came."""

    asked: float
    """Monotonic seconds at which it was asked for, and came."""
    came: float
    wall: float
    """Seconds since 1970 when it came."""


class Defaults(NamedTuple):
    """What holds where the answer says nothing itself."""

    ttl: float = 0.0
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0


def lifetime_of(answer: ResponseHead, said: Directives, targeted: bool, at: Arrival, defaults: Defaults) -> Lifetime:
    """`said`: by directives.of_answer."""
    age = initial_age(answer, at)
    lasts = explicit(answer, said, targeted, at.wall)
    seconds = defaults.ttl if lasts is None else float(lasts)
    if said.has(b"no-cache") or age is None:
        seconds = 0.0
    born = at.came - (age or 0)
    fresh_until = born + seconds
    # RFC 9111 4.2.4: what must be validated is never given out stale; s-maxage says so, too (5.2.2.10).
    if any(said.has(name) for name in (b"must-revalidate", b"proxy-revalidate", b"s-maxage", b"no-cache")):
        return Lifetime(born, fresh_until, fresh_until, fresh_until)
    again, error = said.seconds(b"stale-while-revalidate"), said.seconds(b"stale-if-error")
    return Lifetime(
        born,
        fresh_until,
        fresh_until + (defaults.stale_while_revalidate if again is None else again),
        fresh_until + (defaults.stale_if_error if error is None else error),
    )


def explicit(answer: ResponseHead, said: Directives, targeted: bool, wall: float) -> int | None:
    """Seconds that the answer is fresh for by its own words (RFC 9111 4.2.1); None: it says nothing of that."""
    for name in (b"s-maxage", b"max-age"):
        lasts = said.seconds(name)
        if lasts is not None:
            return lasts
    if targeted or b"\r\nexpires:" not in answer.lowered:
        return None
    date = _date(answer, wall)
    ends = [seconds_of(each, wall) for each in values(answer, b"expires")]
    if date is None or any(end is None for end in ends):
        return 0  # RFC 9111 5.3: what is no date is in the past
    return max(0, min(end - date for end in ends if end is not None))


def initial_age(answer: ResponseHead, at: Arrival) -> float | None:
    """RFC 9111 4.2.3; None: nobody knows, so it is as old as can be. Of several Ages the largest counts; what is no number is
    nothing that was said (5.1)."""
    said = 0
    for each in values(answer, b"age"):
        for member in each.split(b","):
            text = member.strip(b" \t")
            if text.isdigit():
                said = max(said, counted(text))
    date = _date(answer, at.wall)
    if date is None:
        return None
    return max(0.0, at.wall - date, said + max(0.0, at.came - at.asked))


def _date(answer: ResponseHead, wall: float) -> int | None:
    """When it was made; without a Date: now (RFC 9110 6.6.1). Of two the older one counts."""
    said = [seconds_of(each, wall) for each in values(answer, b"date")]
    if not said:
        return int(wall)
    known = [each for each in said if each is not None]
    return min(known) if len(known) == len(said) else None
