"""The messages are what they say, the attacker counts what was read, and the table tells what it cost."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path

import pytest

from bench.attacks import command, rules
from bench.attacks.flood import Connection, unread
from bench.attacks.newcomers import Waits, newcomers
from bench.attacks.shapes import SHAPES, Shape, hellos, port_of
from bench.attacks.table import Sample, rows, table
from bench.macro.certificate import Files
from bench.macro.proxies.lbproxy import lbproxy
from bench.macro.site import Site
from lbproxy.config.load import load_file
from lbproxy.errors import RequestError
from lbproxy.http.h1.chunks import ChunkDecoder
from lbproxy.http.h1.request import parse_request
from tests.unit.bench.floods import flooded

HEADS = [name for name, shape in SHAPES.items() if shape.message is not hellos]


@pytest.mark.parametrize("name", HEADS)
def test_each_message_is_one_that_gets_through_or_is_refused_at_a_cost(name: str) -> None:
    """A head that lbproxy takes, but for the one that is too large for anybody."""
    message = SHAPES[name].message()
    head, end, body = message.partition(b"\r\n\r\n")
    request = parse_request(head + end, 8192, 100)
    assert (len(head) > 32 * 1024) == (name == "431")
    if name in ("chunks", "extensions"):
        assert request.method == b"POST"
        assert max(len(line) for line in body.split(b"\r\n")) < 256
        decoder = ChunkDecoder()
        decoder.feed(body)
        assert decoder.done
    else:
        assert body.count(b"\r\n\r\n") == (199 if name == "refusals" else 0)


def test_what_the_peers_would_cut_is_below_their_limits() -> None:
    """nginx takes four buffers of 8 KiB, none of which a line may exceed."""
    for name in set(HEADS) - {"431"}:
        head = SHAPES[name].message().partition(b"\r\n\r\n")[0]
        assert max(len(line) for line in head.split(b"\r\n")) < 8 * 1024
        assert len(head) < 32 * 1024
    assert SHAPES["cookies"].message().count(b"=") == 1750  # four times as many nginx takes once, and not in a pipeline


def test_the_hello_is_tls() -> None:
    """And goes where TLS is spoken."""
    assert hellos()[:2] == b"\x16\x03"
    assert port_of(SHAPES["handshakes"], https=1, http=2) == port_of(SHAPES["records"], https=1, http=2) == 1
    assert port_of(SHAPES["chunks"], https=1, http=2) == 2


def test_what_waits_in_the_kernel_was_not_read() -> None:
    """By the text of /proc/net/tcp."""
    text = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000005 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C000 01 00000003:00000100 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 0100007F:C000 0100007F:1F90 01 00000010:00000007 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
   3: 0100007F:C001 0100007F:1F91 01 00000010:00000007 00:00000000 00000000     0        0 4 1 0 20 4 30 10 -1
"""
    assert unread(text, 0x1F90) == 0x110


def serving(answer: bytes) -> tuple[socket.socket, threading.Thread]:
    """A server that reads a little of each connection, answers, and goes."""
    server = socket.create_server(("127.0.0.1", 0), backlog=64)

    def run() -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            with sock:
                try:
                    sock.recv(65536)
                    sock.sendall(answer)
                except OSError:
                    pass  # the attacker has gone

    thread = threading.Thread(target=run)
    thread.start()
    return server, thread


def stopped(server: socket.socket, thread: threading.Thread) -> None:
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def test_a_flood_comes_again_when_it_is_cut_off() -> None:
    """And stops when its time is over."""
    server, thread = serving(b"no")
    shape = Shape("", lambda: b"x" * 100, once=True, connections=3)
    try:
        moved = flooded(shape, server.getsockname()[1], lambda moved: moved.connections > 3 and moved.received > 0)
    finally:
        stopped(server, thread)
    assert moved.connections > 3
    assert moved.sent % 100 == 0
    assert moved.received > 0


def test_a_message_is_sent_over_and_over() -> None:
    """On one connection, unless it is the last of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = Connection(Shape("", bytes), b"abc", server.getsockname()[1])
        accepted, _ = server.accept()
        with accepted, connection.sock:
            for _ in range(3):
                connection.write()
            assert accepted.recv(100) in (b"abcabcabc", b"abcabc", b"abc")
            assert not connection.over


def test_newcomers_are_counted_whatever_they_get() -> None:
    """Lost is who got no answer, or another one than he came for."""
    server, thread = serving(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    try:
        waits = newcomers(server.getsockname()[1], 0.1)
    finally:
        stopped(server, thread)
    assert waits.lost == len(waits.seconds) >= 1
    assert Waits([0.001, 0.003, 0.002], 0).milliseconds(0.5) == 2
    assert Waits([0.001, 0.003, 0.002], 0).milliseconds(0.99) == 3


def test_the_rule_is_in_each_proxys_file(tmp_path: Path) -> None:
    """lbproxy refuses what it is meant to; nobody is let off because a configuration has changed its face."""
    site = Site(tmp_path, 4433, 8080, (9000,), Files(tmp_path / "a", tmp_path / "b", tmp_path / "c"), tmp_path / "log")
    lbproxy(site)
    rules.add_to("lbproxy@main", tmp_path)
    [route] = load_file(tmp_path / "lbproxy.toml").routes
    assert [refuse.value for refuse in route.filters.refuse] == ["refused", "*" + "a*" * 11 + "b"]
    (tmp_path / "nginx.conf").write_text("nothing")
    with pytest.raises(ValueError, match="nginx"):
        rules.add_to("nginx", tmp_path)
    with pytest.raises(ValueError, match="caddy"):
        rules.add_to("caddy", tmp_path)


def test_the_table_sets_each_beside_the_better_of_the_others() -> None:
    """Medians of waits over the rounds, sums of the rest."""
    samples = [
        Sample("chunks", name, p50, p50 * 2, 1, cpu, 1000.0, 2.0)
        for p50 in (1.0, 2.0, 9.0)
        for name, cpu in (("nginx", 0.01), ("haproxy", 0.02), ("lbproxy", 0.03))
    ]
    found = rows(samples)
    assert [(row.p50_ms, row.p99_ms, row.lost) for row in found] == [(2.0, 4.0, 3)] * 3
    assert found[0].cost == pytest.approx(10.0)
    lines = [line.split() for line in table(samples).splitlines()[2:]]
    assert lines[2] == ["chunks", "lbproxy", "2.0", "4.0", "3", "0.01", "500", "30.0", "3.0", "x"]
    assert re.search(r"20\.0 +2\.0 x", table(samples))


@pytest.mark.parametrize("argv", [["no-such"], ["--rounds", "-1"]])
def test_bad_arguments(argv: list[str]) -> None:
    """Told as usual."""
    with pytest.raises(SystemExit) as ended:
        command.arguments(argv)
    assert ended.value.code == 2


def test_quick_is_one_short_round() -> None:
    """Unless more is asked for."""
    assert (command.arguments(["--quick"]).rounds, command.arguments(["--quick"]).seconds) == (1, 2)
    assert command.arguments(["--quick", "--seconds", "5"]).seconds == 5


def test_refused_heads_are_refused_for_their_size() -> None:
    """By the first limit they meet."""
    with pytest.raises(RequestError):
        parse_request(b"GET /" + b"%41" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 8192, 100)
