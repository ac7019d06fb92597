"""Bodies that wait, in memory and in a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import ScratchError
from lbproxy.proxy.spool import Spool
from lbproxy.streams import BLOCK
from tests.unit.proxy.fakes import FakeScratch


def spool(memory: int, most: int = 2**30, scratch: FakeScratch | None = None) -> tuple[Spool, FakeScratch, list[str]]:
    scratch = scratch or FakeScratch()
    troubles: list[str] = []
    return Spool(scratch, memory, most, troubles.append), scratch, troubles


def held(found: Spool) -> int:
    """Bytes in memory."""
    return found._in_memory


@given(
    sizes=st.lists(st.integers(1, 3 * BLOCK), max_size=8),
    memory=st.sampled_from([1, 1000, BLOCK, 3 * BLOCK]),
    takes=st.lists(st.integers(0, 7)),
)
def test_what_goes_in_comes_out_in_its_order(sizes: list[int], memory: int, takes: list[int]) -> None:
    """Whenever it is taken; memory holds little more than it is meant to, and no block is left."""
    found, scratch, _ = spool(memory)
    wanted = got = b""
    for number, size in enumerate(sizes):
        piece = bytes([number]) * size
        found.put(piece)
        wanted += piece
        assert held(found) <= memory + BLOCK
        if number in takes:
            got += found.pop()
    assert found.size == len(wanted)
    while piece := found.pop():
        got += piece
    assert got == wanted
    assert not scratch.blocks
    assert (held(found), len(found)) == (0, 0)


def test_pieces_can_be_read_again() -> None:
    """As often as there are tries."""
    found, scratch, _ = spool(10)
    body = bytes(range(256)) * 1000
    found.put(body)
    assert scratch.blocks
    for _ in range(2):
        assert b"".join(found.read(index) for index in range(len(found))) == body
    found.clear()
    assert not scratch.blocks


def test_small_pieces_are_gathered() -> None:
    """Two bytes at a time make no two objects each."""
    found, *_ = spool(BLOCK)
    for _ in range(1000):
        found.put(b"ab")
    assert len(found) == 1


def test_it_is_full_when_memory_and_file_are() -> None:
    """And takes all the same what it is given."""
    found, scratch, _ = spool(100, 2 * BLOCK)
    assert not found.full
    for _ in range(2):
        found.put(bytes(BLOCK))
        assert not found.full
    found.put(bytes(200))
    assert found.full
    found.put(bytes(BLOCK))
    assert len(scratch.blocks) == 2
    assert found.size == 3 * BLOCK + 200
    found.pop()
    assert not scratch.blocks[2].strip(b"\0")
    found.clear()


def test_without_a_file_memory_is_all_there_is() -> None:
    found = Spool(None, 100, 2**30, lambda why: None)
    found.put(bytes(99))
    assert not found.full
    found.put(bytes(BLOCK))
    assert found.full
    assert len(b"".join([found.pop(), found.pop()])) == BLOCK + 99


def test_a_full_disk_is_told_once_and_loses_nothing() -> None:
    """What could not be written stays in memory, and the spool is full."""
    found, scratch, troubles = spool(100)
    found.put(bytes(BLOCK))
    scratch.refuses = "No space left on device"
    found.put(b"x" * 3 * BLOCK)
    assert found.full
    found.put(b"y")
    assert troubles == ["No space left on device"]
    got = b"".join(found.read(index) for index in range(len(found)))
    assert got == bytes(BLOCK) + b"x" * 3 * BLOCK + b"y"
    found.clear()
    assert not scratch.blocks


def test_what_cannot_be_read_is_an_error() -> None:
    found, scratch, _ = spool(100)
    found.put(bytes(BLOCK))
    scratch.refuses = "I/O error"
    with pytest.raises(ScratchError):
        found.pop()
    assert not scratch.blocks
