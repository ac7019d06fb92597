"""The lock among machines that share the folder."""

from __future__ import annotations

from pathlib import Path

from lbproxy.acme.folder import AcmeFolder
from lbproxy.acme.lock import REFRESH, STALE, FolderLock


class Machine:
    """One with a clock of its own."""

    def __init__(self, folder: Path, name: str, began: float) -> None:
        self.now = began
        self.lock = FolderLock(AcmeFolder(folder), lambda: self.now, name)


def test_one_has_it(tmp_path: Path) -> None:
    """Until it gives it back; whoever lives keeps it for as long as it takes, though clocks differ by years."""
    one, other = Machine(tmp_path, "one", 5.0), Machine(tmp_path, "other", 1e9)
    assert one.lock.take()
    for _ in range(30):
        one.now += REFRESH
        other.now += REFRESH
        assert one.lock.refresh()
        assert not other.lock.take()
    one.lock.give_back()
    assert other.lock.take()


def test_a_dead_machine_stops_nobody(tmp_path: Path) -> None:
    """Its lock is taken away when it has not changed for a minute, by the clock of who looks. If it only slept, it hears."""
    dead, other = Machine(tmp_path, "dead", 0.0), Machine(tmp_path, "other", 7.0)
    assert dead.lock.take()
    assert not other.lock.take()
    other.now += STALE - 1
    assert not other.lock.take()
    other.now += 2
    assert not other.lock.take()  # now it is taken away ...
    assert other.lock.take()
    dead.now += STALE + REFRESH
    assert not dead.lock.refresh()
    dead.lock.give_back()  # ... and it is nobody's to give back but its owner's
    assert other.lock.refresh()
    other.now += REFRESH
    assert other.lock.refresh()
