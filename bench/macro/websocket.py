"""The load generator for WebSockets: `python -m bench.macro.websocket PORT SECONDS CONNECTIONS`.

Each connection has one message of 64 bytes under way at any time, and checks what comes back. Says "ready" when all connections are
upgraded. Like the one for handshakes it needs more CPU than the proxy, which therefore is not saturated.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import sys
import time
from base64 import b64encode

from bench.macro import frames
from bench.macro.errors import BenchError
from bench.macro.handshakes import figures

MESSAGE_BYTES = 64
UPGRADE_SECONDS = 5.0
PATIENCE = 2.0
"""Seconds that answers may take after the end, before they count as errors."""


def command(port: int, seconds: int, connections: int) -> list[str]:
    return [sys.executable, "-m", "bench.macro.websocket", str(port), str(seconds), str(connections)]


def loose() -> ssl.SSLContext:
    """Without verification: duties.py has verified the certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """One connection, upgraded."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        """OSError when it cannot be had, BenchError when it is not upgraded as RFC 6455 wants."""
        raw = socket.create_connection(("127.0.0.1", port), timeout=UPGRADE_SECONDS)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tls = context.wrap_socket(raw, server_hostname="localhost")
        self.buffer = bytearray()
        self.sent = 0.0
        self.message = b""
        try:
            self._upgrade(b64encode(os.urandom(16)))
        except BaseException:
            self.tls.close()
            raise
        self.tls.setblocking(False)

    def _upgrade(self, key: bytes) -> None:
        self.tls.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
        )
        while b"\r\n\r\n" not in self.buffer:
            data = self.tls.recv(16384)
            if not data:
                break
            self.buffer += data
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 ") or frames.accept_for(key) not in head:
            raise BenchError(f"wanted 101 with the right Sec-WebSocket-Accept, got {bytes(head[:200])!r}")
        self.buffer = bytearray(rest)

    def send(self) -> None:
        self.message = os.urandom(MESSAGE_BYTES // 2).hex().encode()
        self.sent = time.perf_counter()
        self.tls.sendall(frames.encode(self.message, os.urandom(4)))

    def receive(self) -> bool:
        """Whether the answer is there. OSError when the connection ends, or brings anything else."""
        try:
            data = self.tls.recv(16384)
        except ssl.SSLWantReadError:
            return False  # a ticket, or part of a record
        if not data:
            raise ConnectionError("the connection ended")
        self.buffer += data
        frame = frames.take(self.buffer)
        if frame is None:
            return False
        if frame.payload != self.message:
            raise ConnectionError(f"wanted {self.message!r} back, got {frame.payload!r}")
        return True


def echo_once(port: int, context: ssl.SSLContext) -> None:
    """One message there and back, for duties.py. OSError or BenchError when not."""
    client = Client(port, context)
    with client.tls:
        client.tls.settimeout(UPGRADE_SECONDS)
        client.send()
        while not client.receive():
            pass


def _loop(port: int, seconds: int, connections: int) -> str:
    context = loose()  # once: it reads the system's authorities, which takes longer than a handshake
    clients = [Client(port, context) for _ in range(connections)]
    by_descriptor = {client.tls.fileno(): client for client in clients}
    poll = select.epoll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    print("ready", flush=True)
    start = time.perf_counter()
    taken: list[float] = []
    errors = 0
    for client in clients:
        client.send()
    while by_descriptor and (now := time.perf_counter()) < start + seconds + PATIENCE:
        for descriptor, _ in poll.poll(0.1):
            client = by_descriptor[descriptor]
            try:
                if not client.receive():
                    continue
                taken.append(time.perf_counter() - client.sent)
                if now < start + seconds:
                    client.send()
                    continue
            except OSError:
                errors += 1
            poll.unregister(descriptor)
            del by_descriptor[descriptor]
    return figures(taken, time.perf_counter() - start, errors + len(by_descriptor))


if __name__ == "__main__":
    print(_loop(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
