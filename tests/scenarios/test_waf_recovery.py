"""Inspectors, and whoever forks them, are stopped or killed under load: requests get what the route says, and soon are served."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Stage
from tests.scenarios.test_waf import client_of, inspectors, loaders, run, totals
from tests.support.process import LbProxy
from tests.support.waiting import eventually

try:
    ctypes.CDLL("libmodsecurity.so.3")
except OSError:
    pytest.skip("libmodsecurity3 is not installed (scripts/test installs it as root on Debian)", allow_module_level=True)

EVIL = 'SecRule ARGS:a "@contains evil" "id:1,phase:2,deny,status:403,log"\n'
CLIENTS = 3


class Blow(NamedTuple):
    """What somebody does to processes of a generation that serves."""

    signal: signal.Signals
    whom: Callable[[LbProxy], list[int]]


BLOWS = {
    "one is stopped": Blow(signal.SIGSTOP, lambda proxy: inspectors(proxy)[:1]),
    "all are stopped": Blow(signal.SIGSTOP, inspectors),
    "one is killed": Blow(signal.SIGKILL, lambda proxy: inspectors(proxy)[-1:]),
    "all are killed": Blow(signal.SIGKILL, inspectors),
    "whoever forks them is stopped": Blow(signal.SIGSTOP, loaders),
    "everybody is stopped": Blow(signal.SIGSTOP, lambda proxy: [*loaders(proxy), *inspectors(proxy)]),
    "whoever forks them is killed": Blow(signal.SIGKILL, loaders),
}


class Load:
    """Clients that ask one request after the other."""

    def __init__(self, stage: Stage, proxy: LbProxy) -> None:
        self.answers: list[int] = []
        self.clean_in_a_row = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(stage, proxy)) for _ in range(CLIENTS)]

    def _ask(self, stage: Stage, proxy: LbProxy) -> None:
        with client_of(stage, proxy) as client:
            while not self._over.is_set():
                status = client.get("/echo?a=good").status_code
                with self._lock:
                    self.answers.append(status)
                    self.clean_in_a_row = self.clean_in_a_row + 1 if status == 200 else 0

    @contextmanager
    def going_on(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()

    def more(self) -> None:
        """Waits for answers to requests that are sent from now on: all of them are served."""
        with self._lock:
            self.clean_in_a_row = 0
        eventually(lambda: self.clean_in_a_row > 10 * CLIENTS, "requests are served")


@pytest.mark.parametrize("on_failure", ["refuse", "pass"])
def test_blows_under_load(stage: Stage, on_failure: str) -> None:
    """What nobody looks at in time is refused, or let through; what was done to them heals without a reload, and is told."""
    rules = stage.directory / "own.conf"
    rules.write_text(EVIL)
    proxy = run(stage, mode="block", rules=[str(rules)], timeout="1s", on_failure=on_failure)
    workers = proxy.workers()
    load = Load(stage, proxy)
    with load.going_on():
        for what, blow in BLOWS.items():
            load.more()
            hit = blow.whom(proxy)
            assert hit, what
            for pid in hit:
                with suppress(ProcessLookupError):  # inspectors go with whoever forked them
                    os.kill(pid, blow.signal)
            _wait_end(hit)
            eventually(lambda: len(loaders(proxy)) == 1 and inspectors(proxy), f"{what}: others are there")
            load.more()
    assert set(load.answers) <= ({200} if on_failure == "pass" else {200, 503})
    assert (proxy.workers(), proxy.events("reloaded")) == (workers, [])
    assert {"somebody has stopped it", "it has ended"} <= {event["why"].partition(": ")[2] for event in proxy.events("waf.gone")}
    assert proxy.events("waf.inspectors_replaced")
    assert totals(proxy)["waf"]["replaced"] >= 6
    with client_of(stage, proxy) as client:
        assert client.get("/echo?a=evil").status_code == 403


def _wait_end(pids: list[int]) -> None:
    eventually(lambda: not any(map(_lives, pids)), "they are gone")


def _lives(pid: int) -> bool:
    """A process that was killed, and that nobody has reaped, does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
