"""Counts by number are kept apart as far as there are places; nothing is lost, and nothing that cannot be is believed."""

from __future__ import annotations

from lbproxy.balance.ledger import RETIRED, SIZE, Ledger, Scalar, scalar_at
from lbproxy.balance.tally import CELLS, PLACES, Tally, move, read, summed


def test_what_finds_no_place_is_summed() -> None:
    """Also what is no number; who goes on where another one stopped finds its places."""
    cells = [0] * CELLS
    for number in (*range(1, PLACES + 3), 1, 0, -1, 10**10):
        Tally(cells, 0).count(number)
    found, others = read(cells, 0)
    assert found == {number: 2 if number == 1 else 1 for number in range(1, PLACES + 1)}
    assert others == 5


def test_who_is_gone_leaves_counts() -> None:
    """Each at its number, and the rest among the others."""
    cells = [0] * (2 * CELLS)
    for number in range(1, PLACES + 1):
        Tally(cells, 0).count(number)
        Tally(cells, CELLS).count(number + 10, 5)
    assert move(cells, 0, CELLS)
    assert cells[:CELLS] == [0] * CELLS
    found, others = read(cells, CELLS)
    assert (found[11], found[PLACES], found[PLACES + 10], others) == (6, 6, 5, 10)


def test_nonsense_is_left_out() -> None:
    """A writer may have been taken over."""
    cells = [0] * (2 * CELLS)
    cells[0], cells[1], cells[2], cells[PLACES + 1], cells[PLACES + 2], cells[2 * PLACES] = -1, 7, 8, -1, 3, 2**62
    assert read(cells, 0) == ({8: 3}, 0)
    assert not move(cells, 0, CELLS)
    assert read(cells, CELLS) == ({8: 3}, 0)


def test_of_several_those_that_are_met_most() -> None:
    """No more than one has places for."""
    first = dict.fromkeys(range(1, PLACES + 1), 2)
    second = dict.fromkeys(range(PLACES, PLACES + 5), 1)
    found, others = summed([(first, 0), (second, 3)])
    assert found == {**first, PLACES: 3}
    assert others == 7


def test_a_ledger_keeps_them_over_children() -> None:
    """Their sum is the same before and after."""
    ledger = Ledger(bytearray(SIZE))
    for child in (0, 1):
        ledger.open_row(child)
        Tally(ledger.cells, scalar_at(child, Scalar.RULE_HITS)).count(942100)

    def hits() -> tuple[dict[int, int], int]:
        return summed(read(ledger.cells, at) for at in ledger.cells_of(Scalar.RULE_HITS))

    assert hits() == ({942100: 2}, 0)
    assert ledger.retire_row(1)
    assert hits() == ({942100: 2}, 0)
    assert read(ledger.cells, scalar_at(RETIRED, Scalar.RULE_HITS)) == ({942100: 1}, 0)
