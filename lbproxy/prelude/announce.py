"""PROXY headers as we write them, for the backends of pools that expect one.

A header names one client, so a connection that began with one carries nothing of anybody else's (proxy/announced.py). Of the
addresses both are of one family, as both versions want it: where they are not, IPv4 is written as IPv6 (RFC 4291 2.5.5.2).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from lbproxy.prelude.proxy_header import SIGNATURE
from lbproxy.prelude.tlvs import ALPN, AUTHORITY, MOST_NAME, MOST_UNIQUE, UNIQUE_ID

LOCAL = {"v1": b"PROXY UNKNOWN\r\n", "v2": SIGNATURE + b"\x20\x00\x00\x00"}
"""By version: the header of a connection that is nobody's but ours, as a health check's."""


class Ends(NamedTuple):
    """A client's connection: where it comes from, and where it went to. "": nobody knows."""

    source: str
    source_port: int
    destination: str
    destination_port: int


def header(version: str, ends: Ends, authority: bytes = b"", alpn: bytes = b"", unique_id: bytes = b"") -> bytes:
    """The header of a client's connection. `authority`: the name it asked for by SNI; `alpn`: what was agreed on; `unique_id`: of
    the request that it is opened for; b"": none, and version 1 has no place for them."""
    if not ends.source or not ends.destination:  # a Unix socket's
        return LOCAL["v1"] if version == "v1" else _block(0x00, b"", authority, alpn, unique_id)
    source, destination = _of_one_family(ends.source, ends.destination)
    if version == "v1":
        family = "TCP4" if source.version == 4 else "TCP6"
        from_, to = _written(source), _written(destination)
        return f"PROXY {family} {from_} {to} {ends.source_port} {ends.destination_port}\r\n".encode()
    ports = ends.source_port.to_bytes(2, "big") + ends.destination_port.to_bytes(2, "big")
    kind = 0x11 if source.version == 4 else 0x21
    return _block(kind, source.packed + destination.packed + ports, authority, alpn, unique_id)


def _of_one_family(source: str, destination: str) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    both = ip_address(source.partition("%")[0]), ip_address(destination.partition("%")[0])
    if both[0].version == both[1].version:
        return both
    mapped = [each if each.version == 6 else IPv6Address(0xFFFF << 32 | int(each)) for each in both]
    return mapped[0], mapped[1]


def _written(address: IPv4Address | IPv6Address) -> str:
    """RFC 5952 5, and so nginx and HAProxy: as Python 3.13 does, while its elders write mapped addresses in hexadecimal."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(address) if mapped is None else f"::ffff:{mapped}"


def _block(kind: int, addresses: bytes, authority: bytes, alpn: bytes, unique_id: bytes) -> bytes:
    told = ((ALPN, alpn, MOST_NAME), (AUTHORITY, authority, MOST_NAME), (UNIQUE_ID, unique_id, MOST_UNIQUE))
    fields = b"".join(_field(field, value) for field, value, most in told if 0 < len(value) <= most)
    length = len(addresses) + len(fields)
    return SIGNATURE + bytes((0x21, kind)) + length.to_bytes(2, "big") + addresses + fields


def _field(kind: int, value: bytes) -> bytes:
    return bytes((kind,)) + len(value).to_bytes(2, "big") + value
