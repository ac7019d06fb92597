"""Counts by path are kept apart as far as there are places; nothing is lost, and nothing that cannot be is believed."""

from __future__ import annotations

from lbproxy.balance.ledger import SCALAR_CELLS, SIZE, Ledger, Scalar, scalar_at
from lbproxy.balance.path_tally import CELLS, LONGEST, NONE, PLACES, PathCounts, PathTally, move, read, summed


def paths(begin: int, end: int) -> list[str]:
    return [f"/{number}" for number in range(begin, end)]


def test_what_finds_no_place_is_summed() -> None:
    """Also what is too long, and what is to have none; who goes on where another one stopped finds its places."""
    cells = [0] * CELLS
    for path in (*paths(0, PLACES + 2), "/0", "/" * (LONGEST + 1)):
        PathTally(cells, 0).count(path, (1, 0, 2))
    found = read(cells, 0)
    assert found.paths == {path: (2, 0, 4) if path == "/0" else (1, 0, 2) for path in paths(0, PLACES)}
    assert found.others == (3, 0, 6)
    PathTally(cells, 0).count("/0", (1, 0, 0), settle=False)
    assert read(cells, 0).paths["/0"] == (3, 0, 4)


def test_what_is_not_to_have_a_place_takes_none() -> None:
    """A scanner's paths leave them to others."""
    cells = [0] * CELLS
    tally = PathTally(cells, 0)
    tally.count("/wp-login.php", (1, 0, 0), settle=False)
    assert read(cells, 0) == PathCounts({}, (1, 0, 0))


def test_who_is_gone_leaves_counts() -> None:
    """Each at its path, and the rest among the others."""
    cells = [0] * (2 * CELLS)
    for path in paths(0, PLACES):
        PathTally(cells, 0).count(path, (1, 1, 1))
    for path in paths(10, PLACES + 10):
        PathTally(cells, CELLS).count(path, (0, 5, 0))
    assert move(cells, 0, CELLS)
    assert cells[:CELLS] == [0] * CELLS
    found = read(cells, CELLS)
    assert (found.paths["/10"], found.paths[f"/{PLACES + 9}"], found.others) == ((1, 6, 1), (0, 5, 0), (10, 10, 10))


def test_nonsense_is_left_out() -> None:
    """A writer may have been taken over: texts that are none, and figures that cannot be. A path without figures is one that is
    being written."""
    cells = [0] * (2 * CELLS)
    for path in paths(0, 3):
        PathTally(cells, 0).count(path, (1, 1, 1))
    width = (CELLS - len(NONE)) // PLACES
    cells[0] = 0x0A0D  # "\r\n"
    cells[width + LONGEST // 8] = -1
    cells[2 * width + LONGEST // 8 : 2 * width + LONGEST // 8 + len(NONE)] = NONE
    cells[-CELLS - 1] = 2**62
    assert read(cells, 0) == PathCounts({"/1": (0, 1, 1)})
    assert not move(cells, 0, CELLS)
    assert read(cells, CELLS).paths == {"/1": (0, 1, 1)}


def test_of_several_those_that_are_met_most() -> None:
    """No more than one has places for."""
    first = PathCounts(dict.fromkeys(paths(0, PLACES), (2, 0, 0)))
    second = PathCounts(dict.fromkeys(paths(PLACES - 1, PLACES + 2), (1, 0, 0)), (0, 0, 3))
    found = summed([first, second])
    assert found == PathCounts({**first.paths, f"/{PLACES - 1}": (3, 0, 0)}, (2, 0, 3))


def test_a_ledger_keeps_them_over_children() -> None:
    """Their sum is the same before and after; they have room in a row."""
    assert Scalar.MIRRORED + CELLS <= SCALAR_CELLS
    ledger = Ledger(bytearray(SIZE))
    for child in (0, 1):
        ledger.open_row(child)
        PathTally(ledger.cells, scalar_at(child, Scalar.MIRRORED)).count("/a", (1, 0, 0))
    for _ in range(2):
        assert summed(read(ledger.cells, at) for at in ledger.cells_of(Scalar.MIRRORED)).paths == {"/a": (2, 0, 0)}
        ledger.retire_row(1)
