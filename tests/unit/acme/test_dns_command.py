"""The operator's command for DNS records."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from lbproxy.acme.dns_command import DnsRunner, fault, record_of, run, serve

NAME, TEXT = record_of("a.test", "token.thumb")


def script(folder: Path, text: str) -> list[str]:
    path = folder / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return [str(path), "first"]


def test_it_is_told_what_to_do(tmp_path: Path) -> None:
    """By arguments and environment, and nothing of ours is in that."""
    command = script(tmp_path, f'echo "$@" > {tmp_path}/args; env | sort > {tmp_path}/env')
    assert run(command, 30.0, "present", NAME, TEXT) == ""
    assert (tmp_path / "args").read_text() == f"first present _acme-challenge.a.test {TEXT}\n"
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "LANG", "ACME_ACTION", "ACME_RECORD", "ACME_TEXT"}


def test_why_it_failed(tmp_path: Path) -> None:
    """Its last words, or that there is none."""
    why = run(script(tmp_path, "echo first >&2; echo no such zone >&2; exit 3"), 30.0, "present", NAME, TEXT)
    assert why.endswith("hook present: exit 3: no such zone")
    assert "No such file" in run([str(tmp_path / "nothing")], 30.0, "present", NAME, TEXT)


def test_it_has_an_end(tmp_path: Path) -> None:
    """With everything that it started."""
    begun = time.monotonic()
    assert "not done within 0.5 s" in run(script(tmp_path, "sleep 600 & sleep 600"), 0.5, "present", NAME, TEXT)
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(("action", "name", "text"), [
    ("remove", NAME, TEXT), ("present", "a.test", TEXT), ("present", f"{NAME} x", TEXT), ("present", f"{NAME}\n", TEXT),
    ("present", NAME, "$(id)"), ("present", NAME, TEXT + "x"), ("present", "_acme-challenge." + "a." * 200 + "b", TEXT),
    ("present", "_acme-challenge.-rf", TEXT),
])  # fmt: skip
def test_nothing_else_is_run(action: str, name: str, text: str) -> None:
    """Whatever the process that hears authorities may have become."""
    assert fault(action, name, text)
    assert run(["/bin/true"], 1.0, action, name, text)


def test_by_a_process_of_its_own(tmp_path: Path) -> None:
    """It answers, and ends with the other side."""
    runner = DnsRunner(script(tmp_path, "test $2 = present"), 30.0)
    assert runner.ask("present", NAME, TEXT) == ""
    assert "exit 1" in runner.ask("cleanup", NAME, TEXT)
    assert runner.ask("present", "x", TEXT) == "no record of a challenge"
    runner.close()


def test_nonsense_is_answered() -> None:
    """And the next question as well."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=serve, args=(theirs, ["/bin/true"], 5.0))
    thread.start()
    for said in (b"x", b"[]", b"[1]"):
        ours.send(said)
        assert ours.recv(100) == b"=not understood"
    ours.close()
    thread.join(10)
    theirs.close()
    assert not thread.is_alive()
