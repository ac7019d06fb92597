"""Verdicts that hold for a while are bounded, and known by no credential."""

from __future__ import annotations

import tracemalloc

from lbproxy.http.authorization import AuthorizationVerdict
from lbproxy.proxy.steps.verdicts import VERDICTS_KEPT, Verdicts
from tests.unit.proxy.world import World


def test_parts_are_told_apart_wherever_one_ends() -> None:
    """ "ab", "c" is not "a", "bc"."""
    known = Verdicts(10.0, b"k" * 32)
    assert known.digest((b"ab", b"c")) != known.digest((b"a", b"bc"))
    assert known.digest((b"a",)) != known.digest((b"a", b""))
    assert known.digest((b"a",)) != Verdicts(10.0).digest((b"a",)), "nobody else can make one"


def test_they_take_no_more_memory_than_they_say() -> None:
    """However many users, and however long what they are told."""
    world = World()
    known = Verdicts(1000.0)
    tracemalloc.start()
    try:
        for number in range(5000):
            verdict = AuthorizationVerdict(403, b"\r\nX-Why: %d" % number, bytes(number % 5000), b"", b"", "", False)
            known.of(b"%032d" % number, world.service, lambda verdict=verdict: verdict)  # type: ignore[misc]
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken <= VERDICTS_KEPT * 1.2
