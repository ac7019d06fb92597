"""Who belongs to a generation, and what is asked of it."""

from __future__ import annotations

import pytest

from lbproxy.ipc.messages import Heartbeat
from lbproxy.master.fleet.child import FOREVER, Child, Cue, Role
from lbproxy.master.fleet.events import FleetTerms
from lbproxy.master.fleet.generation import BACK_OFF_FIRST, BACK_OFF_MOST, LIVED, Generation, GenerationStage, Post, worn_out


def generation(workers: int = 2) -> Generation:
    return Generation(7, FleetTerms(workers), 100.0, first=False)


def child(row: int, role: Role = Role.WORKER, ready: bool = False) -> Child:
    made = Child(row, 7, role, row, 100.0)
    if ready:
        made.move(Cue.READY, 101.0)
    return made


def test_it_begins_with_a_post_for_each_worker_and_nobody_in_them() -> None:
    fresh = generation(3)
    assert [(post.role, post.worker, post.child) for post in fresh.posts] == [(Role.WORKER, at, None) for at in range(3)]
    assert fresh.stage is GenerationStage.STARTING
    assert fresh.children() == []


def test_its_children_are_those_in_posts_those_to_come_and_those_who_leave() -> None:
    ours = generation()
    posted, successor, leaving, control = child(0), child(1), child(2), child(9, Role.CONTROL)
    ours.posts[0].child, ours.posts[0].successor = posted, successor
    ours.posts.append(Post(Role.CONTROL, -1, control))
    ours.leaving.append(leaving)
    assert ours.children() == [posted, successor, control, leaving]
    assert ours.children(Role.WORKER) == [posted, successor, leaving]
    assert ours.children(Role.CONTROL) == [control]
    assert ours.workers() == ours.posts[:2]


def test_it_is_ready_when_every_worker_is_whatever_control_does() -> None:
    ours = generation()
    ours.posts.append(Post(Role.CONTROL, -1, child(9, Role.CONTROL)))
    assert not ours.all_ready()
    ours.posts[0].child = child(0, ready=True)
    assert not ours.all_ready()
    ours.posts[1].child = child(1)
    assert not ours.all_ready()
    ours.posts[1].child.move(Cue.READY, 102.0)
    assert ours.all_ready()
    ours.posts[0].child.move(Cue.DRAIN, 103.0, 5.0)
    assert not ours.all_ready()


def test_it_is_changing_as_long_as_somebody_comes_or_goes() -> None:
    ours = generation()
    ours.posts[0].child = child(0, ready=True)
    assert not ours.changing()
    ours.posts[0].successor = child(2)
    assert ours.changing()
    ours.posts[0].successor = None
    ours.leaving.append(child(0))
    assert ours.changing()


def test_a_retired_one_posts_nobody() -> None:
    ours = generation()
    ours.posts[0].fill_at = 105.0
    ours.retire(104.0)
    assert ours.stage is GenerationStage.RETIRING
    assert ours.retired == 104.0
    assert {post.fill_at for post in ours.posts} == {FOREVER}


def test_a_posts_patience_doubles_to_its_most_and_is_restored_by_good_service() -> None:
    post = Post(Role.WORKER, 0)
    delays = [post.back_off(0.0) for _ in range(40)]
    assert delays[:3] == [BACK_OFF_FIRST, BACK_OFF_FIRST * 2, BACK_OFF_FIRST * 4]
    assert delays == sorted(delays)
    assert delays[-1] == BACK_OFF_MOST
    assert post.back_off(LIVED - 0.1) == BACK_OFF_MOST
    assert post.back_off(LIVED) == BACK_OFF_FIRST


def test_posts_are_named_as_people_count() -> None:
    assert Post(Role.WORKER, 0).name == {"worker": 1}
    assert Post(Role.CONTROL, -1).name == {}


@pytest.mark.parametrize(
    ("terms", "beat", "why"),
    [
        (FleetTerms(1), Heartbeat(0, 10**9, 0, 0, 10**9), ""),  # nothing is limited
        (FleetTerms(1, memory=5000), Heartbeat(0, 5000, 0, 0), ""),
        (FleetTerms(1, memory=5000), Heartbeat(0, 5001, 0, 0), "5001 KiB of memory, 5000 are allowed"),
        (FleetTerms(1, requests=100), Heartbeat(0, 0, 0, 0, 99), ""),
        (FleetTerms(1, requests=100), Heartbeat(0, 0, 0, 0, 100), "100 requests served, 100 are a worker's share"),
        (FleetTerms(1, memory_hard=5000), Heartbeat(0, 6000, 0, 0), ""),  # not a matter of replacing in peace
    ],
)
def test_when_a_worker_is_worn_out(terms: FleetTerms, beat: Heartbeat, why: str) -> None:
    assert worn_out(terms, beat) == why
