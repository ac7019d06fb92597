"""A first look at all that a reload reads, by a process apart: whoever waits for a disk that does not answer is not the master.

The files that the configuration names are opened, and the beginning of each is read, so the master meets them when they have just
answered. What is wrong with them the master says, who reads them next.
"""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path

from setproctitle import setproctitle

from lbproxy.config.model import Config
from lbproxy.errors import LbproxyError, StartError
from lbproxy.master.files.reading import FileReader, Passing

PATIENCE = 20.0
"""Seconds at one path; a busy machine may take some."""
GLANCE = 3.0
"""Seconds for a look that only tells where a disk hangs."""
BEGINNING = 4096
"""Bytes: the page that a file server has to bring."""


class FirstLook:
    """One such process. `close` it."""

    def __init__(self, look: Callable[[Passing], object]) -> None:
        """Raises OSError."""
        self._reading = FileReader(lambda inbox, passing: look(passing))
        self._place, self._until = "", time.monotonic() + PATIENCE
        self._over = False

    def fileno(self) -> int:
        """Readable when there is something to `hear`."""
        return self._reading.fileno()

    def hear(self) -> bool:
        """Whether it is over. One that somebody killed has hung nowhere: what there is to see the master sees."""
        try:
            self._over = self._reading.hear() is not None
        except (StartError, OSError):
            self._over = True
        return self._over

    @property
    def until(self) -> float:
        """When it is given up, unless it is at another path by then."""
        if (place := self._reading.passing) != self._place:
            self._place, self._until = place, time.monotonic() + PATIENCE
        return self._until

    @property
    def late(self) -> str:
        """Why it is given up."""
        if self._place:
            return f"nothing is heard of the disk that {self._place} is on"
        return "the process that looks at files does not answer"

    def close(self) -> None:
        """End it, if it lives: one that hangs ends as soon as it can, and the master reaps it like everybody."""
        if not self._over:
            with suppress(ProcessLookupError):  # it has just died, and nobody has heard that yet
                self._reading.kill()
        self._reading.close()

    def close_in_child(self) -> None:
        """Its descriptors are not the child's."""
        self._reading.close()


def look(file: Path, load: Callable[[Passing], Config], passing: Passing) -> bool:
    """In the process: at the configuration's own file, and at all that it names."""
    setproctitle("lbproxy: first look")
    passing(str(file))
    if not file.is_file():
        return True  # a FIFO, whose reader would wait for ever
    try:
        config = load(passing)
    except LbproxyError:
        return True
    return look_at_all(config, passing)


def look_at_all(config: Config, passing: Passing) -> bool:
    """At all that it names; True."""
    log = () if config.log.access in ("stdout", "off") else (Path(config.log.access),)
    for path in dict.fromkeys((*log, *paths_in(config))):
        passing(str(path))
        _begin_to_read(path)
    passing("")
    return True


def hanging(config: Config, within: float = GLANCE) -> str:
    """The path at which whoever looks at all that it names stands still for half of these seconds; "": there is none."""
    looking = FileReader(lambda inbox, passing: look_at_all(config, passing))
    try:
        before = ""
        for _ in range(2):
            select.select([looking], [], [], within / 2)
            before, place = looking.passing, before
        return before if before == place else ""
    finally:
        with suppress(ProcessLookupError):
            looking.kill()
        looking.close()


def paths_in(value: object) -> Iterator[Path]:
    """Every path that stands anywhere in a configuration."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from paths_in(inner)
    elif isinstance(value, tuple | list | frozenset | set):
        for inner in value:
            yield from paths_in(inner)
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from paths_in(getattr(value, one.name))


def _begin_to_read(path: Path) -> None:
    """Of a regular file alone: whoever opens a FIFO lets others believe that it is read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        page = bytearray(BEGINNING)
        try:
            os.readv(file, [page])
        finally:
            page[:] = bytes(BEGINNING)  # it may be a key, and this the process that serves: no text of one stays in its memory
            os.close(file)
    except OSError:
        pass  # the master tells
