"""Messages of grpc.health.v1.Health/Check, as bytes: what is asked, and what the answer says.

Two messages of one field each need no protobuf library: the request has the name of a service in field 1, the response an enum
in field 1 (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
"""

from __future__ import annotations

from enum import IntEnum

PATH = "/grpc.health.v1.Health/Check"
MOST = 1024
"""Bytes of an answer's message: it has two, unless somebody adds to it."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class ServingStatus(IntEnum):
    """What a server says, as ServingStatus of HealthCheckResponse has it."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


def question(service: str) -> bytes:
    """The request's message; "" asks about the server as a whole, as a message without the field does."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def answered(body: bytes) -> ServingStatus | None:
    """What a whole body says; None when it is no such message. Fields that are not known are stepped over."""
    if body[:1] != b"\0" or int.from_bytes(body[1:5], "big") != len(body) - 5 or len(body) > MOST:
        return None
    message, at, status = body[5:], 0, 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        if tag == 1 << 3 | _VARINT:
            status, at = _read_varint(message, at)
        else:
            at = _after(message, at, tag & 7)
        if at < 0 or at > len(message):
            return None
    return ServingStatus(status) if status in list(ServingStatus) else ServingStatus.UNKNOWN


def _after(message: bytes, at: int, kind: int) -> int:
    """Where the field ends that begins at `at`; -1: nobody knows."""
    if at < 0:
        return -1
    if kind == _VARINT:
        return _read_varint(message, at)[1]
    if kind == _LENGTH:
        size, begin = _read_varint(message, at)
        return begin + size if begin >= 0 else -1
    return at + {_FIXED64: 8, _FIXED32: 4}[kind] if kind in (_FIXED64, _FIXED32) else -1


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return out + bytes((value,))


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """(the number that begins at `at`, where it ends; -1 when it does not)"""
    value = 0
    if at < 0:
        return 0, -1
    for index, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    return 0, -1
