"""A body on its way into the cache: what is not whole leaves nothing behind."""

from __future__ import annotations

from lbproxy.cache.interface import IN_MEMORY
from lbproxy.proxy.caching.intake import Intake
from tests.unit.proxy.caching.stores import FakeBodies


def test_short_bodies_stay_in_memory() -> None:
    bodies = FakeBodies()
    intake = Intake(bodies, 2**20)
    for piece in (b"ab", b"", b"c" * (IN_MEMORY - 2)):
        intake.add(piece)
    assert intake.finish() == (b"ab" + b"c" * (IN_MEMORY - 2), -1, 0)
    assert intake.finish() is None
    assert not bodies.files


def test_long_bodies_go_into_a_file() -> None:
    bodies = FakeBodies()
    intake = Intake(bodies, 2**20)
    intake.add(b"a" * IN_MEMORY)
    intake.add(b"b")
    assert intake.finish() == (b"", IN_MEMORY + 1, 1)
    assert bodies.files == {1: b"a" * IN_MEMORY + b"b"}
    intake.abandon()
    assert bodies.open_ones == 0


def test_what_cannot_be_stored() -> None:
    """Too large, no place for files, a full disk, nobody wants it: nothing is kept, and nothing stays open."""
    bodies = FakeBodies()
    large, homeless, unwanted, full = Intake(bodies, 9), Intake(None, 2**20), Intake(bodies, 2**20), Intake(bodies, 2**20)
    large.add(b"0123456789")
    homeless.add(b"x" * (IN_MEMORY + 1))
    unwanted.add(b"x" * (IN_MEMORY + 1))
    unwanted.abandon()
    full.add(b"x" * (IN_MEMORY + 1))
    bodies.full = True
    full.add(b"x")
    for intake in (large, homeless, unwanted, full):
        assert not intake.alive
        intake.add(b"more")
        assert intake.finish() is None
    assert bodies.open_ones == 0
