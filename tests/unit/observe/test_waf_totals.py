"""What the rule engine did, as JSON."""

from __future__ import annotations

from lbproxy.balance.ledger import SIZE, Header, Ledger, Scalar, scalar_at
from lbproxy.observe.snapshot import totals
from lbproxy.observe.waf_totals import WafTotals


def test_hits_have_their_rule_as_the_key() -> None:
    """Keys of JSON are text."""
    assert WafTotals(rules=((942100, 3),)).described()["rules"] == {"942100": 3}


def test_each_figure_stands_in_its_cell() -> None:
    """The master's, and the sums of workers'."""
    ledger = Ledger(bytearray(SIZE))
    for at, figure in enumerate((4, 3, 2), Header.INSPECTORS):
        ledger.cells[at] = figure
    for child in (0, 1):
        ledger.open_row(child)
        ledger.cells[scalar_at(child, Scalar.INSPECTED_NOW)] = 5
        ledger.cells[scalar_at(child, Scalar.UNANSWERED)] = 6
    assert totals(ledger).waf == WafTotals(4, 3, 2, 10, 12)
    ledger.retire_row(0)
    assert totals(ledger).waf == WafTotals(4, 3, 2, 5, 12)
