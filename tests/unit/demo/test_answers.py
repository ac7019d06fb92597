"""What each path of the throw-away backends answers, over real sockets."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
from collections.abc import Iterator

import pytest

from lbproxy.demo.answers import PATTERN
from tests.unit.demo.serving import ask, responding


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with responding() as found:
        yield found


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    found = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    yield found
    found.close()


def test_hello(connection: http.client.HTTPConnection, port: int) -> None:
    """Who answers, how often it did, and what came; on one connection."""
    first, second = (ask(connection, "GET", "/any?q").body.decode() for _ in range(2))
    assert first.startswith(f"Hello from backend 127.0.0.1:{port} (pid ")
    assert f"    GET /any?q HTTP/1.1\n    Host: 127.0.0.1:{port}\n" in first
    numbers = [int(text.split("answer number ")[1].split(".")[0]) for text in (first, second)]
    assert numbers[1] == numbers[0] + 1


def test_slow(connection: http.client.HTTPConnection) -> None:
    """Not before its time."""
    begun = time.monotonic()
    assert ask(connection, "GET", "/slow?ms=150").status == 200
    assert time.monotonic() - begun >= 0.15
    assert ask(connection, "GET", "/slow?ms=x").status == 400


@pytest.mark.parametrize(("path", "status"), [
    ("/status/204", 204), ("/status/503", 503), ("/status/599", 599), ("/status/100", 400), ("/status/600", 400), ("/status/", 400),
    ("/status", 400), ("/status/20x", 400),
])  # fmt: skip
def test_status(connection: http.client.HTTPConnection, path: str, status: int) -> None:
    """Any final one."""
    answer = ask(connection, "GET", path)
    assert answer.status == status
    assert bool(answer.body) == (status != 204)


@pytest.mark.parametrize("count", [0, 1, len(PATTERN), 3 * len(PATTERN) + 7])
def test_bytes(connection: http.client.HTTPConnection, count: int) -> None:
    """As many as asked for; byte i is i % 256."""
    answer = ask(connection, "GET", f"/bytes/{count}")
    wanted = (PATTERN * (count // len(PATTERN) + 1))[:count]
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(wanted).digest()
    assert ask(connection, "HEAD", f"/bytes/{count}").headers["Content-Length"] == str(count)


@pytest.mark.parametrize("size", [0, 5, 3 * 1024 * 1024 + 1])
def test_echo(connection: http.client.HTTPConnection, size: int) -> None:
    """Equal, whichever way it was framed, and too large for any buffer on the way; the client reads only when it has sent all."""
    body = os.urandom(size)
    whole = ask(connection, "POST", "/echo", body)
    assert (whole.body, whole.headers["Content-Length"]) == (body, str(size))
    pieces = [body[at : at + 100_000] for at in range(0, size, 100_000)]
    connection.putrequest("POST", "/echo")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders(iter(pieces), encode_chunked=True)
    answer = connection.getresponse()
    assert answer.getheader("Transfer-Encoding") == "chunked"
    assert answer.read() == body


def test_headers(connection: http.client.HTTPConnection) -> None:
    """What came, for programs."""
    connection.request("PUT", "/headers", b"ignored", {"X-One": "1"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    assert (told["method"], told["target"]) == ("PUT", "/headers")
    assert ["X-One", "1"] in told["headers"]


def test_a_refused_path_ends_the_connection(connection: http.client.HTTPConnection) -> None:
    """Since its body may not have been read."""
    answer = ask(connection, "POST", "/bytes/x", b"body")
    assert (answer.status, answer.headers["Connection"]) == (400, "close")
