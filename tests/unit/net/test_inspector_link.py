"""A worker's questions are answered, late or never, and nothing that comes back is believed unseen."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator

import gevent
import pytest

from lbproxy.net.inspector_link import MOST_MISSED, MOST_WAITING, PROBES, InspectorLink
from lbproxy.waf.messages import LARGEST, WafQuestion, WafVerdict, answer, lost, unpack

ASKED = WafQuestion(0, 0, 60.0, b"", b"GET", b"/", b"", b"")


class Scene:
    """The other end of the socket is the test's."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self.theirs.settimeout(60)
        self.waiting: list[tuple[int, bool]] = []
        self.link = InspectorLink(ours, lambda number, late: self.waiting.append((number, late)))
        self.told: list[WafVerdict | None] = []

    def take(self) -> WafQuestion:
        return unpack(self.theirs.recv(LARGEST))

    def wait(self, condition: Callable[[], object]) -> None:
        with gevent.Timeout(60):
            while not condition():
                gevent.sleep(0.002)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.link.close()
    made.theirs.close()


def test_answers_find_whoever_asked(scene: Scene) -> None:
    """In any order; what nobody asked for, and what is no answer, is left alone."""
    said: list[WafVerdict | None] = []
    waiting = gevent.spawn(lambda: said.append(scene.link.ask(ASKED)))
    gevent.sleep(0)
    assert scene.link.tell(ASKED, scene.told.append)
    first, second = scene.take(), scene.take()
    scene.theirs.send(b"nonsense")
    scene.theirs.send(answer(WafVerdict(99, True, 403, 0, ())))
    late, early = WafVerdict(second.number, False, 200, 0, ()), WafVerdict(first.number, True, 403, 5, (("1", "ARGS:a"),))
    scene.theirs.send(answer(late))
    scene.theirs.send(answer(early))
    waiting.join(60)
    assert (said, scene.told) == ([early], [late])
    assert scene.waiting == [(1, False), (2, False), (1, False), (0, False)]


def test_nobody_answers_in_time(scene: Scene) -> None:
    """Then nobody says; an answer that comes later is left alone."""
    assert scene.link.ask(ASKED._replace(seconds=0.01)) is None
    scene.theirs.send(answer(WafVerdict(scene.take().number, True, 403, 0, ())))
    assert scene.link.tell(ASKED._replace(seconds=0.01), scene.told.append)
    scene.wait(lambda: scene.told == [None])
    assert scene.waiting == [(1, False), (0, True)] * 2


def test_nobody_is_there(scene: Scene) -> None:
    """No question is kept, and no request waits."""
    scene.theirs.close()
    gevent.sleep(0.01)
    assert scene.link.ask(ASKED) is None


def test_they_go_while_somebody_waits(scene: Scene) -> None:
    """Nobody will say any more: that is known at once, however long one might wait."""
    for _ in range(3):
        assert scene.link.tell(ASKED, scene.told.append)
    scene.theirs.close()
    scene.wait(lambda: scene.told == [None] * 3)
    assert scene.waiting[-1] == (0, True)


def test_while_nobody_answers_few_are_asked_about(scene: Scene) -> None:
    """The others need not wait to hear nothing; the first answer ends that."""
    for _ in range(MOST_MISSED):
        assert scene.link.tell(ASKED._replace(seconds=0.001), scene.told.append)
    scene.wait(lambda: scene.told == [None] * MOST_MISSED)
    for _ in range(MOST_MISSED):
        scene.take()
    assert [scene.link.tell(ASKED, scene.told.append) for _ in range(PROBES + 1)] == [True] * PROBES + [False]
    assert scene.link.ask(ASKED) is None
    verdict = WafVerdict(scene.take().number, False, 200, 0, ())
    scene.theirs.send(answer(verdict))
    scene.wait(lambda: scene.told[MOST_MISSED:] == [verdict])
    assert all(scene.link.tell(ASKED, scene.told.append) for _ in range(10))


def test_a_question_says_until_when_somebody_waits(scene: Scene) -> None:
    """By the clock that all processes share."""
    before = time.monotonic()
    assert scene.link.tell(ASKED, scene.told.append)
    assert before + 60.0 <= scene.take().until <= time.monotonic() + 60.0


def test_no_more_wait_than_may(scene: Scene) -> None:
    """Questions without a reader; and one that no datagram has room for."""
    taken = [scene.link.tell(ASKED._replace(seconds=60.0), scene.told.append) for _ in range(MOST_WAITING + 10)]
    assert sum(taken) <= MOST_WAITING
    assert not scene.link.tell(ASKED._replace(body=bytes(LARGEST)), scene.told.append)


def test_who_waits_can_be_interrupted(scene: Scene) -> None:
    """The answer that comes then wakes nobody."""
    waiting = gevent.spawn(scene.link.ask, ASKED)
    gevent.sleep(0)
    number = scene.take().number
    waiting.kill()
    scene.theirs.send(answer(WafVerdict(number, False, 200, 0, ())))
    gevent.sleep(0.01)
    assert scene.link.tell(ASKED, scene.told.append)


def test_what_is_lost_is_asked_once_more(scene: Scene) -> None:
    """The very same, for as long as somebody waits; if that is lost, too, nobody says. What nobody asks is left alone."""
    assert scene.link.tell(ASKED, scene.told.append)
    first = scene.take()
    scene.theirs.send(lost(99))
    scene.theirs.send(lost(first.number))
    scene.wait(lambda: select.select([scene.theirs], [], [], 0)[0])
    assert scene.take() == first
    verdict = WafVerdict(first.number, True, 403, 5, ())
    scene.theirs.send(answer(verdict))
    scene.wait(lambda: scene.told == [verdict])
    scene.theirs.send(lost(first.number))
    assert scene.link.tell(ASKED, scene.told.append)
    again = scene.take()
    for _ in range(2):
        scene.theirs.send(lost(again.number))
    scene.wait(lambda: scene.told == [verdict, None])
    assert scene.waiting[-1] == (0, True)
