"""A client that counts what happens to every request, and never retries: the witness for "no lost request".

    python -m tests.support.load JOB     (JOB: JSON of `Job`; prints JSON of the outcomes when told to stop, by a line on stdin)

Each connection asks one request after the other over keep-alive. Every request ends in exactly one outcome:

    ok          the status and the body that were wanted
    status-N    a whole response with another status
    wrong-body  a whole response with other bytes
    refused     no connection
    handshake   TCP connected, TLS did not
    reset       a reset, or an end before the first byte of a response to a request on a *fresh* connection
    stale       the same on a connection that had already served a request (what a retrying client would hide)
    truncated   an end in the middle of a response
    silent      nothing for PATIENCE seconds

A `Connection: close` in a response is obeyed and counted as a renewal, not as a fault.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.process import ROOT

PATIENCE = 60.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.I)
_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.I)


@dataclass
class Job:
    port: int
    ca: str
    connections: int = 16
    target: str = "/echo"
    wanted_length: int = -1  # of the body; -1: do not check
    pause: float = 0.0  # seconds between the requests of one connection


@dataclass
class Fault:
    outcome: str
    local_port: int
    detail: str


class Witness:
    """The connections of one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcomes: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.context = ssl.create_default_context(cafile=job.ca)
        self.stopping = False
        self.request = f"GET {job.target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    def fault(self, outcome: str, port: int, detail: object) -> None:
        """Count a request that did not get its response."""
        self.outcomes[outcome] += 1
        self.faults.append(Fault(outcome, port, repr(detail)))

    async def keep_asking(self) -> None:
        """One connection after another until told to stop."""
        while not self.stopping:
            try:
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection("127.0.0.1", self.job.port, ssl=self.context, server_hostname="localhost"), PATIENCE
                )
            except ConnectionRefusedError as error:
                self.fault("refused", 0, error)
                await asyncio.sleep(0.02)
                continue
            except (OSError, TimeoutError) as error:
                self.fault("handshake", 0, error)
                continue
            self.outcomes["connections"] += 1
            try:
                await self.use(reader, writer)
            finally:
                writer.transport.abort()

    async def use(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ask over one connection until it ends."""
        port = writer.get_extra_info("sockname")[1]
        served = 0
        while not self.stopping:
            if served and self.job.pause:
                await asyncio.sleep(self.job.pause)
            started = False
            try:
                writer.write(self.request)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
                started = True
                length = _LENGTH.search(head)
                body = await asyncio.wait_for(reader.readexactly(int(length[1]) if length else 0), PATIENCE)
            except TimeoutError as error:
                return self.fault("silent", port, error)
            except asyncio.IncompleteReadError as error:
                outcome = "truncated" if started or error.partial else "stale" if served else "reset"
                return self.fault(outcome, port, error)
            except OSError as error:
                return self.fault("truncated" if started else "stale" if served else "reset", port, error)
            served += 1
            status = int(head[9:12])
            if status != 200:
                self.fault(f"status-{status}", port, body[:200])
            elif self.job.wanted_length not in (-1, len(body)):
                self.fault("wrong-body", port, len(body))
            else:
                self.outcomes["ok"] += 1
            if _CLOSE.search(head):
                self.outcomes["renewals"] += 1
                return None
        return None

    async def run(self) -> None:
        """Until a line (or the end) comes on stdin."""
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(self.keep_asking()) for _ in range(self.job.connections)]
        await loop.run_in_executor(None, sys.stdin.readline)
        self.stopping = True
        for done in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(done, BaseException):
                raise done
        print(json.dumps({"outcomes": self.outcomes, "faults": [asdict(fault) for fault in self.faults]}), flush=True)


class Load:
    """A witness in a process of its own. As a context: asking inside; `stop` ends it and brings the outcomes."""

    def __init__(self, port: int, ca: Path, *, connections: int = 16, target: str = "/echo", length: int = -1, pause: float = 0.0):
        self.job = Job(port, str(ca), connections, target, length, pause)
        self._process: subprocess.Popen[str] | None = None
        self.faults: list[Fault] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.load", json.dumps(asdict(self.job))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def stop(self) -> Counter[str]:
        """Finish the requests under way; what became of all of them."""
        assert self._process is not None
        out, _ = self._process.communicate("stop\n", PATIENCE + 10)
        assert self._process.returncode == 0, "the load generator failed"
        told: dict[str, Any] = json.loads(out)
        self._process = None
        self.faults = [Fault(**fault) for fault in told["faults"]]
        return Counter(told["outcomes"])


def faults_in(outcomes: Counter[str]) -> dict[str, int]:
    """The outcomes that are not in order."""
    return {name: count for name, count in outcomes.items() if name not in ("ok", "connections", "renewals")}


if __name__ == "__main__":
    asyncio.run(Witness(Job(**json.loads(sys.argv[1]))).run())
