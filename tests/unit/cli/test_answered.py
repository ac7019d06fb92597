"""Reading has an end, and whoever typed a verb hears at which path it stands still. The disk is a FIFO that nobody writes into."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from lbproxy import cli
from lbproxy.cli import answered as module
from lbproxy.cli.answered import answered
from lbproxy.config.read import Passing
from lbproxy.errors import ConfigError
from tests.unit.cli.fake import Capture, FakeMaster
from tests.unit.config.text import LEAST
from tests.unit.tls.test_harvest import folder_of


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that answers here does so at once; what hangs does so for ever."""
    monkeypatch.setattr(module, "LOOK_EVERY", 0.05)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Nobody answers there."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_without_a_thread_it_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no memory for one: what else is wanted will say so."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert answered(lambda passing: 7) == 7


def test_what_is_read_is_handed_on() -> None:
    """A value, or what went wrong."""

    def fail(passing: Passing) -> int:
        raise FileNotFoundError(2, "no such file")

    assert answered(lambda passing: 5) == 5
    with pytest.raises(FileNotFoundError):
        answered(fail)


def test_the_path_that_hangs_is_told(impatient: None, pipe: Path) -> None:
    def read(passing: Passing) -> bytes:
        passing("/answers")
        passing(str(pipe))
        return pipe.read_bytes()

    with pytest.raises(ConfigError) as refused:
        answered(read)
    [complaint] = refused.value.complaints
    assert complaint.file == str(pipe)
    assert complaint.message == "nothing is heard of it for 1 s"


def test_who_gets_on_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """From path to path, and where there is no path at all; however slow we are ourselves."""
    monkeypatch.setattr(module, "LOOK_EVERY", 0.001)

    def read(passing: Passing) -> bool:
        passing("/a")
        passing("")
        time.sleep(0.1)
        return True

    assert answered(read)


NAMED = {
    "included": ("include = ['pipe']\n", ""),
    "deny_file": ("", "deny_file = 'pipe'\n"),
    "certificate": ("", "certificates = [{ cert = 'pipe', key = 'pipe' }]\n"),
}


@pytest.mark.parametrize("verb", ["start", "check", "audit"])
@pytest.mark.parametrize("what", ["itself", *NAMED])
def test_verbs_name_what_hangs(
    verb: str, what: str, impatient: None, pipe: Path, tmp_path: Path, master: FakeMaster, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The file itself, those that it includes, lists of networks, certificates. (The pipe is taken for a file.)"""
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    monkeypatch.setattr("stat.S_ISREG", lambda mode: True)
    monkeypatch.setattr(os, "O_NONBLOCK", 0)
    file = pipe
    if what != "itself":
        first, listen = NAMED[what]
        file = tmp_path / "lb.toml"
        file.write_text(first + LEAST.replace('":8443"\n', f'":8443"\n{listen}'))
    assert cli.main([verb, "-c", str(file)]) == (2 if verb == "audit" else 1)
    assert f"{pipe}: nothing is heard of it for 1 s" in capsys.readouterr().err
    assert master.config is None


def test_a_program_is_told_too(impatient: None, pipe: Path, capsys: Capture) -> None:
    assert cli.main(["check", "--json", "-c", str(pipe)]) == 1
    [complaint] = json.loads(capsys.readouterr().out)["complaints"]
    assert complaint["file"] == str(pipe)


def test_who_reaches_for_a_running_one_is_told(impatient: None, pipe: Path, capsys: Capture) -> None:
    assert cli.main(["status", "-c", str(pipe)]) == 1
    assert f"{pipe}: nothing is heard of it for 1 s" in capsys.readouterr().err


def test_a_daemon_has_the_pairs_that_were_judged(master: FakeMaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their files, which may hang by then, are not read again."""
    kept: list[int] = []

    def daemonize(run: object, descriptors: list[int]) -> int:
        kept.extend(os.fstat(each).st_size for each in descriptors)
        return 0

    monkeypatch.setattr("lbproxy.master.system.daemon.daemonize", daemonize)
    folder_of(tmp_path, monkeypatch, "a.test", "b.test")
    file = tmp_path / "lb.toml"
    file.write_text(LEAST.replace('":8443"\n', '":8443"\ncertificates = "certs"\n'))
    assert cli.main(["start", "--daemon", "-c", str(file)]) == 0
    assert len(kept) == 2
    assert all(kept)
