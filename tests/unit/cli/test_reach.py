"""Finding and asking a running lbproxy: every way in which that can fail is told in words that help."""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbproxy.cli import reach
from lbproxy.cli.reach import Instance, NobodyThere, Presence, Unreachable, ask, instance, living_pid
from lbproxy.errors import StartError
from lbproxy.master.operator.requests import StatusRequest, StopRequest
from lbproxy.master.system.pidfile import PidFile
from lbproxy.master.system.socketfile import SocketFile
from tests.support.controlled import Controlled
from tests.support.waiting import eventually
from tests.unit.config.text import LEAST


def named(config: Path | None = None, control: Path | None = None) -> argparse.Namespace:
    return argparse.Namespace(config=config, control=control)


# ---------------------------------------------------------------- where


def test_by_the_file(tmp_path: Path) -> None:
    """Relative names are relative to the file, as lbproxy reads them."""
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\ncontrol = "run/c.sock"\npid_file = "/run/x.pid"\nnonsense = 3\n')
    assert instance(named(file)) == Instance(str(file), tmp_path / "run/c.sock", Path("/run/x.pid"))


def test_by_the_socket(tmp_path: Path) -> None:
    assert instance(named(control=tmp_path / "c")) == Instance(str(tmp_path / "c"), tmp_path / "c", None)


@pytest.mark.parametrize("text", ["", "[proxy]\n", "proxy = 3\n", 'control = "c.sock"\n'])
def test_a_file_that_names_no_socket(tmp_path: Path, text: str) -> None:
    """The line to add is told."""
    file = tmp_path / "a.toml"
    file.write_text(text)
    with pytest.raises(NobodyThere, match=r"names no control socket: add this line to its \[proxy\]") as error:
        ask(instance(named(file)), StatusRequest())
    assert 'control = "/run/lbproxy/control.sock"' in str(error.value)


def test_a_socket_that_another_file_or_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as lbproxy itself reads it, and leniently where that is not possible."""
    file = tmp_path / "a.toml"
    (tmp_path / "more.toml").write_text('[proxy]\ncontrol = "${WHERE_IT_RUNS}/c.sock"\n')
    file.write_text('include = ["more.toml"]\n' + LEAST)
    monkeypatch.setenv("WHERE_IT_RUNS", "run")
    assert instance(named(file)).control == tmp_path / "run/c.sock"
    file.write_text(LEAST + 'queue = "${NOT_SET_HERE}"\n[proxy]\ncontrol = "d.sock"\n')
    assert instance(named(file)).control == tmp_path / "d.sock"


@pytest.mark.parametrize("broken", ["[[listen]\n", "x = \n", '[pool.a]\nbackends = ["a:1\n', "\xff = 1\n"])
def test_a_broken_file_still_tells(tmp_path: Path, broken: str) -> None:
    """Whether what is broken stands before or behind what we look for."""
    file = tmp_path / "a.toml"
    proxy = '[ proxy ]  # here\nworkers = [\ncontrol = "c.sock"\n'
    for text in (broken + proxy, proxy + broken):
        file.write_bytes(text.encode("latin-1"))
        assert instance(named(file)).control == tmp_path / "c.sock"


def test_a_broken_file_that_does_not_tell(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\nworkers = \n[log]\ncontrol = "wrong.sock"\n')
    with pytest.raises(Unreachable, match="not valid TOML: Invalid value") as error:
        instance(named(file))
    assert "--control PATH" in str(error.value)


def test_files_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"no.toml: cannot be read: No such file"):
        instance(named(tmp_path / "no.toml"))
    (tmp_path / "a.toml").write_text("[proxy]\ncontrol = 3\n")
    with pytest.raises(Unreachable, match=r"proxy.control: wanted a file name, got the number 3"):
        instance(named(tmp_path / "a.toml"))


# ---------------------------------------------------------------- asking


def at(path: Path) -> Instance:
    return Instance(str(path), path, None)


def test_a_question_and_its_answer(tmp_path: Path) -> None:
    """Large ones too, and the master's pid comes along."""
    big = "x" * 2_000_000
    with Controlled(tmp_path / "c", lambda request: {"ok": True, "asked": str(request), "big": big}) as master:
        answer, pid = ask(at(tmp_path / "c"), StopRequest(False))
    assert answer == {"ok": True, "asked": "StopRequest(now=False)", "big": big}
    assert pid == os.getpid()
    assert master.asked == [StopRequest(False)]


def test_nobody_there(tmp_path: Path) -> None:
    """No file, a stale file, a folder that is none: no lbproxy is running."""
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale"))
    for name in ("none", "stale", "file/c"):
        with pytest.raises(NobodyThere, match=f"no lbproxy is running with {tmp_path / name}$"):
            ask(at(tmp_path / name), StatusRequest())
    with pytest.raises(NobodyThere, match=r"no lbproxy is running with a.toml \(nobody listens on its control socket /c\)"):
        ask(Instance("a.toml", Path("/c"), None), StatusRequest())


def test_a_master_that_is_just_coming(tmp_path: Path) -> None:
    """The pid file is taken before anybody listens, and while a new program takes over: that much is waited for."""
    held = PidFile(tmp_path / "p")
    answers: list[dict[str, object]] = []
    where = Instance("a.toml", tmp_path / "c", tmp_path / "p")
    asking = threading.Thread(target=lambda: answers.append(ask(where, StatusRequest()).answer))
    asking.start()
    with Controlled(tmp_path / "c", lambda _: {"ok": True}):
        asking.join(60)
    held.release()
    assert answers == [{"ok": True}]


def test_somebody_there_but_not_on_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another `control` than at its start: it is not said that nobody is there."""
    monkeypatch.setattr(reach, "ARRIVAL", 0.0)
    held = PidFile(tmp_path / "p")
    with pytest.raises(NobodyThere, match=f"lbproxy runs as pid {os.getpid()}, says .*, but does not listen on {tmp_path}/c: "):
        ask(Instance("a.toml", tmp_path / "c", tmp_path / "p"), StatusRequest())
    held.release()
    with pytest.raises(NobodyThere, match="no lbproxy is running"):
        ask(Instance("a.toml", tmp_path / "c", tmp_path / "p"), StatusRequest())


@contextmanager
def answering(path: Path, answer: bytes | None, *, read: bool = True) -> Iterator[None]:
    """Somebody else listens there; None: says nothing until the end."""
    over = threading.Event()

    def serve() -> None:
        sock, _ = listening.accept()
        with sock:
            if read:
                sock.recv(4096)
            if answer is None:
                over.wait(60)
            else:
                sock.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(60)


@pytest.mark.parametrize(("answer", "told"), [
    (b"", "went away before it answered"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no JSON"),
    (b'{"ok": tr', "no JSON"),
    (b"[]\n", "without a verdict"),
    (b'{"ok": 1}\n', "without a verdict"),
    (None, "has not answered within 0.2 s"),
])  # fmt: skip
def test_somebody_else_there(tmp_path: Path, answer: bytes | None, told: str) -> None:
    """Or a master of another kind, or one that hangs."""
    with answering(tmp_path / "c", answer), pytest.raises(Unreachable, match=told) as error:
        ask(at(tmp_path / "c"), StatusRequest(), 0.2 if answer is None else 10)
    assert not isinstance(error.value, NobodyThere)
    assert f"pid {os.getpid()}" in str(error.value)


def test_an_answer_before_the_question(tmp_path: Path) -> None:
    """Who is refused for what it is may be told so without being heard."""
    with answering(tmp_path / "c", b'{"ok": false, "error": "no"}\n', read=False):
        assert ask(at(tmp_path / "c"), StatusRequest()).answer == {"ok": False, "error": "no"}


def test_a_master_that_accepts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue of one that is stopped is waited for, not for ever."""
    monkeypatch.setattr(reach, "TIMEVAL", type("Soon", (), {"pack": lambda *_: struct.pack("ll", 0, 100_000)}))
    stuck = SocketFile(tmp_path / "c")
    callers = [socket.socket(socket.AF_UNIX) for _ in range(17)]
    for caller in callers:
        caller.connect(str(tmp_path / "c"))
    with pytest.raises(Unreachable, match="too busy to be asked, or stopped"):
        ask(at(tmp_path / "c"), StatusRequest())
    for caller in callers:
        caller.close()
    stuck.release()


def test_a_socket_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", forbidden)
    with pytest.raises(Unreachable, match="not yours to use: be root, or the user that started lbproxy"):
        ask(at(tmp_path / "c"), StatusRequest())


def test_unreachable_is_an_error_that_ends_a_verb() -> None:
    assert issubclass(Unreachable, StartError)


# ---------------------------------------------------------------- the process


def test_the_pid_of_the_pid_file(tmp_path: Path) -> None:
    """Only while a master holds it."""
    where = Instance("a.toml", None, tmp_path / "p")
    assert living_pid(where) == 0
    held = PidFile(tmp_path / "p")
    assert living_pid(where) == os.getpid()
    held.release()
    (tmp_path / "p").write_text(str(os.getpid()))
    assert living_pid(where) == 0
    assert living_pid(Instance("a.toml", None, None)) == 0


def test_presence_of_a_process() -> None:
    """Gone when it has exited, even before its parent took note."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        presence = Presence(process.pid, Instance("", None, None))
        assert not presence.gone()
        assert not presence.wait(0)
        assert process.stdin is not None
        process.stdin.close()
        assert presence.wait(60)
        assert process.returncode is None  # not reaped yet
    assert presence.gone()
    assert Presence(process.pid, Instance("", None, None)).gone()


def test_presence_by_the_socket(tmp_path: Path) -> None:
    """When the pid cannot be told."""
    with Controlled(tmp_path / "c", lambda _: {"ok": True}) as master:
        presence = Presence(0, at(tmp_path / "c"))
        assert not presence.gone()
        master.stop()
        eventually(presence.gone, "gone")


def test_signals_to_one_who_is_gone_or_not_the_master(tmp_path: Path) -> None:
    where = Instance("a.toml", None, tmp_path / "p")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    reach.signal_master(where, process.pid, 15)
    with subprocess.Popen(["sleep", "60"]) as other:
        reach.signal_master(where, other.pid, 15)  # the number of one that was a master a moment ago
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.2)
        other.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="being somebody else needs root")
def test_an_answer_of_a_strangers_is_none() -> None:
    """Who puts a socket where root looks for lbproxy's does not get to tell root that it has stopped."""
    made = tempfile.TemporaryDirectory()  # pytest's own are closed to others
    folder = Path(made.name)
    folder.chmod(0o777)
    path = folder / "c"
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(65534, 65534, 65534)
            with socket.socket(socket.AF_UNIX) as trap:
                trap.bind(str(path))
                trap.listen()
                os.write(theirs, b"x")
                sock, _ = trap.accept()
                sock.recv(1000)
        finally:
            os._exit(0)
    os.close(theirs)
    assert os.read(ours, 1) == b"x"
    with pytest.raises(Unreachable, match="is uid 65534, neither root nor you"):
        ask(at(path), StatusRequest())
    os.waitpid(pid, 0)
    os.close(ours)
    made.cleanup()


def test_what_is_sent_is_a_line(tmp_path: Path) -> None:
    """As anybody could write it by hand."""
    heard: list[bytes] = []

    def serve() -> None:
        sock, _ = listening.accept()
        with sock:
            heard.append(sock.recv(4096))
            sock.sendall(b'{"ok": true}\n')

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "c"))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        ask(at(tmp_path / "c"), StopRequest(True))
        thread.join(60)
    assert heard[0].endswith(b"\n")
    assert json.loads(heard[0]) == {"command": "stop", "now": True}
