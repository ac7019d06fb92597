"""stop: asks, and comes back when the master is gone; by signal where it cannot ask."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbproxy import cli
from lbproxy.cli import stop
from lbproxy.cli.reach import Instance, Presence
from lbproxy.master.operator.requests import Answer, Request, StopRequest
from tests.support.controlled import Controlled
from tests.unit.cli.fake import Capture

MASTER = """
import os, signal, sys, time
from pathlib import Path
from lbproxy.master.system.pidfile import PidFile
signals = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _: signals.append(signal.Signals(number).name))
held = PidFile(Path(sys.argv[1]))
print("held", flush=True)
while len(signals) < int(sys.argv[2]):
    time.sleep(0.01)  # a signal between the look and a pause() would be waited for twice
sys.stdin.read()
held.release()
print(*signals)
"""


@contextmanager
def held(pid_file: Path, signals: int, busy: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the pid file until it has had so many signals, and while busy until its standard input is closed."""
    command = [sys.executable, "-c", MASTER, str(pid_file), str(signals)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if not busy:
            process.stdin.close()
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("now", [False, True])
def test_it_waits_until_the_master_is_gone(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, now: bool) -> None:
    """Asked over the socket; here, gone means that the socket is."""
    monkeypatch.setattr(stop, "_ask", _ask_without_pid)
    asked: list[Request] = []

    def answer(request: Request) -> Answer:
        asked.append(request)
        master.stop()
        return {"ok": True}

    with Controlled(tmp_path / "c", answer) as master:
        assert cli.main(["stop", "--control", str(tmp_path / "c"), *(["--now"] if now else [])]) == 0
    assert asked == [StopRequest(now)]
    assert capsys.readouterr().out.startswith("stopped: lbproxy, after ")


_ask = stop._ask


def _ask_without_pid(where: Instance, now: bool) -> int:
    assert _ask(where, now) > 0
    return 0  # the pid is this test's own


def test_a_no_is_told(tmp_path: Path, capsys: Capture) -> None:
    with Controlled(tmp_path / "c", lambda _: {"ok": False, "error": "not you"}):
        assert cli.main(["stop", "--control", str(tmp_path / "c")]) == 1
    assert capsys.readouterr().err == "lbproxy: not you\n"


@pytest.mark.parametrize(("words", "signals"), [([], "SIGTERM"), (["--now"], "SIGTERM SIGINT")])
def test_by_the_pid_file(tmp_path: Path, capsys: Capture, words: list[str], signals: str) -> None:
    """SIGTERM, and with --now a second signal; it is gone when the verb comes back."""
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\npid_file = "p"\n')
    with held(tmp_path / "p", len(signals.split())) as process:
        assert cli.main(["stop", "-c", str(file), *words]) == 0
        assert process.stdout is not None
        assert sorted(process.stdout.read().split()) == sorted(signals.split())
    assert capsys.readouterr().out.startswith(f"stopped: pid {process.pid}, after ")


def test_one_who_takes_its_time(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is excused, and what would hurry it is told; not to programs. It ends when it has been waited for in vain."""
    monkeypatch.setattr(stop, "SOON", 0.0)
    wait = Presence.wait

    def in_vain(presence: Presence, seconds: float) -> bool:
        gone = wait(presence, seconds)
        if not gone:
            assert process.stdin is not None
            process.stdin.close()
        return gone

    monkeypatch.setattr(Presence, "wait", in_vain)
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\npid_file = "p"\n')
    for words in ([], ["--json"]):
        with held(tmp_path / "p", 1, busy=True) as process:
            assert cli.main(["stop", "-c", str(file), *words]) == 0
        out, err = capsys.readouterr()
        if words:
            assert json.loads(out)["pid"] == process.pid
            assert err == ""
        else:
            assert err == f"lbproxy: pid {process.pid} finishes what it has begun (lbproxy stop --now cuts it)\n"


def test_nobody_to_stop(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\npid_file = "p"\n')
    assert cli.main(["stop", "-c", str(file)]) == 1
    assert "names no control socket" in capsys.readouterr().err
