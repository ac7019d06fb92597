"""Synthetic TCP: whole conversations, numbers without gaps, checksums that a stranger finds right."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbproxy.observe.packets import MTU, PORTS, Conversations, End, conversation, frames, records
from lbproxy.observe.pcap import PCAP_HEAD
from lbproxy.observe.tapped import Tapped
from tests.support.tools import need

WRAPS = 2**32 - 5
REQUEST, ANSWER = b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + bytes(range(256)) * 40


def checksum(data: bytes) -> int:
    """RFC 1071, word by word."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def both(version: int, server: str = "") -> tuple[End, End]:
    """A client and a server, whose numbers begin near their end."""
    addresses = ("192.0.2.1", "198.51.100.7") if version == 4 else ("2001:db8::1", "2001:db8::2")
    return End(addresses[0], 40000, WRAPS), End(server or addresses[1], 443, 7)


def taken_apart(packet: bytes) -> tuple[int, int, int, int, bytes]:
    """(source port, number, acknowledged, flags, data) of one whose checksums are right."""
    if packet[0] >> 4 == 4:
        assert checksum(packet[:20]) == 0
        assert int.from_bytes(packet[2:4], "big") == len(packet)
        addresses, segment = packet[12:20], packet[20:]
    else:
        addresses, segment = packet[8:40], packet[40:]
        assert int.from_bytes(packet[4:6], "big") == len(segment)
    assert checksum(addresses + struct.pack("!LL", len(segment), 6) + segment) == 0
    port, _, number, acknowledged, words, flags = struct.unpack("!HHLLBB", segment[:14])
    return port, number, acknowledged, flags, segment[(words >> 4) * 4 :]


ADDRESSES = {4: ("192.0.2.1", "198.51.100.7", "127.0.0.1", "255.255.255.255"), 6: ("2001:db8::1", "::", "::ffff:192.0.2.1")}
ends = st.builds(End, st.sampled_from(ADDRESSES[4] + ADDRESSES[6]), st.integers(1, 65535), st.integers(0, 2**32 - 1))
shapes = st.tuples(st.integers(0, 5000), st.integers(0, 255))
bodies = shapes.map(lambda made: bytes(each * made[1] & 255 for each in range(made[0])))


@given(ends, ends.filter(lambda end: end.port > 2), bodies, bodies, st.sampled_from([1280, 1281, 1500]))
@example(both(4)[0], both(4)[1], REQUEST, ANSWER, MTU)
@example(both(6)[0], both(6)[1], b"", b"", MTU)
def test_a_conversation_can_be_put_together(client: End, server: End, request: bytes, answer: bytes, mtu: int) -> None:
    """Handshake, all bytes of both, each number where the last one ended, both ends closed and acknowledged, none too large."""
    client = client._replace(port=client.port if client.port != server.port else 1)
    made = conversation(client, server, request, answer, mtu)
    packets = [taken_apart(packet) for packet in made]
    assert max(map(len, made)) <= mtu
    assert len({packet[0] for packet in made}) == 1
    assert [flags for _, _, _, flags, _ in packets[:3]] == [2, 18, 16]
    assert [flags for _, _, _, flags, _ in packets[-3:]] == [17, 17, 16]
    follows = {client.port: client.number, server.port: server.number}
    said = {client.port: b"", server.port: b""}
    for port, number, acknowledged, flags, data in packets:
        other = server.port if port == client.port else client.port
        assert number == follows[port]
        assert flags == 2 or acknowledged == follows[other]
        follows[port] = (number + len(data) + (flags & 3 != 0)) % 2**32
        said[port] += data
    assert said == {client.port: request, server.port: answer}


def test_ports_come_again_last() -> None:
    """None that another conversation has had lately, and never the listener's own; numbers nobody can guess."""
    made = Conversations(lambda size: bytes(range(size)))
    tapped = Tapped("127.0.0.1", "127.0.0.1", 8443, b"a", b"b", 1.0)
    ports = [taken_apart(made.packets(tapped)[0])[0] for _ in range(PORTS - 1)]
    assert len(set(ports)) == PORTS - 1
    assert 8443 not in ports
    first = taken_apart(Conversations(os.urandom).packets(tapped)[0])
    second = taken_apart(Conversations(os.urandom).packets(tapped)[0])
    assert first[1] != second[1]


@pytest.mark.parametrize("client", ["unix:", "unknown", "", "fe80::1%eth0", "[::1]"])
def test_clients_without_an_address(client: str) -> None:
    """They are told of, too."""
    packets = Conversations(os.urandom).packets(Tapped(client, "192.0.2.1", 80, REQUEST, ANSWER, 1.0))
    assert b"".join(taken_apart(packet)[4] for packet in packets) == REQUEST + ANSWER


addresses = st.sampled_from((*ADDRESSES[4], *ADDRESSES[6], "unknown", "fe80::1%eth0"))
tapped = st.builds(Tapped, addresses, addresses, st.integers(1, 65535), bodies, bodies, st.just(5.0))


@given(tapped, st.sampled_from([1280, 1281, 1500]))
def test_how_large_it_will_be(one: Tapped, mtu: int) -> None:
    """Known before there is any packet, to the byte."""
    made = Conversations(os.urandom)
    assert made.size(one, mtu) == len(records(made.packets(one, mtu), one.ended))


def test_frames() -> None:
    """With heads of Ethernet, from and to nobody's addresses."""
    for version, kind in ((4, b"\x08\x00"), (6, b"\x86\xdd")):
        packets = conversation(*both(version), REQUEST, ANSWER)
        assert [frame[14:] for frame in frames(packets)] == packets
        assert {(frame[0] & 3, frame[6] & 3, frame[12:14]) for frame in frames(packets)} == {(2, 2, kind)}


def test_nothing_and_odd_sizes() -> None:
    """An answer that did not come; a checksum over an odd number of bytes."""
    for size in (0, 1, 1459, 1460, 1461):
        assert [taken_apart(packet) for packet in conversation(*both(4), b"x" * size, b"")]


def test_an_address_of_the_other_kind() -> None:
    """A client of IPv4 behind a listener of IPv6, as a proxy in front may tell."""
    packet = conversation(both(4)[0], both(6)[1], REQUEST, b"")[0]
    assert packet[0] >> 4 == 6
    assert packet[8:24].endswith(b"\xff\xff\xc0\x00\x02\x01")


def test_seconds_go_on() -> None:
    """A record's time stays one."""
    packets = conversation(*both(4), REQUEST, ANSWER)
    data, at, times = records(packets, 5.999998), 0, []
    while at < len(data):
        second, micro, size, _ = struct.unpack_from("<LLLL", data, at)
        assert micro < 1_000_000
        times.append(second + micro / 1e6)
        at += 16 + size
    assert times == sorted(times)
    assert times[-1] > 6


def test_tcpdump_finds_nothing_wrong(tmp_path: Path) -> None:
    """Its -vv tells of each checksum that is incorrect."""
    tcpdump, file = need("tcpdump"), tmp_path / "a.pcap"
    packets = conversation(*both(4), REQUEST, ANSWER) + conversation(*both(6), REQUEST, ANSWER)
    file.write_bytes(PCAP_HEAD + records(packets, 1.0))
    read = subprocess.run([tcpdump, "-nvvr", str(file)], capture_output=True, text=True, check=True, timeout=60).stdout
    assert read.count("(correct)") == len(packets)
    assert "incorrect" not in read
    assert read.count("Flags [S]") == 2
