"""logrotate, the real one, with the file of conf/."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.conftest import Stage
from tests.support.process import ROOT
from tests.support.tools import need
from tests.support.waiting import eventually

LOG, PID_FILE = "/var/log/lbproxy/access.log", "/run/lbproxy/lbproxy.pid"


def _in_our_places(log: Path, pid_file: Path, folder: Path) -> Path:
    """conf/logrotate-lbproxy, with other places."""
    text = (ROOT / "conf" / "logrotate-lbproxy").read_text()
    for place, ours in ((LOG, log), (PID_FILE, pid_file)):
        assert place in text
        text = text.replace(place, str(ours))
    file = folder / "logrotate.conf"
    file.write_text(text)
    file.chmod(0o644)
    return file


def _rotate(file: Path) -> None:
    command = [need("logrotate"), "--force", "--state", str(file.with_suffix(".state")), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_line_is_in_one_of_the_files(stage: Stage, tmp_path: Path) -> None:
    """Rotated under way: lines before stand in the old file, lines after in a new one that lbproxy made."""
    need("logrotate")
    log, pid_file = tmp_path / "access.log", tmp_path / "lbproxy.pid"
    file = _in_our_places(log, pid_file, tmp_path)
    proxy = stage.proxy(stage.app().address, workers=2, proxy={"pid_file": str(pid_file)}, log={"access": str(log)})
    client = stage.client(proxy)
    for _ in range(5):
        assert client.request("GET", "/echo?before").status == 200
    eventually(lambda: log.read_text().count("\n") == 5, "five lines")
    _rotate(file)
    proxy.wait_event("logs.reopened")
    [old] = list(tmp_path.glob("access.log-*"))
    eventually(lambda: client.request("GET", "/echo?after").status == 200 and log.exists() and log.stat().st_size, "the new file")
    assert proxy.stop() == 0
    lines = [json.loads(line) for path in (old, log) for line in path.read_text().splitlines()]
    assert sum("before" in line["path"] for line in lines) == 5
    assert any("after" in line["path"] for line in lines)


def test_a_stale_pid_file_signals_nobody(tmp_path: Path) -> None:
    """The number in it may be somebody else's by now; without a lock on the file there is no lbproxy."""
    need("logrotate")
    log, pid_file = tmp_path / "access.log", tmp_path / "lbproxy.pid"
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            log.write_text("a line\n")
            pid_file.write_text(f"{stranger.pid}\n")
            _rotate(_in_our_places(log, pid_file, tmp_path))
            assert not log.exists(), "it was rotated"
            assert stranger.poll() is None, "SIGUSR1 would have ended it"
        finally:
            stranger.kill()


def test_without_a_pid_file_logs_are_rotated_all_the_same(tmp_path: Path) -> None:
    """lbproxy does not run: nobody to tell, and no error mail every night."""
    need("logrotate")
    log, pid_file = tmp_path / "access.log", tmp_path / "lbproxy.pid"
    log.write_text("a line\n")
    _rotate(_in_our_places(log, pid_file, tmp_path))
    assert not log.exists()
    assert not pid_file.exists()
