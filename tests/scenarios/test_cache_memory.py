"""The cache's memory and folder: who has them, and how long they last."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from tests.conftest import Stage
from tests.support.process import LbProxy, run_cli
from tests.support.reloads import Reloads
from tests.support.waiting import eventually


def memories(pid: int) -> set[int]:
    """The inodes of the caches that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {int(line.split()[4]) for line in lines if "/memfd:lbproxy-cache" in line}


def cache(proxy: LbProxy, *words: str) -> dict[str, Any]:
    """What the verb answers."""
    done = run_cli("cache", *words, "--json", "-c", str(proxy.file))
    answer: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 0) is answer["ok"]
    return answer


def test_memory_is_kept_over_reloads_and_upgrades(stage: Stage, tmp_path: Path) -> None:
    """All workers have the same, on new code as well; another size begins anew. Purges are heard by whichever there is."""
    folder = tmp_path / "bodies"
    folder.mkdir(mode=0o700)
    settings = {"memory": "8MiB", "files": str(folder), "disk": "16MiB"}
    proxy = stage.proxy(
        stage.app().address, workers=2, cache=settings, proxy={"control": str(tmp_path / "control.sock"), "idle_grace": "0s"}
    )
    first = {inode for pid in proxy.workers() for inode in memories(pid)}
    assert len(first) == 1
    inner = folder / "lbproxy-cache"
    assert oct(inner.stat().st_mode & 0o777) == "0o700"
    for pid in proxy.workers():  # whatever stands above it: they are in it
        assert Path(f"/proc/{pid}/cwd").resolve() == inner
    assert cache(proxy, "purge", "--prefix", "https://example.com/")["ok"]
    assert cache(proxy, "stats")["usage"]["memory"] == 8 * 2**20
    eventually(lambda: cache(proxy, "stats")["usage"]["purges_pending"] == 0, "the purge is swept")
    reloads = Reloads(proxy)
    proxy.signal(signal.SIGUSR2)  # which is a reload as well
    proxy.wait_event("reloaded", within=60)
    reloads.only_the_newest(within=60)
    assert {inode for pid in proxy.workers() for inode in memories(pid)} == first
    assert cache(proxy, "purge", "https://example.com/a")["ok"]
    reloads.reload(lambda config: config["cache"].update(memory="4MiB"))
    reloads.only_the_newest(within=60)
    second = {inode for pid in proxy.workers() for inode in memories(pid)}
    assert len(second) == 1
    assert second != first
    reloads.reload(lambda config: config.pop("cache"))
    reloads.only_the_newest(within=60)
    assert not {inode for pid in proxy.workers() for inode in memories(pid)}
    eventually(lambda: not memories(proxy.pid), "the master has given it up")
    assert not cache(proxy, "stats")["ok"]
