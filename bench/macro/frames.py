"""WebSocket frames, as far as an echo of short messages needs them (RFC 6455, section 5.2). Pure."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import NamedTuple

TEXT = 0x81
"""FIN and opcode 1."""
CLOSE = 0x88
SHORT = 125
"""Bytes of payload that need no extended length."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Frame(NamedTuple):
    first: int
    """FIN, reserved bits, opcode."""
    payload: bytes
    """Unmasked."""


def accept_for(key: bytes) -> bytes:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2)."""
    return b64encode(sha1(key + _GUID).digest())


def masked(payload: bytes, mask: bytes) -> bytes:
    """Masks or unmasks: the same thing."""
    pad = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")


def encode(payload: bytes, mask: bytes = b"", first: int = TEXT) -> bytes:
    """A client masks (four bytes), a server does not. ValueError above SHORT bytes."""
    if len(payload) > SHORT:
        raise ValueError(f"wanted at most {SHORT} bytes of payload, got {len(payload)}")
    if mask:
        return bytes((first, 0x80 | len(payload))) + mask + masked(payload, mask)
    return bytes((first, len(payload))) + payload


def take(buffer: bytearray) -> Frame | None:
    """The first frame, removed from the buffer; None when it is not there in full. ValueError for a long one."""
    if len(buffer) < 2:
        return None
    length = buffer[1] & 0x7F
    if length > SHORT:
        raise ValueError(f"wanted a frame of at most {SHORT} bytes, got one with length field {length}")
    is_masked = buffer[1] >= 0x80
    start = 6 if is_masked else 2
    if len(buffer) < start + length:
        return None
    payload = bytes(buffer[start : start + length])
    frame = Frame(buffer[0], masked(payload, bytes(buffer[2:6])) if is_masked else payload)
    del buffer[: start + length]
    return frame
