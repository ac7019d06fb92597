"""A start whose rules take their time: nothing is forked before they are loaded, and the master is there for all meanwhile."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lbproxy.config.model import WafConfig
from lbproxy.master.operator import requests
from tests.unit.master.running import Master, start

RULE = 'SecRule ARGS "@contains evil" "id:1,phase:2,deny,status:403,log"\n'


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as inner:
        yield inner


@pytest.fixture
def loading(stack: ExitStack, tmp_path: Path) -> Any:
    """A master whose file of rules is a pipe, so that they load when somebody writes into it; and what does that."""
    try:
        ctypes.CDLL(WafConfig().engine)
    except OSError:
        pytest.skip("libmodsecurity3 is not installed (scripts/test installs it as root on Debian)")
    pipe = tmp_path / "rules.conf"
    os.mkfifo(pipe)
    master = start(stack, rules=str(pipe), control=str(tmp_path / "control"))
    master.wait_event("started")

    def write(text: str) -> None:
        """The file is looked through first, and loaded then: by that time it is one."""
        (tmp_path / "file").write_text(text)
        with pipe.open("w") as file:  # waits for a reader
            os.replace(tmp_path / "file", pipe)
            file.write(text)

    return master, write


def test_status_and_reloads_meanwhile(loading: Any) -> None:
    """The one is answered, the other waits until the first generation serves."""
    master, write = loading
    assert master.ask(requests.StatusRequest())["generations"] == []
    master.signal(signal.SIGHUP)
    assert master.events("worker.ready") == []
    write(RULE)
    master.wait_event("ready")
    master.wait_event("reloaded")


def test_it_stops_meanwhile(loading: Any) -> None:
    """As if it served: nothing is left behind, and that is no failure."""
    master, _ = loading
    master.signal(signal.SIGTERM)
    assert master.wait() == 0
    assert master.all_gone()


def test_rules_that_cannot_be_used_end_it(loading: Any) -> None:
    """With file and line, and nothing served."""
    master, write = loading
    refused: Master = master
    write(f"{RULE}SecNonsense\n")
    assert refused.wait() == 1
    assert refused.all_gone()
    assert "rules.conf:2: " in "".join(refused.err.all())
