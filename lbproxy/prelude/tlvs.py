"""The fields behind the addresses of a PROXY header of version 2: a type, a length, a value (section 2.2, "PP2_TYPE_*").

Of those that are known here each may stand there once: of two names, two readers take different ones. Unknown ones, such as those
of cloud balancers, are passed over, however often they come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lbproxy.prelude.bad import BadHeader
from lbproxy.prelude.crc32c import crc32c

ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL = 0x01, 0x02, 0x03, 0x04, 0x05, 0x20
SSL_VERSION, SSL_CN, SSL_CIPHER = 0x21, 0x22, 0x23
CLIENT_SSL = 0x01
"""Of the bits in front of an SSL field's own fields: the client came over TLS."""
MOST_UNIQUE = 128
MOST_NAME = 255
_HEAD = 3
_MALFORMED = "proxy_header_malformed"
_ONCE = (ALPN, AUTHORITY, CRC32C, UNIQUE_ID, SSL)
_SSL_ONCE = (SSL_VERSION, SSL_CN, SSL_CIPHER)


class TlsTold(NamedTuple):
    """A client's TLS connection to the proxy in front of us, in its words."""

    version: str = ""
    cipher: str = ""


class Told(NamedTuple):
    """What the fields of a header tell; see ProxyHeader."""

    authority: str = ""
    alpn: bytes = b""
    unique_id: bytes = b""
    tls: TlsTold | None = None


def read(header: bytes, at: int) -> Told:
    """All from `at` to the end of a whole header. Raises BadHeader."""
    found: dict[int, tuple[int, bytes]] = _known(header, at, _ONCE)
    if CRC32C in found:
        _check(header, *found[CRC32C])
    values = {kind: value for kind, (_, value) in found.items()}
    if len(values.get(UNIQUE_ID, b"")) > MOST_UNIQUE or values.get(ALPN) == b"":
        raise BadHeader(_MALFORMED)
    authority = _text(values[AUTHORITY]) if AUTHORITY in values else ""
    tls = _tls(values[SSL]) if SSL in values else None
    return Told(authority, values.get(ALPN, b""), values.get(UNIQUE_ID, b""), tls)


def _known(data: bytes, at: int, once: tuple[int, ...]) -> dict[int, tuple[int, bytes]]:
    """By type: where the value stands, and the value."""
    found: dict[int, tuple[int, bytes]] = {}
    for kind, start, value in _fields(data, at):
        if kind in once:
            if kind in found:
                raise BadHeader("proxy_header_repeated")
            found[kind] = (start, value)
    return found


def _fields(data: bytes, at: int) -> Iterator[tuple[int, int, bytes]]:
    while at < len(data):
        start = at + _HEAD
        end = start + int.from_bytes(data[at + 1 : start], "big")
        if start > len(data) or end > len(data):
            raise BadHeader(_MALFORMED)
        yield data[at], start, data[start:end]
        at = end


def _check(header: bytes, start: int, value: bytes) -> None:
    """The checksum is of the whole header with zeros in its own place."""
    if len(value) != 4:
        raise BadHeader(_MALFORMED)
    if crc32c(header[:start] + bytes(4) + header[start + 4 :]) != int.from_bytes(value, "big"):
        raise BadHeader("proxy_header_checksum")


def _tls(value: bytes) -> TlsTold | None:
    if len(value) < 5:
        raise BadHeader(_MALFORMED)
    inner = {kind: said for kind, (_, said) in _known(value, 5, _SSL_ONCE).items()}
    if not value[0] & CLIENT_SSL:
        return None
    words = [_text(inner[kind]) if kind in inner else "" for kind in (SSL_VERSION, SSL_CIPHER)]
    return TlsTold(*words)


def _text(value: bytes) -> str:
    """Visible ASCII: what is told here stands in logs and header fields later. (The name of a host is one of A-labels.)"""
    if not 0 < len(value) <= MOST_NAME or not value.isascii():
        raise BadHeader(_MALFORMED)
    text = value.decode("ascii")
    if not text.isprintable() or " " in text or '"' in text or "\\" in text:
        raise BadHeader(_MALFORMED)
    return text
