"""The throw-away backends as a process, and plain HTTP to them."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.command import Command
from tests.support.ports import free_port


@contextmanager
def responding() -> Iterator[int]:
    """`lbproxy respond` on one port, which is given."""
    port = free_port()
    with Command([sys.executable, "-m", "lbproxy", "respond", f":{port}"]) as command:
        command.wait_line(f"answering on http://127.0.0.1:{port}/")
        yield port


class Answer:
    """A response, read to its end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()


def ask(connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None = None) -> Answer:
    """One request on a connection that stays open."""
    connection.request(method, target, body)
    return Answer(connection.getresponse())


def ask_once(port: int, target: str = "/") -> Answer:
    """GET on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        return ask(connection, "GET", target)
    finally:
        connection.close()
