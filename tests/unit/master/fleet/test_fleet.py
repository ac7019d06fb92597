"""The fleet's decisions, told as plays with scripted time; nothing is forked here."""

from __future__ import annotations

import pytest

from lbproxy.ipc.messages import Drain, Drained, Failed, HealthChanged, Heartbeat, Message, Quit, Ready, ReopenLogs
from lbproxy.master.fleet import events
from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.children import DRAIN_GRACE
from lbproxy.master.fleet.events import Died, PipeBroken, PipeEnded, ReloadWanted, Said, SpawnFailed, Terminate, TimePassed
from lbproxy.master.fleet.fleet import FRESH
from lbproxy.master.fleet.generation import BACK_OFF_MOST
from tests.unit.master.fleet.play import ABORTED, CONTROL, KILLED, Play, exited

# ---------------------------------------------------------------- starting


def test_a_start_forks_every_worker_and_one_control() -> None:
    play = Play(workers=3).begin()
    assert [(order.role, order.worker, order.row) for order in play.spawned] == [
        (Role.WORKER, 0, 0),
        (Role.WORKER, 1, 1),
        (Role.WORKER, 2, 2),
        (Role.CONTROL, -1, CONTROL),
    ]
    assert {order.generation for order in play.spawned} == {1}
    assert [child.pid for child in play.fleet.living()] == [101, 102, 103, 104]


def test_ready_is_told_once_when_the_last_worker_is() -> None:
    play = Play().begin()
    play.now += 0.25
    play.do(Said(0, Ready(7)), Said(CONTROL, Ready(7)))
    assert "ready" not in play.names()
    play.do(Said(1, Ready(7)))
    assert play.logged("ready") == [{"generation": 1, "milliseconds": 250}]
    assert play.serving == [1]
    assert play.logged("worker.ready") == [
        {"worker": 1, "pid": 101, "generation": 1},
        {"worker": 2, "pid": 102, "generation": 1},
    ]
    assert play.logged("control.ready") == [{"pid": 103, "generation": 1}]
    play.do(Said(1, Ready(7)), Died(1, KILLED)).wait(1).do(Said(1, Ready(7)))
    assert play.serving == [1]  # a respawned worker is no second start


def test_a_worker_that_dies_before_the_others_are_ready_is_waited_for() -> None:
    play = Play().begin().do(Said(0, Ready(7)), Died(1, exited(1)), Said(CONTROL, Ready(7)))
    assert play.serving == []
    play.wait(0.5).do(Said(1, Ready(7)))
    assert play.serving == [1]


# ---------------------------------------------------------------- deaths


def test_a_dead_worker_is_replaced_after_a_tenth_of_a_second() -> None:
    play = Play().start()
    play.do(Died(0, KILLED))
    assert play.logged("worker.died") == [{"worker": 1, "pid": 101, "generation": 1, "how": "signal 9"}]
    assert play.logged("worker.respawn") == [{"worker": 1, "after": 0.1}]
    assert play.fleet.next_deadline() == pytest.approx(play.now + 0.1)
    before = len(play.spawned)
    play.now += 0.09
    play.do(TimePassed())
    assert len(play.spawned) == before
    play.now += 0.02
    play.do(TimePassed())
    assert play.spawned[-1] == events.Spawn(1, Role.WORKER, 0, 0)
    assert play.child(0).pid == 104


def test_the_back_off_doubles_up_to_its_most_and_is_forgotten_after_a_good_while() -> None:
    play = Play().start().wait(FRESH + 1)
    for _ in range(8):
        play.do(Died(0, exited(3))).wait(6)  # never Ready again
    delays = [fields["after"] for fields in play.logged("worker.respawn")]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, BACK_OFF_MOST, BACK_OFF_MOST]
    play.do(Said(0, Ready(7))).wait(4.5).do(Died(0, exited(3))).wait(6)
    assert play.logged("worker.respawn")[-1]["after"] == BACK_OFF_MOST  # 4.5 s are not a good while
    play.do(Said(0, Ready(7))).wait(5.5).do(Died(0, exited(3)))
    assert play.logged("worker.respawn")[-1]["after"] == 0.1


def test_posts_have_separate_back_offs() -> None:
    play = Play().start().wait(FRESH + 1)
    play.do(Died(0, exited(3))).wait(1).do(Died(0, exited(3)), Died(1, exited(3)))
    assert [(fields["worker"], fields["after"]) for fields in play.logged("worker.respawn")] == [(1, 0.1), (1, 0.2), (2, 0.1)]


def test_control_is_replaced_like_a_worker() -> None:
    play = Play().start().do(Died(CONTROL, exited(1))).wait(0.5)
    assert play.logged("control.died") == [{"pid": 103, "generation": 1, "how": "exit 1"}]
    assert play.logged("control.respawn") == [{"after": 0.1}]
    assert play.spawned[-1] == events.Spawn(1, Role.CONTROL, -1, CONTROL)


def test_a_death_carries_the_reason_the_child_gave() -> None:
    play = Play().start().do(Said(0, Failed("no file descriptors left")), PipeEnded(0), Died(0, exited(1)))
    assert play.logged("worker.died")[0] == {
        "worker": 1, "pid": 101, "generation": 1, "how": "exit 1", "reason": "no file descriptors left",
    }  # fmt: skip


def test_a_fork_that_fails_is_tried_again_later() -> None:
    play = Play().begin().do(SpawnFailed(1, "Cannot allocate memory"))
    assert play.logged("worker.respawn") == [{"worker": 2, "after": 0.1}]
    play.wait(0.5)
    assert play.spawned[-1] == events.Spawn(1, Role.WORKER, 1, 1)


# ---------------------------------------------------------------- giving up


def test_five_deaths_before_all_are_ready_end_it_with_code_1_and_the_last_reason() -> None:
    play = Play(workers=2).begin().do(Said(1, Ready(7)), Said(CONTROL, Ready(7)))
    for number in range(5):
        assert play.exit is None
        play.wait(2).do(Said(0, Failed(f"reason {number}")), Died(0, exited(1)))
    assert play.exit is None  # the others are asked to go first
    assert [message for _, message in play.sent] == [Quit(), Quit()]
    assert not play.listening
    play.do(Died(1, exited(0)), Died(CONTROL, exited(0)))
    reason = "5 deaths at start; the last: worker 1, exit 1: reason 4"
    assert play.exit == events.Exit(1, reason)
    assert play.logged("start.failed") == [{"reason": reason}]


def test_a_crash_loop_in_a_fresh_fleet_that_was_ready_ends_it_too() -> None:
    play = Play().start()
    for _ in range(5):
        play.do(Said(0, Ready(7)), Died(0, exited(3))).wait(2)
    play.do(Died(1, exited(0)), Died(CONTROL, exited(0)))
    assert play.exit is not None
    assert play.exit.code == 1


def test_a_control_that_cannot_start_ends_it_too() -> None:
    play = Play().begin().do(Said(0, Ready(7)), Said(1, Ready(7)))
    for _ in range(5):
        play.wait(2, beating=[0, 1]).do(Died(CONTROL, exited(1)))
    play.do(Died(0, exited(0)), Died(1, exited(0)))
    assert play.exit == events.Exit(1, "5 deaths at start; the last: control, exit 1")


def test_who_does_not_leave_when_it_is_given_up_is_killed() -> None:
    play = Play().begin().do(Said(1, Ready(7)))
    for _ in range(5):
        play.wait(2).do(Died(0, exited(1)))
    play.wait(5.5)
    assert play.kills == [(1, KILLED), (CONTROL, KILLED)]
    play.do(Died(1, KILLED), Died(CONTROL, KILLED))
    assert play.exit is not None
    assert play.exit.code == 1


def test_an_operator_who_kills_ready_workers_all_day_does_not_end_it() -> None:
    play = Play().start()
    for _ in range(20):
        play.do(Died(0, KILLED)).wait(5.5).do(Said(0, Ready(7)))
    assert play.exit is None
    assert play.fleet.stop is None


def test_deaths_of_a_fleet_that_has_grown_old_never_end_it() -> None:
    play = Play().start().wait(FRESH + 1)
    for _ in range(20):
        play.do(Died(0, exited(1))).wait(6)
    assert play.fleet.stop is None
    assert len(play.logged("worker.respawn")) == 20


def test_never_ready_is_never_old() -> None:
    """Workers that hang at every start take 20 s each; that must not outlast the window."""
    play = Play(workers=1).begin().do(Said(CONTROL, Ready(7)))
    deaths = 0
    while play.fleet.stop is None and deaths < 10:
        play.wait(21, beating=[CONTROL]).do(Died(0, ABORTED))
        play.wait(6, beating=[CONTROL])
        deaths += 1
    assert deaths == 5
    assert play.fleet.stop is not None
    assert "not ready after 20 s" in play.fleet.stop.reason


# ---------------------------------------------------------------- hanging


def test_a_silent_worker_is_dumped_then_killed_then_replaced() -> None:
    play = Play().start().wait(FRESH)
    play.wait(4.5, beating=[1, CONTROL])
    assert play.kills == []
    play.wait(0.5, beating=[1, CONTROL])
    assert play.kills == [(0, ABORTED)]
    assert play.logged("worker.hung") == [{"worker": 1, "pid": 101, "generation": 1, "why": "silent"}]
    play.wait(1, beating=[1, CONTROL])
    assert play.kills == [(0, ABORTED), (0, KILLED)]
    play.do(Died(0, KILLED)).wait(0.5)
    assert play.logged("worker.died")[0]["reason"] == "silent"
    assert play.spawned[-1].worker == 0


def test_a_worker_that_is_never_ready_is_treated_the_same() -> None:
    play = Play().begin().do(Said(1, Ready(7)), Said(CONTROL, Ready(7)))
    play.wait(20, beating=[0, 1, CONTROL])  # heartbeats do not stand for Ready
    assert play.kills == [(0, ABORTED)]
    assert play.logged("worker.hung")[0]["why"] == "not ready after 20 s"


def test_a_child_that_closed_its_pipe_has_five_seconds_to_go() -> None:
    play = Play().start().do(PipeEnded(0)).wait(4.5)
    assert play.kills == []
    play.wait(0.5)
    assert play.kills == [(0, KILLED)]


def test_a_master_that_was_stopped_does_not_take_its_children_for_silent() -> None:
    """Ctrl-Z and fg stop and wake the whole group; the master may wake first."""
    play = Play().start().wait(10)
    play.now += 600
    play.do(TimePassed())
    assert play.kills == []
    assert play.logged("stalled") == [{"seconds": 600.0}]
    play.wait(4, beating=[])  # they have the rest of their five seconds
    assert play.kills == []
    play.wait(1.5, beating=[])
    assert {row for row, _ in play.kills} == {0, 1, CONTROL}


# ---------------------------------------------------------------- breaches


@pytest.mark.parametrize("message", [Drain(1), Quit(), ReopenLogs(), HealthChanged("p", "b", "up", "")], ids=repr)
def test_a_worker_that_says_what_is_not_its_to_say_is_killed_and_replaced(message: Message) -> None:
    play = Play().start().do(Said(0, message))
    assert play.kills == [(0, KILLED)]
    play.do(Said(0, message)).do(Said(0, message))  # of the same read
    [told] = play.logged("worker.untrusted")
    assert type(message).__name__ in str(told["why"])
    assert play.kills == [(0, KILLED)]
    play.do(Died(0, KILLED)).wait(0.5)
    assert play.spawned[-1].worker == 0


def test_garbage_in_the_pipe_is_a_breach() -> None:
    play = Play().start().do(PipeBroken(1, "frame of 4 GB"), PipeBroken(1, "again"))
    assert play.kills == [(1, KILLED)]
    play.do(Died(1, KILLED))
    assert play.logged("worker.died")[0]["reason"] == "frame of 4 GB"
    assert play.fleet.generations[1].deaths == 1  # our own kill counts: it may be a bug that repeats


# ---------------------------------------------------------------- health


def test_a_verdict_is_logged_once_however_often_it_is_told() -> None:
    play = Play().start()
    down = HealthChanged("web", "10.0.0.1:80", "down", "connection refused")
    up = HealthChanged("web", "10.0.0.1:80", "up", "2 checks in a row passed")
    other = HealthChanged("api", "10.0.0.1:80", "down", "timeout")
    for message in (down, down, up, up, down, other):
        play.do(Said(CONTROL, message))
    assert [name for name in play.names() if name.startswith("backend")] == [
        "backend.down", "backend.up", "backend.down", "backend.down",
    ]  # fmt: skip
    assert play.logged("backend.up") == [{"pool": "web", "backend": "10.0.0.1:80", "why": "2 checks in a row passed"}]


def test_a_new_control_process_does_not_repeat_the_log() -> None:
    play = Play().start()
    down = HealthChanged("web", "10.0.0.1:80", "down", "connection refused")
    play.do(Said(CONTROL, down), Died(CONTROL, KILLED)).wait(0.5).do(Said(CONTROL, Ready(9)), Said(CONTROL, down))
    assert play.names().count("backend.down") == 1


# ---------------------------------------------------------------- terminating


def test_terminate_drains_the_workers_then_lets_control_go_then_exits_0() -> None:
    play = Play(drain_timeout=12.5).start().do(Terminate("SIGTERM"))
    assert play.drains == [events.TellDrain(0, 12.5, 0, 12.5), events.TellDrain(1, 12.5, 0, 12.5)]
    assert play.logged("draining") == [{"signal": "SIGTERM", "timeout": 12.5}]
    assert not play.listening
    play.do(Said(0, Drained(0)), PipeEnded(0), Died(0, exited(0)))
    assert play.sent == []
    play.do(Said(1, Drained(3)), Died(1, exited(0)))
    assert play.sent == [(CONTROL, Quit())]
    assert play.exit is None
    play.do(PipeEnded(CONTROL), Died(CONTROL, exited(0)))
    assert play.exit == events.Exit(0, "SIGTERM")
    assert play.kills == []
    assert "worker.died" not in play.names()
    assert [fields["how"] for fields in play.logged("worker.left")] == ["exit 0", "exit 0"]
    assert play.do(TimePassed(), Terminate("SIGTERM"), ReloadWanted()).spawned == play.spawned[:3]  # after the end nothing happens


def test_whoever_is_still_there_after_the_drain_is_killed() -> None:
    play = Play(drain_timeout=10).start().do(Terminate("SIGTERM"), Died(0, exited(0)))
    play.wait(10 + DRAIN_GRACE - 0.5)
    assert play.kills == []
    play.wait(0.5)
    assert play.kills == [(1, KILLED)]
    assert play.logged("worker.cut")[0]["why"] == "not drained in time"
    play.do(Died(1, KILLED)).wait(5.5)
    assert play.kills == [(1, KILLED), (CONTROL, KILLED)]  # a control that does not go
    play.do(Died(CONTROL, KILLED))
    assert play.exit == events.Exit(0, "SIGTERM")


def test_a_drain_does_not_need_heartbeats() -> None:
    play = Play(drain_timeout=60).start().do(Terminate("SIGTERM")).wait(30, beating=[CONTROL])
    assert play.kills == []


def test_a_loop_that_turns_slowly_is_told_and_lives() -> None:
    play = Play().start()
    for _ in range(10):
        play.do(Said(0, Heartbeat(4000, 1000, 0, 0))).wait(4, beating=[1, CONTROL])
    assert play.logged("worker.slow")[0] == {"worker": 1, "pid": 101, "generation": 1, "milliseconds": 4000}
    assert len(play.logged("worker.slow")) == 4
    assert play.kills == []


def test_a_second_signal_kills_at_once_and_exits_2() -> None:
    play = Play().start().do(Terminate("SIGINT"), Terminate("SIGINT"))
    assert sorted(play.kills) == [(0, KILLED), (1, KILLED), (CONTROL, KILLED)]
    for row in (0, 1, CONTROL):
        assert play.exit is None
        play.do(Died(row, KILLED))
    assert play.exit == events.Exit(2, "SIGINT came while stopping")


def test_a_child_that_even_sigkill_cannot_move_does_not_hold_the_master() -> None:
    play = Play().start().do(Terminate("SIGTERM"), Terminate("SIGTERM"), Died(0, KILLED), Died(1, KILLED)).wait(5.5)
    assert play.exit is not None
    assert play.exit.code == 2


def test_nobody_is_respawned_while_stopping() -> None:
    play = Play().start().do(Died(0, KILLED), Terminate("SIGTERM"), Died(1, KILLED)).wait(1)
    assert len(play.spawned) == 3
    play.do(Died(CONTROL, exited(0)))
    assert play.exit == events.Exit(0, "SIGTERM")


def test_terminate_before_anybody_is_ready() -> None:
    play = Play().begin().do(Terminate("SIGTERM"))
    assert [drain.timeout for drain in play.drains] == [30.0] * 2
    play.do(Said(0, Ready(7)), Said(1, Ready(7)))  # too late to be news
    assert play.serving == []
    play.do(Died(0, exited(0)), Died(1, exited(0)), Died(CONTROL, exited(0)))
    assert play.exit == events.Exit(0, "SIGTERM")


def test_terminate_while_giving_up_is_a_second_signal() -> None:
    play = Play().begin()
    for _ in range(5):
        play.do(Died(0, exited(1))).wait(2)
    play.do(Terminate("SIGTERM"))
    assert {row for row, _ in play.kills} == {1, CONTROL}
    play.do(Died(1, KILLED), Died(CONTROL, KILLED))
    assert play.exit is not None
    assert play.exit.code == 2
