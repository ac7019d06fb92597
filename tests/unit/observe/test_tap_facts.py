"""Figures of taps as metrics: each output by name, and nothing where there is none."""

from __future__ import annotations

from lbproxy.observe.tap_facts import TapFacts, tap_families


def test_families() -> None:
    """Outcomes by tap and output; readers that were refused, where any can connect."""
    assert [*tap_families([])] == []
    facts = [TapFacts("ids", "fifo", 5, 1, 0, 2, 1, 0), TapFacts("ids", "listen", 7, 0, 0, 0, 2, 3)]
    counts, readers, refused = (samples for _, _, _, samples in tap_families(facts))
    assert ("", {"tap": "ids", "sink": "fifo", "outcome": "unread"}, 2) in counts
    assert len(counts) == 8
    assert [value for _, _, value in readers] == [1, 2]
    assert refused == [("", {"tap": "ids"}, 3)]
