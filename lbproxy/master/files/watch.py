"""The watch over all files of the generation that serves: what changed on disk goes live without a reload.

A process looks (looker.py), by one clock for all; what differs is noted by whoever judges such files (certificates, authorities and
lists, documents, keys of tickets), is judged and read by another process (reading.py), and then taken over. The master itself waits
for no disk: where one of the two hangs it is told once, with the path that it hangs at, ended and followed by another, that leaves
out what stands on the same disk until it is worth another try.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from lbproxy.errors import StartError
from lbproxy.master.files.looker import Looker, LookerGone
from lbproxy.master.files.looks import SETTLING, Difference, Files, Group, PairFolder
from lbproxy.master.files.reading import FileReader, Work
from lbproxy.master.files.sightings import Sightings
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.observe.log import get_logger
from lbproxy.tls.fork import PATIENCE
from lbproxy.tls.keystore import KeyStore

SILENT = 6.0
"""Seconds without a word from the process that looks, after which it hangs; it speaks every two."""
PER_PIECE = 0.1
"""Seconds more for each pair that is read."""
AGAIN_AFTER = 60.0
"""Seconds until what hung is tried again."""
LEAST_LIFE = 1.0
"""Seconds from one process to the next."""
LAST, GLANCE = 0.2, 0.002
"""Seconds for what was killed to end, with the master's own end."""
GAP = 3.0
"""Seconds of the master's own, after which nobody's silence counts: it was stopped, or did something else."""


class Batch(NamedTuple):
    """The files that one process reads, and what becomes of them."""

    size: int
    work: Work
    done: Callable[[Any, KeyStore, float], None]
    """What came of it, and where it stands; raises nothing."""


class Judge(Protocol):
    """Whoever is responsible for some of the files."""

    def begin(self, number: int, resources: GenerationResources, /) -> None:
        """Another generation serves."""

    def watched(self) -> Iterable[Group]:
        """Its files, as they are live."""

    def folders(self) -> Iterable[PairFolder]:
        """Those in which files may come and go."""

    def noted(self, difference: Difference, /) -> None:
        """Something differs; of files that are none of its own as well."""

    def batch(self, now: float, free: Callable[[Files], bool], /) -> Batch | None:
        """What is to be read now, as far as it is free to be; None: nothing."""


class WatchedLooks(Protocol):
    """What is needed of a process that looks."""

    pid: int

    def hear(self) -> Sequence[Sequence[Difference]]: ...
    @property
    def passing(self) -> str: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


class Reads(Protocol):
    """What is needed of a process that reads."""

    pid: int
    inbox: KeyStore

    def hear(self) -> Any: ...
    @property
    def passing(self) -> str: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


Serving = Callable[[], tuple[int, GenerationResources] | None]
Look = Callable[[Iterable[Group], Iterable[PairFolder], GenerationResources], WatchedLooks]


class FileWatch:
    """The master's; `look` from time to time, and `close` it."""

    def __init__(
        self,
        serving: Serving,
        judges: Sequence[Judge],
        look: Look,
        read: Callable[[Work], Reads] = FileReader,
        selector: selectors.BaseSelector | None = None,
    ) -> None:
        """`serving`: number and resources of what clients meet; `look` begins a process that looks, `read` one that reads, both may
        raise OSError; `selector`: woken by what they say."""
        self._serving = serving
        self._judges = judges
        self._begin_looking = look
        self._begin_reading = read
        self._selector = selector
        self._of: GenerationResources | None = None
        self._looker: WatchedLooks | None = None
        self._partial = False
        """It leaves something out."""
        self._look_from = 0.0
        self._heard_at = 0.0
        self._reading: tuple[Reads, Batch, int, float] | None = None
        """For the judge of that number; with the time by which it is done."""
        self._read_from: dict[int, float] = {}
        """By number of a judge: when it may read again."""
        self._turned = 0.0
        self._living: set[int] = set()
        """Processes that were begun, and not reaped yet."""
        self._killed: set[int] = set()
        """Those of them that were killed: where a disk hangs they may never end."""
        self._aside: tuple[set[str], set[int], float] = (set(), set(), 0.0)
        """Folders and devices that hung, and until when they are left alone."""
        self._hung: tuple[str, float] | None = None
        """What was told: the path, and since when."""
        self._in_reading = False
        """It was a process that reads."""
        self._said = ""
        self.sightings = Sightings(judges)

    def told(self) -> dict[str, Any] | None:
        """For operators: what hangs, and since when; None: nothing does."""
        return None if self._hung is None else {"file": self._hung[0], "since": self._hung[1], "why": _why(self._hung[0])}

    def ended(self, pid: int) -> None:
        """It was reaped, as somebody whom the fleet does not know."""
        self._living.discard(pid)
        self._killed.discard(pid)

    def close(self) -> None:
        """End both; whoever hangs ends as soon as he can, and is not waited for."""
        self._stop_looking()
        self._stop_reading()
        until = time.monotonic() + LAST
        while self._living and time.monotonic() < until:
            for pid in [*self._living]:
                with suppress(ChildProcessError):
                    if not os.waitpid(pid, os.WNOHANG)[0]:
                        continue
                self._living.discard(pid)
            time.sleep(GLANCE)

    def close_in_child(self) -> None:
        """A child's copies."""
        for one in (self._looker, self._reading and self._reading[0]):
            if one is not None:
                one.close()

    def look(self, now: float) -> None:
        """Everything that is due. Raises nothing: what cannot be seen to is told, and tried again."""
        serving = self._serving()
        if serving is None or serving[1].keys is None:
            return
        if now - self._turned > GAP:
            self._heard_at = now
        self._turned = now
        number, resources = serving
        if self._of is not resources:
            self._begin(number, resources)
        self._try_again(now)
        self._hear(now)
        if self._looker is None and now >= self._look_from:
            self._start_looking(resources, now)
            self._hear(now)
        self._read(now)

    # ---- who looks

    def _begin(self, number: int, resources: GenerationResources) -> None:
        """Another generation: all over again."""
        self._of = resources
        self._stop_looking()
        self._stop_reading()
        for judge in self._judges:
            judge.begin(number, resources)

    def _start_looking(self, resources: GenerationResources, now: float) -> None:
        self._look_from = now + LEAST_LIFE
        groups = [one for judge in self._judges for one in judge.watched()]
        folders = [one for judge in self._judges for one in judge.folders()]
        allowed = self._allowed()
        free = [one for one in groups if allowed(one.files)]
        open_ones = [one for one in dict.fromkeys(folders) if one.path not in self._aside[0]]
        self._partial = len(free) < len(groups) or len(open_ones) < len({*folders})
        if not free and not open_ones:
            return
        try:
            self._looker = self._begin_looking(free, open_ones, resources)
        except OSError as error:
            get_logger().error("files.not_looked_at", why=error.strerror or str(error))
            return
        self._heard_at = now
        self._begun(self._looker)

    def _hear(self, now: float) -> None:
        if self._looker is None:
            return
        try:
            said = self._looker.hear()
        except LookerGone as error:
            get_logger().error("files.looker_ended", why=str(error), then="another one looks")
            self._stop_looking()
            return
        for differences in said:
            self.sightings.looked(differences)
            for one in differences:
                for judge in self._judges:
                    judge.noted(one)
        if said:
            self._heard_at = now
            if not self._partial and not self._in_reading:
                self._well()
        elif now - self._heard_at > SILENT:
            place = self._looker.passing
            self._stop_looking()
            self._hangs(place, now)

    def _stop_looking(self) -> None:
        looker, self._looker = self._looker, None
        if looker is not None:
            self._end(looker)

    def _end(self, one: WatchedLooks | Reads, *, over: bool = False) -> None:
        if self._selector is not None:
            self._selector.unregister(one)  # type: ignore[arg-type]  # a real one has a descriptor
        if not over and one.pid in self._living:  # the number is still its own
            one.kill()
            self._killed.add(one.pid)
        one.close()

    def _begun(self, one: WatchedLooks | Reads) -> None:
        self._living.add(one.pid)
        if self._selector is not None:
            self._selector.register(one, selectors.EVENT_READ, lambda mask: None)  # type: ignore[arg-type]

    # ---- what hangs

    def _hangs(self, place: str, now: float) -> None:
        """A process stood still at that path: what is on the same disk is left alone for a while."""
        folders, devices = self._aside[0] | {place, os.path.dirname(place)} - {""}, self._aside[1] | self._devices(place)
        self._aside = (folders, devices, now + AGAIN_AFTER) if place else (*self._aside[:2], max(now, self._aside[2]))
        if self._hung is None:
            self._hung = (place, time.time())
            get_logger().warning("files.hang", file=place, why=_why(place), then="what serves goes on")

    def _devices(self, place: str) -> set[int]:
        near = [one for judge in self._judges for one in judge.watched() if place in one.files or _in(place, one.folder)]
        return {mark.device for one in near for mark in one.marks if mark is not None}

    def _try_again(self, now: float) -> None:
        """What was left alone long enough is looked at again, once nobody hangs there any more."""
        if self._aside[2] and now >= self._aside[2] and not self._killed:
            self._aside = (set(), set(), 0.0)
            if self._partial:
                self._stop_looking()
                self._look_from = now

    def _well(self) -> None:
        """Everything was seen, or read."""
        if self._hung is not None and not self._aside[2]:
            get_logger().info("files.seen_again", file=self._hung[0])
            self._hung = None

    def _allowed(self) -> Callable[[Files], bool]:
        """Which files may be looked at, and read."""
        folders, devices, _ = self._aside
        if not folders and not devices:
            return lambda files: True
        marks = {one.files: one.marks for judge in self._judges for one in judge.watched()}

        def free(files: Files) -> bool:
            if any(os.path.dirname(path) in folders for path in files):
                return False
            return not any(mark is not None and mark.device in devices for mark in marks.get(files, ()))

        return free

    # ---- who reads

    def _read(self, now: float) -> None:
        if self._reading is not None:
            self._hear_reading(now)
        allowed, idle = self._allowed(), self._reading is None
        for number, judge in enumerate(self._judges):
            if self._reading is not None or now < self._read_from.get(number, 0.0):
                idle = False
                continue
            batch = judge.batch(now, allowed)
            if batch is not None:
                idle = False
                self._begin_batch(number, batch, now)
        if idle and self._in_reading and not self._aside[2]:
            self._in_reading = False

    def _begin_batch(self, number: int, batch: Batch, now: float) -> None:
        self._read_from[number] = now + SETTLING
        try:
            reads = self._begin_reading(batch.work)
        except OSError as error:
            self._unread(number, error, now)
            return
        self._reading = reads, batch, number, now + PATIENCE + PER_PIECE * batch.size
        self._begun(reads)
        self._hear_reading(now)

    def _hear_reading(self, now: float) -> None:
        assert self._reading is not None
        reads, batch, number, until = self._reading
        try:
            told = reads.hear()
            if told is None:
                if now >= until:
                    place = reads.passing
                    self._stop_reading()
                    self._in_reading = True
                    self._hangs(place, now)
                    self._read_from[number] = now + AGAIN_AFTER if not place else now
                return
            batch.done(told, reads.inbox, now)
            self._said = ""
        except (StartError, OSError) as error:
            self._unread(number, error, now)
        self._stop_reading(over=True)

    def _unread(self, number: int, error: Exception, now: float) -> None:
        self._read_from[number] = now + PATIENCE
        if str(error) != self._said:
            self._said = str(error)
            get_logger().error("files.unread", why=self._said, then="once more")

    def _stop_reading(self, *, over: bool = False) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            self._end(reading[0], over=over)


def _why(place: str) -> str:
    return f"nothing is heard of the disk that {place} is on" if place else "the process that looks at files stood still"


def _in(place: str, folder: PairFolder | None) -> bool:
    return folder is not None and folder.path == place


def looker_by(forker: Any) -> Look:
    """Who begins processes that look, by a forker, or None."""

    def begin(groups: Iterable[Group], folders: Iterable[PairFolder], resources: GenerationResources) -> WatchedLooks:
        return Looker(forker, groups, folders, walls=resources.config.proxy.walls)

    return begin
