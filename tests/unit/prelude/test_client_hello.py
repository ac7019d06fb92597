"""Hellos of TLS clients: OpenSSL's own, cut and put into records in every way, and such as nobody sends."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.prelude.client_hello import MOST, Hello, NotHello, read


def hello_of(name: str | None, alpn: list[str] | None = None) -> bytes:
    """What OpenSSL says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def in_records(message: bytes, size: int) -> bytes:
    """A handshake message in records of at most so many bytes."""
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)


def vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, data)


def names(*listed: bytes, kind: int = 0) -> bytes:
    return vector(2, b"".join(bytes([kind]) + vector(2, name) for name in listed))


def made(extensions: bytes | None, behind: bytes = b"") -> bytes:
    """A hello of our own making, as a message."""
    body = b"\x03\x03" + bytes(32) + vector(1, b"") + vector(2, b"\x13\x01") + vector(1, b"\0")
    body += (b"" if extensions is None else vector(2, extensions)) + behind
    return b"\x01" + vector(3, body)


def test_openssls_hello() -> None:
    assert read(hello_of("Db.Example", ["h2", "http/1.1"])) == Hello("db.example", (b"h2", b"http/1.1"))
    assert read(hello_of(None)) == Hello("", ())


@pytest.mark.parametrize("size", [1, 2, 7, 100, 16384])
def test_over_several_records_and_segments(size: int) -> None:
    """However it is cut, the same is read; before it is whole more is wanted, and never more than is to come."""
    whole = in_records(hello_of("db.example")[5:], size)
    for end in range(0, len(whole), 1 if size > 1 else 7):
        wanted = read(whole[:end])
        assert isinstance(wanted, int)
        assert 0 < wanted <= len(whole) - end
    assert read(whole) == Hello("db.example", ())
    assert read(whole + b"\x14\x03\x03\x00\x01\x01") == Hello("db.example", ()), "early data comes along"


def test_who_drips_is_looked_at_seldom() -> None:
    """A hello in records of one byte, a byte at a time, is read a few dozen times, not once for each of them."""
    whole = in_records(hello_of("db.example")[5:], 1)
    looks = at = 0
    while isinstance(wanted := read(whole[:at]), int):
        looks, at = looks + 1, at + wanted
    assert looks < 60


def test_a_hello_without_extensions_asks_for_no_name() -> None:
    assert read(in_records(made(None), 16384)) == Hello("", ())
    assert read(in_records(made(b""), 16384)) == Hello("", ())


def test_a_dot_at_the_end_is_no_part_of_the_name() -> None:
    assert read(in_records(made(extension(0, names(b"db.example."))), 16384)) == Hello("db.example", ())


@pytest.mark.parametrize("message", [
    made(extension(0, names(b"a.example")) + extension(0, names(b"b.example"))),
    made(extension(10, b"") + extension(10, b"")),
    made(extension(0, names(b"a.example", b"b.example"))),
    made(extension(0, names(b"a.example", kind=1))),
    made(extension(0, names(b"a.example") + b"\0")),
    made(extension(0, names(b""))),
    made(extension(0, b"")),
    made(extension(0, names(b"a..example"))),
    made(extension(0, names(b"a example"))),
    made(extension(0, names(b"a\0.example"))),
    made(extension(0, names(b"a" * 64 + b".example"))),
    made(extension(0, names((b"a" * 60 + b".") * 5))),
    made(extension(16, vector(2, vector(1, b"")))),
    made(extension(16, vector(2, b"\x05h2"))),
    made(b"\0\0\0"),
    made(b"", behind=b"\0"),
    b"\x02" + vector(3, b"\0"),
    b"\x01" + vector(3, b"\x03\x03"),
    b"\x01\xff\xff\xff",
])  # fmt: skip
def test_what_could_be_read_in_two_ways_is_no_hello(message: bytes) -> None:
    with pytest.raises(NotHello):
        read(in_records(message, 16384))


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\n", b"\x80\x2e\x01\x03\x01", b"\x16\x02\x00\x00\x05hello", b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x40\x01",
    b"\x17\x03\x01\x00\x05hello", b"\x16\x03\x01\x00\x01\x01\x15\x03\x01\x00\x02\x01\x00",
])  # fmt: skip
def test_no_hello(data: bytes) -> None:
    with pytest.raises(NotHello):
        read(data)


@given(st.binary(max_size=400))
def test_anything(data: bytes) -> None:
    """No bytes make it more than refuse, and what it waits for has a bound."""
    for front in (b"", b"\x16\x03\x01\x01\x00\x01\x00"):
        try:
            wanted = read(front + data)
        except NotHello:
            continue
        assert isinstance(wanted, Hello) or 0 < wanted <= MOST - len(front + data)


@given(st.binary(max_size=200))
def test_anything_inside_extensions(data: bytes) -> None:
    try:
        assert isinstance(read(in_records(made(data), 16384)), Hello)
    except NotHello:
        pass
