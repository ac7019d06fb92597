"""The backends that things happen to: an application that can be put in a mood, and two nginx, each a family of processes."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import sys
from pathlib import Path

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
        listen 127.0.0.1:{port} backlog=4096;
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


class Server:
    """A backend and its processes; started when made. Whoever makes it calls `stop`."""

    def __init__(self, name: str, port: int, command: list[str], folder: Path, cores: Cores) -> None:
        self.name = name
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
            self._program.wait_until(lambda: _answers(self.port))
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

    def stop(self) -> None:
        """In good order."""
        try:
            self.signal(signal.SIGCONT)
        except ProcessLookupError:
            pass  # it is gone already
        self._program.stop()


class App(Server):
    """app.py"""

    def __init__(self, name: str, folder: Path, cores: Cores) -> None:
        self._door = free_port()
        port = free_port()
        super().__init__(name, port, [sys.executable, "-m", "bench.faults.app", str(port), str(self._door), name], folder, cores)

    def mood(self, word: str) -> None:
        """One of app.py's; it is in it when this returns."""
        with socket.create_connection(("127.0.0.1", self._door), 5) as door:
            door.sendall(word.encode())
            door.shutdown(socket.SHUT_WR)
            said = door.recv(1024)
        if said != b"ok":
            raise BenchError(f"{self.name} does not know the mood {word!r}: {said.decode()}")


def nginx(name: str, folder: Path, cores: Cores) -> Server:
    """An nginx that answers what the application answers."""
    port = free_port()
    own = folder / name
    own.mkdir(mode=0o755)
    config = own / "nginx.conf"
    config.write_text(_CONFIG.format(folder=own, port=port, name=name, user=user_line()))
    command = [require("nginx", "a backend"), "-p", str(own), "-e", str(own / "nginx.log"), "-c", str(config)]
    return Server(name, port, command, own, cores)


class Crew:
    """All of them; whoever makes it calls `stop`."""

    def __init__(self, folder: Path, cores: Cores) -> None:
        """`folder` is empty and ours."""
        self.app = App("app", folder, cores)
        self.servers: list[Server] = [self.app]
        try:
            self.servers += [nginx(name, folder, cores) for name in ("nginx1", "nginx2")]
        except BaseException:
            self.stop()
            raise

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(server.port for server in self.servers)

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


def free_port() -> int:
    """One that nobody has now, and that no outgoing connection will be given."""
    for _ in range(100):
        port = random.randrange(*BELOW_EPHEMERAL)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise BenchError(f"no free port among {BELOW_EPHEMERAL[0]} to {BELOW_EPHEMERAL[1]}")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    finally:
        connection.close()
