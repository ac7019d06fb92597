"""A process that looks at files for the master, which waits for no disk: one that is the network's may not answer for hours.

It is forked by a process that never had the master's memory (processes/forker.py), or else executed anew. It opens no file (the
kernel lets it open folders, to list them, and nothing else), has no socket, and of root's powers that of passing folders that are
closed to others. It has two descriptors: a list of what to look at, in which it notes where it is just looking, and a pipe, in
which it says what differs. With another list another process looks, so it hears nothing.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NoReturn, Protocol

from setproctitle import setproctitle

from lbproxy.errors import LbproxyError
from lbproxy.master.files.looks import Difference, GenerationLooks, Group, PairFolder
from lbproxy.master.system import signals
from lbproxy.master.system.executed import execute
from lbproxy.master.system.privileges import keep_capabilities, no_new_privileges
from lbproxy.sandbox import kernel
from lbproxy.sandbox.filter import only_what_is_needed
from lbproxy.tls.keystore import Stamp

MEMORY = "lbproxy-files"
PLACE = 4096
"""Bytes in front of the list: where it is looking."""
AT_ONCE = 500
"""Differences in one line."""
LONGEST = 4 * 1024 * 1024
"""Bytes of a line: that many of paths of the greatest length."""
CAP_DAC_READ_SEARCH = 2
LOOK = b"look"
"""What a forker is told."""


class LookerForker(Protocol):
    """What is needed of a forker."""

    def fork(self, descriptors: Sequence[int], what: bytes, /) -> int: ...


class LookerGone(LbproxyError):
    """Raised when the process has ended, or says what nobody understands."""


class Looker:
    """The master's end of one. `close` it."""

    def __init__(self, forker: LookerForker | None, groups: Iterable[Group], folders: Iterable[PairFolder], *, walls: bool) -> None:
        """Raises OSError."""
        self._listing = os.memfd_create(MEMORY, os.MFD_CLOEXEC)
        self._heard, said = os.pipe()
        os.set_blocking(self._heard, False)
        self._rest = b""
        try:
            os.pwrite(self._listing, _written(groups, folders, walls=walls), PLACE)
            self.pid = _begin(forker, [self._listing, said])
        except BaseException:
            self.close()
            raise
        finally:
            os.close(said)

    def fileno(self) -> int:
        """Readable when there is something to `hear`."""
        return self._heard

    def hear(self) -> list[list[Difference]]:
        """What it said since the last call, a list for each look, or part of one. Raises LookerGone."""
        found: list[list[Difference]] = []
        while True:
            try:
                more = os.read(self._heard, 65536)
            except BlockingIOError:
                return found
            *lines, self._rest = (self._rest + more).split(b"\n")
            try:
                found += [[_difference(*each) for each in json.loads(line)] for line in lines]
            except (ValueError, TypeError, AttributeError) as error:
                raise LookerGone(f"it said what is none of its words: {error}") from error
            if not more or len(self._rest) > LONGEST:
                raise LookerGone("it has ended" if not more else "it never ends")

    @property
    def passing(self) -> str:
        """The path that it looks at right now; "": none."""
        return os.pread(self._listing, PLACE, 0).partition(b"\0")[0].decode("utf-8", "replace")

    def kill(self) -> None:
        """Not reaped yet, so the number is still its own. One that waits for a disk may end later, or never."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """It ends by that, unless it hangs; also in a child, whose copies these are."""
        for descriptor in (self._heard, self._listing):
            os.close(descriptor)


def _begin(forker: LookerForker | None, descriptors: list[int]) -> int:
    """Its pid. Raises OSError."""
    if forker is not None:
        try:
            return forker.fork(descriptors, LOOK)
        except OSError:
            pass  # it is gone: whoever needs it most tells
    return execute("lbproxy.master.files.looker", descriptors)


def _written(groups: Iterable[Group], folders: Iterable[PairFolder], *, walls: bool) -> bytes:
    places = [*folders]
    number = {folder: index for index, folder in enumerate(places)}
    told = [[one.files, one.marks, None if one.folder is None else number[one.folder]] for one in groups]
    return json.dumps({"walls": walls, "folders": places, "groups": told}).encode("ascii")


def _read(content: bytes) -> tuple[GenerationLooks, bool]:
    told = json.loads(content)
    folders = [PairFolder(path, tuple(beside)) for path, beside in told["folders"]]
    groups = [Group(tuple(files), _marks(marks), None if at is None else folders[at]) for files, marks, at in told["groups"]]
    return GenerationLooks(groups, folders), told["walls"]


def _difference(files: list[str], marks: list[Any], folder: list[Any] | None) -> Difference:
    return Difference(tuple(map(str, files)), _marks(marks), None if folder is None else PairFolder(folder[0], tuple(folder[1])))


def _marks(told: Iterable[Any]) -> tuple[Stamp | None, ...]:
    return tuple(None if one is None else Stamp(*map(int, one)) for one in told)


# ---------------------------------------------------------------- in the process


def main(listing: int, said: int) -> NoReturn:
    """Where it is executed anew."""
    live([listing, said])


def live(descriptors: Sequence[int]) -> NoReturn:
    """To its end; what goes wrong shows in its being gone. `descriptors`: of the list and of the pipe."""
    try:
        listing, said = descriptors
        kernel.no_core_files()
        signals.reset_in_child()
        signals.unblock()
        setproctitle("lbproxy: files")
        looks, walls = _read(os.pread(listing, os.fstat(listing).st_size, PLACE))
        listing, said = _alone(listing, said)
        looks.passing = partial(_note, listing)
        only_pass_folders()
        no_new_privileges()
        kernel.undumpable()
        if walls:
            kernel.restrict((), (), (), lists=("/",))
            kernel.filter_calls(only_what_is_needed(os.uname().machine, looks=True))
        _look_on(looks, said)
    finally:
        os._exit(0)


def _alone(listing: int, said: int) -> tuple[int, int]:
    """The two, as all that is open: whoever reads standard error waits for none whose disk may hang."""
    nothing = os.open("/dev/null", os.O_RDWR)
    given = [nothing, nothing, nothing, listing, said]
    while min(given) < len(given):
        given = [os.dup(one) for one in given]
    for number, one in enumerate(given):
        os.dup2(one, number, inheritable=False)
    os.closerange(len(given), os.sysconf("SC_OPEN_MAX"))
    return 3, 4


def _note(listing: int, path: str) -> None:
    os.pwrite(listing, os.fsencode(path)[: PLACE - 1] + b"\0", 0)


def _look_on(looks: GenerationLooks, said: int) -> None:
    """Until nobody hears it any more."""
    poll = select.poll()
    poll.register(said, 0)
    while True:
        found, again = looks.look(time.monotonic())
        looks.passing("")
        for at in range(0, max(1, len(found)), AT_ONCE):
            _say(said, json.dumps(found[at : at + AT_ONCE]).encode("ascii") + b"\n")
        if poll.poll(again * 1000):
            return


def _say(said: int, line: bytes) -> None:
    while line:
        line = line[os.write(said, line) :]


def only_pass_folders() -> None:
    """Give up all of root's powers but that of passing, and listing, folders that are closed to others. The user stays: file
    servers, to whom that power means nothing, ask who it is."""
    held = 1 << CAP_DAC_READ_SEARCH if os.geteuid() == 0 else 0
    if not keep_capabilities(held):  # a container may not have that one
        keep_capabilities(0)
