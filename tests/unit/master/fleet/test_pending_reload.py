"""Bursts of wishes for a reload: the first at once, the others together, none forgotten."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.master.fleet.pending_reload import CALM, FOREVER, PATIENCE, QUIET, PendingReload

STEP = 0.001
"""Seconds; a grid that hypothesis shrinks well on."""


class Shell:
    """A master that looks when it is due and not before, and begins a reload at once."""

    def __init__(self) -> None:
        self.wishes = PendingReload()
        self.begun: list[float] = []

    def look(self, now: float) -> None:
        """Everything that became due until now."""
        while (due := self.wishes.due()) <= now:
            self.begun.append(due)
            self.wishes.serve(due)

    def wish(self, now: float) -> None:
        self.look(now)
        self.wishes.add(now)
        self.look(now)


def test_nobody_wishes_nothing_is_due() -> None:
    wishes = PendingReload()
    assert not wishes.any
    assert wishes.due() == FOREVER
    wishes.serve(5.0)
    assert wishes.due() == FOREVER


def test_the_first_is_served_at_once_and_is_nobodys_any_more() -> None:
    wishes = PendingReload()
    wishes.add(100.0)
    assert wishes.any
    assert wishes.due() == 100.0
    wishes.serve(100.0)
    assert not wishes.any


def test_one_that_follows_waits_for_quiet() -> None:
    wishes = PendingReload()
    wishes.add(100.0)
    wishes.serve(100.0)
    wishes.add(100.5)
    assert wishes.due() == 100.5 + QUIET
    wishes.add(100.6)
    assert wishes.due() == 100.6 + QUIET


def test_after_a_calm_while_it_is_at_once_again() -> None:
    wishes = PendingReload()
    wishes.add(100.0)
    wishes.serve(100.0)
    wishes.add(100.0 + CALM)
    assert wishes.due() == 100.0 + CALM


def test_one_that_came_long_before_it_could_be_served_is_late_and_not_lost() -> None:
    """The reload before it took a minute to start; its time is over, so it is due at once."""
    wishes = PendingReload()
    wishes.add(100.0)
    wishes.serve(100.0)
    wishes.add(100.5)
    assert wishes.due() < 160.0
    assert wishes.any


TIMES = st.lists(st.integers(0, 3000), min_size=1, max_size=60).map(lambda gaps: [1000.0 + STEP * at for at in accumulate(gaps)])


@given(TIMES)
def test_every_wish_is_served_and_none_waits_too_long(times: list[float]) -> None:
    """A beginning at or after each wish, at the latest PATIENCE after it; no beginning that nobody wished for."""
    shell = Shell()
    for time in times:
        shell.wish(time)
    shell.look(times[-1] + PATIENCE)
    assert not shell.wishes.any
    for time in times:
        served = min(begun for begun in shell.begun if begun >= time)
        assert served - time <= PATIENCE
    wanted = zip([0.0, *shell.begun], shell.begun, strict=False)
    assert all(any(before <= time <= begun for time in times) for before, begun in wanted)


@given(st.floats(0, 5), st.lists(st.integers(0, 99), min_size=1, max_size=120))
def test_a_burst_is_two_reloads_at_most(start: float, gaps: list[int]) -> None:
    """Its first state at once, its last state when it is over; one more for each PATIENCE that it lasts."""
    times = [1000.0 + start + STEP * at for at in accumulate(gaps)]  # less than QUIET apart
    shell = Shell()
    for time in times:
        shell.wish(time)
    shell.look(times[-1] + PATIENCE)
    assert shell.begun[0] == times[0]
    assert shell.begun[-1] >= times[-1]
    assert len(shell.begun) <= 2 + (times[-1] - times[0]) // CALM


@given(TIMES)
def test_two_reloads_are_never_close_without_a_pause_between(times: list[float]) -> None:
    """Within CALM of a beginning only when the wishes have paused."""
    shell = Shell()
    for time in times:
        shell.wish(time)
    shell.look(times[-1] + PATIENCE)
    for before, begun in zip(shell.begun, shell.begun[1:], strict=False):
        assert begun - before >= QUIET - STEP / 2
