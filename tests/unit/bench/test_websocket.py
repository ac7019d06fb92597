"""The echo and its client, to each other: over TLS, as a proxy would sit between them."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.macro import certificate, echo, frames, websocket
from bench.macro.errors import BenchError
from bench.macro.process import Program
from bench.macro.wrk import parse

REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The sockets of a running echo: for messages, and for their count."""
    folder = tmp_path_factory.mktemp("echo")
    paths = (folder / "echo", folder / "count")
    command = [sys.executable, "-m", echo.__name__, *map(str, paths)]
    program = Program("echo", command, stdout=folder / "out", stderr=folder / "err", cwd=Path(__file__).parents[3])
    try:
        program.wait_until(lambda: ask(paths[1], b"") == b"0")
        yield paths
    finally:
        program.stop()


def ask(path: Path, sent: bytes) -> bytes:
    """What comes back until end-of-file."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        if sent:  # who only counts has closed already
            sock.sendall(sent)
        return b"".join(iter(lambda: sock.recv(4096), b""))


def test_messages_come_back_unmasked_and_are_counted(backend: tuple[Path, Path]) -> None:
    before = int(ask(backend[1], b""))
    sent = frames.encode(b"one", b"mask") + frames.encode(b"two", b"kasm") + frames.encode(b"", b"mask", frames.CLOSE)
    head, _, rest = ask(backend[0], REQUEST + sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert head.endswith(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    assert rest == frames.encode(b"one") + frames.encode(b"two") + frames.encode(b"", first=frames.CLOSE)
    assert int(ask(backend[1], b"")) == before + 2


@pytest.mark.parametrize("line", [b"Upgrade: websocket\r\n", b"Connection: keep-alive, Upgrade\r\n", b"Sec-WebSocket-Key: "])
def test_an_upgrade_that_is_not_whole_is_refused(backend: tuple[Path, Path], line: bytes) -> None:
    assert line in REQUEST
    assert ask(backend[0], REQUEST.replace(line, b"X-Other: ")).startswith(b"HTTP/1.1 400 ")


class Terminator:
    """TLS in front of a socket, byte for byte but for what it drops."""

    def __init__(self, folder: Path, to: Path, drops: bytes = b"(nothing)") -> None:
        self._drops = drops
        files = certificate.make(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files.cert, files.key)
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._carry, args=(sock,)))
            self._threads[-1].start()

    def _carry(self, sock: socket.socket) -> None:
        """One message at a time is what the client sends, so taking turns will do."""
        try:
            with self._context.wrap_socket(sock, server_side=True) as tls, socket.socket(socket.AF_UNIX) as backend:
                backend.connect(str(self._to))
                while data := tls.recv(4096):
                    backend.sendall(data.replace(self._drops, b""))
                    tls.sendall(backend.recv(4096))
        except OSError:
            pass  # the client went away, as it does

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)


def test_the_client_says_ready_and_then_how_it_went(backend: tuple[Path, Path], tmp_path: Path) -> None:
    terminator = Terminator(tmp_path, backend[0])
    before = int(ask(backend[1], b""))
    try:
        made = subprocess.run(websocket.command(terminator.port, 1, 3), capture_output=True, text=True, timeout=60, check=True)
    finally:
        terminator.stop()
    assert made.stdout.startswith("ready\n")
    load = parse(made.stdout)
    assert load.errors == 0
    assert load.requests == int(ask(backend[1], b"")) - before >= 3
    assert 0 < load.p50_ms <= load.p99_ms


def test_an_upgrade_that_is_not_passed_on_is_said(backend: tuple[Path, Path], tmp_path: Path) -> None:
    terminator = Terminator(tmp_path, backend[0], drops=b"Upgrade: websocket\r\n")
    try:
        with pytest.raises(BenchError, match="wanted 101"):
            websocket.echo_once(terminator.port, websocket.loose())
    finally:
        terminator.stop()
