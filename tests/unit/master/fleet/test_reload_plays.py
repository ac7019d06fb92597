"""What the fleet decides about reloads and replacements, told as plays with scripted time."""

from __future__ import annotations

import pytest

from lbproxy.ipc.messages import Drained, Failed, Heartbeat, Quit, Ready
from lbproxy.master.fleet import events
from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.children import DRAIN_GRACE, REPLACE_PAUSE
from lbproxy.master.fleet.events import Died, ReloadWanted, Said, Scale, Terminate, TimePassed
from lbproxy.master.fleet.fleet import MOST_GENERATIONS
from lbproxy.master.fleet.generation import GenerationStage
from lbproxy.master.fleet.generation_limit import ALL_HURRY_AFTER
from lbproxy.master.fleet.pending_reload import CALM, PATIENCE, QUIET
from tests.unit.master.fleet.play import CONTROL, KILLED, Play, exited


def reloaded(play: Play) -> Play:
    """A reload that works; the old generation drains."""
    play.wait(CALM).do(ReloadWanted())
    for child in fresh(play):
        play.do(Said(child, Ready(7)))
    return play


def fresh(play: Play) -> list[int]:
    """Slots of the newest generation."""
    return [child.row for child in play.fleet.living() if child.generation == max(play.fleet.generations)]


def gone(play: Play, generation: int) -> Play:
    """Its children leave as they were told."""
    for child in [child for child in play.fleet.living() if child.generation == generation]:
        if child.role is Role.WORKER:
            play.do(Said(child.row, Drained(0)))
        play.do(Died(child.row, exited(0)))
    return play


# ---------------------------------------------------------------- a reload that works


def test_the_new_generation_accepts_before_the_old_one_is_told_to_drain() -> None:
    play = Play().start().wait(5).do(ReloadWanted())
    assert play.prepared == [2]
    assert [(order.generation, order.role) for order in play.spawned[3:]] == [(2, Role.WORKER), (2, Role.WORKER)]
    first, second = fresh(play)
    play.do(Said(first, Ready(7)))
    assert (play.accepting, play.drains) == ([0, 1], [])  # one of two is not enough: the old one knows of nothing
    play.now += 0.5
    play.do(Said(second, Ready(7)))
    assert play.accepting == [0, 1, first, second]
    assert play.drains == [events.TellDrain(0, 30, 30, 3600), events.TellDrain(1, 30, 30, 3600)]
    assert play.serving == [1, 2]
    assert play.fleet.serving is play.fleet.generations[2]
    assert play.fleet.generations[1].stage is GenerationStage.RETIRING


def test_the_old_control_leaves_before_the_new_one_starts() -> None:
    play = reloaded(Play().start())
    assert play.sent == [(CONTROL, Quit())]
    assert not [order for order in play.spawned[3:] if order.role is Role.CONTROL]
    play.do(Died(CONTROL, exited(0)))
    assert play.spawned[-1] == events.Spawn(2, Role.CONTROL, -1, CONTROL)


def test_an_old_generation_is_forgotten_when_its_last_child_is_gone() -> None:
    play = reloaded(Play().start())
    play.do(Said(0, Drained(0)), Died(0, exited(0)), Died(CONTROL, exited(0)))
    assert play.forgotten == []
    play.do(Said(1, Drained(0)), Died(1, exited(0)))
    assert play.forgotten == [1]
    assert list(play.fleet.generations) == [2]


def test_a_worker_of_an_old_generation_is_not_replaced() -> None:
    play = reloaded(Play().start())
    before = len(play.spawned)
    play.do(Died(0, KILLED)).wait(10)
    assert [order.role for order in play.spawned[before:]] == []


def test_the_old_generation_may_take_as_long_as_its_tunnels_and_is_cut_then() -> None:
    play = reloaded(Play().start())
    play.do(Died(CONTROL, exited(0)), Said(CONTROL, Ready(7)))
    play.wait(3600 + DRAIN_GRACE - 1)
    assert play.kills == []
    play.wait(1.5)
    assert play.kills == [(0, KILLED), (1, KILLED)]


# ---------------------------------------------------------------- reloads that fail


def test_a_configuration_that_is_refused_changes_nothing() -> None:
    play = Play().start().wait(5)
    play.refuse = "lbproxy.toml:7: wanted a number"
    play.do(ReloadWanted())
    assert play.rejected == [(2, play.refuse)]
    assert play.logged("reload.failed") == [{"reason": play.refuse, "serving": 1}]
    assert (len(play.spawned), play.drains, play.sent) == (3, [], [])


def test_one_death_at_the_start_takes_a_reload_back() -> None:
    play = Play().start().wait(5).do(ReloadWanted())
    first, second = fresh(play)
    play.do(Said(first, Ready(7)), Said(second, Failed("no such luck")), Died(second, exited(1)))
    assert play.rejected == [(2, "worker 2 of the new generation: exit 1: no such luck")]
    assert play.sent == [(first, Quit())]  # it has never accepted anybody
    assert (play.drains, play.accepting) == ([], [0, 1])
    play.do(Died(first, exited(0)))
    assert play.forgotten == [2]
    assert play.fleet.serving is play.fleet.generations[1]


def test_workers_that_never_get_ready_take_a_reload_back() -> None:
    play = Play().start().wait(5).do(ReloadWanted())
    first, second = fresh(play)
    play.wait(21, beating=[0, 1, CONTROL])
    play.do(Died(first, KILLED))
    assert play.rejected == [(2, "worker 1 of the new generation: signal 9: not ready after 20 s")]
    play.do(Died(second, KILLED))
    assert play.forgotten == [2]


def test_a_stranger_may_kill_two_workers_of_a_reload_but_not_three() -> None:
    play = Play(workers=1).start().wait(5).do(ReloadWanted())
    for _ in range(2):
        play.do(Died(fresh(play)[0], KILLED)).wait(1)
        assert play.rejected == []
    play.do(Died(fresh(play)[0], KILLED))
    assert play.rejected == [(2, "worker 1 of the new generation: signal 9")]


def test_a_failed_reload_can_be_followed_by_one_that_works() -> None:
    play = Play().start().wait(5)
    play.refuse = "no"
    play.do(ReloadWanted()).wait(2)
    play.refuse = ""
    reloaded(play)
    assert play.serving == [1, 2]


def test_a_reload_during_a_stop_is_answered() -> None:
    play = Play().start().wait(5).do(ReloadWanted(), Terminate("SIGTERM"))
    assert play.rejected == [(2, "SIGTERM came")]
    assert [row for row, message in play.sent if message == Quit()] == fresh(play)
    assert [drain.row for drain in play.drains] == [0, 1]


def test_a_wish_that_waits_is_answered_when_the_stop_comes_first() -> None:
    play = reloaded(Play().start()).do(ReloadWanted(), Terminate("SIGTERM"))
    assert play.rejected == [(3, "SIGTERM came")]


# ---------------------------------------------------------------- many reloads


def test_a_hundred_wishes_in_a_second_are_two_generations() -> None:
    play = Play().start().wait(5)
    for _ in range(100):
        play.do(ReloadWanted())
        for row in fresh(play):
            play.do(Said(row, Ready(7)))
        play.now += 0.01
        play.do(TimePassed())
    play.wait(PATIENCE + 1)
    for row in fresh(play):
        play.do(Said(row, Ready(7)))
    play.wait(5)
    assert play.prepared == [2, 3]


def test_a_wish_without_end_is_served_all_the_same() -> None:
    play = reloaded(Play().start())
    gone(play, 1)
    for _ in range(int((PATIENCE + QUIET) / 0.1) + 1):
        play.do(ReloadWanted())
        play.now += 0.1
        play.do(TimePassed())
    assert play.prepared == [2, 3]


def test_a_fourth_generation_waits_and_the_oldest_is_asked_to_hurry() -> None:
    play = reloaded(reloaded(Play().start()))
    assert sorted(play.fleet.generations) == [1, 2, 3]
    assert len(play.fleet.generations) == MOST_GENERATIONS
    play.wait(CALM)
    before = len(play.drains)
    play.do(ReloadWanted())
    assert play.prepared == [2, 3]
    assert play.drains[before:] == [events.TellDrain(0, 30, 0, 3600), events.TellDrain(1, 30, 0, 3600)]
    play.do(ReloadWanted()).wait(1)
    assert len(play.drains) == before + 2  # asked once
    gone(play, 1).wait(1)
    assert play.prepared == [2, 3, 4]
    assert play.logged("reload.waiting") == [{"generation": 1, "at_most": 30}]


def test_a_place_that_tunnels_hold() -> None:
    """The others' idle connections make room; only if nobody did within the time of any request, the oldest loses its tunnels."""
    play = reloaded(reloaded(Play().start()))
    play.wait(CALM).do(ReloadWanted())
    before = len(play.drains)
    play.wait(ALL_HURRY_AFTER)
    second = [child.row for child in play.fleet.generations[2].children(Role.WORKER)]
    assert play.drains[before:] == [events.TellDrain(row, 30, 0, 3600) for row in second]
    play.wait(30 - ALL_HURRY_AFTER)
    assert play.drains[before + 2 :] == [events.TellDrain(0, 0, 0, 0), events.TellDrain(1, 0, 0, 0)]
    assert play.child(0).deadline == pytest.approx(play.now + DRAIN_GRACE, abs=0.5)
    play.wait(1)
    assert len(play.drains) == before + 4
    gone(play, 2).wait(1)
    assert play.prepared == [2, 3, 4], "whoever made room first"


def test_a_stop_shortens_the_patience_of_those_that_drain_already() -> None:
    play = reloaded(Play().start()).do(Died(CONTROL, exited(0)))
    before = len(play.drains)
    play.do(Terminate("SIGTERM"))
    assert {drain.row for drain in play.drains[before:]} == {0, 1, *fresh(play)} - {CONTROL}
    assert all(drain[1:] == (30, 0, 30) for drain in play.drains[before:])


# ---------------------------------------------------------------- replacements


def beat(play: Play, row: int, rss_kib: int = 1000, requests: int = 0) -> Play:
    return play.do(Said(row, Heartbeat(0, rss_kib, 5, 1, requests)))


def with_terms(**terms: int) -> Play:
    play = Play()
    play.terms = play.terms._replace(**terms)  # type: ignore[arg-type]  # those that are numbers
    return play.start()


def test_a_worker_that_grew_too_large_is_replaced_by_one_that_is_ready() -> None:
    play = beat(with_terms(memory=5000), 0, rss_kib=5001)
    assert play.spawned[-1] == events.Spawn(1, Role.WORKER, 0, 2)
    assert play.drains == []
    play.do(Said(2, Ready(7)))
    assert play.accepting[-1] == 2
    assert play.drains == [events.TellDrain(0, 30, 30, 3600)]
    play.do(Said(0, Drained(0)), Died(0, exited(0))).wait(20)
    assert len(play.spawned) == 4  # nobody takes the place of the one that was replaced


def test_workers_are_replaced_one_at_a_time() -> None:
    play = with_terms(requests=100)
    beat(beat(play, 0, requests=100), 1, requests=100)
    assert len(play.spawned) == 4
    play.do(Said(2, Ready(7)))
    beat(play, 1, requests=101)
    assert len(play.spawned) == 4  # the first one still drains
    play.do(Said(0, Drained(0)), Died(0, exited(0)))
    play.now += REPLACE_PAUSE
    beat(play, 1, requests=102)
    assert play.spawned[-1] == events.Spawn(1, Role.WORKER, 1, 0)


def test_a_successor_that_dies_leaves_its_predecessor_in_place() -> None:
    play = beat(with_terms(memory=5000), 0, rss_kib=6000).do(Died(2, exited(1)))
    assert play.child(0).phase.value == "serving"
    beat(play, 0, rss_kib=6000)
    assert len(play.spawned) == 4  # not at once again
    play.now += REPLACE_PAUSE
    beat(play, 0, rss_kib=6000)
    assert len(play.spawned) == 5


def test_a_successor_takes_the_post_when_its_predecessor_dies_first() -> None:
    play = beat(with_terms(memory=5000), 0, rss_kib=6000).do(Died(0, KILLED)).wait(1)
    assert len(play.spawned) == 4
    play.do(Said(2, Ready(7)))
    assert play.accepting[-1] == 2


def test_above_the_hard_limit_a_worker_stops_accepting_at_once() -> None:
    play = beat(with_terms(memory_hard=5000), 0, rss_kib=5001)
    assert [drain.row for drain in play.drains] == [0]
    assert play.wait(0.5).spawned[-1] == events.Spawn(1, Role.WORKER, 0, 2)
    assert play.logged("worker.too_large")[0]["most_kib"] == 5000


def test_workers_come_and_go_as_an_operator_says() -> None:
    play = Play().start().do(Scale(1))
    assert play.spawned[-1] == events.Spawn(1, Role.WORKER, 2, 2)
    play.do(Said(2, Ready(7)), Scale(-1), Scale(-1), Scale(-1))
    assert [drain.row for drain in play.drains] == [2, 1]  # the last one stays
    for row in (2, 1):
        play.do(Said(row, Drained(0)), Died(row, exited(0)))
    assert len(play.wait(10).spawned) == 4


def test_a_reload_waits_for_a_first_generation_that_is_being_prepared() -> None:
    """And comes once that serves; a signal to stop is the end at once, since nobody lives."""
    play = Play(workers=1)
    play.fleet.preparing = True
    play.do(ReloadWanted())
    play.wait(5.0)
    assert play.prepared == []
    play.do(Terminate("SIGTERM"))
    assert play.exit == events.Exit(0, "SIGTERM")
