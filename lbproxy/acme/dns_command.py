"""The operator's command that sets and removes DNS records, run by a process made for that alone before the walls are built.

The process that hears what authorities say may not start programs. So it asks this one, over a pair of sockets, and can say nothing
but a record's name and its text, whose forms are checked here once more.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from setproctitle import setproctitle

LONGEST = 4096
MOST_TOLD = 300
_NAME = re.compile(r"_acme-challenge(\.[a-z0-9_]([a-z0-9_-]{0,62}))+\Z")
_TEXT = re.compile(r"[A-Za-z0-9_-]{43}\Z")
ACTIONS = ("present", "cleanup")


def record_of(name: str, authorization: str) -> tuple[str, str]:
    """The record's name and its text (RFC 8555 8.4)."""
    digest = hashlib.sha256(authorization.encode("ascii")).digest()
    return f"_acme-challenge.{name}", base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def fault(action: str, name: str, text: str) -> str:
    """Why the command is not run for it; "": it is."""
    good = action in ACTIONS and len(name) <= 253 and _NAME.match(name) and _TEXT.match(text)
    return "" if good else "no record of a challenge"


def run(command: Sequence[str], timeout: float, action: str, name: str, text: str) -> str:
    """Once. Why it failed; "": it did not. What it leaves running is killed with it."""
    if why := fault(action, name, text):
        return why
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    about = {"ACME_ACTION": action, "ACME_RECORD": name, "ACME_TEXT": text}
    try:
        child = subprocess.Popen(
            [*command, action, name, text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment | about,
            start_new_session=True,
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror or error}"
    try:
        _, said = child.communicate(timeout=timeout)
        if child.returncode == 0:
            return ""
        last = said[-LONGEST:].decode("utf-8", "replace").strip().splitlines()[-1:]
        return f"{command[0]} {action}: exit {child.returncode}{': ' + last[0][:MOST_TOLD] if last else ''}"
    except subprocess.TimeoutExpired:
        return f"{command[0]} {action}: not done within {timeout:g} s"
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            child.wait(5.0)
        if child.stderr is not None:
            child.stderr.close()


class DnsRunner:
    """Our end of that process; its other end lives as long as ours is open."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        """Forks. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            try:
                os.closerange(3, theirs.fileno())  # the pipe to the master, above all: its end tells that a process is gone
                os.closerange(theirs.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
                serve(theirs, command, timeout)
            finally:
                os._exit(0)
        theirs.close()
        ours.settimeout(timeout + 10.0)
        self._socket = ours
        self._pid = pid

    def close(self) -> None:
        """Its other end ends with that. Waits for it."""
        self._socket.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def ask(self, action: str, name: str, text: str) -> str:
        """Run the command; why it failed, "": it did not. Waits."""
        try:
            self._socket.send(json.dumps([action, name, text]).encode("ascii"))
            told = self._socket.recv(LONGEST)
        except OSError as error:
            return f"the process that runs dns_command does not answer: {error.strerror or error}"
        return told[1:].decode("utf-8", "replace") if told else "the process that runs dns_command is gone"


def serve(sock: socket.socket, command: Sequence[str], timeout: float) -> None:
    """Until the other end is closed."""
    setproctitle("lbproxy: acme dns commands")
    while said := sock.recv(LONGEST):
        try:
            action, name, text = json.loads(said)
            why = run(command, timeout, str(action), str(name), str(text))
        except ValueError:
            why = "not understood"
        sock.send(b"=" + why.encode("utf-8", "replace")[: LONGEST // 2])
