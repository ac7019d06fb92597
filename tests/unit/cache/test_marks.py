"""lbproxy.cache.marks: one asks, the others wait, and nobody waits in vain."""

from __future__ import annotations

from lbproxy.cache.interface import APART, Turn
from lbproxy.cache.layout import MARK_SIZE, MARKS_PER_SET, Stretch
from lbproxy.cache.marks import Marks
from tests.unit.cache.world import FreeLock, digest_of

KEY, OTHER = digest_of("key"), digest_of("other")


class Two:
    """Two processes over the same marks."""

    def __init__(self) -> None:
        view = memoryview(bytearray(16 * MARKS_PER_SET * MARK_SIZE))
        self.lock = FreeLock()
        self.one, self.two = (Marks(view, Stretch(0, len(view)), 16, self.lock, owner) for owner in (1, 2))


def test_one_leads_and_the_others_wait() -> None:
    """Until it is done; then the next may lead. Other keys have marks of their own."""
    two = Two()
    assert two.one.take(KEY, 1000, 500) is Turn.LEAD
    assert two.two.take(KEY, 1001, 500) is Turn.WAIT
    assert two.one.take(KEY, 1001, 500) is Turn.WAIT
    assert two.two.look(KEY, 1001) is Turn.WAIT
    assert two.two.take(OTHER, 1001, 500) is Turn.LEAD
    two.two.done(KEY)  # of which it is not the leader
    assert two.two.look(KEY, 1001) is Turn.WAIT
    two.one.done(KEY)
    assert two.two.look(KEY, 1002) is Turn.LEAD
    assert two.two.take(KEY, 1002, 500) is Turn.LEAD


def test_a_leader_that_fails_sends_everybody_off_alone() -> None:
    """For two minutes."""
    two = Two()
    two.one.take(KEY, 1000, 500)
    two.one.failed(KEY, 1100)
    assert two.two.look(KEY, 1101) is Turn.ALONE
    assert two.two.take(KEY, 1100 + APART - 1, 500) is Turn.ALONE
    assert two.two.take(KEY, 1100 + APART, 500) is Turn.LEAD


def test_a_leader_that_stalls_is_passed_by() -> None:
    """It has the time that it was given, and more as long as it says that it gets on."""
    two = Two()
    two.one.take(KEY, 1000, 500)
    assert two.one.renew(KEY, 1400, 500)
    assert not two.two.renew(KEY, 1400, 500)
    assert two.two.look(KEY, 1899) is Turn.WAIT
    assert two.two.look(KEY, 1900) is Turn.ALONE
    assert two.two.take(KEY, 1901, 500) is Turn.ALONE
    assert not two.one.renew(KEY, 1902, 500)
    two.one.done(KEY)
    assert two.two.take(KEY, 1903, 500) is Turn.ALONE


def test_a_dead_leader_keeps_nobody() -> None:
    """Its marks send everybody off alone; those of others stay."""
    two = Two()
    two.one.take(KEY, 1000, 60_000)
    two.two.take(OTHER, 1000, 60_000)
    assert two.two.owner_gone(1, 1500) == 1
    assert two.two.take(KEY, 1500, 500) is Turn.ALONE
    assert two.one.take(OTHER, 1500, 500) is Turn.WAIT
    two.one.clear()
    assert two.one.look(OTHER, 1500) is Turn.LEAD


def test_there_are_as_many_marks_as_there_are() -> None:
    """Where a set is full of those that count, a request asks for itself; what ended makes room."""
    two = Two()
    keys = [digest_of(str(number)) for number in range(1000)]
    turns = [two.one.take(key, 1000, 500) for key in keys]
    assert turns.count(Turn.LEAD) <= 16 * MARKS_PER_SET
    assert turns.count(Turn.ALONE) == 1000 - turns.count(Turn.LEAD)
    for key in keys:
        two.one.done(key)
    assert two.two.take(keys[-1], 1001, 500) is Turn.LEAD
    two.two.done(keys[-1])
    for key in keys:
        two.one.take(key, 2000, 500)
    assert two.two.take(digest_of("late"), 2000 + APART + 500, 500) is Turn.LEAD


def test_without_the_lock_nobody_leads_for_others() -> None:
    """Nor is it told to go alone: it asks again. But whoever leads may say that it is over."""
    two = Two()
    two.one.take(KEY, 1000, 500)
    two.lock.held = True
    assert two.two.take(OTHER, 1000, 500) is Turn.BUSY
    two.one.done(KEY)
    assert two.two.look(KEY, 1000) is Turn.LEAD
