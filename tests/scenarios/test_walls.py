"""Walls around the running processes: status tells of them, and they are told off when they are off."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lbproxy.sandbox import kernel
from lbproxy.sandbox.names import CALLS, FILES, LEDGER, MEMORY, PORTS, PRIVILEGES, PROCESSES
from tests.conftest import Stage
from tests.support.process import LbProxy, run_cli


def facts(pid: int) -> dict[str, str]:
    """Of /proc/PID/status."""
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def status(proxy: LbProxy) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run_cli("status", "-c", str(proxy.file), "--json").stdout)
    return answer


def test_status_tells_which_walls_stand(stage: Stage) -> None:
    """Of each process, in JSON and in words; and they are there: the kernel says so."""
    app = stage.app()
    proxy = stage.proxy(app.address, workers=2, proxy={"control": str(stage.directory / "c.sock")})
    proxy.wait_up(app.address)
    control = int(proxy.wait_event("control.ready")["pid"])
    version = kernel.landlock_version()
    wanted = {MEMORY, LEDGER, PRIVILEGES, CALLS} | ({FILES} if version else set()) | ({PORTS} if version >= 4 else set())
    [generation] = status(proxy)["generations"]
    for worker in generation["workers"]:
        assert set(worker["walls"]) == wanted | {PROCESSES}
    assert set(generation["control"]["walls"]) == wanted
    said = run_cli("status", "-c", str(proxy.file)).stdout
    assert "walls: memory, ledger, privileges, calls" in said
    for pid in (control, *proxy.wait_workers(2)):
        assert facts(pid)["Seccomp"].strip() == "2"
        assert facts(pid)["NoNewPrivs"].strip() == "1"
    limits = Path(f"/proc/{proxy.pid}/limits").read_text().splitlines()
    [core] = [line.split()[4:6] for line in limits if line.startswith("Max core file size")]
    assert core == ["0", "0"], "the master's memory holds the keys of all"
    assert stage.client(proxy).request("GET", "/echo").status == 200


@pytest.mark.skipif(os.getuid() != 0, reason="being another user needs root")
def test_nobody_of_the_same_user_looks_into_them(stage: Stage) -> None:
    """Not even the workers' own account: their memory is root's to read."""
    proxy = stage.proxy(stage.app().address)
    for pid in (proxy.pid, *proxy.wait_workers(1)):
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0


def test_without_walls(stage: Stage) -> None:
    """For who has to look into a process: told at start and by status, and it serves."""
    app = stage.app()
    config = stage.config(app.address, proxy={"walls": False, "control": str(stage.directory / "c.sock")})
    proxy = stage.run(config, under=("prlimit", "--core=4096:8192"))
    assert "walls" in proxy.wait_event("walls.off")["why"]
    said = run_cli("status", "-c", str(proxy.file)).stdout
    assert "walls: ledger, privileges (missing: memory, calls, files, ports, processes)" in said
    control = int(proxy.wait_event("control.ready")["pid"])
    for pid in (proxy.pid, control, *proxy.wait_workers(1)):
        assert facts(pid)["Seccomp"].strip() == "0"
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        [core] = [line.split()[4:6] for line in limits if line.startswith("Max core file size")]
        assert core == ["4096", "8192"], "as whoever starts it says"
        assert os.stat(f"/proc/{pid}/mem").st_uid == int(facts(pid)["Uid"].split()[0]), "its own user may look into it"
    assert stage.client(proxy).request("GET", "/echo").status == 200


def test_walls_are_built_at_the_start_alone(stage: Stage) -> None:
    """The kernel takes none of them down again, so a reload that asks for it says that it takes a restart; nothing is half on."""
    app = stage.app()
    proxy = stage.proxy(app.address, proxy={"control": str(stage.directory / "c.sock")})
    proxy.wait_up(app.address)
    text = proxy.file.read_text()
    proxy.file.write_text(text.replace("[proxy]\n", "[proxy]\nwalls = false\n"))
    done = run_cli("reload", "-c", str(proxy.file))
    assert "proxy.walls" in done.stdout + done.stderr
    assert "restart" in done.stdout + done.stderr
    assert "walls: memory, ledger" in run_cli("status", "-c", str(proxy.file)).stdout
