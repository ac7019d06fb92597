"""A whole master in a process of its own, and what it says; see tests/support/fleet_process.py."""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from lbproxy.balance.ledger import SIZE, Ledger
from lbproxy.master.operator import requests
from lbproxy.master.resources.shared import LEDGER_NAME
from tests.support.ports import free_port
from tests.support.process import session_members
from tests.support.waiting import PATIENCE, Lines, eventually

ROOT = Path(__file__).resolve().parents[3]
Event = dict[str, Any]


class Master:
    """tests/support/fleet_process.py in a session of its own."""

    def __init__(self, **options: Any) -> None:
        self.port = options.setdefault("port", free_port())
        self.options = options
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fleet_process", json.dumps(options)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out, self.err = Lines(self.process.stdout), Lines(self.process.stderr)

    @property
    def pid(self) -> int:
        return self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        for process in session_members(self.pid):
            with suppress(psutil.NoSuchProcess):  # children go by themselves when their master is gone
                process.kill()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.out.finish()
        self.err.finish()

    def events(self, name: str) -> list[Event]:
        return [event for line in self.err.all() if line.startswith("{") and (event := json.loads(line))["event"] == name]

    def wait_event(self, name: str, number: int = 1, **fields: object) -> Event:
        """The `number`th event of that name with these fields."""

        def find() -> list[Event]:
            fitting = [event for event in self.events(name) if all(event.get(key) == value for key, value in fields.items())]
            return fitting[number - 1 :]

        try:
            return eventually(find, f"event {name} {fields}")[0]
        except AssertionError as error:
            error.add_note("\n".join(self.err.all()))
            raise

    def wait_ready(self) -> Self:
        """Workers and control."""
        self.wait_event("ready")
        self.wait_event("control.ready")
        return self

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def worker(self, number: int) -> int:
        """The pid of the worker that became ready last under that number."""
        return int([event["pid"] for event in self.events("worker.ready") if event["worker"] == number][-1])

    def workers(self, generation: int) -> list[int]:
        """The pids of all that became ready in that generation."""
        return [event["pid"] for event in self.events("worker.ready") if event["generation"] == generation]

    def accepts(self, port: int = 0) -> bool:
        """Whether the port takes connections (its backlog, as nobody accepts here)."""
        try:
            socket.create_connection(("127.0.0.1", port or self.port), 60).close()
        except (ConnectionRefusedError, ConnectionResetError):  # reset: it was closed in this moment
            return False
        return True

    def ledger(self) -> Ledger:
        """Its own, through the name that it has in /proc."""
        folder = Path(f"/proc/{self.pid}/fd")
        path = next(path for path in folder.iterdir() if LEDGER_NAME in os.readlink(path))
        with path.open("rb") as file:
            return Ledger(mmap.mmap(file.fileno(), SIZE, prot=mmap.PROT_READ))

    def ask(self, request: requests.Request, within: float = PATIENCE) -> Event:
        """The answer of the control socket."""
        with self.asking(request) as sock:
            return answer_from(sock, within)

    def asking(self, request: requests.Request) -> socket.socket:
        """A connection on which the request was sent."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.options["control"])
        sock.sendall(requests.encode(request))
        return sock

    def all_gone(self) -> bool:
        return not session_members(self.pid)

    def facts(self, worker: int) -> Event:
        """What that child said about itself; -1 is control."""

        def find() -> list[Event]:
            said = [json.loads(line) for line in self.out.all() if line.startswith("{")]
            return [facts for facts in said if facts["worker"] == worker]

        return eventually(find, f"facts of {worker}")[0]


def answer_from(sock: socket.socket, within: float = PATIENCE) -> Event:
    """What comes until the other end closes."""
    sock.settimeout(within)
    said = b""
    while data := sock.recv(65536):
        said += data
    answer: Event = json.loads(said)
    return answer


def start(stack: ExitStack, **options: Any) -> Master:
    """One that ends with the stack."""
    return stack.enter_context(Master(**options))
