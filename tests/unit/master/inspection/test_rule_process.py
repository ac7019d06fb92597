"""Whoever forks inspectors replaces those that do not look any more, whatever holds them up, and does not wait for their end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from lbproxy.master.inspection.process import RuleProcess
from lbproxy.waf.messages import WafQuestion, WafVerdict, heard, lost_number, pack
from tests.support.waiting import PATIENCE, eventually


class Looks:
    """Finds its own pid as a score; "/deaf" is looked at for good, by one that no alarm ends; "/unknown" is of no set of rules."""

    def look(self, question: WafQuestion) -> WafVerdict:
        if question.target == b"/unknown":
            raise ValueError("no such rules")
        if question.target == b"/crash":
            os.kill(os.getpid(), signal.SIGSYS)
        if question.target == b"/deaf":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            while True:
                signal.pause()
        return WafVerdict(question.number, False, 200, os.getpid(), ())


class Stage:
    """A process that forks inspectors, and one worker's end."""

    def __init__(self, inspectors: int) -> None:
        self.master, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.worker, line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (self.master, self.worker):
            sock.settimeout(PATIENCE)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for sock in (self.master, self.worker, line):
                    sock.close()
                RuleProcess(theirs, Looks(), inspectors, 1, walled=False).serve()  # type: ignore[arg-type]  # as much of an engine as is needed
            finally:
                os._exit(0)
        with theirs, line:
            socket.send_fds(self.master, [b"serve"], [line.fileno()])

    def told(self, *wanted: int) -> None:
        """Waits for what the master is told, alive, replaced and late, to be this."""
        while tuple(_numbers(self.master.recv(256))) != wanted:
            pass

    def send(self, target: bytes, seconds: float = 60.0, until: float = 0.0, number: int = 1) -> None:
        self.worker.send(pack(WafQuestion(number, 0, seconds, b"", b"GET", target, b"", b"", until=until)))

    def ask(self) -> int:
        """Who looks."""
        self.send(b"/")
        while lost_number(data := self.worker.recv(4096)) == 1:  # one that was killed right behind its answer
            pass
        return heard(data).score

    def inspectors(self) -> list[int]:
        return [one.pid for one in psutil.Process(self.pid).children()]

    def close(self) -> None:
        self.master.close()
        self.worker.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _numbers(data: bytes) -> Iterator[int]:
    return map(int, data.strip(b"[]").split(b","))


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(2)
    made.told(2, 0, 0)
    yield made
    made.close()


def test_one_that_no_alarm_ends_is_killed(stage: Stage) -> None:
    """When its time is over; others look meanwhile, and another one takes its place."""
    before = set(stage.inspectors())
    stage.send(b"/deaf", 0.05)
    stage.told(2, 1, 1)
    assert stage.ask() in stage.inspectors()
    eventually(lambda: len(now := set(stage.inspectors())) == 2 and len(now & before) == 1, "one is another")


@pytest.mark.parametrize("number", [1, 2])
def test_those_that_are_stopped_are_replaced(stage: Stage, number: int) -> None:
    """Whether they have a question or not; what is asked meanwhile is looked at by those that come."""
    before = stage.inspectors()
    for pid in before[:number]:
        os.kill(pid, signal.SIGSTOP)
    assert stage.ask() not in before[:number]
    stage.told(2, number, 0)
    eventually(lambda: len(now := stage.inspectors()) == 2 and not set(before[:number]) & set(now), "others are there")


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_what_somebody_else_has_ended_is_told(stage: Stage, ended_by: signal.Signals) -> None:
    """The worker hears which question nobody looks at any more; of one that is done with it does not."""
    stage.ask()
    before = stage.inspectors()
    stage.send(b"/deaf", number=7)
    deaf = next(pid for pid in before if pid != stage.ask())
    for pid in before:
        os.kill(pid, ended_by)
    while (number := lost_number(stage.worker.recv(4096))) == 1:
        pass
    assert number == 7
    eventually(lambda: len(now := stage.inspectors()) == 2 and deaf not in now, "others are there")
    assert stage.ask() not in before


def test_what_a_question_has_ended_is_not_told(stage: Stage) -> None:
    """Another inspector would end of it, too."""
    stage.send(b"/crash", number=7)
    stage.told(2, 1, 0)
    stage.send(b"/deaf", 0.05, number=8)
    stage.told(2, 2, 1)
    assert stage.ask() in stage.inspectors()


def test_what_nobody_waits_for_is_not_looked_at(stage: Stage) -> None:
    """Those that come behind it are in time, then."""
    stage.send(b"/deaf", until=0.001)
    assert stage.ask() in stage.inspectors()


def test_one_whose_question_was_none_has_all_its_time(stage: Stage) -> None:
    """The alarm that was set for it does not ring for the next."""
    pids: Any = stage.inspectors()
    stage.send(b"/unknown", 0.3)
    asked = [stage.ask() for _ in range(20)]
    stage.told(2, 0, 0)
    stage.told(2, 0, 0)
    assert set(asked) <= set(pids) == set(stage.inspectors())


def test_the_master_hears_that_it_is_there(stage: Stage) -> None:
    """Also while nothing changes, and no more once it has ended."""
    for _ in range(2):
        stage.told(2, 0, 0)
    os.kill(stage.pid, signal.SIGKILL)
    inspectors = [psutil.Process(pid) for pid in stage.inspectors()]
    while stage.master.recv(256):
        pass
    eventually(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in inspectors), "they go with it")
