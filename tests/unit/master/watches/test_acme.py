"""What the ACME process says, on its way to workers and control."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from lbproxy.ipc.messages import AcmeName, ChallengeOver, ChallengeShown, Message
from lbproxy.master.fleet.child import Role
from lbproxy.master.watches.acme import MOST_CHALLENGES, AcmeWatch
from tests.unit.config.test_acme_names import config

GOOD = AcmeName("a.test", "good", 5, 0, "", "https://a/dir")
SHOWN = ChallengeShown("http-01", "a.test", "token", "token.thumb")


class Children:
    """Pipes that remember."""

    def __init__(self) -> None:
        self.running: dict[int, Any] = {}
        self.told: list[tuple[int, Message]] = []

    def add(self, row: int, role: Role, pid: int) -> Any:
        self.running[row] = SimpleNamespace(row=row, role=role, pid=pid, generation=1)
        return self.running[row]

    def single(self, number: int, role: Role) -> Any:
        return next((one for one in self.running.values() if one.role is role), None)

    def tell(self, row: int, message: Message) -> None:
        self.told.append((row, message))


def scene() -> tuple[AcmeWatch, Children]:
    children = Children()
    resources: Any = SimpleNamespace(config=config("a.test"))
    watch = AcmeWatch(lambda: (1, resources), children)
    children.add(0, Role.WORKER, 10)
    children.add(9, Role.ACME, 19)
    watch.look()
    return watch, children


def test_answers_go_to_workers_and_names_to_control() -> None:
    """Also to a worker, and a control, that begin later."""
    watch, children = scene()
    watch.heard(SHOWN)
    watch.heard(GOOD)
    assert children.told == [(0, SHOWN)]
    children.add(8, Role.CONTROL, 18)
    watch.look()
    watch.spawned(children.add(1, Role.WORKER, 11))
    assert children.told[1:] == [(8, GOOD), (1, SHOWN)]
    over = ChallengeOver("http-01", "a.test", "token")
    watch.heard(over)
    watch.heard(over)
    assert children.told[3:] == [(0, over), (1, over)]
    assert watch.told() == {"a.test": GOOD}


def test_what_a_dead_process_showed_is_shown_no_more() -> None:
    """Its successor says anew what is to be shown."""
    watch, children = scene()
    watch.heard(SHOWN)
    del children.running[9]
    watch.look()
    assert children.told[1:] == [(0, ChallengeOver("http-01", "a.test", "token"))]


def test_it_is_bounded() -> None:
    """Whatever the process has become: no more names than the configuration has, and few answers."""
    watch, children = scene()
    watch.heard(GOOD._replace(name="z.test"))
    assert watch.told() == {}
    for number in range(MOST_CHALLENGES * 2):
        watch.heard(SHOWN._replace(token=str(number)))
    assert len(children.told) == MOST_CHALLENGES
