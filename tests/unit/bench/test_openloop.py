"""The load generator of constant rates: what it says, read; and the program itself against a server that answers or stalls."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.macro import certificate, openloop
from bench.macro.errors import BenchError
from bench.macro.openloop import Job

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"

needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None or not Path("/usr/include/openssl/ssl.h").exists(),
    reason="needs a C compiler and OpenSSL's headers: apt-get install gcc libc6-dev libssl-dev",
)


def test_its_line_is_read_in_milliseconds() -> None:
    line = "openloop requests=9 errors=1 reopened=2 seconds=1.5 p50=100.0 p90=200.0 p99=1500.5 p999=1 max=2 sent_p99=3.0"
    assert openloop.parse("ready\n" + line + "\n") == openloop.Waits(9, 1, 2, 1.5, 0.1, 0.2, 1.5005, 0.001, 0.002, 0.003)


def test_without_its_line_its_words_are_passed_on() -> None:
    with pytest.raises(BenchError, match="no idea"):
        openloop.parse("no idea\n")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return openloop.build(tmp_path_factory.mktemp("openloop"))


class Server:
    """TLS, a thread for each connection; `gate` closed: nobody is answered."""

    def __init__(self, folder: Path, answer: bytes = ANSWER) -> None:
        files = certificate.make(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(files.cert, files.key)
        self.answer = answer
        self.gate = threading.Event()
        self.gate.set()
        self.requests: list[bytes] = []
        self.connections = 0
        self.asked = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.threads.append(threading.Thread(target=self._serve, args=(sock,)))
            self.threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with self.context.wrap_socket(sock, server_side=True) as tls:
                while data := tls.recv(4096):
                    with self.asked:
                        self.requests.append(data)
                        self.asked.notify_all()
                    self.gate.wait(20)
                    tls.sendall(self.answer)
                    if b"close" in self.answer:
                        return
        except OSError:
            pass  # the generator went away, as it does

    def stop(self) -> None:
        self.gate.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(20)


@contextmanager
def serving(folder: Path, answer: bytes = ANSWER) -> Iterator[Server]:
    server = Server(folder, answer)
    try:
        yield server
    finally:
        server.stop()


@needs_compiler
def test_all_are_sent_over_kept_connections_and_answered(program: Path, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        begun = []
        waits = openloop.run(program, Job(server.port, 4, 100, 0.5, "/x"), while_loaded=lambda: begun.append(len(server.requests)))
    assert (waits.requests, waits.errors, waits.reopened) == (50, 0, 0)
    assert server.connections == 4
    assert server.requests == [b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"] * 50
    assert begun, "told when the connections stand"
    assert waits.p50_ms <= waits.p90_ms <= waits.p99_ms <= waits.p999_ms <= waits.max_ms


@needs_compiler
def test_fresh_ones_open_a_connection_each(program: Path, tmp_path: Path) -> None:
    with serving(tmp_path, ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as server:
        waits = openloop.run(program, Job(server.port, 8, 40, 0.5, fresh=True))
    assert (waits.requests, waits.errors) == (20, 0)
    assert server.connections == 20


@needs_compiler
def test_who_says_close_is_obeyed(program: Path, tmp_path: Path) -> None:
    with serving(tmp_path, ANSWER.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")) as server:
        waits = openloop.run(program, Job(server.port, 2, 20, 0.5))
    assert (waits.requests, waits.errors) == (10, 0)
    assert waits.reopened == 10


@needs_compiler
def test_a_stall_is_counted_for_all_who_would_have_come_meanwhile(program: Path, tmp_path: Path) -> None:
    """One connection, and a server that is silent until the last request is due: a closed loop would know of one slow answer."""
    with serving(tmp_path) as server:
        server.gate.clear()

        def open_late() -> None:
            threading.Event().wait(0.5)  # the length of the run
            server.gate.set()

        waits = openloop.run(program, Job(server.port, 1, 100, 0.5), while_loaded=open_late)
    assert (waits.requests, waits.errors) == (50, 0)
    # The requests were due evenly over that half second, so at least half of them waited for half of it, whatever the machine does.
    assert waits.p50_ms >= 240
    assert waits.sent_p99_ms >= 240


@needs_compiler
def test_what_is_never_answered_is_an_error_with_its_wait(program: Path, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.gate.clear()
        waits = openloop.run(program, Job(server.port, 2, 10, 0.5))
    assert (waits.requests, waits.errors) == (0, 5)
    assert waits.p50_ms >= 1000 * openloop.DRAIN_SECONDS


@needs_compiler
@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok\n"],
)
def test_a_wrong_answer_is_an_error(program: Path, tmp_path: Path, answer: bytes) -> None:
    with serving(tmp_path, answer) as server:
        waits = openloop.run(program, Job(server.port, 2, 20, 0.5))
    assert (waits.requests, waits.errors, waits.reopened) == (0, 10, 10)


@needs_compiler
def test_a_server_that_is_not_there_is_said(program: Path, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        port = server.port
    with pytest.raises(BenchError, match="0 of 1 connections"):
        openloop.run(program, Job(port, 1, 10, 0.1))
