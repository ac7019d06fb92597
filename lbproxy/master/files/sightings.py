"""The sightings of the watch over files: which changes it saw, and when, for operators."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from lbproxy.master.files.looks import Difference, Group, Marks, PairFolder

MOST_TOLD = 10
"""Changes: the last ones."""


class Watcher(Protocol):
    """What is needed of whoever is responsible for some of the files."""

    def watched(self) -> Iterable[Group]: ...
    def folders(self) -> Iterable[PairFolder]: ...


class Sightings:
    """The sightings of one master, over all its generations."""

    def __init__(self, watchers: Sequence[Watcher], wall: Callable[[], float] = time.time) -> None:
        self._watchers = watchers
        self._wall = wall
        self._looked: float | None = None
        self._seen: deque[tuple[float, Difference]] = deque(maxlen=MOST_TOLD)

    def looked(self, differences: Iterable[Difference]) -> None:
        """A look was over, and this is what differed."""
        self._looked = self._wall()
        for one in differences:
            self._seen = deque((each for each in self._seen if each[1].files != one.files), MOST_TOLD)
            self._seen.appendleft((self._looked, one))

    def told(self) -> dict[str, Any]:
        """How many files and folders are looked at, when that was last done, and the last changes: whether each is live."""
        live = {one.files: one.marks for each in self._watchers for one in each.watched()}
        folders = {folder for each in self._watchers for folder in each.folders()}
        changes = [
            {
                "file": change.files[0],
                "seen": at,
                "gone": change.folder is not None and not change.marks,
                "taken_over": _is_live(change, live.get(change.files)),
            }
            for at, change in self._seen
        ]
        files = len({path for files in live for path in files})
        return {"files": files, "folders": len(folders), "looked": self._looked, "changes": changes}


def _is_live(change: Difference, marks: Marks | None) -> bool:
    """Whether it is taken over. What is not is being read, or is refused, or nobody's."""
    if marks is None or not change.marks:
        return marks is None and not change.marks
    return all(mark is None or mark == seen for mark, seen in zip(marks, change.marks, strict=False))
