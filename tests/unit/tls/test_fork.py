"""What is done in a process of its own: its outcome comes back, whatever becomes of it, and nothing else."""

from __future__ import annotations

import os
import signal
import time

import pytest

from lbproxy.errors import StartError
from lbproxy.tls.fork import apart
from tests.support.waiting import PATIENCE


def test_values_come_back() -> None:
    """Of another process."""
    assert apart(lambda: [1, "two"]) == [1, "two"]
    assert apart(os.getpid) != os.getpid()


def test_errors_come_back() -> None:
    def refuse() -> None:
        raise PermissionError(13, "Permission denied")

    def fail() -> None:
        raise RuntimeError("no such luck")

    with pytest.raises(OSError, match="Permission denied") as caught:
        apart(refuse)
    assert caught.value.errno == 13
    with pytest.raises(StartError, match="RuntimeError: no such luck"):
        apart(fail)


def test_a_process_that_is_killed_is_an_error() -> None:
    with pytest.raises(StartError, match=f"signal {signal.SIGKILL.value}"):
        apart(lambda: os.kill(os.getpid(), signal.SIGKILL))


@pytest.mark.parametrize("said", [b"", b'{"value": '])
def test_a_process_that_is_stopped_holds_nobody(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error when the time is up, also in the middle of its answer, and the process is gone."""
    pids: list[int] = []
    ends: list[int] = []
    fork, pipe = os.fork, os.pipe

    def seen_pipe() -> tuple[int, int]:
        ends.extend(pipe())
        return ends[0], ends[1]

    def seen_fork() -> int:
        pids.append(fork())
        return pids[-1]

    def stop() -> None:
        os.write(ends[1], said)
        os.kill(os.getpid(), signal.SIGSTOP)

    monkeypatch.setattr(os, "pipe", seen_pipe)
    monkeypatch.setattr(os, "fork", seen_fork)
    before = time.monotonic()
    with pytest.raises(StartError, match=r"did not answer within 0\.3 s"):
        apart(stop, 0.3)
    assert time.monotonic() - before < PATIENCE
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_an_answer_longer_than_a_pipe() -> None:
    assert apart(lambda: "x" * 300_000) == "x" * 300_000


def test_no_further_process_inside_one() -> None:
    """Outcomes and errors are the same there."""

    def inside() -> list[object]:
        try:
            apart(lambda: 1 / 0)
        except StartError as error:
            return [os.getpid() == apart(os.getpid), str(error)]
        return []

    assert apart(inside) == [True, "ZeroDivisionError: division by zero"]
