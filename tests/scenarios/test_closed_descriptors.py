"""Started by a tool that closes standard descriptors: whichever are missing, it serves, reloads and replaces as always."""

from __future__ import annotations

import json
import os
import signal
from itertools import combinations
from pathlib import Path

import psutil
import pytest

from tests.conftest import Stage
from tests.support.process import run_cli
from tests.support.waiting import eventually

COMBINATIONS = [which for count in (1, 2, 3) for which in combinations((0, 1, 2), count)]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("closed", COMBINATIONS, ids=str)
def test_whichever_are_missing(stage: Stage, closed: tuple[int, ...], tmp_path: Path) -> None:
    """Requests are answered and the counts add up, before and after a reload and a crash; no process has anything else there."""
    control = tmp_path / "c"
    config = stage.config(stage.app().address, proxy={"control": str(control)}, log={"level": "debug"})
    redirections = " ".join(f"{number}<&-" for number in closed)
    proxy = stage.run(config, ready=False, under=["sh", "-c", f'exec "$@" {redirections}', "sh"])

    def serves(generation: int) -> None:
        def ready() -> bool:
            told = run_cli("status", "--json", "--control", str(control)).stdout
            generations = json.loads(told)["generations"] if told else []
            return [each["number"] for each in generations if each["stage"] == "serving"] == [generation]

        eventually(ready, f"generation {generation} serves", every=0.1)
        with stage.client(proxy) as client:
            for _ in range(20):
                assert client.request("GET", "/echo").status == 200
        for process in proxy.members():
            for number in closed:
                try:
                    found = os.readlink(f"/proc/{process.pid}/fd/{number}")
                except FileNotFoundError:
                    eventually(lambda process=process: not _lives(process), f"the end of {process}")  # type: ignore[misc]
                    break
                assert found == "/dev/null", process
        verified = run_cli("status", "--verify", "--control", str(control))
        assert verified.returncode == 0, verified

    serves(1)
    told = run_cli("reload", "--control", str(control))
    assert told.returncode == 0, told
    serves(2)
    [worker] = proxy.wait_workers(1)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: proxy.workers() not in ([], [worker]), "another worker")
    serves(2)
    assert proxy.stop() == 0
