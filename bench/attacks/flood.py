"""The attacker: `python -m bench.attacks.flood SHAPE PORT SECONDS` sends until the time is over and prints what went and came.

One process and one loop over all connections, each of which is written to and read from whenever the kernel lets it. A connection
that ends is opened anew.
"""

from __future__ import annotations

import json
import selectors
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import NamedTuple

from bench.attacks.h2_sender import H2Sender
from bench.attacks.h2_shapes import H2_SHAPES, H2Shape
from bench.attacks.shapes import SHAPES, Shape

AT_ONCE = 256 * 1024
PROC_TCP = Path("/proc/net/tcp")
LISTENING = 10  # whose queue counts connections


class Moved(NamedTuple):
    """Bytes."""

    sent: int
    """And read by the proxy: what waits in the kernel has cost nothing yet."""
    received: int
    connections: int
    """That were opened."""


class Records:
    """TLS over a socket, with each byte of a message in a record of its own."""

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self._ready = False

    def first(self) -> bytes:
        """What begins the handshake."""
        self._step()
        return self._out.read()

    def take(self, data: bytes) -> bytes:
        """Bytes came: what the handshake answers. Once it is done they are not looked at."""
        if self._ready:
            return b""
        self._in.write(data)
        self._step()
        return self._out.read()

    def records(self, message: bytes) -> bytes:
        """b"" while the handshake lasts."""
        if not self._ready:
            return b""
        for at in range(len(message)):
            self._tls.write(message[at : at + 1])
        return self._out.read()

    def _step(self) -> None:
        try:
            self._tls.do_handshake()
            self._ready = True
        except ssl.SSLWantReadError:
            pass  # more is to come


class Connection:
    """One of the attacker's."""

    def __init__(self, shape: Shape, message: bytes, port: int) -> None:
        self.shape = shape
        self._message = message
        self._records = Records() if shape.ground == "tls" else None
        self._left = memoryview(message if self._records is None else self._records.first())
        self.sent = self.received = 0
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.connect_ex(("127.0.0.1", port))

    @property
    def over(self) -> bool:
        """Nothing more is to be said on it."""
        return self.shape.once and not self._left

    def write(self) -> None:
        """Raises OSError."""
        if not self._left and not self.shape.once:
            message = self._message if self._records is None else self._records.records(self._message)
            self._left = memoryview(message)
        try:
            went = self.sock.send(self._left) if self._left else 0
        except BlockingIOError:
            return
        self.sent += went
        self._left = self._left[went:]

    def read(self) -> bool:
        """Whether it goes on. Raises OSError."""
        try:
            data = self.sock.recv(AT_ONCE)
        except BlockingIOError:
            return True
        self.received += len(data)
        if self._records is not None and data and (answer := self._records.take(data)):
            self._left = memoryview(bytes(self._left) + answer)
        return bool(data) and not self.shape.cut


def flood(shape: Shape | H2Shape, port: int, seconds: float) -> Moved:
    """Until the time is over."""
    message = b"" if isinstance(shape, H2Shape) else shape.message()
    selector = selectors.DefaultSelector()
    sent = received = opened = 0

    def begin() -> None:
        nonlocal opened
        opened += 1
        connection = H2Sender(shape, port) if isinstance(shape, H2Shape) else Connection(shape, message, port)
        selector.register(connection.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    def end(connection: Connection | H2Sender) -> None:
        nonlocal sent, received
        selector.unregister(connection.sock)
        connection.sock.close()
        sent, received = sent + connection.sent, received + connection.received

    for _ in range(shape.connections):
        begin()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for key, events in selector.select(0.1):
            connection: Connection | H2Sender = key.data
            try:
                goes_on = connection.read() if events & selectors.EVENT_READ else True
                if goes_on and events & selectors.EVENT_WRITE:
                    connection.write()
                wanted = selectors.EVENT_READ if connection.over else selectors.EVENT_READ | selectors.EVENT_WRITE
                if goes_on and wanted != key.events:
                    selector.modify(connection.sock, wanted, connection)
            except OSError:
                goes_on = False  # refused, or reset: the next one, please
            if not goes_on:
                end(connection)
                begin()
    waiting = unread(PROC_TCP.read_text(), port)
    for key in list(selector.get_map().values()):
        end(key.data)
    return Moved(max(0, sent - waiting), received, opened)


def unread(table: str, port: int) -> int:
    """Bytes on their way to whoever listens on that port here, by the text of /proc/net/tcp: in our sockets, and in his."""
    waiting = 0
    for line in table.splitlines()[1:]:
        words = line.split()
        here, there = (int(end.partition(":")[2], 16) for end in words[1:3])
        to_send, to_read = (int(queue, 16) for queue in words[4].split(":"))
        state = int(words[3], 16)
        if there == port:
            waiting += to_send
        elif here == port and state != LISTENING:
            waiting += to_read
    return waiting


def main(argv: list[str]) -> int:
    name, port, seconds = argv
    shape = H2_SHAPES[name] if name in H2_SHAPES else SHAPES[name]
    print(json.dumps(flood(shape, int(port), float(seconds))._asdict()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
