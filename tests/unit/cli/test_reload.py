"""reload: what is told about success, refusal, and a master that can only be signalled."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from lbproxy import cli
from lbproxy.cli import reload
from lbproxy.master.operator.requests import ReloadRequest
from lbproxy.master.system.pidfile import PidFile
from tests.support.controlled import Controlled
from tests.unit.cli.fake import Capture

DONE = {
    "ok": True,
    "generation": 3,
    "changes": ["+ backend api/127.0.0.1:9001", "~ log: level info -> debug"],
    "restart": ["proxy.user www -> web: the account of the processes is looked up once"],
    "pids": [71, 72],
    "milliseconds": 412,
}


def test_success(tmp_path: Path, capsys: Capture) -> None:
    """Generation, time, pids, changes, and what has to wait for a restart."""
    with Controlled(tmp_path / "c", lambda _: DONE) as master:
        assert cli.main(["reload", "--control", str(tmp_path / "c")]) == 0
    assert master.asked == [ReloadRequest()]
    assert capsys.readouterr() == (
        "generation 3 serves after 412 ms (pids 71, 72)\n"
        "  + backend api/127.0.0.1:9001\n"
        "  ~ log: level info -> debug\n"
        "  ! proxy.user www -> web: the account of the processes is looked up once\n",
        "",
    )


def test_nothing_changed() -> None:
    """Is said, and a note comes along."""
    note = "workers +1 is undone"
    answer = {"ok": True, "generation": 2, "changes": [], "pids": [7], "milliseconds": 90, "note": note, "warnings": ["old"]}
    assert reload.success(answer) == [
        "generation 2 serves after 90 ms (pid 7)",
        "  nothing changed in the configuration, nor in the files that it names",
        "warning: old",
        "note: workers +1 is undone",
    ]


def test_refused(tmp_path: Path, capsys: Capture) -> None:
    """Every reason on stderr; exit 1; as JSON on stdout."""
    told = {"ok": False, "error": "a.toml:3: x: unknown key\na.toml:9: y: unknown key", "serving": 2}
    with Controlled(tmp_path / "c", lambda _: told):
        assert cli.main(["reload", "--control", str(tmp_path / "c")]) == 1
        assert capsys.readouterr() == (
            "",
            "lbproxy: a.toml:3: x: unknown key\n"
            "lbproxy: a.toml:9: y: unknown key\n"
            "lbproxy: nothing was reloaded: generation 2 serves on\n",
        )
        assert cli.main(["reload", "--control", str(tmp_path / "c"), "--json"]) == 1
        out, err = capsys.readouterr()
    assert (json.loads(out), err) == (told, "")


def test_an_answer_that_does_not_come(tmp_path: Path, capsys: Capture) -> None:
    """The wait has an end."""
    with Controlled(tmp_path / "c", lambda _: None):
        assert cli.main(["reload", "--control", str(tmp_path / "c"), "--timeout", "100ms"]) == 1
    assert "has not answered within 0.1 s" in capsys.readouterr().err


def by_signal(folder: Path, more: str = "") -> None:
    """`lbproxy reload` where only a pid file leads to the master, which is this process; `more`: lines of [proxy]."""
    heard: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: heard.append(number))
    file = folder / "a.toml"
    file.write_text(f'[proxy]\npid_file = "p"\n{more}')
    held = PidFile(folder / "p")
    try:
        assert cli.main(["reload", "-c", str(file)]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
        held.release()
    assert heard == [signal.SIGHUP]


def test_without_a_control_socket(tmp_path: Path, capsys: Capture) -> None:
    """The pid file's master gets a SIGHUP, and it is said that nobody will tell how that goes."""
    by_signal(tmp_path)
    told = capsys.readouterr().err
    assert "by SIGHUP: how that goes is told in its log alone" in told
    assert 'control = "/run/lbproxy/control.sock"' in told


def test_a_control_socket_that_was_moved(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file names another one than the running master has."""
    monkeypatch.setattr("lbproxy.cli.reach.ARRIVAL", 0.0)
    by_signal(tmp_path, 'control = "new"\n')
    assert f"it does not listen on {tmp_path}/new" in capsys.readouterr().err


def test_nobody_to_be_signalled(tmp_path: Path, capsys: Capture) -> None:
    """A pid file that nobody holds is nobody."""
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\npid_file = "p"\ncontrol = "c"\n')
    (tmp_path / "p").write_text("1\n")
    assert cli.main(["reload", "-c", str(file)]) == 1
    assert "no lbproxy is running with" in capsys.readouterr().err
