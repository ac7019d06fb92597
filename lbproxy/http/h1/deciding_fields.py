"""The fields that decide where a message ends and what becomes of its connection, gathered alike for requests and responses."""

from __future__ import annotations

import re

from lbproxy.http.message import Special

NOTHING: tuple[bytes, ...] = ()
MAX_OPTIONS = 64
"""Of Connection; each is looked for in every field, so that a head full of them would cost a hundred ordinary requests."""

# Fields that Connection may not make disappear: dropping them would change who the client is or where the message ends.
_NOT_NOMINABLE = re.compile(
    rb"(?:x-forwarded-.*|x-real-ip|forwarded|host|authorization|cookie|content-length|transfer-encoding|via|expect)\Z"
)


def gather(specials: list[Special]) -> tuple[list[bytes], list[bytes], bytes, bytes, bytes, int]:
    """(values of Content-Length, of Transfer-Encoding, Connection, Upgrade, Expect, times that Via names one of us).

    Fields that are lists come as one, their values joined by commas; b"" for none. `specials`: names and values in lower case.
    """
    lengths: list[bytes] = []
    codings: list[bytes] = []
    connection = upgrade = expects = b""
    rounds = 0
    for name, raw in specials:
        if name == b"connection":
            connection = connection + b"," + raw if connection else raw
        elif name == b"content-length":
            lengths.append(raw.rstrip(b" \t"))
        elif name == b"transfer-encoding":
            codings.append(raw.rstrip(b" \t"))
        elif name == b"expect":
            expects = expects + b"," + raw
        elif name == b"upgrade":
            upgrade = upgrade + b"," + raw.rstrip(b" \t") if upgrade else raw.rstrip(b" \t")
        elif name == b"via":
            rounds += raw.count(b"1.1 lbproxy") + raw.count(b"2 lbproxy")  # forwarding.VIA and VIA_2, in lower case
    return lengths, codings, connection, upgrade, expects, rounds


def options_of(connection: bytes) -> list[bytes] | None:
    """The options of a Connection field; None: more than MAX_OPTIONS."""
    if connection.count(b",") >= MAX_OPTIONS:
        return None
    return [option.strip(b" \t") for option in connection.split(b",")]


def keeps_alive(options: list[bytes], minor: int) -> bool:
    """Whether the connection may be used again (RFC 9112 9.3), as far as Connection says."""
    return b"close" not in options and (minor == 1 or b"keep-alive" in options)


def nominated_fields(options: list[bytes]) -> tuple[bytes, ...]:
    """Which fields a Connection field makes hop-by-hop, beyond the standard ones; those it may not touch are left out."""
    return tuple(
        option
        for option in options
        if option not in (b"", b"close", b"keep-alive", b"upgrade", b"te") and _NOT_NOMINABLE.match(option) is None
    )
