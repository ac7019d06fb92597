"""The hello of a TLS client, read and not answered: which name it asks for (RFC 8446 4.1.2, RFC 6066 3).

`read` is given what has come so far, of any number of records, each with a part of the hello. It takes nothing on itself: whatever
is no hello, or one that could be read in two ways, raises NotHello, and is then shown to OpenSSL, which says so to the client. With
ECH (encrypted client hello) the name is the outer one, of whoever can decrypt the inner: whoever that leads to sorts it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lbproxy.errors import LbproxyError

MOST = 32 * 1024
"""Bytes of a hello, records included. Browsers send 0.5 to 2 KiB, OpenSSL takes 128."""
_HANDSHAKE, _CLIENT_HELLO = 0x16, 0x01
_RECORD_HEAD, _MESSAGE_HEAD = 5, 4
_MOST_RECORD = 16 * 1024
_SERVER_NAME, _ALPN = 0x0000, 0x0010
_HOST_NAME = 0
_NAME = re.compile(rb"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\Z")


class NotHello(LbproxyError):
    """No hello of a TLS client, or none that can be read in one way only."""


class Hello(NamedTuple):
    """What a client says before it is answered."""

    name: str
    """The name it asks for, in lower case; "": for none."""
    alpn: tuple[bytes, ...]
    """What it offers to speak, best first."""


class _VectorReader:
    """Cuts vectors with lengths off the front of bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if len(found) != size:
            raise NotHello("cut short")
        self._at += size
        return found

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> bytes:
        return self.take(self.number(width))

    @property
    def over(self) -> bool:
        return self._at == len(self._data)


def read(data: bytes) -> Hello | int:
    """The hello at the beginning of `data`, or how many bytes more are wanted at least, so that whoever drips is not looked at for
    each drop. Raises NotHello."""
    message, end = bytearray(), _MESSAGE_HEAD
    for piece in _records(data):
        message += piece
        if message[0] != _CLIENT_HELLO:
            raise NotHello("another message")
        if len(message) >= _MESSAGE_HEAD:
            end = _MESSAGE_HEAD + int.from_bytes(message[1:_MESSAGE_HEAD], "big")
            if len(message) >= end:
                return _hello(bytes(message[_MESSAGE_HEAD:end]))  # what stands behind it (early data) is the backend's
    wanted = end - len(message)
    if len(data) + wanted > MOST:
        raise NotHello("too long")
    return wanted


def _records(data: bytes) -> Iterator[bytes]:
    """What is here of the contents of handshake records; the last may be a part."""
    at = 0
    while at < len(data):
        head = data[at : at + _RECORD_HEAD]
        if head[0] != _HANDSHAKE or head[1:2] not in (b"\x03", b""):
            raise NotHello("no record of a handshake")
        if len(head) < _RECORD_HEAD:
            return
        size = int.from_bytes(head[3:], "big")
        if not 0 < size <= _MOST_RECORD:  # RFC 8446 5.1: no empty ones of a handshake
            raise NotHello("a record of no length that there is")
        if len(data) > at + _RECORD_HEAD:
            yield data[at + _RECORD_HEAD : at + _RECORD_HEAD + size]
        at += _RECORD_HEAD + size


def _hello(body: bytes) -> Hello:
    reader = _VectorReader(body)
    reader.take(2 + 32)  # version, random
    reader.vector(1)  # session
    reader.vector(2)  # cipher suites
    reader.vector(1)  # compression
    extensions: dict[int, bytes] = {}
    if not reader.over:
        listed = _VectorReader(reader.vector(2))
        while not listed.over:
            kind = listed.number(2)
            if kind in extensions:  # RFC 8446 4.2: of two names, two readers take different ones
                raise NotHello("an extension twice")
            extensions[kind] = listed.vector(2)
    if not reader.over:
        raise NotHello("more behind its end")
    name = _name(extensions[_SERVER_NAME]) if _SERVER_NAME in extensions else ""
    return Hello(name, _protocols(extensions[_ALPN]) if _ALPN in extensions else ())


def _name(value: bytes) -> str:
    """RFC 6066 3: a list in which each type stands once, and there is one type."""
    reader = _VectorReader(value)
    listed = _VectorReader(reader.vector(2))
    if listed.number(1) != _HOST_NAME:
        raise NotHello("a name of an unknown kind")
    name = listed.vector(2)
    if not listed.over or not reader.over:
        raise NotHello("more than one name")
    name = name[:-1] if name.endswith(b".") else name
    if not _NAME.match(name):
        raise NotHello("no name of a host")
    return name.decode("ascii").lower()


def _protocols(value: bytes) -> tuple[bytes, ...]:
    reader = _VectorReader(value)
    listed, found = _VectorReader(reader.vector(2)), []
    while not listed.over:
        found.append(listed.vector(1))
    if not reader.over or not all(found):
        raise NotHello("protocols of no length that there is")
    return tuple(found)
