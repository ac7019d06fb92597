"""Packets of a conversation that took place elsewhere: as if it had gone over TCP in the clear, for whoever looks at packets.

An intrusion detection system follows a connection from its handshake on, by sequence numbers without gaps, and leaves out packets
whose checksums are wrong. So each conversation is all of one: SYN to FIN, segments no larger than its MSS, acknowledged. Bytes of
IP, without a link layer. Numbers that should be random are the caller's to say. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from lbproxy.observe.tapped import Tapped

MTU = 1500
HEADS = {4: 40, 6: 60}
"""Bytes of IP and TCP in front of the data, by version."""
_FIN, _SYN, _PSH, _ACK = 1, 2, 8, 16
_WINDOW = 65535
_TCP = 6
_WORDS = 0xFFFF
_NUMBERS = 1 << 32
ACKNOWLEDGED = 8
"""Segments behind which the other side acknowledges."""
AROUND = 6
"""Packets of a conversation in which nothing is said: three to begin with, three at the end."""
OFFER = 4
"""Bytes of the option that tells the MSS, in the first of each side."""
RECORD = 16
"""Bytes in front of a packet in a file."""
NOBODY = "0.0.0.0"
"""Whose address nobody knows, or who came over a Unix socket."""
FIRST_PORT, PORTS = 1024, 64512


class End(NamedTuple):
    """One side of a conversation, as its packets name it."""

    address: str
    port: int
    number: int
    """Its initial sequence number."""


_FOUR = struct.Struct("!BBHHHBBH8sHHLLHHHH")
_SIX = struct.Struct("!LHBB32sHHLLHHHH")
"""A packet's heads, of IP and TCP, up to TCP's options."""


class _Flow:
    """The packets of one direction. What is the same in all of them is summed up once: the rest of a sum is a few additions. Their
    heads are written into one, byte by byte: that is C's own way where it is compiled, and as good as any where it is not."""

    __slots__ = ("_head", "_identity", "_of_ip", "_of_tcp", "_tcp", "number")

    def __init__(self, source: End, target: End, version: int) -> None:
        packed = _packed(source.address, version) + _packed(target.address, version)
        rest = source.port, target.port, 0, 0, 0, _WINDOW, 0, 0
        if version == 4:
            self._head = bytearray(_FOUR.pack(0x45, 0, 0, 0, 0x4000, 64, _TCP, 0, packed, *rest))
        else:
            self._head = bytearray(_SIX.pack(6 << 28, 0, _TCP, 64, packed, *rest))
        self._tcp = len(self._head) - 20
        self._identity = source.number & _WORDS
        addresses = int.from_bytes(packed, "big") % _WORDS
        self._of_ip = addresses + 0x4500 + 0x4000 + (64 << 8 | _TCP)
        self._of_tcp = addresses + _TCP + source.port + target.port + _WINDOW
        self.number = source.number

    def packet(self, flags: int, acknowledged: int, data: bytes = b"", options: bytes = b"") -> bytes:
        """One of them; SYN and FIN take a number each (RFC 9293 3.4)."""
        head, at, number = self._head, self._tcp, self.number
        length = 20 + len(options)
        size, kind = length + len(data), length << 10 | flags
        # 32 bits are the sum of their halves modulo 65535.
        total = self._of_tcp + size + number + acknowledged + kind + (_sum(options) if options else 0) + (_sum(data) if data else 0)
        whole = _WORDS - (total % _WORDS or _WORDS)
        head[at + 4], head[at + 5], head[at + 6], head[at + 7] = number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255
        head[at + 8], head[at + 9] = acknowledged >> 24, acknowledged >> 16 & 255
        head[at + 10], head[at + 11] = acknowledged >> 8 & 255, acknowledged & 255
        head[at + 12], head[at + 13] = kind >> 8, flags
        head[at + 16], head[at + 17] = whole >> 8, whole & 255
        if at == 20:
            self._identity = identity = (self._identity + 1) & _WORDS
            size += 20
            own = _WORDS - ((self._of_ip + size + identity) % _WORDS or _WORDS)
            head[2], head[3], head[4], head[5] = size >> 8, size & 255, identity >> 8, identity & 255
            head[10], head[11] = own >> 8, own & 255
        else:
            head[4], head[5] = size >> 8, size & 255
        self.number = (number + len(data) + (1 if flags & (_SYN | _FIN) else 0)) % _NUMBERS
        return b"".join((head, options, data))


def _sum(data: bytes) -> int:
    """RFC 1071: a sum of 16-bit words with the carry added is the number modulo 65535, which Python knows how to do at once."""
    total = int.from_bytes(data, "big") % _WORDS
    return (total << 8) % _WORDS if len(data) % 2 else total


@lru_cache(maxsize=1024)
def _packed(address: str, version: int) -> bytes:
    found = ip_address(address)
    if found.version == version:
        return found.packed
    return b"\0" * 10 + b"\xff\xff" + found.packed  # RFC 4291 2.5.5.2: the other side has one of IPv6


def conversation(client: End, server: End, request: bytes, answer: bytes, mtu: int = MTU) -> list[bytes]:
    """All packets of it, in order, none larger than `mtu`. Raises ValueError for an address that is none."""
    version = 6 if ":" in client.address or ":" in server.address else 4
    up, down = _Flow(client, server, version), _Flow(server, client, version)
    mss = mtu - HEADS[version]
    offer = struct.pack("!BBH", 2, 4, mss)
    packets = [up.packet(_SYN, 0, options=offer), down.packet(_SYN | _ACK, up.number, options=offer), up.packet(_ACK, down.number)]
    for here, there, data in ((up, down, request), (down, up, answer)):
        for count, at in enumerate(range(0, len(data), mss), 1):
            last = at + mss >= len(data)
            packets.append(here.packet(_ACK | (_PSH if last else 0), there.number, data[at : at + mss]))
            if last or not count % ACKNOWLEDGED:
                packets.append(there.packet(_ACK, here.number))
    packets.append(down.packet(_FIN | _ACK, up.number))
    packets.append(up.packet(_FIN | _ACK, down.number))
    packets.append(down.packet(_ACK, up.number))
    return packets


class Conversations:
    """Makes packets of conversations, each of a connection of its own: whose ports another one has had they get last."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        """`random`: so many bytes that nobody can guess."""
        self._random = random
        self._port = int.from_bytes(random(2), "big")

    def size(self, tapped: Tapped, mtu: int = MTU) -> int:
        """Bytes of its records, told before there are any."""
        version = 6 if ":" in _known(tapped.client) or ":" in _known(tapped.server) else 4
        mss, packets = mtu - HEADS[version], AROUND
        for data in (tapped.request, tapped.answer):
            segments = -(-len(data) // mss)
            packets += segments + -(-segments // ACKNOWLEDGED)
        return packets * (RECORD + HEADS[version]) + 2 * OFFER + len(tapped.request) + len(tapped.answer)

    def packets(self, tapped: Tapped, mtu: int = MTU) -> list[bytes]:
        """See conversation."""
        self._port += 1
        port = FIRST_PORT + self._port % PORTS
        if port == tapped.port:  # a client on the same machine would have both ends of it
            self._port += 1
            port = FIRST_PORT + self._port % PORTS
        numbers = self._random(8)
        client = End(_known(tapped.client), port, int.from_bytes(numbers[:4], "big"))
        server = End(_known(tapped.server), tapped.port, int.from_bytes(numbers[4:], "big"))
        return conversation(client, server, tapped.request, tapped.answer, mtu)


@lru_cache(maxsize=1024)
def _known(address: str) -> str:
    try:
        return ip_address(address.strip("[]").partition("%")[0]).compressed
    except ValueError:
        return NOBODY


_MACS = bytes.fromhex("020000000002 020000000001")
"""Of nobody, and told to be that (IEEE 802: locally administered), so that no machine takes what is addressed there for its own."""
_ETHERNET = {4: _MACS + b"\x08\x00", 6: _MACS + b"\x86\xdd"}


def frames(packets: list[bytes]) -> list[bytes]:
    """The same with a link layer in front, for an interface."""
    return [_ETHERNET[packet[0] >> 4] + packet for packet in packets]


def records(packets: list[bytes], now: float) -> bytes:
    """The same as they stand in a file; `now`: wall clock, a microsecond apart each."""
    seconds, micro = int(now), int(now % 1 * 1_000_000)
    head = bytearray(struct.pack("<LLLL", seconds, micro, 0, 0))
    found = []
    for packet in packets:
        size = len(packet)
        head[4], head[5], head[6] = micro & 255, micro >> 8 & 255, micro >> 16
        head[8], head[9], head[12], head[13] = size & 255, size >> 8, size & 255, size >> 8
        found.append(b"".join((head, packet)))
        micro += 1
        if micro == 1_000_000:
            seconds, micro = seconds + 1, 0
            head[:4] = struct.pack("<L", seconds)
    return b"".join(found)
