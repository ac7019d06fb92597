"""Names are looked up beside the master: what comes back is what was found, whatever became of the process."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import pytest

from lbproxy.config.model import Address
from lbproxy.errors import NameUnknown, Unresolved
from lbproxy.master.names.asking import Answers, Lookup, NameAsker
from lbproxy.names.answer import NEVER, NameAnswer
from tests.support.waiting import FOREVER, PATIENCE

FOUND: dict[str, NameAnswer | Unresolved] = {
    "a.test": NameAnswer(("10.0.0.1", "fd00::1"), 30.0, "a note", 6),
    "b.test": NameAnswer(("10.0.0.2",), NEVER),
    "c.test": NameUnknown("no such name"),
    "d.test": Unresolved("no answer within 5 s"),
}


Asks = Callable[[Lookup, Sequence[str]], NameAsker]


@pytest.fixture
def asks() -> Iterator[Asks]:
    """Begins one, whose process is reaped by us: those of other tests are theirs."""
    pids: list[int] = []

    def begin(look: Lookup, names: Sequence[str]) -> NameAsker:
        asking = NameAsker(names, [], look)
        pids.append(asking._pid)
        return asking

    yield begin
    for pid in pids:
        with suppress(ChildProcessError):  # where the test did
            os.waitpid(pid, 0)


def outcome(asking: NameAsker) -> Answers:
    """What it says, once it has."""
    while (answers := asking.hear()) is None:
        assert select.select([asking], [], [], PATIENCE)[0]
    return answers


def test_what_was_found_comes_back(asks: Asks) -> None:
    """Addresses, notes, and two kinds of not knowing."""
    asking = asks(lambda names, resolvers: {name: FOUND[name] for name in names}, list(FOUND))
    answers = outcome(asking)
    asking.close()
    assert {name: (type(answer), str(answer)) for name, answer in answers.items()} == {
        name: (type(answer), str(answer)) for name, answer in FOUND.items()
    }
    assert answers["a.test"] == FOUND["a.test"]


def test_nobody_waits(asks: Asks) -> None:
    """While it asks there is nothing to hear, and who gives it up ends it."""

    def ask(names: Sequence[str], resolvers: Sequence[Address]) -> Answers:
        time.sleep(FOREVER)
        return {}

    asking = asks(ask, ["a.test"])
    pid = asking._pid
    assert asking.hear() is None
    assert PATIENCE > asking.until - time.monotonic() > 1.0
    asking.close()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def test_a_process_that_dies_is_no_answer(asks: Asks) -> None:
    """Killed, out of memory, or by a fault."""
    for end in (lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: os._exit(0), lambda: 1 / 0):
        asking = asks(lambda names, resolvers, end=end: end(), ["a.test"])  # type: ignore[misc]
        with pytest.raises(Unresolved, match="ended without an answer"):
            outcome(asking)
        asking.close()
