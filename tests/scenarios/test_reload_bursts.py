"""Many reloads: bursts become one, and fifty in a row leave nothing behind."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path

import psutil

from lbproxy.master.fleet.pending_reload import QUIET
from tests.conftest import Stage
from tests.support.process import LbProxy
from tests.support.reloads import Config, Reloads
from tests.support.waiting import eventually

RELOADS = int(os.environ.get("QUICK_RELOADS", "20"))
WARM_UP = 5
"""Reloads after which everything that is made once has been made."""
MOST_GROWTH = 512 * 1024
"""Bytes of the master's resident memory over all further reloads: an allocator's whims. (80 of them took 250 KiB, 2026-11-23.)"""


def test_a_hundred_signals(stage: Stage) -> None:
    """100 SIGHUPs within a second make a few generations, and the last state of the file serves. That they are two at
    most, test_pending_reload.py holds in scripted time; a machine that stands still between two signals makes a pause, which ends a
    burst."""
    proxy = stage.proxy(stage.app().address, workers=2)
    reloads = Reloads(proxy)
    begun = time.monotonic()
    for turn in range(100):
        reloads.change(lambda config: config["route"].insert(0, {"path": f"/{turn}", "pool": "app"}))  # noqa: B023  # called right here
        proxy.signal(signal.SIGHUP)
        time.sleep(0.008)
    reloads.change(lambda config: config["listen"][0].update(certificates=[stage.authority.issue("localhost", "last.test")]))
    proxy.signal(signal.SIGHUP)
    sent_in = time.monotonic() - begun
    eventually(lambda: _shows(stage, proxy, "last.test"), "the last change serves")
    reloads.only_the_newest()
    assert 2 <= reloads.generation <= 2 + math.ceil(sent_in / QUIET), f"sent within {sent_in:.1f} s"


def _shows(stage: Stage, proxy: LbProxy, name: str) -> bool:
    with stage.client(proxy) as client:
        shown = client.tls.getpeercert()
        assert shown is not None
        return ("DNS", name) in shown["subjectAltName"]


def test_nothing_grows(stage: Stage) -> None:
    """Descriptors, processes and the master's memory are the same after many reloads that come and go back."""
    certificates = [stage.authority.issue("localhost", "a.test"), stage.authority.issue("localhost", "b.test")]
    proxy = stage.proxy(stage.app().address, workers=2)
    reloads = Reloads(proxy)

    def turn(number: int) -> None:
        def edit(config: Config) -> None:
            config["listen"][0]["certificates"] = [certificates[number % 2]]
            config["route"] = [{"pool": "app"}] if number % 2 else [{"path": "/x", "pool": "app"}, {"pool": "app"}]

        reloads.reload(edit)

    def measured() -> tuple[list[str], int, int]:
        reloads.only_the_newest()
        proxy.wait_event("control.ready", generation=reloads.generation)  # which begins when the one before it has gone
        eventually(lambda: len(proxy.members()) == 6, "a master, a forker, who looks at files, two workers and control")
        descriptors = eventually(lambda: _at_rest(proxy.pid), "descriptors at rest")
        with stage.client(proxy) as client:
            assert client.request("GET", "/echo").status == 200
        return descriptors, len(proxy.members()), psutil.Process(proxy.pid).memory_info().rss

    for number in range(WARM_UP):
        turn(number)
    descriptors, processes, memory = measured()
    for number in range(WARM_UP, WARM_UP + RELOADS):
        turn(number)
    more_descriptors, more_processes, more_memory = measured()
    assert more_processes == processes
    assert more_descriptors == descriptors
    assert more_memory - memory < MOST_GROWTH


def _at_rest(pid: int) -> list[str]:
    """What kinds of descriptors a master holds, once two looks agree; nothing while it has something to do: a child to bury, or a
    turn that a busy machine lets it not get on with."""

    def look() -> list[str]:
        kinds = []
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                kinds.append(os.readlink(entry).partition(":[")[0])
            except FileNotFoundError:
                continue  # closed while we looked
        return sorted(kinds)

    def waits() -> bool:
        master = psutil.Process(pid)
        return master.status() == psutil.STATUS_SLEEPING and all(
            child.status() != psutil.STATUS_ZOMBIE for child in master.children()
        )

    first = look()
    time.sleep(0.05)
    return first if waits() and look() == first else []
