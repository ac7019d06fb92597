"""`python -m bench herd [options]`. Exit 0 whatever the figures, 1 with the reason when it cannot be measured.

Clients with kept connections over TLS ask at once for what nobody has stored, round after round, of two workers. The origin takes
its time for each request, and counts them. nginx has proxy_cache_lock on.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import socketserver
import ssl
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.macro import certificate, peers
from bench.macro.cases import STORED
from bench.macro.errors import BenchError, exit_code
from bench.macro.process import Program, free_ports
from bench.macro.site import Site

CLIENTS, ROUNDS, ORIGIN_MS, WORKERS, BODY = 50, 10, 100, 2, 1024
PEERS = "nginx,lbproxy"
PATIENCE = 60.0


class Figures(NamedTuple):
    """Of one proxy."""

    name: str
    asked: int
    """Requests of the origin, over all rounds."""
    waits: list[float]
    """Milliseconds, of each client in each round."""


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench herd", description="Many ask at once for what nobody has stored.")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="default %(default)s")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="each on a key of its own, default %(default)s")
    parser.add_argument("--origin", type=int, default=ORIGIN_MS, metavar="MS", help="that it takes, default %(default)s")
    parser.add_argument("--peers", default=PEERS, help="default %(default)s")
    chosen = parser.parse_args(argv)
    if min(chosen.clients, chosen.rounds, chosen.origin) < 1:
        parser.error("all numbers are at least 1")
    return chosen


class _Origin(socketserver.ThreadingTCPServer):
    """Answers after a while, and counts."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, milliseconds: int) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.milliseconds = milliseconds
        self.asked = 0
        self.counting = threading.Lock()


class _Conversation(socketserver.StreamRequestHandler):
    server: _Origin

    def handle(self) -> None:
        """Request after request."""
        while self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            with self.server.counting:
                self.server.asked += 1
            time.sleep(self.server.milliseconds / 1000)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: %d\r\n\r\n" % BODY + bytes(BODY))


@contextmanager
def origin(milliseconds: int) -> Iterator[_Origin]:
    """One that listens."""
    with _Origin(milliseconds) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


def connect(port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), PATIENCE), server_hostname="bench.test")


def ask(clients: list[ssl.SSLSocket], number: int) -> Iterator[float]:
    """All at once; milliseconds that each has waited for all of its answer."""
    begun = time.perf_counter()
    for client in clients:
        client.sendall(f"GET {STORED}/{number} HTTP/1.1\r\nHost: bench.test\r\n\r\n".encode())
    with selectors.DefaultSelector() as selector:
        got = {client: bytearray() for client in clients}
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while got:
            ready = selector.select(PATIENCE)
            if not ready:
                raise BenchError(f"{len(got)} clients wait for ever")
            for key, _ in ready:
                one = key.fileobj
                assert isinstance(one, ssl.SSLSocket)
                more = one.recv(65536)
                got[one] += more
                head, _, body = bytes(got[one]).partition(b"\r\n\r\n")
                if not more or not head.startswith(b"HTTP/1.1 200 "[: len(head)]):
                    raise BenchError(f"wanted 200, got {head[:100]!r}")
                if len(body) == BODY:
                    yield (time.perf_counter() - begun) * 1000
                    selector.unregister(one)
                    del got[one]


def measure(name: str, chosen: argparse.Namespace) -> Figures:
    """In a folder of its own."""
    with tempfile.TemporaryDirectory() as place, origin(chosen.origin) as backend, ExitStack() as stack:
        folder = Path(place)
        https, http = free_ports(2)
        log = folder / "access.log"
        site = Site(folder, https, http, (backend.server_address[1],), certificate.make(folder), log, WORKERS, cache=True)
        recipe = peers.maker(name, folder)(site)
        program = Program(name, recipe.command, stdout=folder / "stdout", stderr=folder / "stderr", env=recipe.env, cwd=recipe.cwd)
        stack.callback(program.stop)
        program.wait_until(lambda: listens(https), PATIENCE)
        clients = [stack.enter_context(connect(https)) for _ in range(chosen.clients)]
        list(ask(clients, 0))  # whatever is made when it is first asked for
        backend.asked = 0
        waits = [wait for number in range(chosen.rounds) for wait in ask(clients, number + 1)]
        return Figures(name, backend.asked, waits)


def listens(port: int) -> bool:
    with connect(port):
        return True


def table(figures: list[Figures], chosen: argparse.Namespace) -> str:
    lines = [f"{'proxy':<12}{'origin asked a key':>20}{'p50 ms':>10}{'of the origin':>15}{'p99 ms':>10}"]
    for one in figures:
        waits = sorted(one.waits)
        middle, last = statistics.median(waits), waits[len(waits) * 99 // 100]
        lines.append(
            f"{one.name:<12}{one.asked / chosen.rounds:>20.2f}{middle:>10.1f}{middle / chosen.origin:>14.2f}x{last:>10.1f}"
        )
    return "\n".join(lines)


def run(chosen: argparse.Namespace) -> None:
    names = list(dict.fromkeys(chosen.peers.split(",")))
    for name in names:
        peers.require_peer(name)
    print(table([measure(name, chosen) for name in names], chosen))


def main(argv: list[str]) -> int:
    """The table; 1 and the reason when it cannot be made."""
    chosen = arguments(argv)
    return exit_code(lambda: run(chosen))
