"""Who is parked goes on once for each time that it is woken, and never for what it does not wait for any more."""

from __future__ import annotations

import pytest

from lbproxy.errors import ClientGone
from lbproxy.net.strands import GeventStrands
from lbproxy.proxy.parked import Parked
from lbproxy.streams import Strand
from tests.unit.net.loopback import turns


class _Waiter:
    """A strand that waits again and again, and says what it has met."""

    def __init__(self) -> None:
        self.strands = GeventStrands()
        self.parked = Parked(self.strands)
        self.said: list[str] = []
        self.strand: Strand | None = None
        self.strands.later(lambda: self.strands.start(self._run))
        turns()

    def _run(self) -> None:
        self.strand = self.strands.current()
        while len(self.said) < 3:
            try:
                self.parked.wait()
                self.said.append("woken")
            except ClientGone:
                self.said.append("thrown")


def test_nobody_waits() -> None:
    parked = Parked(GeventStrands())
    parked.wake()
    turns()


def test_each_time_at_the_next_turn() -> None:
    """Woken twice before that it goes on once, and is parked for good when it is forgotten."""
    waiter = _Waiter()
    waiter.parked.wake()
    assert waiter.said == []
    turns()
    assert waiter.said == ["woken"]
    waiter.parked.wake()
    turns()
    assert waiter.said == ["woken"] * 2
    waiter.parked.forget()
    waiter.parked.wake()
    turns()
    assert waiter.said == ["woken"] * 2
    assert waiter.strand is not None
    waiter.strands.throw_later(waiter.strand, ClientGone("over"))
    turns()
    assert waiter.said == ["woken", "woken", "thrown"]


@pytest.mark.parametrize("forgotten", [False, True])
def test_what_was_on_its_way_when_something_else_woke_it(forgotten: bool) -> None:
    """Forgotten, it is not told of it; waiting again, it may be, and can be woken the next time as ever."""
    waiter = _Waiter()
    assert waiter.strand is not None
    waiter.parked.wake()
    if forgotten:
        waiter.parked.forget()
        turns()
        assert waiter.said == []
    waiter.strands.throw_later(waiter.strand, ClientGone("left"))
    turns()
    assert waiter.said[-1] == "thrown"
    while len(waiter.said) < 3:
        before = len(waiter.said)
        waiter.parked.wake()
        turns()
        assert waiter.said[before:] == ["woken"]
