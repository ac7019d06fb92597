"""Every phase meets every cue."""

from __future__ import annotations

import signal

import pytest

from lbproxy.ipc.messages import SILENCE_LIMIT, Heartbeat, Ready
from lbproxy.master.fleet.child import LIMITS, MOVES, SIGNALS, SLOW_MS, Child, Cue, Phase, Role

HARDNESS = [Phase.STARTING, Phase.SERVING, Phase.DRAINING, Phase.LEAVING, Phase.ABORTED, Phase.KILLED]


def child_in(phase: Phase) -> Child:
    child = Child(row=3, generation=1, role=Role.WORKER, worker=0, born=100.0)
    child.phase = phase
    return child


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("cue", Cue)
def test_every_pair_either_moves_on_or_changes_nothing(phase: Phase, cue: Cue) -> None:
    child = child_in(phase)
    before = child.deadline
    moved = child.move(cue, 200.0)
    if (phase, cue) in MOVES:
        assert moved is child.phase is MOVES[phase, cue]
        after = 200.0 + LIMITS[child.phase]
        assert child.deadline == (
            min(before, after) if moved is phase else after
        )  # who is asked again has no more time than before
    else:
        assert moved is None
        assert (child.phase, child.deadline) == (phase, before)


def test_no_move_goes_back() -> None:
    """However a child behaves, its life has an end. Being asked to hurry is the one thing that can happen twice."""
    staying = {(before, cue) for (before, cue), after in MOVES.items() if after is before}
    assert staying == {(Phase.DRAINING, Cue.DRAIN)}
    moving = {(before, cue): after for (before, cue), after in MOVES.items() if (before, cue) not in staying}
    assert all(HARDNESS.index(after) > HARDNESS.index(before) for (before, _), after in moving.items())


def test_whatever_has_a_limit_gets_harder_when_it_is_over() -> None:
    for phase in Phase:
        if LIMITS[phase] < float("inf") or phase is Phase.DRAINING:
            assert (phase, Cue.OVERDUE) in MOVES
        if phase is not Phase.KILLED:
            assert MOVES[phase, Cue.KILL] is Phase.KILLED


def test_the_way_of_a_hung_child_is_abort_then_kill() -> None:
    child = child_in(Phase.SERVING)
    steps = [child.move(Cue.OVERDUE, 1.0), child.move(Cue.OVERDUE, 2.0), child.move(Cue.OVERDUE, 3.0)]
    assert steps == [Phase.ABORTED, Phase.KILLED, None]
    assert [SIGNALS[step] for step in steps if step] == [signal.SIGABRT, signal.SIGKILL]


def test_only_a_serving_child_lives_by_its_heartbeats() -> None:
    """A child that was told to go does not stay by beating."""
    for phase in Phase:
        child = child_in(phase)
        before = child.deadline
        child.heard(beat := Heartbeat(1, 2, 3, 4, 5), 500.0)
        assert child.deadline == (500.0 + SILENCE_LIMIT if phase is Phase.SERVING else before)
        assert child.beat == beat


def test_a_slow_loop_is_told_now_and_then() -> None:
    """Never for a little, and no more often than each ten seconds."""
    child = child_in(Phase.SERVING)
    assert not child.heard(Heartbeat(SLOW_MS - 1, 2, 3, 4), 500.0)
    told = [second for second in range(500, 530) if child.heard(Heartbeat(SLOW_MS, 2, 3, 4), float(second))]
    assert told == [500, 510, 520]


def test_what_a_child_is_made_of_is_told_once() -> None:
    """By itself, before it has met anybody: whoever has taken it over may say what he likes."""
    child = child_in(Phase.STARTING)
    assert child.ready(Ready(1, "compiled", "memory calls"), 150.0)
    assert not child.ready(Ready(1, "another", "none"), 160.0)
    assert (child.form, child.walls, child.ready_at) == ("compiled", ["memory", "calls"], 150.0)


def test_how_long_it_served_counts_from_ready() -> None:
    child = child_in(Phase.STARTING)
    assert not child.was_ready
    assert child.lived(150.0) == 0.0
    child.move(Cue.READY, 160.0)
    assert child.was_ready
    assert child.lived(170.0) == 10.0


def test_a_draining_child_gets_the_limit_of_its_drain() -> None:
    child = child_in(Phase.SERVING)
    child.move(Cue.DRAIN, 10.0, 32.0)
    assert child.deadline == 42.0


def test_a_draining_child_that_is_asked_again_keeps_the_nearer_limit() -> None:
    child = child_in(Phase.SERVING)
    child.move(Cue.DRAIN, 10.0, 3600.0)
    assert child.move(Cue.DRAIN, 20.0, 30.0) is Phase.DRAINING
    assert child.deadline == 50.0
    child.move(Cue.DRAIN, 30.0, 500.0)
    assert child.deadline == 50.0
