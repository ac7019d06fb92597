"""The master for real: forks, deaths, signals and pipes of real processes, with children that only pretend to work."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from lbproxy.master.resources.shared import WAKEUPS
from lbproxy.master.system.signals import IGNORED_BY_CHILDREN
from tests.support.ports import free_port
from tests.support.process import session_members
from tests.support.waiting import eventually
from tests.unit.master.running import Event, start

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as inner:
        yield inner


# ---------------------------------------------------------------- starting


def test_started_ready_and_told_so(stack: ExitStack, tmp_path: Path) -> None:
    master = start(stack, workers=3, pid_file=str(tmp_path / "pid")).wait_ready()
    started = master.wait_event("started")
    assert (started["workers"], started["config"], started["role"]) == (3, "test.toml", "master")
    assert started["listeners"] == [f"127.0.0.1:{master.port}"]
    assert (tmp_path / "pid").read_text() == f"{master.pid}\n"
    assert {event["worker"] for event in master.events("worker.ready")} == {1, 2, 3}
    assert len(master.events("ready")) == 1
    assert 0 <= master.events("ready")[0]["milliseconds"] < 60_000
    assert eventually(master.out.all, "on_ready") == [f"on_ready {master.pid}"]  # called once, and in the master
    assert psutil.Process(master.pid).cmdline()[0].startswith("lbproxy: master (test.toml)")
    master.wait_event("backend.down")  # control is in nobody's way: it may tell later than the workers are ready
    master.signal(signal.SIGTERM)
    assert master.wait() == 0
    assert [event["pool"] for event in master.events("backend.down")] == ["web"]  # told twice, logged once


def test_what_a_worker_inherits(stack: ExitStack, tmp_path: Path) -> None:
    """The listener, the log, the pipe, the ledger, the wakeups, a file without a name for bodies - and no end of a sibling's pipe,
    no selector, no pid file of the master's."""
    access, metrics = tmp_path / "access.log", free_port()
    master = start(stack, facts=True, access=str(access), metrics=metrics, pid_file=str(tmp_path / "pid")).wait_ready()
    facts = master.facts(1)  # the second worker, forked when there was a sibling already
    assert facts["metrics"] == -1
    assert facts["descriptors"][str(facts["access"])] == str(access)
    besides = _besides(facts, facts["pipe"], facts["access"], *facts["listeners"])
    unnamed = [name for name in besides if name.startswith("/var/tmp/#")]
    assert len(unnamed) == 1
    assert sorted(besides) == ["/memfd:lbproxy-ledger", *unnamed, *["anon_inode:[eventfd]"] * WAKEUPS]
    assert facts["child"] == 1
    assert facts["slots"] == {"127.0.0.1:9": 0}
    assert facts["cmdline"].startswith("lbproxy: worker 2 (generation 1)")
    assert set(facts["ignored"]) >= set(IGNORED_BY_CHILDREN)
    assert facts["core"] == 0  # a core file would hold keys


def test_what_control_inherits(stack: ExitStack, tmp_path: Path) -> None:
    """The socket for metrics and the pipe; nothing of the clients'."""
    master = start(stack, facts=True, access=str(tmp_path / "access.log"), metrics=free_port()).wait_ready()
    facts = master.facts(-1)
    assert facts["listeners"] == []
    assert facts["access"] == -1
    assert facts["cmdline"].startswith("lbproxy: control (generation 1)")
    assert _besides(facts, facts["pipe"], facts["metrics"]) == ["/memfd:lbproxy-ledger"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to drop")
def test_children_are_not_root_and_the_master_is(stack: ExitStack) -> None:
    master = start(stack, facts=True).wait_ready()
    for worker in (0, 1, -1):
        assert 0 not in master.facts(worker)["uid"]
    assert psutil.Process(master.pid).uids().effective == 0


def test_a_port_in_use_is_refused_with_file_and_line(stack: ExitStack) -> None:
    first = start(stack).wait_ready()
    second = start(stack, port=first.port)
    assert second.wait() == 1
    [line] = second.err.finish()
    assert line.startswith(f"test.toml:3: listen.address: cannot listen on 127.0.0.1:{first.port}: the port is in use by ")
    assert first.accepts()


def test_a_second_one_with_the_same_pid_file_is_refused(stack: ExitStack, tmp_path: Path) -> None:
    first = start(stack, pid_file=str(tmp_path / "pid")).wait_ready()
    second = start(stack, pid_file=str(tmp_path / "pid"))
    assert second.wait() == 1
    assert f"already running as pid {first.pid}" in second.err.finish()[0]
    assert (tmp_path / "pid").read_text() == f"{first.pid}\n"


# ---------------------------------------------------------------- deaths


def test_a_killed_worker_is_replaced_within_a_second_and_the_other_untouched(stack: ExitStack) -> None:
    master = start(stack, workers=2).wait_ready()
    victim, other = master.worker(1), master.worker(2)
    os.kill(victim, signal.SIGKILL)
    died = master.wait_event("worker.died", worker=1)
    assert (died["pid"], died["how"]) == (victim, "signal 9")
    again = master.wait_event("worker.ready", number=2, worker=1)
    assert again["pid"] != victim
    assert _seconds(died, again) < 1.0
    assert master.worker(2) == other
    assert psutil.pid_exists(other)
    assert master.accepts()
    assert len(master.events("ready")) == 1


def test_a_killed_control_is_replaced(stack: ExitStack) -> None:
    master = start(stack).wait_ready()
    os.kill(master.events("control.ready")[0]["pid"], signal.SIGKILL)
    assert master.wait_event("control.died")["how"] == "signal 9"
    master.wait_event("control.ready", number=2)
    assert len(master.events("backend.down")) == 1  # the new one tells it again; it is no news


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        ("raises", "worker 1, exit 1: RuntimeError: no such luck"),
        ("cannot", "worker 1, exit 1: the moon is in the wrong house"),
        ("exits 7", "worker 1, exit 7"),
        ("returns 3", "worker 1, exit 3"),
        (
            "no thread",
            "worker 1, exit 1: RuntimeError: can't start new thread (more processes and threads, or memory for their stacks, are "
            "needed: ulimit -u and -v, TasksMax= and MemoryMax= in systemd, the container's limits)",
        ),
    ],
)
def test_workers_that_cannot_start_end_it_with_the_reason(stack: ExitStack, behave: str, reason: str) -> None:
    master = start(stack, workers=1, behave=behave)
    assert master.wait() == 1
    assert master.all_gone()
    assert master.wait_event("start.failed")["reason"] == f"5 deaths at start; the last: {reason}"
    assert master.wait_event("stopped")["code"] == 1
    assert len(master.events("worker.died")) == 5
    lines = master.err.finish()
    if behave == "raises":
        assert any("Traceback" in event["exception"] for event in master.events("crashed"))
    if behave in ("cannot", "no thread"):
        assert not any("Traceback" in line for line in lines)  # a reason for a person, no bug


def test_a_start_that_never_served_tells_its_caller(stack: ExitStack) -> None:
    """`start --daemon` passes it on to the terminal."""
    master = start(stack, workers=1, behave="cannot")
    assert master.wait() == 1
    assert master.err.finish()[-1] == "5 deaths at start; the last: worker 1, exit 1: the moon is in the wrong house"


def test_a_hung_worker_writes_its_stack_is_killed_and_replaced(stack: ExitStack) -> None:
    master = start(stack, workers=1, behave="hangs").wait_ready()
    hung = master.wait_event("worker.hung")
    assert hung["why"] == "silent"
    died = master.wait_event("worker.died")
    assert died["how"] == f"signal {int(signal.SIGABRT)}"
    master.wait_event("worker.ready", number=2)
    stack_lines = "\n".join(line for line in master.err.all() if not line.startswith("{"))
    assert "Fatal Python error: Aborted" in stack_lines
    assert "in serve" in stack_lines


def test_a_worker_that_speaks_nonsense_is_killed(stack: ExitStack) -> None:
    # Not `wait_ready`: when the nonsense comes in one read with Ready in front of it, the pipe is not trusted for either.
    master = start(stack, workers=1, behave="speaks nonsense")
    assert "not a frame" in master.wait_event("worker.untrusted")["why"]
    assert master.wait_event("worker.died")["how"] == "signal 9"
    master.wait_event("worker.respawn")


def test_a_worker_that_wrote_nonsense_into_its_books_does_not_take_the_master_with_it(stack: ExitStack) -> None:
    master = start(stack, workers=1, behave="breaks the books")
    master.wait_event("ledger.corrupt")
    master.wait_event("worker.ready", number=2)


# ---------------------------------------------------------------- ending


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_it_drains_and_exits_0(stack: ExitStack, number: signal.Signals, tmp_path: Path) -> None:
    master = start(stack, pid_file=str(tmp_path / "pid")).wait_ready()
    master.signal(number)
    assert master.wait() == 0
    assert master.all_gone()
    assert master.wait_event("draining")["signal"] == number.name
    assert master.wait_event("stopped")["code"] == 0
    assert len(master.events("worker.drained")) == 2
    assert master.events("worker.died") == []
    assert list(tmp_path.iterdir()) == []
    left = [event["event"] for event in map(json.loads, master.err.finish()) if event["event"].endswith(".left")]
    assert left == ["worker.left", "worker.left", "control.left"]


def test_ctrl_c_reaches_the_whole_group_and_only_the_master_acts(stack: ExitStack) -> None:
    master = start(stack, workers=2).wait_ready()
    os.killpg(master.pid, signal.SIGINT)
    assert master.wait() == 0
    assert len(master.events("worker.drained")) == 2
    assert master.events("worker.died") == []


def test_who_does_not_drain_is_cut(stack: ExitStack) -> None:
    master = start(stack, workers=1, behave="never drains", drain_timeout=0.2).wait_ready()
    master.signal(signal.SIGTERM)
    eventually(lambda: not master.events("stopped"), "still draining")
    assert master.wait() == 0
    assert master.wait_event("worker.cut")["why"] == "not drained in time"


def test_a_second_signal_is_immediate(stack: ExitStack) -> None:
    master = start(stack, behave="never drains", drain_timeout=60).wait_ready()
    master.signal(signal.SIGTERM)
    master.wait_event("draining")
    master.signal(signal.SIGTERM)
    assert master.wait() == 2
    assert master.all_gone()
    assert master.wait_event("stopped")["code"] == 2


def test_when_the_master_is_killed_its_children_see_it_and_go(stack: ExitStack) -> None:
    master = start(stack, workers=3).wait_ready()
    assert len(session_members(master.pid)) == 5
    master.signal(signal.SIGKILL)
    assert master.wait() == -signal.SIGKILL
    eventually(master.all_gone, "every child gone")
    with socket.create_server(("127.0.0.1", master.port)):  # and the port is free
        pass


def test_a_stopped_and_continued_group_loses_nobody(stack: ExitStack) -> None:
    """Ctrl-Z and fg, longer than a child may be silent."""
    master = start(stack, workers=2).wait_ready()
    workers = [master.worker(1), master.worker(2)]
    os.killpg(master.pid, signal.SIGSTOP)
    eventually(lambda: all(p.status() == psutil.STATUS_STOPPED for p in session_members(master.pid)), "all stopped")
    with pytest.raises(subprocess.TimeoutExpired):
        master.process.wait(8)  # it does not end, and it is silent for longer than it may be
    os.killpg(master.pid, signal.SIGCONT)
    assert master.wait_event("stalled")["seconds"] >= 5
    os.kill(workers[0], signal.SIGKILL)  # the master works on
    master.wait_event("worker.ready", number=2, worker=1)
    assert master.events("worker.hung") == []
    assert master.worker(2) == workers[1]


# ---------------------------------------------------------------- other signals


def test_a_rotated_access_log_is_reopened_by_workers_who_may_not_open_it(stack: ExitStack, tmp_path: Path) -> None:
    access = tmp_path / "access.log"  # in a folder of root's, when the tests are run as root
    master = start(stack, workers=2, access=str(access)).wait_ready()
    access.rename(tmp_path / "access.log.1")
    master.signal(signal.SIGUSR1)
    master.wait_event("logs.reopened")
    eventually(lambda: access.read_bytes() == b"reopened\n" * 2, "both workers write to the new file")
    assert (tmp_path / "access.log.1").read_bytes() == b""
    os.kill(master.worker(1), signal.SIGKILL)
    replaced = master.wait_event("worker.ready", number=2, worker=1)["pid"]
    assert os.readlink(f"/proc/{replaced}/fd/{_fd_of(replaced, access)}") == str(access)


def test_a_log_that_cannot_be_reopened_is_told_and_the_old_one_goes_on(stack: ExitStack, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    master = start(stack, access=str(folder / "access.log")).wait_ready()
    folder.rename(tmp_path / "moved")
    master.signal(signal.SIGUSR1)
    assert "cannot write" in master.wait_event("logs.not_reopened")["why"]
    master.signal(signal.SIGTERM)
    assert master.wait() == 0


# ---------------------------------------------------------------- imports


def test_the_master_never_imports_gevent() -> None:
    """The bare greenlet module may be there (structlog looks for it); gevent and its hub may not."""
    code = "import sys, lbproxy.master.main; sys.exit(any(name.split('.')[0] == 'gevent' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def _seconds(earlier: Event, later: Event) -> float:
    start, end = (datetime.fromisoformat(event["timestamp"]) for event in (earlier, later))
    return (end - start).total_seconds()


def _besides(facts: Event, *known: int) -> list[str]:
    """What a child has open besides its standard descriptors, what it writes to them with (outlet.py), and these."""
    names = {int(fd): name.split(" ")[0] for fd, name in facts["descriptors"].items()}
    standard = {name for fd, name in names.items() if fd in (1, 2)}
    return [name for fd, name in names.items() if fd > 2 and fd not in known and name not in standard]


def _fd_of(pid: int, path: Path) -> str:
    return next(fd for fd in os.listdir(f"/proc/{pid}/fd") if os.readlink(f"/proc/{pid}/fd/{fd}") == str(path))
