"""Backends in processes of their own: our application, nginx, gunicorn, uvicorn; each started, awaited, and killed by its id."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.support.ports import free_port
from tests.support.process import ROOT, session_members
from tests.support.waiting import eventually


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1.0).close()
    except OSError:
        return False
    return True


def _accepts_at(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
    return True


class Server:
    """A server process on a port of its own. As a context: serving inside, gone after."""

    def __init__(self, arguments: list[str], port: int, directory: Path, host: str = "127.0.0.1") -> None:
        self.arguments, self.port, self._directory, self.host = arguments, port, directory, host
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """As it stands in a configuration."""
        return f"{self.host}:{self.port}"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self._directory / f"server-{self.host}-{self.port}.log"

    def start(self) -> Self:
        """Start it, and wait until it accepts."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
            )
        process = self._process
        eventually(lambda: process.poll() is not None or self._accepts(), f"{self.arguments[0]} at {self.address}")
        assert process.poll() is None, f"{self.arguments} ended: {self.log.read_text()}"
        return self

    def _accepts(self) -> bool:
        return _accepts(self.host, self.port)

    def send_signal(self, number: signal.Signals) -> None:
        """To it and what it started."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """SIGKILL, for the whole family; returns when its sockets are closed."""
        if self._process is None:
            return
        family = self._process.pid
        try:
            os.killpg(family, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended by itself
        self._process.wait()
        self._process = None
        # Its children die when they are scheduled, which may be after it, and the port is theirs until then.
        eventually(lambda: not session_members(family), f"the end of all that {self.arguments[0]} has started")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()


class UnixServer(Server):
    """A server process on a Unix socket."""

    def __init__(self, arguments: list[str], path: Path, directory: Path) -> None:
        super().__init__(arguments, 0, directory, path.name)
        self.path = path

    @property
    def address(self) -> str:
        """As it stands in a configuration."""
        return f"unix:{self.path}"

    def _accepts(self) -> bool:
        return _accepts_at(self.path)


class App(Server):
    """tests/support/app.py"""

    def __init__(self, directory: Path, name: str = "app", host: str = "127.0.0.1", port: int = 0) -> None:
        port = port or free_port()
        super().__init__([sys.executable, "-m", "tests.support.app", str(port), name, host], port, directory, host)
        self.name = name

    def ask(self, target: str) -> bytes:
        """A question asked directly, not through the proxy."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request("GET", target, headers={"Connection": "close"})
            return connection.getresponse().read()
        finally:
            connection.close()

    def state(self) -> dict[str, Any]:
        """Its counters; this question and its connection are among them."""
        state: dict[str, Any] = json.loads(self.ask("/state"))
        return state

    def held(self) -> int:
        """How many requests wait in /hold."""
        return int(self.state().get("held", 0))

    def release(self) -> None:
        """Let everybody in /hold go."""
        self.ask("/release")


def nginx(directory: Path, listen: str = "", more: str = "") -> Server:
    """nginx serving `directory`/www; skips the test where it is not installed. `listen`: what it says behind the port, such as
    "http2"; `more`: directives of the server."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed, and could not be (scripts/test installs it as root on Debian)")
    port = free_port()
    (directory / "www").mkdir(exist_ok=True)
    temporary = "".join(
        f"{kind}_temp_path {directory}/nginx-{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = directory / "nginx.conf"
    config.write_text(
        f"""
        {"user root;" if os.getuid() == 0 else ""}
        daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx-error.log;
        events {{ worker_connections 1024; }}
        http {{
            {temporary}
            types {{ text/html html; text/css css; text/javascript js; application/octet-stream bin; }}
            access_log off; sendfile on; client_max_body_size 0; keepalive_timeout 60s; keepalive_requests 100000;
            server {{ listen 127.0.0.1:{port} {listen}; root {directory}/www; {more} }}
        }}
        """
    )
    return Server([program, "-c", str(config), "-e", f"{directory}/nginx-error.log"], port, directory)


def gunicorn(
    directory: Path,
    application: str = "tests.support.web:wsgi",
    *,
    kind: str = "gthread",
    certificate: dict[str, str] | None = None,
    environment: dict[str, str] | None = None,
) -> Server:
    """gunicorn with one worker of that `kind`; over TLS with a `certificate` (files by "cert" and "key")."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", kind]
    command += ["--threads", "8", "--keep-alive", "30"] if kind == "gthread" else []
    command += ["--certfile", certificate["cert"], "--keyfile", certificate["key"]] if certificate else []
    command += [argument for name, value in (environment or {}).items() for argument in ("--env", f"{name}={value}")]
    return Server([*command, "--no-control-socket", application], port, directory)


def uvicorn(directory: Path, certificate: dict[str, str] | None = None) -> Server:
    """uvicorn with the ASGI application of tests/support/web.py, over TLS with a `certificate` (files by "cert" and "key")."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "warning", "--lifespan", "off"]
    command += ["--ssl-certfile", certificate["cert"], "--ssl-keyfile", certificate["key"]] if certificate else []
    return Server([*command, "tests.support.web:asgi"], port, directory)


def hypercorn(directory: Path, certificate: dict[str, str] | None = None, *options: str) -> Server:
    """hypercorn with the same application: it speaks HTTP/2 as it is spoken to, over TLS by ALPN. It closes what is idle after five
    seconds by itself, which on a busy machine is before a test has looked."""
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    command += ["--keep-alive", "120", *options]
    command += ["--certfile", certificate["cert"], "--keyfile", certificate["key"]] if certificate else []
    return Server([*command, "tests.support.web:asgi"], port, directory)


def websocket_server(directory: Path, certificate: dict[str, str] | None = None) -> Server:
    """tests/support/websocket_server.py, over TLS with a `certificate` (files by "cert" and "key")."""
    port = free_port()
    files = [certificate["cert"], certificate["key"]] if certificate else []
    return Server([sys.executable, "-m", "tests.support.websocket_server", str(port), *files], port, directory)


class Scripted:
    """A backend inside the test: every connection is handed to `script`, and every byte that arrives is kept.

    `script(conversation)` runs in a thread per connection; when it returns, the connection is closed.
    """

    def __init__(self, script: Callable[[Conversation], None], context: ssl.SSLContext | None = None) -> None:
        """`context`: it speaks TLS."""
        self._script = script
        self._context = context
        self.conversations: list[Conversation] = []
        self._listener = socket.create_server(("127.0.0.1", free_port()), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def address(self) -> str:
        """As it stands in a configuration."""
        return f"127.0.0.1:{self.port}"

    def received(self) -> list[bytes]:
        """What each connection that sent anything sent so far (health checks by TCP send nothing)."""
        return [bytes(conversation.received) for conversation in self.conversations if conversation.received]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for conversation in self.conversations:
            conversation.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            conversation = Conversation(connection)
            self.conversations.append(conversation)
            threading.Thread(target=self._converse, args=(conversation,), daemon=True).start()

    def _converse(self, conversation: Conversation) -> None:
        try:
            if self._context is not None:
                conversation.shake_hands(self._context)
            self._script(conversation)
        except (OSError, EOFError):
            pass  # the proxy went away; the test looks at what arrived
        finally:
            conversation.close()


class Conversation:
    """One connection of a scripted backend."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self._at = 0

    def read_head(self) -> bytes:
        """The next request head, blank line included. EOFError when the proxy closed."""
        while (end := self.received.find(b"\r\n\r\n", self._at)) < 0:
            self._more()
        head = bytes(self.received[self._at : end + 4])
        self._at = end + 4
        return head

    def read_exactly(self, size: int) -> bytes:
        """The next `size` bytes."""
        while len(self.received) < self._at + size:
            self._more()
        data = bytes(self.received[self._at : self._at + size])
        self._at += size
        return data

    def wait_close(self) -> bytes:
        """Everything until the proxy closes or resets."""
        start = self._at
        try:
            while True:
                self._more()
        except (EOFError, OSError):
            self._at = len(self.received)
            return bytes(self.received[start:])

    def send(self, data: bytes) -> None:
        """All of `data`."""
        self._socket.sendall(data)

    def shake_hands(self, context: ssl.SSLContext) -> None:
        """From here on over TLS."""
        self._socket = context.wrap_socket(self._socket, server_side=True)

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Close both directions."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is gone already
        self._socket.close()

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise EOFError
        self.received += data
