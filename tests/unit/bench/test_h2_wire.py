"""What the benches' clients write is HTTP/2, by another maker's reading of it."""

from __future__ import annotations

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded
from hpack import Decoder, HeaderTuple

from bench.h2 import wire


def heard(*raw: bytes) -> list[Event]:
    """What a server hears that was greeted before."""
    server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    server.initiate_connection()
    server.receive_data(wire.greeting())
    return [event for data in raw for event in server.receive_data(data)]


def test_a_request_is_one() -> None:
    block = wire.request(b"/there", [(b"x-one", b"1" * 300)])
    head, end = heard(wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 1, block))
    assert isinstance(head, RequestReceived)
    fields = [tuple(field) for field in head.headers]
    assert fields == [
        (b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/there"), (b"x-one", b"1" * 300)
    ]  # fmt: skip
    assert isinstance(end, StreamEnded)


@pytest.mark.parametrize("value", [0, 10, 30, 31, 127, 128, 1337, 100_000])
def test_numbers(value: int) -> None:
    """RFC 7541, section 5.1: as the length of a value."""
    decoded = Decoder(max_header_list_size=1 << 20).decode(wire.literal(b"a", b"b" * value), raw=True)
    assert decoded == [HeaderTuple(b"a", b"b" * value)]


def test_a_reference_brings_back_what_is_in_the_table() -> None:
    decoder = Decoder()
    decoder.decode(wire.literal(b"x", b"y" * 100, first=0x40))
    assert decoder.decode(wire.indexed(62) * 3, raw=True) == [(b"x", b"y" * 100)] * 3


def test_frames_are_taken_as_they_come() -> None:
    """Whole ones only, and what is left is what has not come."""
    raw = wire.frame(wire.DATA, 0, 3, b"ab") + wire.frame(wire.DATA, wire.END_STREAM, 3, b"c")
    buffer = bytearray()
    found = []
    for at in range(len(raw)):
        buffer += raw[at : at + 1]
        found += list(wire.take(buffer))
    assert found == [wire.Frame(wire.DATA, 0, 3, b"ab"), wire.Frame(wire.DATA, wire.END_STREAM, 3, b"c")]
    assert [frame.ends for frame in found] == [False, True]
    assert not buffer


@pytest.mark.parametrize(("frame", "ends"), [
    (wire.Frame(wire.RST_STREAM, 0, 1, b"\0\0\0\x08"), True),
    (wire.Frame(wire.HEADERS, wire.END_STREAM, 1, b""), True),
    (wire.Frame(wire.HEADERS, wire.END_HEADERS, 1, b""), False),
    (wire.Frame(wire.SETTINGS, wire.ACK, 0, b""), False),
    (wire.Frame(wire.PING, wire.ACK, 0, b""), False),
])  # fmt: skip
def test_what_ends_a_stream(frame: wire.Frame, ends: bool) -> None:
    """An acknowledgement has the same bit and ends nothing."""
    assert frame.ends is ends


def test_windows_are_as_wide_as_they_can_be() -> None:
    """A server that is greeted so may send two GiB, on a stream and in all."""
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    server.receive_data(wire.greeting() + wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 1, wire.request()))
    assert server.local_flow_control_window(1) == wire.WIDE
    assert not any(isinstance(event, DataReceived) for event in server.receive_data(wire.frame(wire.SETTINGS, wire.ACK)))
