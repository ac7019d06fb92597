"""Backends of `demo`: a process for each port, so that one can be killed and lbproxy seen to cope.

They outlive nobody: each watches the read end of a pipe whose write end the proxy's processes hold. When the last of these is gone,
however it went, the pipe ends and so do the backends. They are not the master's children (forked twice), because the master reaps
its own and counts on knowing them all.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterable
from typing import NamedTuple, NoReturn

from lbproxy.config.model import Address
from lbproxy.demo.respond import DemoPort, listen_on, serve
from lbproxy.errors import StartError

TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Ctrl-C and its like reach every process of the terminal. The proxy drains first, which takes backends; then they go."""


class DemoBackend(NamedTuple):
    address: Address
    pid: int


def listen_nearby(wanted: Address, tries: int = 100) -> tuple[Address, DemoPort]:
    """Listen on the wanted port, or on the first free one above it. Raises StartError."""
    for port in range(wanted.port, min(wanted.port + tries, 65536)):
        address = Address(wanted.host, port)
        try:
            return address, listen_on(address)
        except StartError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EADDRINUSE:
                raise
    raise StartError(f"no free port from {wanted.port} on {wanted.host} within {tries}")


def start_backends(opened: Iterable[tuple[Address, DemoPort]]) -> list[DemoBackend]:
    """A process for each; the sockets are closed here. Call before any thread runs. They end with this process and its children."""
    lifeline, held = os.pipe()  # `held` stays open, and its copies in every child of ours, until the last of us ends
    backends = []
    for address, listening in opened:
        backends.append(DemoBackend(address, _fork_twice(listening, lifeline, held)))
        listening.socket.close()
    os.close(lifeline)
    return backends


def _fork_twice(listening: DemoPort, lifeline: int, held: int) -> int:
    """The pid of the process that serves."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        for number in TERMINAL_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # before there is a backend that could miss it
        grandchild = os.fork()
        if grandchild == 0:
            for descriptor in (told, tell, held):
                os.close(descriptor)
            _serve_until_orphaned(listening, lifeline)
        os.write(tell, b"%d" % grandchild)
        os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as answer:
        pid = int(answer.read())
    os.waitpid(child, 0)
    return pid


def _serve_until_orphaned(listening: DemoPort, lifeline: int) -> NoReturn:
    code = 1
    try:
        serve([listening], lifeline)
        code = 0
    finally:
        os._exit(code)  # nothing of the process we were forked from may run in us
