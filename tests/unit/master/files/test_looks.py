"""A look tells what differs, once, when it has settled."""

from __future__ import annotations

import os
from pathlib import Path

from lbproxy.master.files.looks import LOOK_EVERY, SETTLING, Difference, GenerationLooks, Group, PairFolder
from lbproxy.tls.keystore import Stamp


class Disk:
    """Files by their times of change."""

    def __init__(self) -> None:
        self.changed = {"a.crt": 10.0, "a.key": 10.0, "b.crt": 10.0}
        self.wall = 100.0

    def stamp(self, path: str) -> Stamp | None:
        return Stamp(1, 1, 1, int(self.changed[path] * 1e9)) if path in self.changed else None

    def looks(self, *groups: tuple[str, ...]) -> GenerationLooks:
        known = [Group(files, tuple(map(self.stamp, files))) for files in groups]
        return GenerationLooks(known, stamp=self.stamp, wall=lambda: self.wall)


def test_files_that_go_live_together_are_told_of_together() -> None:
    """A key that is written a moment after its certificate is waited for."""
    disk = Disk()
    looks = disk.looks(("a.crt", "a.key"), ("b.crt",))
    assert looks.look(0.0) == ([], LOOK_EVERY)
    disk.changed |= {"a.crt": 99.0, "a.key": 99.9}
    assert looks.look(2.0) == ([], SETTLING)
    disk.wall += SETTLING
    [one], again = looks.look(2.5)
    assert (one.files, again) == (("a.crt", "a.key"), LOOK_EVERY)
    assert one.marks == (disk.stamp("a.crt"), disk.stamp("a.key"))
    assert looks.look(4.5) == ([], LOOK_EVERY)


def test_what_cannot_be_seen_differs_too() -> None:
    """And again when it is back; a file of the future does not wait for its time."""
    disk = Disk()
    looks = disk.looks(("b.crt",))
    del disk.changed["b.crt"]
    assert looks.look(0.0)[0] == [Difference(("b.crt",), (None,))]
    disk.changed["b.crt"] = 1000.0
    assert [one.files for one in looks.look(2.0)[0]] == [("b.crt",)]


def test_a_folder(tmp_path: Path) -> None:
    """What comes is told with the file of its passphrase; what goes when it is still gone at the next look, and of a folder that is
    gone altogether nothing."""
    where = PairFolder(str(tmp_path), ("/word",))
    passed: list[str] = []
    looks = GenerationLooks([], [where], wall=lambda: 1e12, passing=passed.append)
    for name in ("a.crt", "a.key", "b.crt", "b.key"):
        (tmp_path / name).write_text("x")
    found = {one.files: one for one in looks.look(0.0)[0]}
    first, second = ((f"{tmp_path}/{name}.crt", f"{tmp_path}/{name}.key", "/word") for name in "ab")
    assert found.keys() == {first, second}
    assert found[first].folder == where
    assert found[first].marks[2] is None
    assert set(passed) == {str(tmp_path), first[0], second[0]}
    for name in ("a.crt", "a.key"):
        os.unlink(tmp_path / name)
    assert looks.look(2.0) == ([], SETTLING)
    assert looks.look(2.5)[0] == [Difference(first, (), where)]
    os.rename(tmp_path, tmp_path.with_name("elsewhere"))
    assert [one.marks for one in looks.look(4.5)[0]] == [(None, None, None)]
    assert looks.look(6.5)[0] == []
