"""Started as root, only the master stays root: whoever touches clients' bytes has nothing to lose."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.conftest import Stage
from tests.support.process import title_of

DEAF = ("lbproxy: forker", "lbproxy: files")


@pytest.mark.skipif(os.getuid() != 0, reason="dropping privileges needs root")
def test_children_are_nobody(stage: Stage) -> None:
    """No child runs as root, nor in root's groups; the master does, and two that hear nobody else: the forker, and who looks at
    files (whose powers tests/unit/master/files/test_looker.py counts)."""
    proxy = stage.proxy(stage.app().address, workers=2)
    assert stage.client(proxy).request("GET", "/echo").status == 200
    proxy.wait_event("control.ready")  # it loads its modules before it gives up root
    proxy.settled()
    children = [member for member in proxy.members() if member.pid != proxy.pid and title_of(member) not in ("", *DEAF)]
    assert len(children) >= 3, "two workers and control"
    assert psutil.Process(proxy.pid).uids().effective == 0
    for child in children:
        assert 0 not in child.uids(), child
        assert 0 not in child.gids(), child
        status = dict(line.split(":", 1) for line in Path(f"/proc/{child.pid}/status").read_text().splitlines())
        assert "0" not in status["Groups"].split()
        assert int(status["CapEff"], 16) == 0


def test_master_has_no_loop_of_gevents(stage: Stage) -> None:
    """It has loaded what its children run, so that they need no files; but of the two selectors that a worker could have got hold
    of, it has its own alone."""
    proxy = stage.proxy(stage.app().address)
    [worker] = proxy.wait_workers(1)

    def selectors(pid: int) -> int:
        return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")].count("anon_inode:[eventpoll]")

    assert "gevent" in Path(f"/proc/{proxy.pid}/maps").read_text()
    assert (selectors(proxy.pid), selectors(worker)) == (1, 1)


def test_no_key_on_disk_is_needed_later(stage: Stage) -> None:
    """Workers never read keys: a respawned worker serves although the key file is gone."""
    config = stage.config(stage.app().address, workers=1)
    leaf = config["listen"][0]["certificates"][0]
    for kind in ("cert", "key"):
        copied = stage.directory / f"site.{kind}"
        copied.write_bytes(Path(leaf[kind]).read_bytes())
        copied.chmod(0o600)
        leaf[kind] = str(copied)
    config["listen"][0]["certificates"] = [dict(leaf)]
    proxy = stage.run(config)
    Path(leaf["key"]).unlink()
    [worker] = proxy.wait_workers(1)
    os.kill(worker, signal.SIGKILL)
    proxy.wait_event("worker.ready", skip=1)
    assert stage.client(proxy).request("GET", "/echo").status == 200
