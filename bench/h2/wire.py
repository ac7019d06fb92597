"""Frames of HTTP/2 (RFC 9113, section 4) and lists of fields (RFC 7541) as bytes, as far as the benches write them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lbproxy.http.h2.vocabulary import PREFACE

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
CANCEL = 8
INITIAL_WINDOW = 4
"""SETTINGS_INITIAL_WINDOW_SIZE."""

HEAD = 9
"""Bytes before a frame's payload."""
WIDE = (1 << 31) - 1
_FIRST_WINDOW = 65535

Field = tuple[bytes, bytes]


class Frame(NamedTuple):
    """One, read."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def ends(self) -> bool:
        """Whether it is the last one of its stream."""
        return self.kind == RST_STREAM or (self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM))


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def number(value: int, bits: int, first: int = 0) -> bytes:
    """RFC 7541, section 5.1; `first`: what stands above the prefix."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    out = bytearray((first | most,))
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out) + bytes((value,))


def literal(name: bytes, value: bytes, first: int = 0x00) -> bytes:
    """RFC 7541, section 6.2, without Huffman's code; `first`: 0x00 not into the table, 0x40 into it."""
    return bytes((first,)) + number(len(name), 7) + name + number(len(value), 7) + value


def indexed(index: int) -> bytes:
    """RFC 7541, section 6.1: a field of the table; those of the connection begin at 62, the newest first."""
    return number(index, 7, 0x80)


def request(path: bytes = b"/tiny", fields: Iterable[Field] = (), authority: bytes = b"localhost") -> bytes:
    """The list of fields of a GET over TLS, which leaves the table of the connection as it is."""
    pseudo = indexed(2) + indexed(7) + literal(b":authority", authority) + literal(b":path", path)
    return pseudo + b"".join(literal(name, value) for name, value in fields)


def greeting() -> bytes:
    """What a client says first, with windows so wide that no answer waits for them."""
    settings = INITIAL_WINDOW.to_bytes(2, "big") + WIDE.to_bytes(4, "big")
    return PREFACE + frame(SETTINGS, payload=settings) + frame(WINDOW_UPDATE, payload=(WIDE - _FIRST_WINDOW).to_bytes(4, "big"))


def take(buffer: bytearray) -> Iterator[Frame]:
    """The frames that are there in full; what is yielded is removed."""
    while len(buffer) >= HEAD:
        whole = HEAD + int.from_bytes(buffer[:3], "big")
        if len(buffer) < whole:
            return
        found = Frame(buffer[3], buffer[4], int.from_bytes(buffer[5:9], "big"), bytes(buffer[HEAD:whole]))
        del buffer[:whole]
        yield found
