"""Limits on frames that cost us more than they cost their sender: a peer may send them so often and no oftener.

Each kind has an amount that may come at once, and one that comes back per second. Some kinds are part of an honest dialogue, as
often as there is something to talk about: who is being sent a body at full speed opens windows and measures the line with PING
all the time. These earn with what is sent to them, answers to PING and SETTINGS left out.

    h2_resets          "rapid reset" (CVE-2023-44487): requests are begun and given up, so that no limit on streams at once is
                       ever reached. A browser whose page is closed gives up some hundred at a time. What the client made us
                       reset, by frames that do not belong there, is the same ("MadeYouReset", CVE-2025-8671).
    h2_reset_share     the same, slowly: nearly all requests are given up
    h2_settings        each is acknowledged, and may have us go through all streams (CVE-2019-9515)
    h2_pings           each is answered (CVE-2019-9512)
    h2_empty_data      frames that bring nothing and end nothing (CVE-2019-9518)
    h2_windows         windows opened by a byte at a time (CVE-2019-9511)
    h2_priorities      streams shuffled without end (CVE-2019-9513)
    h2_malformed       requests that are refused for their form, which on HTTP/1 would have ended the connection
    h2_large_heads     lists of fields that are refused for their size: by references into the table of compression a few bytes
                       make thousands ("HPACK bomb", CVE-2016-6581)
    h2_glitches        frames that no sound peer sends often and libnghttp2 (bounds.py) does not count: GOAWAY, RST_STREAM of what
                       is over, advice to clients (ALTSVC, ORIGIN)

CONTINUATION frames, acknowledgements that pile up, and lists beyond all bounds are engine.py's to end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lbproxy.http.h2.bounds import RESETS
from lbproxy.http.h2.vocabulary import Failure, H2Code


class Limit(NamedTuple):
    """At once, and per second."""

    burst: float
    rate: float


LIMITS: Mapping[str, Limit] = {
    "h2_resets": Limit(RESETS, 30),
    "h2_settings": Limit(32, 1),
    "h2_pings": Limit(100, 10),
    "h2_empty_data": Limit(100, 10),
    "h2_windows": Limit(1000, 100),
    "h2_priorities": Limit(300, 30),
    "h2_malformed": Limit(50, 5),
    "h2_large_heads": Limit(20, 1),
    "h2_glitches": Limit(1000, 50),
}
EARNED = ("h2_pings", "h2_windows")
"""Kinds that belong to being sent something."""
SMALL_WINDOW = 1024
"""Bytes: a window that is opened by less is counted; whoever reads at all opens it by more."""
SHARE, AMONG = 0.9, 500
"""Of so many requests that may be given up, however slowly."""
NEARLY_ALL = 0.95
"""Of what may come at once: with so much left, a connection that goes idle holds nothing to remember the rest by (280 bytes)."""
_NOTHING: dict[str, int] = {}
_ALL_LEFT: dict[str, tuple[float, float]] = {}
"""Of all that have seen nothing, or nothing that is still to be known."""


class Floods:
    """One connection's. What is not noted costs nothing, and holds nothing."""

    __slots__ = ("_left", "_limits", "_requests", "_resets", "_seen")

    def __init__(self, limits: Mapping[str, Limit] = LIMITS) -> None:
        self._limits = limits
        self._left = _ALL_LEFT
        """How many may still come, as of when."""
        self._requests = self._resets = 0
        self._seen = _NOTHING

    def __repr__(self) -> str:
        left = ", ".join(f"{kind} {left:.0f}" for kind, (left, _) in self._left.items())
        return f"<Floods {self._resets} of {self._requests} given up; left: {left or 'all'}>"

    def see(self, kind: str) -> None:
        """One came, to be judged together with what else came with it; "requests" are what resets are a share of."""
        if self._seen is _NOTHING:
            self._seen = {}
        self._seen[kind] = self._seen.get(kind, 0) + 1

    def judge(self, now: float) -> Failure | None:
        """What was seen since the last time. As `note`."""
        if not self._seen:
            return None
        seen, self._seen = self._seen, _NOTHING
        self._requests += seen.pop("requests", 0)
        for kind, count in seen.items():
            failure = self.given_up(now, count) if kind == "h2_resets" else self.note(kind, now, count)
            if failure is not None:
                return failure
        return None

    def note(self, kind: str, now: float, count: int = 1) -> Failure | None:
        """`count` of that kind came. Why the connection is to end; None: it may go on."""
        limit = self._limits[kind]
        left, since = self._left.get(kind, (limit.burst, now))
        left = min(limit.burst, left + (now - since) * limit.rate) - count
        if self._left is _ALL_LEFT:
            self._left = {}
        self._left[kind] = (left, now)
        return Failure(H2Code.ENHANCE_YOUR_CALM, kind) if left < 0 else None

    def watches(self) -> bool:
        """Something was noted that can be earned."""
        return bool(self._left)

    def earn(self, count: int) -> None:
        """What was sent to the peer allows for so many more of what an honest dialogue has, within what may come at once."""
        for kind in EARNED:
            found = self._left.get(kind)
            if found is not None:
                self._left[kind] = (min(self._limits[kind].burst, found[0] + count), found[1])

    def answered(self) -> None:
        """A request is over: however small its answer was, many clients open the windows of stream and connection behind it."""
        if self._left:
            self.earn(2)

    def forget(self, now: float) -> None:
        """It is idle: what may come about as often again as ever need not be known. Every client has sent SETTINGS once."""
        kept = {
            kind: (left, since)
            for kind, (left, since) in self._left.items()
            if left + (now - since) * self._limits[kind].rate < NEARLY_ALL * self._limits[kind].burst
        }
        self._left = kept or _ALL_LEFT

    def given_up(self, now: float, count: int) -> Failure | None:
        """So many requests were reset by the client before they had their whole answer. As `note`."""
        self._resets += count
        failure = self.note("h2_resets", now, count)
        if failure is None and self._requests >= AMONG:
            if self._resets > SHARE * self._requests:
                return Failure(H2Code.ENHANCE_YOUR_CALM, "h2_reset_share")
            self._requests, self._resets = self._requests // 2, self._resets // 2  # what was long ago counts less
        return failure
