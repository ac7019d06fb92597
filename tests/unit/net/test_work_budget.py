"""Who brings much is served within a budget a turn, everybody in the end, and others first."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tcp_stream import TcpStream
from lbproxy.net.work_budget import A_TURN, ALERT, COSTLY, LONG_TURN, SPARSELY, WorkBudget, costly_here
from tests.unit.net.loopback import loop, sockets, start, turns, until


class Timer:
    callback: Callable[[], None] | None = None

    def start(self, callback: Callable[[], None]) -> None:
        self.callback = callback


class Loop:
    """Turns and time as the test says."""

    def __init__(self) -> None:
        self.iteration = 0
        self.now = 100.0
        self.zero = Timer()

    def timer(self, after: float, priority: int) -> Timer:
        assert (after, priority) == (0.0, -2)
        return self.zero

    def turn(self) -> None:
        """The next one, in which the queue is served."""
        self.iteration += 1
        callback, self.zero.callback = self.zero.callback, None
        if callback is not None:
            callback()


class Work:
    """A stream whose service takes its time."""

    def __init__(self, clock: Loop, name: str, seconds: float, done: list[str]) -> None:
        self.clock, self.name, self.seconds, self.done = clock, name, seconds, done

    def go_on(self) -> None:
        self.clock.now += self.seconds
        self.done.append(self.name)


def budget_of(clock: Loop) -> WorkBudget:
    return WorkBudget(clock, lambda: clock.now)


def test_the_budget_of_a_turn_is_time() -> None:
    """Whoever asks while it lasts is admitted, and the first of a turn always."""
    clock = Loop()
    budget = budget_of(clock)
    for clock.iteration in (5, 6, 9):  # the budget reads it
        assert budget.admits()
        clock.now += A_TURN / 2
        assert budget.admits()
        clock.now += A_TURN
        assert not budget.admits()


def test_who_is_put_off_is_served_in_the_order_of_asking_and_nobody_overtakes() -> None:
    """As many a turn as the budget has room for, one at least; newcomers among those who bring much stand behind."""
    clock = Loop()
    budget, done = budget_of(clock), list[str]()
    for name, seconds in zip("abcdef", [A_TURN / 2, A_TURN / 2, 3 * A_TURN, 0.0, 0.0, 0.0], strict=True):
        budget.put_off(Work(clock, name, seconds, done))
    assert not budget.admits(), "others wait"
    by_turn = []
    while len(budget):
        clock.turn()
        by_turn.append("".join(done))
        done.clear()
    assert by_turn == ["ab", "c", "def"]
    clock.turn()
    assert budget.admits()


def test_after_a_find_everybody_is_measured_for_a_while() -> None:
    clock = Loop()
    budget = budget_of(clock)
    assert budget.sample == SPARSELY
    assert budget.took(COSTLY, clock.now)
    assert budget.sample == 1
    for _ in range(ALERT - 1):
        assert not budget.took(COSTLY / 2, clock.now)
        assert budget.sample == 1
    budget.took(COSTLY / 2, clock.now)
    assert budget.sample == SPARSELY


@pytest.mark.parametrize(("times", "wanted"), [
    ([0.00001] * 5, COSTLY),
    ([0.5, 0.00001, 0.5, 0.5, 0.5], COSTLY),  # somebody else had the processor
    ([0.001, 0.0005, 0.001, 0.001, 0.001], 0.006),
])  # fmt: skip
def test_what_is_costly_depends_on_the_machine(times: list[float], wanted: float) -> None:
    """Ten times as slow, or under valgrind, where the same work takes fifty times as long."""
    looks = iter([edge for number, time in enumerate(times) for edge in (number, number + time)])
    assert costly_here(lambda: next(looks)) == pytest.approx(wanted)


def test_a_long_turn_tells_of_itself() -> None:
    """Once a second as long as the loop's own timers are not heard."""
    clock = Loop()
    budget, told = budget_of(clock), list[float]()
    budget.watch(lambda: told.append(clock.now))
    begun = clock.now
    for step in range(35):
        clock.now = begun + step * 0.1
        budget.took(0.1, clock.now)
    assert told == pytest.approx([begun + LONG_TURN, begun + 2 * LONG_TURN, begun + 3 * LONG_TURN])
    budget.watch(lambda: told.append(clock.now))
    budget.took(0.1, clock.now + LONG_TURN / 2)
    assert len(told) == 3


def work(seconds: float) -> None:
    until_then = time.thread_time() + seconds
    while time.thread_time() < until_then:
        pass


@pytest.mark.parametrize("how", ["patient", "costly", "bulk"])
def test_whoever_brings_little_comes_first_and_nobody_is_forgotten(deadlines: Deadlines, how: str) -> None:
    """Thirty streams whose input is two turns' worth of work each, and one other, get input at the same moment."""
    order: list[tuple[str, int]] = []
    jobs, ends = [], []

    def reading(stream: TcpStream, name: str) -> None:
        stream.read(16384)
        order.append((name, loop().iteration))
        if name != "other":
            work(2 * A_TURN)

    for number in range(31):
        ours, peer = sockets()
        stream = TcpStream(ours, deadlines, 10.0)
        name = "other" if number == 30 else how
        stream.patient, stream._costly, stream._bulk = name == "patient", name == "costly", name == "bulk"
        jobs.append(start(lambda stream=stream, name=name: reading(stream, name)))  # type: ignore[misc]
        ends.append(peer)
    turns()
    for peer in ends:
        peer.sendall(b"x")
    until(lambda: all(job.over for job in jobs), "all are served")
    began = min(turn for _, turn in order)
    by_turn = {turn: [name for name, at in order if at == turn] for _, turn in order}
    assert max(names.count(how) for names in by_turn.values()) <= 2, "one, and one from the queue"
    assert ("other", began) in order, "in the first of the turns"
    for peer in ends:
        peer.close()


def test_a_stream_that_is_put_off_is_not_late(deadlines: Deadlines) -> None:
    """Its input has come; that nobody reads it is our doing."""
    ours, peer = sockets()
    stream = TcpStream(ours, deadlines, 10.0)
    stream.patient = True
    job = start(lambda: stream.read(100))
    deadlines.budget.put_off(stream)
    stream._put_off = True
    stream.deadline = time.monotonic() - 1.0
    stream.expire(time.monotonic())
    assert not job.over
    peer.sendall(b"x")
    assert job.result() == b"x"
    peer.close()


def test_giving_way(deadlines: Deadlines) -> None:
    """At once while the budget lasts; when it is spent, in a later turn; and closing ends the wait."""
    ours, peer = sockets()
    stream = TcpStream(ours, deadlines, 10.0)
    when: list[int] = []

    def twice() -> None:
        deadlines.budget.admits()
        when.append(loop().iteration)
        stream.give_way()
        when.append(loop().iteration)
        work(2 * A_TURN)
        stream.give_way()
        when.append(loop().iteration)

    start(twice).result()
    assert when[0] == when[1] < when[2]
    peer.close()
