"""Where a process that looks, or reads, hangs: it is told once, another follows, and what is on other disks goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from lbproxy.errors import StartError
from lbproxy.master.files import watch as module
from lbproxy.master.files.looker import LookerGone
from lbproxy.master.files.looks import Difference, Files, Group, PairFolder
from lbproxy.master.files.watch import AGAIN_AFTER, GAP, LEAST_LIFE, SILENT, Batch, FileWatch
from lbproxy.tls.fork import PATIENCE
from lbproxy.tls.keystore import KeyStore, Stamp

LOCAL, FAR, NEAR_FAR = ("/local/a",), ("/far/b",), ("/far/deeper/c",)


class Process:
    """One that looks, or reads."""

    inbox: Any = None

    def __init__(self, pid: int, about: Any) -> None:
        self.pid = pid
        self.about = about
        self.said: list[Any] = []
        self.passing = ""
        self.killed = self.closed = False

    def kill(self) -> None:
        self.killed = True

    def close(self) -> None:
        self.closed = True


class Looking(Process):
    def hear(self) -> list[list[Difference]]:
        said, self.said = self.said, []
        if any(isinstance(one, Exception) for one in said):
            raise said[0]
        return said


class Reading(Process):
    def hear(self) -> Any:
        if self.said and isinstance(self.said[0], Exception):
            raise self.said[0]
        return self.said[0] if self.said else None


class Judge:
    """Of three files on two disks."""

    def __init__(self) -> None:
        self.pending: set[Files] = set()
        self.begun = 0

    def begin(self, number: int, resources: object) -> None:
        self.begun += 1

    def watched(self) -> Iterator[Group]:
        for files, device in ((LOCAL, 1), (FAR, 2), (NEAR_FAR, 2)):
            yield Group(files, (Stamp(device, 1, 1, 1),))

    def folders(self) -> Iterable[PairFolder]:
        return ()

    def noted(self, difference: Difference) -> None:
        self.pending.add(difference.files)

    def batch(self, now: float, free: Callable[[Files], bool]) -> Batch | None:
        due = {files for files in self.pending if free(files)}

        def done(told: Any, inbox: KeyStore, now: float) -> None:
            self.pending -= due

        return Batch(len(due), lambda inbox, passing: None, done) if due else None


class World:
    """A master's turns, a second each."""

    def __init__(self) -> None:
        self.judge = Judge()
        self.lookers: list[Looking] = []
        self.readers: list[Reading] = []
        self.resources = self.generation()
        self.now = 1000.0
        self.pids = iter(range(100, 10_000))
        self.watch = FileWatch(lambda: (1, self.resources), [self.judge], self._look, self._read)
        self.turn()

    def generation(self) -> Any:
        return SimpleNamespace(keys=True)

    def _look(self, groups: Iterable[Group], folders: Iterable[PairFolder], _: object) -> Looking:
        self.lookers.append(Looking(next(self.pids), {one.files for one in groups}))
        return self.lookers[-1]

    def _read(self, work: object) -> Reading:
        self.readers.append(Reading(next(self.pids), work))
        return self.readers[-1]

    def turn(self, *said: list[Difference], after: float = 1.0) -> None:
        if self.lookers:
            self.lookers[-1].said += said
        self.now += after
        self.watch.look(self.now)

    def turns(self, seconds: float, *said: list[Difference]) -> None:
        for _ in range(int(seconds)):
            self.turn(*said)


@pytest.fixture
def world() -> World:
    return World()


def told(capsys: pytest.CaptureFixture[str], event: str) -> int:
    captured = capsys.readouterr()
    return (captured.out + captured.err).count(event)


def test_one_that_hangs(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Is told once with where, killed, and followed by one that leaves out that disk. What differs elsewhere is read meanwhile. A
    minute later all is looked at again, and when that has gone well it is told."""
    [first] = world.lookers
    assert first.about == {LOCAL, FAR, NEAR_FAR}
    first.passing = FAR[0]
    world.turns(SILENT + 2)
    assert first.killed
    assert first.closed
    assert world.watch.told() is not None
    second = world.lookers[1]
    assert second.about == {LOCAL}
    world.watch.ended(first.pid)
    world.turn([Difference(LOCAL, (None,))])
    [reader] = world.readers
    reader.said.append([])
    world.turns(AGAIN_AFTER, [])
    assert world.judge.pending == set()
    third = world.lookers[-1]
    assert third.about == {LOCAL, FAR, NEAR_FAR}
    assert third is not second
    world.turn([])
    captured = capsys.readouterr()
    assert [(captured.out + captured.err).count(event) for event in ("files.hang", "files.seen_again")] == [1, 1]
    assert world.watch.told() is None
    assert not third.killed


def test_one_that_does_not_even_die(world: World) -> None:
    """Since the kernel waits for its disk: nobody else is sent there until it has."""
    [first] = world.lookers
    first.passing = FAR[0]
    world.turns(SILENT + 2)
    world.turns(3 * AGAIN_AFTER, [])
    assert [one.about for one in world.lookers] == [first.about, {LOCAL}]
    world.watch.ended(first.pid)
    world.turns(2, [])
    assert world.lookers[-1].about == first.about


def test_one_that_is_stopped_anywhere_else(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Is followed by one that looks at everything."""
    world.turns(SILENT + 2)
    assert [one.about for one in world.lookers] == [{LOCAL, FAR, NEAR_FAR}] * 2
    assert told(capsys, "files.hang") == 1
    world.watch.ended(world.lookers[0].pid)
    world.turns(2, [])
    assert world.watch.told() is None


def test_one_that_ends(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Is followed by another, no more often than once a second."""
    for _ in range(3):
        world.lookers[-1].said.append(LookerGone("it has ended"))
        world.turn(after=LEAST_LIFE / 2)
        world.turn(after=LEAST_LIFE / 2)
    assert len(world.lookers) == 4
    assert told(capsys, "files.looker_ended") == 3


def test_a_master_that_was_stopped_blames_nobody(world: World) -> None:
    """For a silence that was its own."""
    world.turn(after=GAP + SILENT)
    world.turn()
    [first] = world.lookers
    assert not first.killed


def test_another_generation(world: World) -> None:
    """Has files of its own: another one looks at them, and what is read for the one before is nobody's."""
    world.turn([Difference(FAR, (None,))])
    world.resources = world.generation()
    world.turns(2)
    assert world.lookers[0].killed
    assert world.readers[0].killed
    assert world.judge.begun == 2
    assert len(world.lookers) == 2


def test_one_that_hangs_in_reading(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Is killed, and the others of its batch are read without what is on that disk."""
    world.turn([Difference(LOCAL, (None,)), Difference(FAR, (None,))])
    [first] = world.readers
    first.passing = FAR[0]
    world.turns(PATIENCE + 2, [])
    assert first.killed
    second = world.readers[1]
    second.said.append([])
    world.turns(2, [])
    assert world.judge.pending == {FAR}
    world.turns(AGAIN_AFTER / 2, [])
    assert len(world.readers) == 2
    assert told(capsys, "files.hang") == 1
    world.watch.ended(first.pid)
    while len(world.readers) < 3:
        world.turn([])
    assert world.watch.told() is not None
    world.readers[2].said.append([])
    world.turns(3, [])
    assert world.judge.pending == set()
    assert world.watch.told() is None
    assert told(capsys, "files.seen_again") == 1


def test_what_cannot_be_read_is_told_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """And tried again now and then."""
    world.turn([Difference(LOCAL, (None,))])
    for number in range(3):
        world.readers[number].said.append(StartError("no"))
        world.turns(PATIENCE + 2, [])
    assert told(capsys, "files.unread") == 1
    assert len(world.readers) == 4


def test_whom_nobody_can_begin(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Is tried again."""
    fail = True

    def look(*args: Any) -> Looking:
        if fail:
            raise OSError(11, "no more processes")
        return world._look(*args)

    monkeypatch.setattr(world.watch, "_begin_looking", look)
    world.lookers[-1].said.append(LookerGone("it has ended"))
    world.turns(3)
    assert told(capsys, "files.not_looked_at") >= 1
    fail = False
    world.turns(2)
    assert len(world.lookers) == 2
    world.watch.close()
    assert world.lookers[-1].closed
    assert module.SILENT > module.GAP
