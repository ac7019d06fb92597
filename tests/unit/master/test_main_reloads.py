"""Reloads for real: generations of processes that come and go, and operators who ask for it (see also test_main.py)."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from lbproxy.balance.ledger import Scalar, SlotState, is_drained, state_at
from lbproxy.master.operator import requests
from lbproxy.master.operator.operator import OVER_RELOADS, UNTIL_RELOAD
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tests.unit.master.running import Master, answer_from, start


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as inner:
        yield inner


class Reloads:
    """A master with a file of options that changes, and a control socket."""

    def __init__(self, stack: ExitStack, folder: Path, **options: Any) -> None:
        self.file = folder / "options.json"
        self.master = start(stack, reread=str(self.file), control=str(folder / "control.sock"), **options).wait_ready()

    def reload(self, **options: Any) -> None:
        """With these options; SIGHUP."""
        self.write(**options)
        self.master.signal(signal.SIGHUP)

    def write(self, **options: Any) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(options))
        fresh.rename(self.file)

    def serves(self, generation: int) -> None:
        """Wait until it does, and everybody older is gone."""
        self.master.wait_event("reloaded", generation=generation)
        self.master.wait_event("control.ready", generation=generation)
        older = [pid for number in range(1, generation) for pid in self.master.workers(number)]
        eventually(lambda: not any(map(psutil.pid_exists, older)), "older workers are gone")


@pytest.fixture
def reloads(stack: ExitStack, tmp_path: Path) -> Reloads:
    return Reloads(stack, tmp_path)


# ---------------------------------------------------------------- reloads that work


def test_hang_up_brings_a_new_generation_and_the_old_one_leaves(reloads: Reloads) -> None:
    master = reloads.master
    old = [*master.workers(1), master.events("control.ready")[0]["pid"]]
    more = free_port()
    reloads.reload(workers=3, more_ports=[more], backends=[9, 10])
    done = master.wait_event("reloaded")
    assert (done["generation"], done["role"]) == (2, "master")
    assert f"+ listener 127.0.0.1:{more}" in done["changes"]
    assert "+ backend web/127.0.0.1:10" in done["changes"]
    reloads.serves(2)
    eventually(lambda: not any(map(psutil.pid_exists, old)), "the old control is gone as well")
    assert len(master.workers(2)) == 3
    assert {event["how"] for event in master.events("worker.left")} == {"exit 0"}
    assert master.events("worker.died") == []
    assert len(master.events("worker.drained")) == 2
    assert master.accepts()
    assert master.accepts(more)
    assert psutil.Process(master.pid).cmdline()[0].startswith("lbproxy: master (generation 2, ")
    assert "(generation 2)" in psutil.Process(master.workers(2)[0]).cmdline()[0]
    assert len(master.events("ready")) == 1
    assert len(master.out.all()) == 1, "on_ready is for the start alone"
    master.signal(signal.SIGTERM)
    assert master.wait() == 0
    assert master.all_gone()


def test_a_closing_terminal_hangs_up_on_everybody_and_only_the_master_acts(reloads: Reloads) -> None:
    os.killpg(reloads.master.pid, signal.SIGHUP)
    reloads.serves(2)
    assert reloads.master.events("worker.died") == []


def test_a_listener_that_was_removed_is_closed_and_others_stay(stack: ExitStack, tmp_path: Path) -> None:
    more, metrics = free_port(), free_port()
    reloads = Reloads(stack, tmp_path, more_ports=[more], metrics=metrics)
    assert reloads.master.accepts(more)
    reloads.reload(more_ports=[], metrics=None)
    reloads.serves(2)
    eventually(lambda: not reloads.master.accepts(more), "the listener is closed")
    eventually(lambda: not reloads.master.accepts(metrics), "and that of the metrics")
    assert reloads.master.accepts()
    reloads.reload(more_ports=[more])  # and can be had again
    reloads.serves(3)
    assert reloads.master.accepts(more)


def test_old_children_keep_nothing_of_the_new_generation_and_the_other_way_round(stack: ExitStack, tmp_path: Path) -> None:
    """Each has its own log, its own end of its own pipe and its own listeners."""
    old_log, new_log, more = tmp_path / "old.log", tmp_path / "new.log", free_port()
    reloads = Reloads(stack, tmp_path, access=str(old_log), behave="never drains", drain_timeout=60, workers=1)
    reloads.reload(access=str(new_log), behave="never drains", more_ports=[more], workers=1)
    reloads.master.wait_event("reloaded")

    def names(pid: int) -> list[str]:
        return [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]

    [old], [new] = reloads.master.workers(1), reloads.master.workers(2)
    assert str(old_log) in names(old)
    assert str(new_log) not in names(old)
    assert str(new_log) in names(new)
    assert str(old_log) not in names(new)
    sockets = {pid: sum(name.startswith("socket:") for name in names(pid)) for pid in (old, new)}
    assert sockets == {old: 2, new: 3}  # the pipe and its listeners


def test_a_burst_of_signals_is_two_generations_at_most(reloads: Reloads) -> None:
    for _ in range(100):
        reloads.master.signal(signal.SIGHUP)
    reloads.master.wait_event("reloaded", generation=2)  # whose control may never be ready, where the next one follows at once
    answer = reloads.master.ask(requests.ReloadRequest())  # comes after all of them
    assert answer["ok"] is True
    assert answer["generation"] <= 4


def test_many_reloads_leave_nothing_behind(reloads: Reloads) -> None:
    """No descriptor, no process."""
    process = psutil.Process(reloads.master.pid)
    counts = []
    for generation in range(2, 6):
        assert reloads.master.ask(requests.ReloadRequest())["ok"] is True
        reloads.serves(generation)
        eventually(lambda: len(process.children()) == 3, "two workers and control")
        counts.append(process.num_fds())
    eventually(lambda: process.num_fds() <= counts[0], "no more descriptors than after the first")


def test_the_ledger_is_read_no_further_than_there_are_workers(reloads: Reloads) -> None:
    """Two generations side by side have rows of their own; when the older is gone, the next one takes its rows and not new ones."""
    ledger = reloads.master.ledger()
    assert ledger.children == 2
    eventually(lambda: ledger.total(Scalar.ACCEPTING) == 2, "both were told to serve")
    assert reloads.master.ask(requests.ReloadRequest())["ok"] is True
    reloads.serves(2)
    assert ledger.children == 4
    assert reloads.master.ask(requests.ReloadRequest())["ok"] is True
    reloads.serves(3)
    eventually(lambda: ledger.children == 2, "the rows of the second generation are free")
    eventually(lambda: ledger.total(Scalar.ACCEPTING) == 2, "gauges of the dead are zero")


# ---------------------------------------------------------------- reloads that fail


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        ("raises", "worker 1 of the new generation: exit 1: RuntimeError: no such luck"),
        ("cannot", "worker 1 of the new generation: exit 1: the moon is in the wrong house"),
        ("exits 7", "worker 1 of the new generation: exit 7"),
    ],
)
def test_a_reload_whose_worker_dies_at_start_is_taken_back(reloads: Reloads, behave: str, reason: str) -> None:
    """What was bound for it is closed, its log too, its other workers go; the old ones never hear of it."""
    master = reloads.master
    old, more = master.workers(1), free_port()
    reloads.write(behave=behave, more_ports=[more])
    answer = master.ask(requests.ReloadRequest())
    assert answer == {"ok": False, "error": reason, "serving": 1}
    failed = master.wait_event("reload.failed")
    assert (failed["reason"], failed["serving"]) == (reason, 1)
    eventually(lambda: len(psutil.Process(master.pid).children()) == 3, "only the old ones are left")
    eventually(lambda: not master.accepts(more), "and no listener of the new one")
    assert all(map(psutil.pid_exists, old))
    assert master.events("worker.drained") == []
    assert master.accepts()
    reloads.write()
    assert master.ask(requests.ReloadRequest())["generation"] == 3
    reloads.serves(3)


def test_a_file_that_cannot_be_read_is_answered_with_its_faults(reloads: Reloads) -> None:
    reloads.file.write_text("{")
    answer = reloads.master.ask(requests.ReloadRequest())
    assert answer["ok"] is False
    assert answer["error"].startswith(f"{reloads.file}:1: wanted JSON")
    assert len(psutil.Process(reloads.master.pid).children()) == 3


def test_a_port_of_somebody_else_is_answered_and_nothing_of_ours_is_closed(stack: ExitStack, tmp_path: Path) -> None:
    other = start(stack).wait_ready()
    reloads = Reloads(stack, tmp_path)
    reloads.write(more_ports=[free_port(), other.port])
    answer = reloads.master.ask(requests.ReloadRequest())
    assert answer["ok"] is False
    assert f"cannot listen on 127.0.0.1:{other.port}: the port is in use" in answer["error"]
    assert reloads.master.accepts()
    assert other.accepts()


def test_a_reload_that_cannot_fork_is_taken_back(stack: ExitStack, tmp_path: Path) -> None:
    """With more than one worker to start: the others are not started, or let go."""
    scarce = tmp_path / "no_forks"
    reloads = Reloads(stack, tmp_path, no_forks=str(scarce), workers=3)
    scarce.touch()
    answer = reloads.master.ask(requests.ReloadRequest())
    assert answer["ok"] is False
    assert "cannot fork: Resource temporarily unavailable" in answer["error"]
    scarce.unlink()
    answer = reloads.master.ask(requests.ReloadRequest())
    assert answer["ok"] is True
    reloads.serves(answer["generation"])
    assert len(psutil.Process(reloads.master.pid).children()) == 4


def test_a_start_that_cannot_fork_gives_up_with_the_reason(stack: ExitStack, tmp_path: Path) -> None:
    scarce = tmp_path / "no_forks"
    scarce.touch()
    master = start(stack, no_forks=str(scarce), workers=8)
    assert master.wait() == 1
    assert "cannot fork: Resource temporarily unavailable" in master.err.finish()[-1]


# ---------------------------------------------------------------- several generations


def test_logs_of_every_living_generation_are_reopened(stack: ExitStack, tmp_path: Path) -> None:
    """Each its own file."""
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    reloads = Reloads(stack, tmp_path, workers=1, access=str(old), behave="never drains", drain_timeout=60)
    reloads.reload(workers=2, access=str(new), behave="never drains")
    reloads.master.wait_event("reloaded")
    for log in (old, new):
        log.rename(log.with_suffix(".1"))
    reloads.master.signal(signal.SIGUSR1)
    eventually(lambda: old.exists() and old.read_bytes() == b"reopened\n", "the old worker writes to its new file")
    eventually(lambda: new.exists() and new.read_bytes() == b"reopened\n" * 2, "both new ones to theirs")
    eventually(lambda: {event["generation"] for event in reloads.master.events("logs.reopened")} == {1, 2}, "told of both")


def test_a_stop_ends_every_generation(stack: ExitStack, tmp_path: Path) -> None:
    reloads = Reloads(stack, tmp_path, workers=1, behave="never drains", drain_timeout=60)
    reloads.reload(workers=1)
    reloads.master.wait_event("reloaded")
    reloads.master.signal(signal.SIGTERM)
    reloads.master.wait_event("draining")
    reloads.master.signal(signal.SIGTERM)
    assert reloads.master.wait() == 2
    assert reloads.master.all_gone()


# ---------------------------------------------------------------- operators


def test_a_reload_is_answered_when_it_serves(reloads: Reloads) -> None:
    reloads.write(workers=1, backends=[9, 10])
    answer = reloads.master.ask(requests.ReloadRequest())
    assert (answer["ok"], answer["generation"], answer["restart"]) == (True, 2, [])
    assert "+ backend web/127.0.0.1:10" in answer["changes"]
    eventually(lambda: reloads.master.workers(2) == answer["pids"], "as the log tells them")
    assert 0 < answer["milliseconds"] < 60_000


def test_who_asks_for_a_reload_and_goes_away_does_no_harm(reloads: Reloads) -> None:
    reloads.master.asking(requests.ReloadRequest()).close()
    reloads.serves(2)
    assert reloads.master.ask(requests.StatusRequest())["ok"] is True


def test_a_stop_answers_who_waits_for_a_reload(reloads: Reloads) -> None:
    """Before it goes."""
    master = reloads.master
    with ExitStack() as asking:
        waiting = [asking.enter_context(master.asking(requests.ReloadRequest())) for _ in range(3)]
        master.wait_event("reload.begun")
        assert master.ask(requests.StopRequest(now=False))["ok"] is True
        answers = [answer_from(sock) for sock in waiting]
    assert master.wait() == 0
    assert {answer["ok"] for answer in answers[1:]} == {False}
    assert all("lbproxy stop came" in answer["error"] for answer in answers if not answer["ok"])


def test_status_tells_of_real_processes(reloads: Reloads) -> None:
    master = reloads.master
    status = master.ask(requests.StatusRequest())
    [generation] = status["generations"]
    assert [worker["pid"] for worker in generation["workers"]] == [master.worker(1), master.worker(2)]
    assert {worker["phase"] for worker in generation["workers"]} == {"serving"}
    assert generation["control"]["phase"] == "serving"
    assert status["listeners"] == [f"127.0.0.1:{master.port}"]
    assert status["last_reload"] is None
    assert [pool["name"] for pool in status["pools"]] == ["web"]
    assert status["log_level"] == "debug"


def test_workers_come_and_go(reloads: Reloads) -> None:
    master = reloads.master
    assert master.ask(requests.WorkersRequest(1)) == {"ok": True, "workers": 3, "note": UNTIL_RELOAD}
    third = master.wait_event("worker.ready", worker=3)["pid"]
    assert master.ask(requests.WorkersRequest(-1))["workers"] == 2
    eventually(lambda: not psutil.pid_exists(third), "the last one leaves")
    master.wait_event("worker.left", pid=third)
    assert len(master.events("worker.left")) == 1
    assert master.ask(requests.WorkersRequest(-1))["ok"] is True
    assert master.ask(requests.WorkersRequest(-1))["ok"] is False


def test_a_backends_orders_are_in_the_ledger_that_workers_read(reloads: Reloads) -> None:
    master = reloads.master
    cell = state_at(SlotState.ADMIN, 0)
    answer = master.ask(requests.BackendRequest("web/127.0.0.1:9", "drain", 0))
    assert answer == {"ok": True, "backend": "web/127.0.0.1:9", "in_flight": 0, "note": OVER_RELOADS}
    assert is_drained(master.ledger().cells[cell])
    assert master.ask(requests.BackendRequest("127.0.0.1:9", "weight", 5))["note"] == UNTIL_RELOAD
    assert master.ask(requests.ReloadRequest())["ok"] is True
    [pool] = master.ask(requests.StatusRequest())["pools"]
    assert (pool["backends"][0]["admin"], pool["backends"][0]["weight"]) == ("drained", 1)
    assert "error" in master.ask(requests.BackendRequest("nobody", "drain", 0))


def levels(master: Master) -> set[tuple[int, str]]:
    return {(event["worker"], event["level"]) for event in master.events("level")}


def test_the_level_of_the_log_is_told_to_every_process(reloads: Reloads) -> None:
    master = reloads.master
    assert master.ask(requests.LogLevelRequest("warning"))["ok"] is True
    eventually(lambda: levels(master) == {(0, "warning"), (1, "warning"), (-1, "warning")}, "all three heard it")
    master.ask(requests.StopRequest(now=False))
    assert master.wait() == 0
    master.err.finish()
    assert (master.events("draining"), master.events("worker.left"), master.events("stopped")) == ([], [], [])  # all of them info


def test_who_takes_the_place_of_another_logs_as_that_one_did(reloads: Reloads) -> None:
    """Until the next reload, whose workers go by the file."""
    master = reloads.master

    def told() -> int:
        return sum(event["worker"] == 0 for event in master.events("level"))

    assert master.ask(requests.LogLevelRequest("debug"))["ok"] is True
    eventually(lambda: told() == 1, "it heard it")
    os.kill(master.worker(1), signal.SIGKILL)
    eventually(lambda: told() == 2, "and so did the next one")
    assert master.ask(requests.ReloadRequest())["ok"] is True
    reloads.serves(2)
    os.kill(master.workers(2)[0], signal.SIGKILL)
    os.kill(master.workers(2)[1], signal.SIGKILL)
    eventually(lambda: len(master.workers(2)) == 4, "both were replaced")
    assert master.ask(requests.LogLevelRequest("info"))["ok"] is True
    eventually(
        lambda: [event["level"] for event in master.events("level") if event["worker"] == 0][2:] == ["info"], "nothing between"
    )


def test_a_stop_is_answered_and_done(reloads: Reloads) -> None:
    assert reloads.master.ask(requests.StopRequest(now=False)) == {"ok": True, "drain_timeout": 5.0}
    assert reloads.master.wait() == 0
    assert not Path(reloads.master.options["control"]).exists()


def test_a_stop_now_is_done_now(stack: ExitStack, tmp_path: Path) -> None:
    master = Reloads(stack, tmp_path, behave="never drains", drain_timeout=60).master
    assert master.ask(requests.StopRequest(now=True))["ok"] is True
    assert master.wait() == 2
    assert master.all_gone()
