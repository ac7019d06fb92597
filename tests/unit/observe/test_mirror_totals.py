"""Where mirrors answer otherwise, as metrics and as JSON."""

from __future__ import annotations

from lbproxy.balance.ledger import SIZE, Ledger, Scalar, scalar_at
from lbproxy.balance.path_tally import KINDS, PathTally
from lbproxy.observe.mirror_totals import DIFFERENCES, MirrorTotals, mirror_families
from lbproxy.observe.snapshot import totals


def test_what_is_counted_is_told() -> None:
    """By path, over all workers; further paths as other."""
    assert len(DIFFERENCES) == KINDS
    ledger = Ledger(bytearray(SIZE))
    for child in (0, 1):
        ledger.open_row(child)
        tally = PathTally(ledger.cells, scalar_at(child, Scalar.MIRRORED))
        tally.count("/a", (True, False, True))
        tally.count("/b", (False, False, True), settle=False)
    mirror = totals(ledger).mirror
    assert mirror.described() == {
        "/a": {"status": 2, "length": 0, "digest": 2}, "other": {"status": 0, "length": 0, "digest": 2}
    }  # fmt: skip
    [(name, kind, _, samples)] = mirror_families(mirror)
    assert (name, kind) == ("lbproxy_mirror_differences_total", "counter")
    assert ("", {"path": "/a", "difference": "status"}, 2) in samples
    assert ("", {"path": "other", "difference": "digest"}, 2) in samples


def test_nothing_differs() -> None:
    """Then there is no family."""
    assert not [*mirror_families(MirrorTotals())]
    assert MirrorTotals().described() == {}
