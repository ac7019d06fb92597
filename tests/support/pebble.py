"""An ACME authority as a test sees it: Debian's pebble, with its mock of the DNS, on free ports of this machine."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.tools import need
from tests.support.waiting import eventually


class Pebble:
    """Two processes. As a context: they answer inside, and are gone after."""

    def __init__(
        self,
        authority: Authority,
        directory: Path,
        http_port: int,
        tls_port: int,
        eab: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """`authority`: of its own server's certificate; ports: where it looks for challenges; `eab`: keys by their names."""
        need("pebble", "pebble-challtestsrv")
        self.port, self._management, self._dns, self._mock = (free_port() for _ in range(4))
        self.directory = f"https://localhost:{self.port}/dir"
        self._folder = directory
        pair = authority.issue("localhost")
        self._config = directory / "pebble.json"
        about: dict[str, Any] = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": pair["cert"],
            "privateKey": pair["key"],
            "httpPort": http_port,
            "tlsPort": tls_port,
            "externalAccountBindingRequired": bool(eab),
            "externalAccountMACKeys": eab or {},
        }
        self._config.write_text(json.dumps({"pebble": about}))
        self._context = ssl.create_default_context(cafile=str(authority.file))
        self._environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "15"} | (environment or {})
        self._log = (directory / "pebble.log").open("ab")
        self._authority: subprocess.Popen[bytes] | None = None
        self._mocks = subprocess.Popen(
            ["pebble-challtestsrv", "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", "",
             "-dns01", f"127.0.0.1:{self._dns}", "-management", f"127.0.0.1:{self._mock}"],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def start(self) -> None:
        """The authority; its accounts and orders are new ones."""
        self._authority = subprocess.Popen(
            ["pebble", "-config", str(self._config), "-dnsserver", f"127.0.0.1:{self._dns}"],
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **self._environment},
        )
        eventually(self._answers, "pebble answers")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.directory, context=self._context, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """The authority, in the middle of whatever it does."""
        if self._authority is not None:
            self._authority.kill()
            self._authority.wait()
            self._authority = None

    def root(self) -> str:
        """The certificate that its certificates lead to."""
        where = f"https://127.0.0.1:{self._management}/roots/0"
        lenient = ssl.create_default_context()
        lenient.check_hostname, lenient.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(where, context=lenient, timeout=10) as response:
            return str(response.read().decode())

    @property
    def mock(self) -> str:
        """Where the mock of the DNS takes orders."""
        return f"http://127.0.0.1:{self._mock}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        self._mocks.kill()
        self._mocks.wait()
        self._log.close()
        if error is not None:
            print((self._folder / "pebble.log").read_text(errors="replace")[-6000:])
            time.sleep(0)
