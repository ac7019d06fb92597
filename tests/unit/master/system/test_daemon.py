"""--daemon: the caller hears how it went, and is let go."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import psutil
import pytest

from tests.support.waiting import eventually

CALLER = """
import os, sys, signal
from lbproxy.errors import StartError
from lbproxy.master.system.daemon import daemonize

def run(ready):
{body}

try:
    code = daemonize(run)
except StartError as error:
    sys.exit(f"told: {{error}}")
sys.exit(code)
"""

SERVE = """
    with open(sys.argv[1], "w") as file:
        print(os.getpid(), os.getppid(), os.getsid(0), os.getcwd(), *sorted(os.listdir("/proc/self/fd"), key=int), file=file)
    print("on stdout", flush=True)
    ready()
    signal.pause()
"""


def call(body: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """A process that daemonizes, to its end; the daemon may live on."""
    command = [sys.executable, "-c", CALLER.format(body=indent(dedent(body), "    ")), *arguments]
    return subprocess.run(command, **{"capture_output": True, "text": True, "timeout": 20, "check": False} | more)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_the_caller_returns_when_it_serves(tmp_path: Path) -> None:
    """In a session of its own, at the root of the file system, without anything of the caller's; 0, and the pipes are let go."""
    facts = tmp_path / "facts"
    held, inherited = os.pipe()
    os.set_inheritable(inherited, True)
    ended = call(SERVE, str(facts), pass_fds=[inherited])
    os.close(inherited)
    pid, _, session, directory, *descriptors = facts.read_text().split()
    try:
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        assert directory == "/"
        assert session not in (pid, str(os.getsid(0)))
        assert len(descriptors) <= 6, descriptors  # three standard ones, the pipe to the caller, the file and the listing itself
        readable, _, _ = select.select([held], [], [], 60)
        assert readable, "the daemon holds on to a descriptor of its caller"
        assert os.read(held, 1) == b""
    finally:
        os.close(held)
        os.kill(int(pid), signal.SIGKILL)
        eventually(lambda: gone(int(pid)), "the daemon gone")


def test_a_caller_who_does_not_wait_ends_nothing(tmp_path: Path) -> None:
    """Ctrl-C, or a job's time limit, while the daemon comes up: it serves all the same."""
    body = """
    import time
    from pathlib import Path
    folder = Path(sys.argv[1])
    (folder / "begun").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    ready()
    (folder / "serves").touch()
    return 0
    """
    command = [sys.executable, "-c", CALLER.format(body=indent(dedent(body), "    ")), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as caller:
        eventually((tmp_path / "begun").exists, "the daemon comes up")
        caller.kill()
    (tmp_path / "go").touch()
    eventually((tmp_path / "serves").exists, "it serves")


def test_files_are_kept(tmp_path: Path) -> None:
    """What was redirected to a file goes on into it."""
    out = tmp_path / "out"
    with out.open("w") as file:
        ended = call(SERVE.replace("signal.pause()", "return 0"), str(tmp_path / "facts"), capture_output=False, stdout=file)
    assert ended.returncode == 0
    eventually(lambda: out.read_text() == "on stdout\n", "the daemon's line")


@pytest.mark.parametrize(("body", "told"), [
    ("raise StartError('the port is taken' + chr(10) + 'and so is the other')", "told: the port is taken\nand so is the other\n"),
    ("return 3", "told: the daemon ended with exit code 3 before it was ready\n"),
    ("raise ValueError('a mistake')", "told: ValueError: a mistake\n"),
    ("os.kill(os.getpid(), 9)", "told: the daemon ended without a word before it was ready\n"),
])  # fmt: skip
def test_the_caller_hears_why_not(body: str, told: str) -> None:
    """However it ends, the caller exits 1 and says why."""
    ended = call(body)
    assert (ended.returncode, ended.stderr) == (1, told)


def test_the_reason_comes_before_the_last_child_is_gone(tmp_path: Path) -> None:
    """A child of the daemon that lives a little longer, and with it a copy of the pipe, holds nobody up."""
    body = """
    child = os.fork()
    if not child:
        signal.alarm(60)
        signal.pause()
    with open(sys.argv[1], "w") as file:
        print(child, file=file)
    raise StartError("no")
    """
    ended = call(body, str(tmp_path / "child"))
    child = int((tmp_path / "child").read_text())
    assert not gone(child)
    os.kill(child, signal.SIGKILL)
    assert (ended.returncode, ended.stderr) == (1, "told: no\n")
