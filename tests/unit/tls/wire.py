"""Two TLS ends that talk to each other in memory."""

from __future__ import annotations

import ssl
from typing import NamedTuple


class Ends(NamedTuple):
    client: ssl.SSLObject
    server: ssl.SSLObject
    wires: tuple[ssl.MemoryBIO, ssl.MemoryBIO]
    """Client to server, server to client."""


def connect(
    client: ssl.SSLContext,
    server: ssl.SSLContext,
    name: str | None,
    session: ssl.SSLSession | None = None,
    showing: ssl.SSLContext | None = None,
) -> Ends:
    """Both ends after the handshake; `showing`: whose certificate the server shows, as chosen before it. Raises what either end
    raises; the client's error first."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = Ends(
        client.wrap_bio(down, up, server_hostname=name, session=session), server.wrap_bio(up, down, server_side=True), (up, down)
    )
    if showing is not None:
        ends.server.context = showing
    waiting: list[ssl.SSLObject] = [ends.client, ends.server]
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
        if not waiting:
            return ends
    raise AssertionError(f"the handshake does not end: {waiting}")


def talk(ends: Ends) -> None:
    """One message each way, so that tickets and late alerts arrive."""
    ends.client.write(b"ping")
    assert ends.server.read(100) == b"ping"
    ends.server.write(b"pong")
    assert ends.client.read(100) == b"pong"
