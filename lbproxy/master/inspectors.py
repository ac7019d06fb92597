"""The master's end of a process that loads the rules of one generation, and forks inspectors, who look at requests for attacks.

It is executed anew, as control is: a rule engine reads what strangers send, and must not have the master's memory, where keys are.
It loads its rules before anything else of the generation happens, so that rules that cannot be used refuse a start, or a reload,
with their file and line. For each worker it forks inspectors around one socket. It ends, when the master closes its end, with the
last worker that it looks for.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import Self

from lbproxy.config.model import Config, Waf
from lbproxy.errors import Complaint, ConfigError, StartError
from lbproxy.master.system.environment import kept
from lbproxy.master.system.privileges import Account

LOADING = 20.0
"""Seconds for all rules; the Core Rule Set takes half a second."""
MOST_HEARD = 1000
"""Messages at once."""
ROOM = 1024 * 1024
"""Bytes of questions that wait; the kernel gives what it allows."""
_START = """
import sys
sys.path[:] = {path!r}
from lbproxy.master.inspector_process import main
main(int(sys.argv[1]))
"""


class Inspectors:
    """The process with the rules of one generation. `close` it."""

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self._socket = sock
        self.pid = pid
        self._told: tuple[int, ...] = (0, 0, 0)

    @classmethod
    def begin(cls, config: Config, account: Account | None, undo: ExitStack | None = None) -> Self | None:
        """`undo`: closes it, should what follows go wrong. None where no route asks for it. Raises ConfigError for rules that
        cannot be used, StartError, OSError."""
        if not config.wafs:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            code = _START.format(path=[os.path.abspath(place) for place in sys.path])
            command = [sys.executable, "-P", "-c", code, str(theirs.fileno())]
            process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), env=kept(os.environ))  # our own code
        process.returncode = 0  # the master reaps all its children itself
        made = cls(ours, process.pid)
        try:
            ours.settimeout(LOADING)
            account_of = None if account is None else list(account)
            told = {"sets": [asdict(each) for each in config.wafs], "account": account_of, "walls": config.proxy.walls}
            ours.send(json.dumps(told).encode("ascii"))
            said = json.loads(ours.recv(64 * 1024) or b'{"error": "the process that loads the rules has ended", "number": 0}')
            if "error" in said:
                raise ConfigError([_complaint(config, config.wafs[said["number"]], str(said["error"]))])
        except BaseException as error:
            os.kill(made.pid, signal.SIGKILL)
            made.close()
            made.reap()
            if isinstance(error, OSError | ValueError):
                raise StartError(f"rules are not loaded: {error}") from error
            raise
        ours.setblocking(False)
        if undo is not None:
            undo.callback(made.close)
        return made

    def serve(self) -> socket.socket:
        """For a worker: its end of a socket with inspectors behind it. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        ours.setblocking(False)  # a worker may not ask for it
        with theirs:
            try:
                socket.send_fds(self._socket, [b"serve"], [theirs.fileno()])
            except OSError:
                pass  # it has died: nobody answers this worker, and what that means its routes say
        return ours

    def heard(self) -> tuple[int, int, int]:
        """How many inspectors live, how many were replaced since the last call, and how many of these took too long."""
        _, replaced, late = self._told
        for _ in range(MOST_HEARD):
            try:
                data = self._socket.recv(256)
            except OSError:
                break  # nothing more
            self._told = tuple(json.loads(data)) if data else (0, *self._told[1:])
            if not data:
                break
        return self._told[0], self._told[1] - replaced, self._told[2] - late

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def reap(self) -> None:
        """It has been told to end: wait until it has."""
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # somebody else was faster

    def close(self) -> None:
        """It ends when nobody is left that it looks for."""
        self._socket.close()


def complaints(config: Config) -> list[Complaint]:
    """What a start would refuse."""
    try:
        made = Inspectors.begin(config, None)
    except ConfigError as error:
        return list(error.complaints)
    except (StartError, OSError) as error:
        return [Complaint(config.source, 0, "route.waf", str(error))]
    if made is not None:
        made.close()
        made.reap()
    return []


def _complaint(config: Config, settings: Waf, why: str) -> Complaint:
    line = next(route.line for route in config.routes if route.waf == settings)
    return Complaint(config.source, line, "route.waf", why, "lbproxy check tries rules without a reload")
