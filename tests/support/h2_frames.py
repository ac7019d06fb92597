"""Frames of HTTP/2 as bytes, well-formed or not as the test wants: written and read without any library."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ALTSVC, ORIGIN, PRIORITY_UPDATE = 0xA, 0xC, 0x10
NAMES = {
    DATA: "DATA", HEADERS: "HEADERS", PRIORITY: "PRIORITY", RST_STREAM: "RST_STREAM", SETTINGS: "SETTINGS",
    PUSH_PROMISE: "PUSH_PROMISE", PING: "PING", GOAWAY: "GOAWAY", WINDOW_UPDATE: "WINDOW_UPDATE", CONTINUATION: "CONTINUATION",
}  # fmt: skip

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = ((b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"example.com"), (b":path", b"/"))
POST = ((b":method", b"POST"), *GET[1:])

Field = tuple[bytes, bytes]


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    def __str__(self) -> str:
        return f"{NAMES.get(self.kind, hex(self.kind))} flags={self.flags:#x} stream={self.stream} {self.payload!r}"

    @property
    def code(self) -> int:
        """Of RST_STREAM and GOAWAY."""
        at = 4 if self.kind == GOAWAY else 0
        return int.from_bytes(self.payload[at : at + 4], "big")

    @property
    def last(self) -> int:
        """Of GOAWAY."""
        return int.from_bytes(self.payload[:4], "big")


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0, length: int = -1) -> bytes:
    """`length`: what the frame says of itself; -1: the truth."""
    said = len(payload) if length < 0 else length
    return said.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def number(value: int, bits: int, first: int = 0) -> bytes:
    """RFC 7541 5.1; `first`: what stands above the prefix."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out = [first | most]
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def string(value: bytes) -> bytes:
    """RFC 7541 5.2, without Huffman's code."""
    return number(len(value), 7) + value


def literal(name: bytes, value: bytes, first: int = 0x00) -> bytes:
    """RFC 7541 6.2; `first`: 0x00 without indexing, 0x10 never indexed, 0x40 into the table."""
    return bytes([first]) + string(name) + string(value)


def block(fields: Iterable[Field], first: int = 0x00) -> bytes:
    """A list of fields."""
    return b"".join(literal(name, value, first) for name, value in fields)


def headers(stream: int, fields: Iterable[Field] = GET, end: bool = True, flags: int = END_HEADERS) -> bytes:
    """HEADERS."""
    return frame(HEADERS, stream, block(fields), flags | (END_STREAM if end else 0))


def long_headers(stream: int, fields: Iterable[Field], end: bool = True) -> bytes:
    """HEADERS, and CONTINUATION as often as it takes."""
    whole = block(fields)
    pieces = [whole[at : at + 16_384] for at in range(0, len(whole), 16_384)]
    ends = [0] * (len(pieces) - 1) + [END_HEADERS]
    first = frame(HEADERS, stream, pieces[0], ends[0] | (END_STREAM if end else 0))
    return first + b"".join(frame(CONTINUATION, stream, *each) for each in zip(pieces[1:], ends[1:], strict=True))


def data(stream: int, payload: bytes = b"", end: bool = False) -> bytes:
    """DATA."""
    return frame(DATA, stream, payload, END_STREAM if end else 0)


def reset(stream: int, code: int = 8) -> bytes:
    """RST_STREAM."""
    return frame(RST_STREAM, stream, code.to_bytes(4, "big"))


def settings(*pairs: tuple[int, int], ack: bool = False) -> bytes:
    """SETTINGS."""
    payload = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in pairs)
    return frame(SETTINGS, 0, payload, ACK if ack else 0)


def window(stream: int, increment: int) -> bytes:
    """WINDOW_UPDATE."""
    return frame(WINDOW_UPDATE, stream, increment.to_bytes(4, "big"))


def ping(payload: bytes = b"12345678", ack: bool = False) -> bytes:
    """PING."""
    return frame(PING, 0, payload, ACK if ack else 0)


def goaway(last: int = 0, code: int = 0) -> bytes:
    """GOAWAY."""
    return frame(GOAWAY, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big"))


def frames(raw: bytes) -> list[Frame]:
    """What these bytes say; they must be whole frames."""
    found = []
    while raw:
        length, stream = int.from_bytes(raw[:3], "big"), int.from_bytes(raw[5:9], "big")
        assert len(raw) >= 9 + length, f"a frame that is not whole: {raw!r}"
        found.append(Frame(raw[3], raw[4], stream, raw[9 : 9 + length]))
        raw = raw[9 + length :]
    return found
