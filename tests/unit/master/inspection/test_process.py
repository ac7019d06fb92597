"""Inspectors look at one request after the other, and end when they take too long, or when nobody asks any more."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

import pytest

from lbproxy.config.model import WafConfig
from lbproxy.master.inspection.process import OVER, _settings, look_on
from lbproxy.waf.messages import WafQuestion, WafVerdict, heard, pack
from lbproxy.waf.turns import Progress, Turns


class Looks:
    """Finds what the target says, and is slow where that says so."""

    def look(self, question: WafQuestion) -> WafVerdict:
        if question.target == b"/slow":
            time.sleep(60)
        return WafVerdict(question.number, True, 403, 0, ())


@pytest.fixture
def inspected() -> Any:
    """An inspector in a process of its own, and our end of its socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    pid = os.fork()
    if pid == 0:
        ours.close()
        look_on(theirs, Looks(), Turns(theirs, Progress(), 0, 1))  # type: ignore[arg-type]  # as much of an engine as is needed
    theirs.close()
    return ours, pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_one_after_the_other(inspected: Any) -> None:
    """What is no question is left alone."""
    ours, pid = inspected
    for number in (1, 2):
        ours.send(b"nonsense")
        ours.send(pack(WafQuestion(number, 0, 60.0, b"", b"GET", b"/", b"", b"")))
        assert heard(ours.recv(4096)).number == number
    ours.close()
    assert ended(pid) == OVER


def test_too_late_is_the_end(inspected: Any) -> None:
    """By the kernel's hand, wherever it is."""
    ours, pid = inspected
    ours.send(pack(WafQuestion(1, 0, 0.05, b"", b"GET", b"/slow", b"", b"")))
    assert ended(pid) == -signal.SIGALRM
    ours.close()


def test_settings_arrive_as_they_were() -> None:
    """Over JSON, which has no tuples."""
    import json
    from dataclasses import asdict

    made = WafConfig("block", exclude_rules=("1",), exclude_paths=("/a",))
    assert _settings(json.loads(json.dumps(asdict(made)))) == made
