"""dnsmasq as a name server on loopback whose answers a test changes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from dns.exception import DNSException
from dns.resolver import Resolver

from tests.support.ports import free_port
from tests.support.tools import need
from tests.support.waiting import eventually


class NameServer:
    """Knows names under .test, with a time to live of a second. As a context: answering inside, gone after."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._program = need("dnsmasq")
        self._hosts = directory / "dns-hosts"
        self._hosts.write_text("")
        self._log = directory / "dnsmasq.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """As it stands in a configuration."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        command = [
            self._program, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", f"--port={self.port}",
            "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts", "--local=/test/", "--local-ttl=1",
            f"--addn-hosts={self._hosts}", "--log-facility=-", *(["--user=root"] if os.getuid() == 0 else []),
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        process = self._process
        eventually(lambda: process.poll() is not None or self._answers(), "dnsmasq answers")
        assert process.poll() is None, self._log.read_text()
        return self

    def _answers(self) -> bool:
        resolver = Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], self.port, 0.5
        try:
            resolver.resolve("anything.test", "TXT")
        except DNSException as error:
            return type(error).__name__ in ("NXDOMAIN", "NoAnswer")
        return True

    def say(self, name: str, addresses: Sequence[str]) -> None:
        """From now on the name has these, and no other name any."""
        self._hosts.write_text("".join(f"{address} {name}\n" for address in addresses))
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGHUP)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
