"""Outcomes of requests on routes with a cache, counted and noted for the access line."""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import Protocol

from lbproxy.cells import Cells
from lbproxy.observe.cache_names import CACHE_EVENTS, CACHE_RESULTS, CACHE_UNSTORED


class CacheOutcome(IntEnum):
    """In the order of their cells (observe.cache_names)."""

    HIT = 0
    STALE = 1
    """Given out while somebody asks anew."""
    STALE_IF_ERROR = 2
    VALIDATED = 3
    """The backend said that what is stored is still right."""
    COLLAPSED = 4
    """Given what another one has asked for."""
    URI_MISS = 5
    VARY_MISS = 6
    EXPIRED = 7
    REQUEST = 8
    """The client wanted it anew, and is listened to."""
    BYPASS = 9
    METHOD = 10
    SERVED_BYTES = 11
    REFRESHED = 12
    REFRESH_FAILED = 13
    WAITED_IN_VAIN = 14


CELLS = len(CACHE_RESULTS) + len(CACHE_EVENTS)
UNSTORED_CELLS = len(CACHE_UNSTORED)
WORDS = (
    "hit", "stale", "stale", "revalidated", "collapsed", "miss", "miss", "miss", "miss", "bypass", "method",
)  # fmt: skip
"""For the access line."""
NOTES = tuple(f',"cache":"{word}"' for word in WORDS)
BY_REASON = {
    b"uri-miss": CacheOutcome.URI_MISS, b"vary-miss": CacheOutcome.VARY_MISS, b"stale": CacheOutcome.EXPIRED,
    b"request": CacheOutcome.REQUEST,
    b"bypass": CacheOutcome.BYPASS, b"method": CacheOutcome.METHOD,
}  # fmt: skip
"""By the words of RFC 9211."""
_REASONS = {name: number for number, name in enumerate(CACHE_UNSTORED)}


class Noted(Protocol):
    """Whose access line it is."""

    noted: str


class CacheOutcomes:
    """The counts of one process, as its steps make them."""

    __slots__ = ("_unstored", "cells")

    def __init__(self, cells: memoryview[int], unstored: Cells) -> None:
        """`cells`: one for each Outcome; `unstored`: one for each of CACHE_UNSTORED."""
        self.cells = cells
        self._unstored = unstored

    def note(self, journey: Noted, what: CacheOutcome) -> None:
        """What became of a request; once for each."""
        self.cells[what] += 1
        journey.noted += NOTES[what]

    def count(self, what: CacheOutcome, number: int = 1) -> None:
        """Something else."""
        self.cells[what] += number

    def unstored(self, why: str) -> None:
        """An answer is not stored."""
        self._unstored[_REASONS[why]] += 1


def uncounted() -> CacheOutcomes:
    """Where nobody wants to know."""
    return CacheOutcomes(memoryview(array("q", [0] * CELLS)), [0] * UNSTORED_CELLS)
