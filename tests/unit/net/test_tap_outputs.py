"""One tap's outputs: each that reads gets everything, and what becomes of it is counted for each."""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import ip_network
from typing import cast

import pytest

from lbproxy.net.tap_interface import TapInterface
from lbproxy.net.tap_outputs import TapOutputs, TapTerms
from lbproxy.net.tap_stream import TapStream
from lbproxy.observe.pcap import PCAP_HEAD
from lbproxy.observe.tap_facts import FIFO, INTERFACE, LISTEN, TapOutputWork
from lbproxy.observe.tapped import Tapped
from tests.unit.net.test_tap_interface import Wire

ONE = Tapped("192.0.2.1", "2001:db8::1", 443, b"GET / HTTP/1.1\r\n\r\n", b"a" * 4000, 5.0)
TERMS = TapTerms((FIFO, LISTEN, INTERFACE), 2, 100_000, (ip_network("127.0.0.0/8"), ip_network("::1/128")))


def packets(data: bytes) -> list[bytes]:
    """Of a whole capture file."""
    assert data.startswith(PCAP_HEAD)
    at, found = len(PCAP_HEAD), []
    while at < len(data):
        size = struct.unpack_from("<L", data, at + 8)[0]
        found.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    assert at == len(data)
    return found


def test_everybody_gets_everything() -> None:
    """The same packets, on each way; counted for each that reads."""
    tap, wire = TapOutputs(TERMS), Wire()
    tap.interface = TapInterface(cast(socket.socket, wire), 1500, 10**6)
    pipes = [os.pipe2(os.O_NONBLOCK) for _ in range(3)]
    tap.fifo = TapStream(pipes[0][1], 10**6)
    for _, writing in pipes[1:]:
        assert tap.admit(writing, "127.0.0.1")
    for _ in range(2):
        tap.tell(ONE)
    for stream in tap.streams():
        stream.write()
    tap.interface.write()
    read = [packets(os.read(reading, 10**6)) for reading, _ in pipes]
    assert read[0] == read[1] == read[2]
    assert [frame[14:] for frame in wire.sent] == read[0]
    assert {frame[12:14] for frame in wire.sent} == {b"\x86\xdd"}
    assert tap.work() == {
        FIFO: TapOutputWork(2, readers=1),
        LISTEN: TapOutputWork(4, readers=2),
        INTERFACE: TapOutputWork(2, readers=1),
    }
    tap.close()
    assert all(done.readers == 0 for done in tap.work().values())
    for reading, _ in pipes:
        os.close(reading)


def test_nobody_reads() -> None:
    """Then nothing is made, and that is counted."""
    tap = TapOutputs(TERMS)
    tap.tell(ONE)
    assert set(tap.work().values()) == {TapOutputWork(unread=1)}


def test_who_sleeps_loses_whole_conversations() -> None:
    """Alone."""
    tap = TapOutputs(TERMS._replace(room=12_000))
    pipes = [os.pipe2(os.O_NONBLOCK) for _ in range(2)]
    awake, _ = (tap.admit(writing, "::1") for _, writing in pipes)
    assert awake is not None
    for _ in range(5):
        tap.tell(ONE)
        awake.write()
    assert tap.work()[LISTEN] == TapOutputWork(5 + 2, dropped=3, readers=2)
    for stream in tap.streams():
        stream.write()
    assert [len(packets(os.read(reading, 10**6))) for reading, _ in pipes] == [5 * 12, 2 * 12]
    tap.close()
    for reading, _ in pipes:
        os.close(reading)


def test_who_sleeps_costs_no_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """None are made for a reader that has room for what was said, and none for the packets around it."""
    made: list[Tapped] = []
    tap = TapOutputs(TERMS._replace(room=len(PCAP_HEAD) + 4500))
    reading, writing = os.pipe2(os.O_NONBLOCK)
    tap.admit(writing, "::1")
    packets_of = tap._made.packets

    def counted(tapped: Tapped, mtu: int) -> list[bytes]:
        made.append(tapped)
        return packets_of(tapped, mtu)

    monkeypatch.setattr(tap._made, "packets", counted)
    tap.tell(ONE)
    assert made == []
    assert tap.work()[LISTEN] == TapOutputWork(dropped=1, readers=1)
    tap.tell(ONE._replace(answer=b"a" * 3000))
    assert len(made) == 1
    assert tap.work()[LISTEN] == TapOutputWork(1, dropped=1, readers=1)
    tap.close()
    os.close(reading)


@pytest.mark.parametrize("address", ["192.0.2.1", "nonsense", "fe80::1%eth0"])
def test_who_may_read(address: str) -> None:
    """Those of the networks, so many at once."""
    tap = TapOutputs(TERMS)
    assert tap.admit(os.open(os.devnull, os.O_WRONLY), address) is None
    for _ in range(2):
        assert tap.admit(os.open(os.devnull, os.O_WRONLY), "127.0.0.1") is not None
    assert tap.admit(os.open(os.devnull, os.O_WRONLY), "127.0.0.1") is None
    assert tap.work()[LISTEN] == TapOutputWork(readers=2, refused=2)
    tap.close()


def test_packets_fit_the_smallest_of_them() -> None:
    """An interface's MTU is kept to, by all."""
    tap, wire = TapOutputs(TERMS), Wire()
    tap.interface = TapInterface(cast(socket.socket, wire), 1280, 10**6)
    tap.tell(ONE)
    tap.interface.write()
    assert max(map(len, wire.sent)) == 1280 + 14
    tap.close()


def test_an_interface_that_went() -> None:
    """What it did stays counted."""
    tap, wire = TapOutputs(TERMS), Wire()
    tap.interface = TapInterface(cast(socket.socket, wire), 1500, 10**6)
    tap.tell(ONE)
    tap.detach()
    assert wire.closed
    assert tap.work()[INTERFACE] == TapOutputWork(lost=1)
