"""The backends that things happen to: an application that can be put in a mood, and two nginx, each a family of processes."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.faults.names import NAME, NameServer, Zone
from bench.macro.backends import REPOSITORY, user_line
from bench.macro.errors import BenchError
from bench.macro.machine import Cores, pinned, require
from bench.macro.process import Program

_CONFIG = """\
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    keepalive_timeout 1h; keepalive_requests 1000000000;
    default_type text/plain;
    upstream sink {{ server unix:{folder}/sink.sock; keepalive 64; }}
    server {{ listen unix:{folder}/sink.sock; location / {{ return 204; }} }}
    server {{
        listen {host}:{port} backlog=4096;
        add_header X-Backend {name};
        location / {{ return 200 "ok\\n"; }}
        location = /upload {{
            proxy_pass http://sink; proxy_http_version 1.1; proxy_pass_request_body off;
            proxy_set_header Content-Length ""; proxy_set_header Connection "";
        }}
    }}
}}
"""
BELOW_EPHEMERAL = (20_000, 32_000)
"""A port that the kernel may give to an outgoing connection could be taken while its server is down."""
ONE_HOST = ("127.0.0.1", "127.0.0.1", "127.0.0.1")
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
"""The backends of a name have one port, and so an address each."""


class Server:
    """A backend and its processes; started when made. Whoever makes it calls `stop`."""

    def __init__(self, name: str, host: str, port: int, command: list[str], folder: Path, cores: Cores) -> None:
        self.name = name
        self.host = host
        self.port = port
        self._command = pinned(command, cores.load)
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Returns when it serves."""
        for left in self._folder.glob("*.sock"):
            left.unlink()  # who was killed could not
        output = self._folder / self.name
        self._program = Program(
            self.name, self._command, stdout=output.with_suffix(".out"), stderr=output.with_suffix(".err"), cwd=REPOSITORY
        )
        try:
            self._program.wait_until(lambda: _answers(self.host, self.port))
        except BaseException:
            self.stop()
            raise

    def signal(self, number: signal.Signals) -> None:
        """To all its processes."""
        os.killpg(self._program.pid, number)

    def kill(self) -> None:
        """All of it at once; its sockets are closed when this returns."""
        self.signal(signal.SIGKILL)
        self._program.stop()
        while _listens(self.host, self.port):  # its children end when the kernel gets to it, which is soon
            time.sleep(0.005)

    def stop(self) -> None:
        """In good order."""
        try:
            self.signal(signal.SIGCONT)
        except ProcessLookupError:
            pass  # it is gone already
        self._program.stop()


class App(Server):
    """app.py"""

    def __init__(self, name: str, folder: Path, cores: Cores, host: str = "127.0.0.1", port: int | None = None) -> None:
        """`port`: None for a free one."""
        self._door = free_port()
        port = port or free_port()
        command = [sys.executable, "-m", "bench.faults.app", str(port), str(self._door), name, host]
        super().__init__(name, host, port, command, folder, cores)

    def mood(self, word: str) -> None:
        """One of app.py's; it is in it when this returns."""
        with socket.create_connection(("127.0.0.1", self._door), 5) as door:
            door.sendall(word.encode())
            door.shutdown(socket.SHUT_WR)
            said = door.recv(1024)
        if said != b"ok":
            raise BenchError(f"{self.name} does not know the mood {word!r}: {said.decode()}")


def nginx(name: str, folder: Path, cores: Cores, host: str, port: int) -> Server:
    """An nginx that answers what the application answers."""
    own = folder / name
    own.mkdir(mode=0o755)
    config = own / "nginx.conf"
    config.write_text(_CONFIG.format(folder=own, host=host, port=port, name=name, user=user_line()))
    command = [require("nginx", "a backend"), "-p", str(own), "-e", str(own / "nginx.log"), "-c", str(config)]
    return Server(name, host, port, command, own, cores)


class Crew:
    """All of them; whoever makes it calls `stop`."""

    zone: Zone | None = None
    """What a proxy is to know instead of addresses."""

    def __init__(self, folder: Path, cores: Cores, dnsmasq: str | None = None) -> None:
        """`folder` is empty and ours; `dnsmasq`: the program, when the backends are to have a name, and addresses of their own."""
        hosts = ONE_HOST if dnsmasq is None else HOSTS
        ports = (None, None, None) if dnsmasq is None else (free_port(HOSTS),) * 3
        self.servers: list[Server] = []
        self._names: NameServer | None = None
        try:
            self.app = App("app", folder, cores, hosts[0], ports[0])
            self.servers.append(self.app)
            for name, host, port in zip(("nginx1", "nginx2"), hosts[1:], ports[1:], strict=True):
                self.servers.append(nginx(name, folder, cores, host, port or free_port()))
            if dnsmasq is not None:
                self._names = NameServer(dnsmasq, free_port(), folder, HOSTS, cores)
                self.zone = Zone(NAME, self.app.port, self._names.address, len(HOSTS))
        except BaseException:
            self.stop()
            raise

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(server.port for server in self.servers)

    @property
    def addresses(self) -> tuple[str, ...]:
        """ "127.0.0.1:80" """
        return tuple(f"{server.host}:{server.port}" for server in self.servers)

    def announce(self, servers: Sequence[Server]) -> None:
        """From now on the name server tells the addresses of these."""
        assert self._names is not None, "made without a name"
        self._names.point([server.host for server in servers])

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
        if self._names is not None:
            self._names.stop()


def free_port(hosts: Sequence[str] = ("127.0.0.1",)) -> int:
    """One that nobody has now at any of these, and that no outgoing connection will be given."""
    for _ in range(100):
        port = random.randrange(*BELOW_EPHEMERAL)
        try:
            for host in hosts:
                socket.create_server((host, port)).close()
        except OSError:
            continue
        return port
    raise BenchError(f"no free port among {BELOW_EPHEMERAL[0]} to {BELOW_EPHEMERAL[1]}")


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 2).close()
    except OSError:
        return False
    return True


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    finally:
        connection.close()
