"""Looks at files, by stat(2) alone: what differs from what was told before, and has settled.

Files that go live together (a certificate and its key) are looked at together, and told of together: nobody is told of half a
change that is a moment old. Of folders, pairs that come and go are told likewise. A symlink's target counts, as certbot swaps
those.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from lbproxy.config.certificate_folder import pairs_in
from lbproxy.tls.keystore import Stamp

LOOK_EVERY = 2.0
SETTLING = 0.5
"""Seconds for which a file must have been as it is."""
LIST_EVERY = 10.0
FEW = 1000
"""Pairs up to which a folder is listed at each look; a larger one when something has just come into it, or left."""

Files = tuple[str, ...]
"""Those that go live together."""
Marks = tuple[Stamp | None, ...]
"""Of each of them; None: nothing that could be seen."""


class PairFolder(NamedTuple):
    """A folder in which pairs come and go."""

    path: str
    beside: Files
    """What belongs to each pair of it as well: the file of its passphrase."""


class Group(NamedTuple):
    """Files that go live together, as they were."""

    files: Files
    marks: Marks
    folder: PairFolder | None = None
    """The one that they were found in."""


class Difference(NamedTuple):
    """Files that are others than they were."""

    files: Files
    marks: Marks
    """As they are now; (): they are gone from their folder."""
    folder: PairFolder | None = None


class GenerationLooks:
    """All files of one generation, and what was told of them."""

    def __init__(
        self,
        groups: Iterable[Group],
        folders: Iterable[PairFolder] = (),
        stamp: Callable[[str], Stamp | None] = Stamp.at,
        wall: Callable[[], float] = time.time,
        passing: Callable[[str], object] = lambda path: None,
    ) -> None:
        """`groups`: as the generation has read them; `passing`: told of what is about to be looked at."""
        self._told: dict[PairFolder | None, dict[Files, Marks]] = {None: {}, **{folder: {} for folder in folders}}
        for one in groups:
            self._told[one.folder][one.files] = one.marks
        self._stamp = stamp
        self._wall = wall
        self.passing = passing
        self._list_at = 0.0
        self._missing: set[tuple[PairFolder, Files]] = set()
        """Pairs that were not in their folder at the last look: whoever empties it, or moves it, may not be done."""

    def look(self, now: float) -> tuple[list[Difference], float]:
        """What differs, and in how many seconds to look again."""
        found: list[Difference] = []
        again = LOOK_EVERY
        whole = now >= self._list_at
        if whole:
            self._list_at = now + LIST_EVERY
        for folder, told in self._told.items():
            if folder is not None:
                gone, settled = self._listed(folder, told, whole)
                found += gone
                again = again if settled else SETTLING
            for files, before in told.items():
                if folder is not None and (folder, files) in self._missing:
                    continue
                self.passing(files[0])
                marks = tuple(map(self._stamp, files))
                if marks == before:
                    continue
                if self._settled(marks):
                    told[files] = marks
                    found.append(Difference(files, marks, folder))
                else:
                    again = SETTLING
        return found, again

    def _listed(self, folder: PairFolder, told: dict[Files, Marks], whole: bool) -> tuple[list[Difference], bool]:
        """Pairs that are no longer there, and whether that is all; new ones are looked at from now on."""
        self.passing(folder.path)
        if len(told) > FEW and not whole and not self._busy(folder.path):
            return [], True
        try:
            there = {(str(one.cert), str(one.key), *folder.beside) for one in pairs_in(Path(folder.path)).pairs}
        except OSError:
            return [], True
        # A file that is being swapped is not there for a moment: only what is gone altogether is taken out.
        missing = {(folder, files) for files in told if files not in there and not any(map(os.path.lexists, files[:2]))}
        gone = [files for at, files in missing & self._missing]
        self._missing = {one for one in self._missing if one[0] != folder} | missing
        for files in gone:
            del told[files]
        for files in there:
            told.setdefault(files, ())
        return [Difference(files, (), folder) for files in gone], len(gone) == len(missing)

    def _busy(self, folder: str) -> bool:
        """What a folder made in it gets is seen as well: a tool is done with that within the time of a whole list."""
        try:
            return abs(self._wall() - os.stat(folder).st_mtime) < LIST_EVERY
        except OSError:
            return False

    def _settled(self, marks: Marks) -> bool:
        newest = max((mark.modified for mark in marks if mark is not None), default=0) / 1e9
        return not 0 <= self._wall() - newest < SETTLING
