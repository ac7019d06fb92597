"""As many children as the ledger has rows, or nearly so: what cannot be started is refused or waits, and nothing breaks."""

from __future__ import annotations

from lbproxy.balance.ledger import RETIRED
from lbproxy.ipc.messages import Drained, Heartbeat, Ready
from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.events import Died, ReloadWanted, Said, Scale
from lbproxy.master.fleet.generation import FULL_PAUSE
from tests.unit.master.fleet.play import KILLED, Play, exited

MOST = RETIRED - 1


def test_a_reload_that_has_no_room_beside_the_old_generation_is_refused() -> None:
    play = Play(workers=MOST // 2 + 1).start().wait(5)
    before = len(play.spawned)
    play.do(ReloadWanted())
    assert len(play.spawned) == before
    assert play.rejected == [(2, f"no room for {MOST // 2 + 1} more workers: {MOST // 2 + 2} of {RETIRED} children live already")]
    assert play.forgotten == [2]
    assert list(play.fleet.generations) == [1]
    assert play.fleet.serving is play.fleet.generations[1]


def test_a_reload_that_just_fits_is_made_and_may_be_repeated() -> None:
    play = Play(workers=MOST // 2).start().wait(5).do(ReloadWanted())
    assert play.rejected == []
    assert len(list(play.fleet.living())) == RETIRED


def test_a_worker_that_finds_no_row_is_started_when_one_is_free() -> None:
    play = Play(workers=MOST).start().wait(5)
    play.do(Scale(1))  # one too many
    assert len(list(play.fleet.living())) == RETIRED
    play.wait(10)
    assert len(list(play.fleet.living())) == RETIRED
    play.do(Died(7, KILLED)).wait(FULL_PAUSE + 0.5)
    assert len(list(play.fleet.living())) == RETIRED  # one of the two posts that wait


def test_a_successor_that_finds_no_row_is_tried_again() -> None:
    play = Play(workers=MOST)
    play.terms = play.terms._replace(requests=10)
    play.start().do(Said(3, Heartbeat(0, 0, 0, 0, requests=10)))
    assert len(play.spawned) == RETIRED
    assert play.drains == []


def test_a_hard_limit_that_every_worker_exceeds_at_once_is_no_storm_of_forks() -> None:
    play = Play(workers=1)
    play.terms = play.terms._replace(memory_hard=10)
    play.start()
    for _ in range(200):  # a minute, in which the old ones' clients do not go
        play.now += 0.3
        for child in list(play.fleet.living()):
            if child.role is Role.WORKER and not child.was_ready:
                play.do(Said(child.row, Ready(7)))
            play.do(Said(child.row, Heartbeat(0, 11, 0, 0)))
    assert len(play.spawned) < 25
    assert len(play.logged("worker.too_large")) == len(play.drains)
    play.do(Said(0, Drained(0)), Died(0, exited(0)))
