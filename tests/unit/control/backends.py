"""Scripted backends on real loopback sockets, and the parts a control process is made of."""

from __future__ import annotations

import mmap
import multiprocessing
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import SIZE, Ledger
from lbproxy.config import model
from lbproxy.ipc.handover import Handover

Script = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Scripted:
    """Accepts one connection after another and runs the script on each; what clients sent is kept in `seen`."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.script = script
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.connections = 0
        self.seen: list[bytes] = []
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed by the script or by the peer
        self._thread.join(60)
        assert not self._thread.is_alive()
        for sock in (*self._open, self._listening):
            sock.close()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            try:
                if self._context is not None:
                    sock = self._context.wrap_socket(sock, server_side=True)
                    self._open[-1] = sock
                self.script(sock)
            except OSError:
                pass  # the probe hung up first; what it thought of us is for the test to judge

    # ---- scripts

    def answer(self, response: bytes) -> Script:
        """Read a request, send this, close."""

        def script(sock: socket.socket) -> None:
            self.seen.append(sock.recv(65536))
            sock.sendall(response)
            if isinstance(sock, ssl.SSLSocket):
                sock.unwrap()
            sock.close()

        return script


def answering(response: bytes, context: ssl.SSLContext | None = None) -> Scripted:
    """A backend that always sends this."""
    server = Scripted(silent, context)
    server.script = server.answer(response)
    return server


def silent(sock: socket.socket) -> None:
    """Accept and say nothing."""


def hang_up(sock: socket.socket) -> None:
    """Read the request and close without a word."""
    sock.recv(65536)
    sock.close()


def reset(sock: socket.socket) -> None:
    """Read the request and reset."""
    sock.recv(65536)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def closed_port() -> int:
    """A port that nobody listens on (unless somebody takes it within the test)."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# ---------------------------------------------------------------- the inheritance of a control process


def new_ledger() -> Ledger:
    return Ledger(mmap.mmap(-1, SIZE))


def resolved(pool: model.PoolConfig, first_slot: int = 0) -> tuple[Backend, ...]:
    """The pool's backends as the master would share them."""
    return tuple(
        Backend(
            pool.name,
            str(backend.address),
            backend.address.host,
            backend.address.host,
            backend.address.port,
            backend.weight,
            0,
            slot,
        )
        for slot, backend in enumerate(pool.backends, start=first_slot)
    )


def pool_of(name: str, *ports: int, health: model.HealthConfig, tls: model.PoolTlsConfig | None = None) -> model.PoolConfig:
    """A pool of backends on the loopback."""
    return model.PoolConfig(
        name, tuple(model.BackendConfig(model.Address("127.0.0.1", port)) for port in ports), health=health, tls=tls
    )


def handover(
    *pools: model.PoolConfig,
    ledger: Ledger,
    pipe: socket.socket,
    metrics: socket.socket | None = None,
    contexts: dict[str, ssl.SSLContext] | None = None,
) -> Handover:
    """What the master hands to a control process with these pools."""
    slot = 0
    backends = {}
    for pool in pools:
        backends[pool.name] = resolved(pool, slot)
        slot += len(pool.backends)
    return Handover(
        config=model.Config("", (), (), pools),
        generation=3,
        child=0,
        worker=-1,
        ledger=ledger,
        pick_lock=multiprocessing.Lock(),
        listeners=(),
        backends=backends,
        pool_contexts=contexts or {},
        access_fd=-1,
        metrics_socket=metrics,
        pipe=pipe,
    )
