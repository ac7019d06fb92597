"""Scenarios fork what they try from a process with its modules loaded (tests/support/loaded.py): that is to make no difference."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.conftest import Stage
from tests.support.loaded import loaded
from tests.support.process import ROOT, LbProxy, title_of
from tests.support.waiting import eventually

ASKED = ("SigBlk", "SigIgn", "SigCgt", "Umask", "Seccomp", "NoNewPrivs", "CapEff", "Threads", "Uid", "Groups")


def _facts(pid: int) -> dict[str, object]:
    """What a process begins with, and what became of it, but for numbers that differ by nature."""
    place = Path("/proc", str(pid))
    status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
    kinds = {int(one.name): os.readlink(one).partition(":")[0] for one in (place / "fd").iterdir()}
    return {
        **{name: status[name] for name in ASKED},
        "descriptors": sorted((number, kind) for number, kind in kinds.items() if not kind.startswith("/")),
        "limits": (place / "limits").read_text(),
        "folder": os.readlink(place / "cwd"),
        "environment": {name for name in psutil.Process(pid).environ() if name != "PYTEST_CURRENT_TEST"},
        "leads": (os.getsid(pid) == pid, os.getpgid(pid) == pid),
    }


def _family(proxy: LbProxy) -> dict[str, dict[str, object]]:
    """Those that stay: the master asks others for a moment to look at files."""
    [forker] = [one.pid for one in proxy.members() if title_of(one) == "lbproxy: forker" and one.ppid() == proxy.pid]
    worker, control = (proxy.wait_event(name)["pid"] for name in ("worker.ready", "control.ready"))
    return {"master": _facts(proxy.pid), "forker": _facts(forker), "worker": _facts(worker), "control": _facts(control)}


def _alike(one: LbProxy, other: LbProxy) -> bool:
    try:
        return _family(one) == _family(other)
    except (OSError, LookupError, ValueError, psutil.Error):  # somebody came or left while we looked
        return False


@pytest.mark.skipif(os.getuid() != 0, reason="another account's descriptors are listed by root alone")
def test_a_forked_start_is_like_an_executed_one(stage: Stage) -> None:
    """Signals, descriptors, limits, folder, environment and session of each process of the family are the same in both."""
    config = stage.config(stage.app().address)
    forked, executed = stage.run(config), stage.run(config | {"listen": stage.config()["listen"]}, anew=True)
    for proxy in (forked, executed):
        proxy.wait_event("control.ready")
        proxy.wait_event("backend.up")
    assert psutil.Process(forked.pid).ppid() == loaded(str(ROOT)).pid
    assert psutil.Process(executed.pid).ppid() == os.getpid()
    try:
        eventually(lambda: _alike(forked, executed), "a moment in which they are alike")
    except AssertionError:
        assert _family(forked) == _family(executed)  # tells in what they differ
        raise


def test_its_end_is_told_as_of_any_child(stage: Stage) -> None:
    """By exit code or signal; and until somebody waited for it, its number is nobody else's."""
    config = stage.config(stage.app().address)
    proxy = stage.run(config)
    os.kill(proxy.pid, signal.SIGTERM)
    assert proxy.wait() == 0
    assert not psutil.pid_exists(proxy.pid)

    again = stage.run(config)
    again.signal(signal.SIGKILL)
    assert again.wait() == -signal.SIGKILL
