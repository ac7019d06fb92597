"""What connections cost in open files."""

from __future__ import annotations

from lbproxy.config.descriptors import RESERVE, possible, wanted


def test_two_descriptors_a_connection() -> None:
    assert wanted(1000) == 2000 + RESERVE


def test_the_other_way_round() -> None:
    for connections in (1, 96, 1000):
        assert possible(wanted(connections)) == connections
    assert possible(RESERVE) == 1, "better one than none"
