"""Outcomes of requests on routes with a cache, counted and noted for the access line."""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import Protocol

from lbproxy.observe.cache_names import CACHE_EVENTS, CACHE_RESULTS, CACHE_UNSTORED


class Outcome(IntEnum):
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
    b"uri-miss": Outcome.URI_MISS, b"vary-miss": Outcome.VARY_MISS, b"stale": Outcome.EXPIRED, b"request": Outcome.REQUEST,
    b"bypass": Outcome.BYPASS, b"method": Outcome.METHOD,
}  # fmt: skip
"""By the words of RFC 9211."""
_REASONS = {name: number for number, name in enumerate(CACHE_UNSTORED)}


class Cells(Protocol):
    """Numbers that are counted in."""

    def __getitem__(self, at: int, /) -> int: ...
    def __setitem__(self, at: int, value: int, /) -> None: ...


class Noted(Protocol):
    """Whose access line it is."""

    noted: str


class Outcomes:
    """The counts of one process, as its steps make them."""

    __slots__ = ("_unstored", "cells")

    def __init__(self, cells: memoryview[int], unstored: Cells) -> None:
        """`cells`: one for each Outcome; `unstored`: one for each of CACHE_UNSTORED."""
        self.cells = cells
        self._unstored = unstored

    def note(self, journey: Noted, what: Outcome) -> None:
        """What became of a request; once for each."""
        self.cells[what] += 1
        journey.noted += NOTES[what]

    def count(self, what: Outcome, number: int = 1) -> None:
        """Something else."""
        self.cells[what] += number

    def unstored(self, why: str) -> None:
        """An answer is not stored."""
        self._unstored[_REASONS[why]] += 1


def uncounted() -> Outcomes:
    """Where nobody wants to know."""
    return Outcomes(memoryview(array("q", [0] * CELLS)), [0] * UNSTORED_CELLS)
