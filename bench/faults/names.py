"""A name server whose answer changes: dnsmasq on loopback, with one name.

It reads the name's addresses from a file at SIGHUP; `NameServer.point` returns when it answers with the new ones.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from signal import SIGHUP
from typing import NamedTuple

from dns.exception import DNSException
from dns.resolver import Resolver

from bench.macro.errors import BenchError
from bench.macro.machine import Cores, pinned
from bench.macro.process import Program

NAME = "app.test"
TTL = 1
"""Seconds; whole ones, as DNS has it."""
ASK_SECONDS = 0.5


class Zone(NamedTuple):
    """What a proxy is told instead of addresses."""

    name: str
    port: int
    """Of every backend behind the name."""
    server: str
    """The name server, "127.0.0.1:5353"."""
    backends: int
    """How many addresses the name has at most."""


def hosts(name: str, addresses: Sequence[str]) -> str:
    """The text of the file that dnsmasq reads."""
    return "".join(f"{address} {name}\n" for address in addresses)


def command(program: str, port: int, file: Path, root: bool) -> list[str]:
    """Nothing of this machine's own configuration or names. `file`: of `hosts`; `root`: whether we are, and it is to stay so."""
    return [
        program, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", f"--port={port}", "--listen-address=127.0.0.1",
        "--bind-interfaces", "--no-resolv", "--no-hosts", f"--local=/{NAME.rpartition('.')[2]}/", f"--local-ttl={TTL}",
        f"--addn-hosts={file}", "--log-facility=-", *(["--user=root"] if root else []),
    ]  # fmt: skip


class NameServer:
    """A running dnsmasq. Whoever makes it calls `stop`."""

    def __init__(self, program: str, port: int, folder: Path, addresses: Sequence[str], cores: Cores) -> None:
        """Returns when it answers with these addresses."""
        self.address = f"127.0.0.1:{port}"
        self._port = port
        self._file = folder / "dns-hosts"
        self._file.write_text(hosts(NAME, addresses))
        self._program = Program(
            "dnsmasq",
            pinned(command(program, port, self._file, os.getuid() == 0), cores.load),
            stdout=folder / "dnsmasq.out",
            stderr=folder / "dnsmasq.err",
        )
        try:
            self._wait_for(addresses)
        except BaseException:
            self.stop()
            raise

    def point(self, addresses: Sequence[str]) -> None:
        """The name has these from now on."""
        self._file.write_text(hosts(NAME, addresses))
        os.kill(self._program.pid, SIGHUP)
        self._wait_for(addresses)

    def stop(self) -> None:
        self._program.stop()

    def _wait_for(self, addresses: Sequence[str]) -> None:
        self._program.wait_until(lambda: self._answer() == set(addresses))

    def _answer(self) -> set[str]:
        resolver = Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], self._port, ASK_SECONDS
        try:
            answer = resolver.resolve(NAME, "A")
        except DNSException as error:
            raise ConnectionError(str(error)) from error
        if answer.rrset is None or answer.rrset.ttl != TTL:
            raise BenchError(f"dnsmasq was told to answer with a time to live of {TTL} s, and said {answer.rrset}")
        return {str(record.address) for record in answer}
