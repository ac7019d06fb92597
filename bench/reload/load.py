"""The load in a process of its own, with a core and an interpreter lock of its own.

    python -m bench.reload.load --port 8443 --ca ca.pem [--seconds 10] [--busy 8 ...] [--json]

`Load` starts it from another program: the process says "ready" when each client has had its first answer, runs until its standard
input ends or brings a line, finishes what is under way and prints the tally.
"""

from __future__ import annotations

import argparse
import json
import random
import select
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.macro.machine import pinned
from bench.reload import clients, h2_clients, outcome
from bench.reload.channel import PATIENCE
from bench.reload.job import Job, from_json
from bench.reload.outcome import Lost, Tally

REPOSITORY = Path(__file__).parents[2]
READY_SECONDS = 30.0
END_SECONDS = PATIENCE + 20.0


class LoadError(Exception):
    """The load itself failed, as opposed to what it found out."""


class Load:
    """The load as a subprocess. As a context: every client has been answered once inside; `stop` brings the tally."""

    def __init__(self, job: Job, core_list: str | None = None) -> None:
        """`core_list`: for taskset, None for any."""
        self.job = job
        self._core_list = core_list
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.reload.load", "--job", self.job.to_json()]
        self._process = subprocess.Popen(
            pinned(command, self._core_list),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            _, said = self._process.communicate(timeout=READY_SECONDS)
            raise LoadError(f"the load did not come to stand: {said.strip()}")
        return self

    def stop(self) -> Tally:
        """Let the clients finish what they are at; what became of everything."""
        assert self._process is not None
        out, said = self._process.communicate("stop\n", END_SECONDS)
        if self._process.returncode != 0:
            raise LoadError(f"the load failed: {said.strip()}")
        self._process = None
        return outcome.from_dict(json.loads(out))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def run(job: Job, seconds: float | None, *, say_ready: bool) -> Tally:
    """Until `seconds` are over, or (None) until something comes on standard input. LoadError when not all clients get going."""
    context = ssl.create_default_context(cafile=job.ca)
    try:
        expected = clients.learn(job, context)
    except Lost as loss:
        raise LoadError(f"before anything began: {loss}") from loss
    world = clients.World(job, context, expected, threading.Event(), time.monotonic())
    crew = [*clients.clients(world), *h2_clients.h2_clients(world)]
    for client in crew:
        client.start()
        time.sleep(random.uniform(0.0, 0.01))
    _wait_until_all_stand(crew)
    if say_ready:
        print("ready", flush=True)
    if seconds is None:
        select.select([sys.stdin], [], [])
    else:
        time.sleep(seconds)
    world.stop.set()
    deadline = time.monotonic() + END_SECONDS - 5.0
    for client in crew:
        client.join(max(0.0, deadline - time.monotonic()))
        if client.is_alive():
            raise LoadError(f"a {client.kind} client did not end")
        if client.broken is not None:
            raise LoadError(f"a {client.kind} client broke: {client.broken!r}") from client.broken
    return outcome.total(client.tally for client in crew)


def _wait_until_all_stand(crew: list[clients.Client]) -> None:
    """Downloads take long: that they are connected is enough."""
    deadline = time.monotonic() + READY_SECONDS
    while waiting := [c for c in crew if not (c.tally.connections if c.kind == "download" else c.tally.done)]:
        broken = next((c.broken for c in crew if c.broken is not None), None)
        if broken is not None or time.monotonic() > deadline:
            losses = outcome.total(c.tally for c in crew).losses[:3]
            raise LoadError(f"{len(waiting)} of {len(crew)} clients got no answer: {broken!r} {losses}")
        time.sleep(0.02)


def _arguments(argv: list[str]) -> tuple[Job, float | None, bool]:
    parser = argparse.ArgumentParser(prog="bench.reload.load", description="Clients that never retry, and what they lost.")
    parser.add_argument("--job", help="the whole job as JSON, instead of the options below; runs until standard input ends")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true", help="the tally for programs")
    for one in fields(Job):
        if one.name != "idle_pause":
            kind = {"int": int, "float": float}.get(str(one.type), str)
            parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, default=argparse.SUPPRESS)
    given = vars(parser.parse_args(argv))
    whole, seconds, as_json = given.pop("job"), given.pop("seconds"), given.pop("json")
    if whole is not None:
        return from_json(whole), None, True
    if not {"port", "ca"} <= given.keys():
        parser.error("--port and --ca are needed")
    return Job(**given), seconds, as_json


def told(tally: Tally) -> str:
    """For people."""
    lines = [
        f"{tally.requests} requests {dict(tally.done)}, {tally.connections} connections, {tally.renewed} told to close,"
        f" {tally.elsewhere} told to go elsewhere,"
        f" {tally.noticed.total()} found closed before sending {dict(tally.noticed)}, resumed {tally.resumed} of {tally.offered}",
        f"median {tally.percentile(0.5) * 1e3:.1f} ms, 99 % {tally.percentile(0.99) * 1e3:.1f} ms",
        f"lost {tally.lost.total()} {dict(tally.lost)}",
        *(f"  {loss.at:8.3f} s  {loss.client:<8} {loss.kind:<9} {loss.what}" for loss in tally.losses[:20]),
    ]
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """0 whatever was lost, 1 when the load itself failed."""
    job, seconds, as_json = _arguments(argv)
    try:
        tally = run(job, seconds, say_ready=seconds is None)
    except LoadError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(outcome.to_dict(tally)) if as_json else told(tally))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
