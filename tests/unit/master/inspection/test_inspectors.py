"""Rules that cannot be used are told before anything of a generation begins."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from lbproxy.config import model
from lbproxy.master.inspection import process
from lbproxy.master.inspection.inspectors import GAP, SILENT, Held, InspectionProcess, Loading, complaints, renewed
from lbproxy.waf.messages import WafQuestion, heard, pack
from tests.support.descriptors import held_open
from tests.support.waiting import eventually


def config(*wafs: model.WafConfig) -> model.Config:
    routes = tuple(model.RouteConfig("app", path=f"/{number}", line=number + 5, waf=waf) for number, waf in enumerate(wafs))
    return model.Config("a.toml", (), routes, (model.PoolConfig("app", ()),))


def process_of_ours(pid: int = 0, held: Held = MappingProxyType({})) -> tuple[InspectionProcess, socket.socket]:
    """And its end of the socket. `pid`: 0: it is this one, and must not be killed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return InspectionProcess(ours, pid, os.pidfd_open(pid or os.getpid()), held), theirs


def test_nobody_asks() -> None:
    """Then there is no process."""
    assert InspectionProcess.begin(config(), None) is None
    assert complaints(config()) == []


def test_how_they_fare_is_told_once() -> None:
    """What was replaced counts from the last call on; of a process that has ended nobody lives, and all are to be replaced."""
    made, theirs = process_of_ours()
    assert made.heard() == (0, 0, 0)
    theirs.send(b"[2, 0, 0]")
    theirs.send(b"[4, 3, 1]")
    assert made.heard() == (4, 3, 1)
    assert made.heard() == (4, 0, 0)
    theirs.send(b"[4, 5, 1]")
    assert made.heard() == (4, 2, 0)
    assert made.fault(time.monotonic()) == ""
    theirs.close()
    assert made.heard() == (0, 4, 0)
    assert made.heard() == (0, 0, 0)
    assert "ended" in made.fault(time.monotonic())
    made.close()


def test_files_of_rules_that_hold_something_else() -> None:
    """Or that have come or gone, by what the process before had of the same rules; of other rules nothing is known."""
    rules, settings = ("/*.conf",), model.WafConfig("block")
    before, after = {"/a": "1", "/b": "2", "/c": "3"}, {"/a": "1", "/b": "9", "/d": "4"}
    old, line = process_of_ours(0, {replace(settings, rules=rules): before})
    new, other = process_of_ours(0, {replace(settings, rules=rules, threshold=9): after, settings: after})
    assert renewed(old, new) == {replace(settings, rules=rules, threshold=9): ["/b", "/c", "/d"], settings: []}
    assert not any(renewed(None, new).values())
    assert renewed(old, None) == {}
    for each in (old, new, line, other):
        each.close()


def test_its_silence_counts_where_the_master_was_awake() -> None:
    """A master that was stopped hears nobody meanwhile, and judges nobody by that."""
    made, theirs = process_of_ours()
    begun = time.monotonic()
    moments = [begun + number * GAP / 2 for number in range(1, 6)]
    assert [bool(made.fault(moment)) for moment in moments] == [moment > begun + SILENT for moment in moments]
    assert any(made.fault(moment) for moment in moments)
    theirs.send(b"[2, 0, 0]")
    made.heard()
    assert made.fault(begun + 100) == ""
    assert made.fault(begun + 100 + GAP / 2) == ""
    theirs.close()
    made.close()


def test_another_one_takes_its_place() -> None:
    """What was asked meanwhile waits for that one, in the sockets of workers that live; the one before ends with what it was about,
    also where somebody has stopped it."""
    ended, stopped = (subprocess.Popen(["sleep", "1000"]) for _ in range(2))
    made, theirs = process_of_ours(ended.pid)
    gone, there = made.serve(), made.serve()
    gone.close()
    ended.kill()
    ended.wait()
    theirs.close()
    there.send(b"question")
    other, line = process_of_ours(stopped.pid)
    with other.serve() as third:
        third.send(b"another")
        stopped.send_signal(signal.SIGSTOP)
        eventually(lambda: "stopped" in other.fault(time.monotonic()), "it is seen")
        fresh, heir = process_of_ours()
        fresh.succeed(made)
        fresh.succeed(other)
        assert stopped.wait(60) == -signal.SIGKILL
        for asked in (b"question", b"another"):
            _, [descriptor], _, _ = socket.recv_fds(heir, 16, 1)
            with socket.socket(fileno=descriptor) as inspectors:
                assert inspectors.recv(100) == asked
        with pytest.raises(BlockingIOError):
            heir.recv(16, socket.MSG_DONTWAIT)
    for end in (line, heir, there):
        end.close()
    fresh.close()


def test_what_is_missing_is_told_with_the_line() -> None:
    """The library, with the package that has it."""
    [complaint] = complaints(config(model.WafConfig(engine="libnone.so.9")))
    assert (complaint.line, complaint.key) == (5, "route.waf")
    assert "libmodsecurity3" in complaint.message


def test_what_is_wrong_with_rules_is_told_at_their_place(tmp_path: Path) -> None:
    """All of it at once, over all routes, and what they have in common once; with the route that they are for."""
    try:
        ctypes.CDLL(model.WafConfig().engine)
    except OSError:
        pytest.skip("libmodsecurity3 is not installed (scripts/test installs it as root on Debian)")
    (tmp_path / "a.conf").write_text('SecRule ARGS "@rx (" "id:1,phase:2,deny"\n')
    (tmp_path / "b.conf").write_text("\nSecNonsense\n")
    both, one = [str(tmp_path / name) for name in ("a.conf", "b.conf")], str(tmp_path / "a.conf")
    found = complaints(config(model.WafConfig(rules=(one,)), model.WafConfig(rules=(*both,)), model.WafConfig(rules=("/none",))))
    places = [(complaint.file, complaint.line) for complaint in found]
    assert places == [(both[0], 1), (both[1], 2), ("a.toml", 7)]
    assert ["a.toml:5" in found[0].hint, "a.toml:6" in found[1].hint] == [True, True]
    assert "no such file" in found[2].message


@pytest.mark.parametrize("there", [True, False])
def test_nothing_stays_of_rules_that_were_loaded_or_refused(there: bool, tmp_path: Path) -> None:
    """Each reload loads them in a process of its own, which ends with them: no descriptor and no process is left behind."""
    if there:
        try:
            ctypes.CDLL(model.WafConfig().engine)
        except OSError:
            pytest.skip("libmodsecurity3 is not installed (scripts/test installs it as root on Debian)")
    (tmp_path / "a.conf").write_text('SecRule ARGS "@contains evil" "id:1,phase:2,deny,status:403,log"\n')
    asked = config(model.WafConfig(rules=(str(tmp_path / "a.conf"),), engine=model.WafConfig().engine if there else "libnone.so.9"))

    def held() -> tuple[int, int]:
        return held_open(), len(psutil.Process().children())

    before = held()
    for _ in range(3):
        assert bool(complaints(asked)) != there
    assert all(now <= then for now, then in zip(held(), before, strict=True))


def test_memory_stays_as_it_is_over_fifty_reloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loads rules, and whoever looks, has after the fiftieth what it had after the tenth; so has the master."""
    try:
        ctypes.CDLL(model.WafConfig().engine)
    except OSError:
        pytest.skip("libmodsecurity3 is not installed (scripts/test installs it as root on Debian)")
    monkeypatch.setattr("lbproxy.master.inspection.inspectors.execute", _forked)
    (tmp_path / "a.conf").write_text('SecRule ARGS "@contains evil" "id:1,phase:2,deny,status:403,log"\n')
    asked = config(model.WafConfig("block", rules=(str(tmp_path / "a.conf"),), inspectors=1))
    asked = replace(asked, proxy=model.ProcessConfig(walls=False))  # behind them nobody may look at a process's memory
    after = {}
    for number in range(1, 51):
        rules = Loading(asked, None).done()
        with rules.serve() as worker:
            worker.setblocking(True)
            for _ in range(5):
                worker.send(pack(WafQuestion(1, 0, 60.0, b"192.0.2.1", b"GET", b"/?a=evil", b"\r\nHost: a.test", b"")))
                assert heard(worker.recv(4096)).blocked
            after[number] = (_memory(os.getpid()), sum(_memory(one.pid) for one in psutil.Process(rules.pid).children()))
        rules.close()
        rules.reap()
    for ours, theirs in zip(after[50], after[10], strict=True):
        assert ours < theirs + 2 * 1024, after


def _forked(_: str, descriptors: Sequence[int], **__: str) -> int:
    """In the place of a process that is executed anew: a fiftieth of the time, and what the master would lose is seen here, too."""
    pid = os.fork()
    if pid == 0:
        own = os.dup(descriptors[0])
        os.closerange(3, own)  # the master's end among them
        os.closerange(own + 1, 1024)
        process.main(own)
    return pid


def _memory(pid: int) -> int:
    """KiB that a process has beside files: its share of what several have would change with the others."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Anonymous:"))


def test_loading_is_given_up() -> None:
    """The process ends, whatever it is about."""
    others = set(psutil.Process().children())
    loading = Loading(config(model.WafConfig()), None)
    [child] = set(psutil.Process().children()) - others
    loading.close()
    assert not child.is_running()
