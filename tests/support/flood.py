"""Peers that send as fast as they are let, in a process of their own: `python -m tests.support.flood JSON`, see Flood.

As clients they connect to `port` and send `head` and then `unit` again and again. As a backend (`serve`) they listen there and
answer every connection so, once it has said anything. One process and no TLS: what it costs the machine is little beside what it
costs a proxy that is not careful.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

PIECE = 64 * 1024


@dataclass(frozen=True)
class Flood:
    port: int
    head: str
    unit: str
    """"": they only read."""
    connections: int = 50
    serve: bool = False


ONE_BYTE_CHUNKS = "1\r\na\r\n"


@contextmanager
def flooding(flood: Flood) -> Iterator[subprocess.Popen[str]]:
    """As long as the context lasts; inside, its clients are connected, or it listens."""
    command = [sys.executable, "-m", "tests.support.flood", json.dumps(asdict(flood))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.terminate()


def run(flood: Flood) -> None:
    """Until it is terminated. What they are sent is thrown away; those that are cut are left out."""
    unit = flood.unit.encode()
    piece = memoryview(unit * (PIECE // len(unit) if unit else 0))
    poll = select.epoll()
    there: dict[int, tuple[socket.socket, int]] = {}

    def begin(one: socket.socket) -> None:
        one.sendall(flood.head.encode())
        one.setblocking(False)
        there[one.fileno()] = (one, 0)
        poll.register(one, select.EPOLLIN | (select.EPOLLOUT if unit else 0))

    if flood.serve:
        listener = socket.create_server(("127.0.0.1", flood.port), backlog=1000)
        poll.register(listener, select.EPOLLIN)
    else:
        for _ in range(flood.connections):
            begin(socket.create_connection(("127.0.0.1", flood.port)))
    print("ready", flush=True)
    while True:
        for number, events in poll.poll():
            if number not in there:
                one, _ = listener.accept()
                one.recv(PIECE)
                begin(one)
                continue
            one, at = there[number]
            try:
                if events & select.EPOLLIN and not one.recv(4 * PIECE):
                    raise ConnectionResetError
                if events & select.EPOLLOUT:
                    there[number] = (one, (at + one.send(piece[at:])) % len(piece))
            except BlockingIOError:
                pass
            except OSError:
                poll.unregister(number)
                one.close()
                del there[number]


if __name__ == "__main__":
    run(Flood(**json.loads(sys.argv[1])))
