"""The package's files are replaced under a running lbproxy, by pip or apt: what runs goes on as what it is."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from tests.conftest import Stage
from tests.support.load import Load, faults_in
from tests.support.process import ROOT
from tests.support.waiting import eventually

LATE = """
import os, sys
first = os.getpid()
def hook(event, arguments):
    if event == "import" and os.getpid() != first and b"worker" in open("/proc/self/cmdline", "rb").read():
        log = os.open({log!r}, os.O_WRONLY | os.O_APPEND)
        os.write(log, f"{{arguments[0]}}\\n".encode())
        os.close(log)
sys.addaudithook(hook)
"""
"""As sitecustomize.py: tells what a worker loads from disk."""


def test_a_package_that_is_moved_away_under_load(stage: Stage, tmp_path: Path) -> None:
    """Workers that are killed then have successors that serve; no request fails that a worker's death does not take along, and no
    worker reads a module from disk. So does control."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "lbproxy", site / "lbproxy", ignore=shutil.ignore_patterns("__pycache__"))
    late = tmp_path / "late"
    late.touch()
    late.chmod(0o666)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # workers are nobody
    (site / "sitecustomize.py").write_text(LATE.format(log=str(late)))
    proxy = stage.run(stage.config(stage.app().address, workers=2), under=["env", "PYTHONSAFEPATH=1", f"PYTHONPATH={site}"])
    control = int(proxy.wait_event("control.ready")["pid"])
    first = set(proxy.wait_workers(2))
    with Load(proxy.port(), stage.authority.file, connections=4, pause=0.01) as load:
        proxy.wait_access(count=20, status=200)
        (site / "lbproxy").rename(site / "gone")
        (site / "lbproxy").mkdir()
        (site / "lbproxy" / "__init__.py").write_text("raise RuntimeError('this is another version')\n")
        for number, victim in enumerate(first):
            os.kill(victim, signal.SIGKILL)
            proxy.wait_event("worker.ready", skip=2 + number)
        eventually(lambda: len(set(proxy.workers()) - first) == 2, "successors alone")
        os.kill(control, signal.SIGKILL)
        proxy.wait_event("control.ready", skip=1)
        with stage.client(proxy) as client:
            assert client.request("GET", "/echo").status == 200
        outcomes = load.stop()
    assert outcomes["ok"]
    assert sum(faults_in(outcomes).values()) <= 8, load.faults  # what killed workers were doing, at most a request a connection
    assert late.read_text() == ""
