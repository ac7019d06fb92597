"""Counts of several kinds by path, where clients say which paths there are: so many have a place, the others are summed.

It stands in the ledger's row of a child, as a tally of numbers does (tally.py): a path's text, its counts, and so on; at the end
what found no place. A reader passes over a place as long as it has no counts, so that no half-written path is told. Pure.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lbproxy.cells import Cells

KINDS = 3
PLACES = 48
LONGEST = 48
"""Bytes of a path."""
_WORDS = struct.Struct(f"={LONGEST // 8}q")
_WIDTH = LONGEST // 8 + KINDS
CELLS = PLACES * _WIDTH + KINDS
_OTHERS = PLACES * _WIDTH
_MOST = 2**56
_PATH = re.compile(rb"[!-~]+")

Counts = tuple[int, ...]
"""One of each kind."""
NONE: Counts = (0,) * KINDS


class PathCounts(NamedTuple):
    """What was counted for each path that has a place."""

    paths: Mapping[str, Counts]
    others: Counts = NONE


class PathTally:
    """Counts by path of one writer, whose cells begin at `at`."""

    def __init__(self, cells: Cells, at: int) -> None:
        self._cells = cells
        self._at = at
        known = (_text(cells, at + place * _WIDTH) for place in range(PLACES))
        self._places = {text: place for place, text in enumerate(known) if text}

    def count(self, path: str, counts: Sequence[int], *, settle: bool = True) -> None:
        """So many more of each kind. `settle`: it gets a place if it has none, and there is one."""
        cells = self._cells
        place = self._places.get(path)
        if place is None and settle and len(self._places) < PLACES and 0 < len(path) <= LONGEST:
            place = self._places[path] = len(self._places)
            for number, word in enumerate(_WORDS.unpack(path.encode("ascii").ljust(LONGEST, b"\0"))):
                cells[self._at + place * _WIDTH + number] = word
        at = self._at + (_OTHERS if place is None else place * _WIDTH + LONGEST // 8)
        for kind, more in enumerate(counts):
            cells[at + kind] += more


def _text(cells: Cells, at: int) -> str:
    """A place's path; "" for what is none."""
    packed = _WORDS.pack(*(cells[at + number] for number in range(LONGEST // 8))).rstrip(b"\0")
    return packed.decode("ascii") if _PATH.fullmatch(packed) else ""


def _counts(cells: Cells, at: int) -> Counts:
    """Without what cannot be: a writer may have been taken over."""
    counts = (cells[at + kind] for kind in range(KINDS))
    return tuple(count if 0 < count < _MOST else 0 for count in counts)


def read(cells: Cells, at: int) -> PathCounts:
    """What one writer has counted."""
    found: dict[str, Counts] = {}
    for place in range(PLACES):
        counts = _counts(cells, at + place * _WIDTH + LONGEST // 8)
        if any(counts) and (text := _text(cells, at + place * _WIDTH)):
            found[text] = _sum(found.get(text, NONE), counts)
    return PathCounts(found, _counts(cells, at + _OTHERS))


def move(cells: Cells, at: int, to: int) -> bool:
    """A writer is gone: its counts are added to those at `to`. False: nonsense was among them, and is dropped."""
    starts = (*(at + place * _WIDTH + LONGEST // 8 for place in range(PLACES)), at + _OTHERS)
    sound = all(0 <= cells[start + kind] < _MOST for start in starts for kind in range(KINDS))
    gone = read(cells, at)
    if gone != PathCounts({}):
        kept = PathTally(cells, to)
        for path, counts in gone.paths.items():
            kept.count(path, counts)
        for kind, more in enumerate(gone.others):
            cells[to + _OTHERS + kind] += more
    for cell in range(CELLS):
        if cells[at + cell]:
            cells[at + cell] = 0
    return sound


def summed(tallies: Iterable[PathCounts]) -> PathCounts:
    """Of several writers, no more paths than one has places for: those that were met most."""
    found: dict[str, Counts] = {}
    others = NONE
    for tally in tallies:
        others = _sum(others, tally.others)
        for path, counts in tally.paths.items():
            found[path] = _sum(found.get(path, NONE), counts)
    ranked = sorted(found, key=lambda path: (-sum(found[path]), path))
    for path in ranked[PLACES:]:
        others = _sum(others, found[path])
    return PathCounts({path: found[path] for path in sorted(ranked[:PLACES])}, others)


def _sum(some: Counts, more: Counts) -> Counts:
    return tuple(map(int.__add__, some, more))
