"""The process that obtains certificates, as the fleet keeps it: one, and of no importance to what serves."""

from __future__ import annotations

from lbproxy.ipc.messages import Heartbeat, Quit, Ready
from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.events import Died, ReloadWanted, Said, TimePassed
from lbproxy.master.fleet.fleet import GIVE_UP_AFTER
from lbproxy.master.fleet.pending_reload import CALM
from tests.unit.master.fleet.play import KILLED, Play, exited


def with_acme() -> Play:
    play = Play()
    play.terms = play.terms._replace(acme=True)
    return play


def acme_rows(play: Play) -> list[int]:
    return [child.row for child in play.fleet.living() if child.role is Role.ACME]


def test_it_dies_as_often_as_it_likes() -> None:
    """Another follows with back-off; a start is not given up for it, and everything serves."""
    play = with_acme().start()
    for _ in range(GIVE_UP_AFTER * 2):
        (row,) = acme_rows(play)
        play.do(Died(row, exited(1)))
        assert acme_rows(play) == []
        play.wait(5.0).do(TimePassed())
    assert play.fleet.stop is None
    assert acme_rows(play)


def test_two_generations_never_both_order() -> None:
    """The old one's is told to go, and the new one's starts when it is gone."""
    play = with_acme().start()
    (old,) = acme_rows(play)
    play.do(Said(old, Ready(7)))
    play.wait(CALM).do(ReloadWanted())
    for child in [child.row for child in play.fleet.living() if child.generation == 2]:
        play.do(Said(child, Ready(7)))
    assert (old, Quit()) in play.sent
    assert acme_rows(play) == [old]
    play.do(Died(old, exited(0)))
    (new,) = acme_rows(play)
    assert next(child for child in play.fleet.living() if child.row == new).generation == 2


def test_it_says_what_it_may_say() -> None:
    """Anything else is a breach."""
    play = with_acme().start()
    (row,) = acme_rows(play)
    play.do(Said(row, Ready(7))).do(Said(row, Heartbeat(0, 1, 0, 0)))
    assert acme_rows(play) == [row]
    play.do(Died(row, KILLED))
    assert acme_rows(play) == []
