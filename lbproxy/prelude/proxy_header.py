"""The PROXY header: who connected to the proxy in front of us, said by it before the first byte of TLS or HTTP.

The protocol is HAProxy's (doc/proxy-protocol.txt, versions 1 and 2). Theory of operation. `parse` is given what has come so far: it
answers with the header and its length, with None where more is needed, or raises BadHeader. A listener either expects the header
of every connection or of none: whoever could leave it out, or be taken to have sent one, could choose who he is.

So nothing is repaired. In a line of version 1 there is one space between words, and numbers have one spelling. In version 2 every
length has to come out even, what is known stands there once, and a checksum that is there has to be right.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from lbproxy.prelude import tlvs
from lbproxy.prelude.bad import BadHeader
from lbproxy.prelude.tlvs import TlsTold, Told

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""What a header of version 2 begins with; no HTTP, TLS, SMTP or FTP does."""
_FIXED = 16
LONGEST_LINE = 107
"""Section 2.1, CRLF included: TCP6 with two addresses in full, or UNKNOWN with them."""
MOST = 16 * 1024
"""Bytes of a header of version 2, which could say 64 KiB: room for a client's certificate (PP2_SUBTYPE_SSL_CLIENT_CERT)."""


class ProxyHeader(NamedTuple):
    """A header that was understood."""

    source: str = ""
    """The client's address; "": the header names nobody (a health check, UNKNOWN, a Unix socket): the peer speaks for itself."""
    source_port: int = 0
    destination: str = ""
    """Where the client connected to."""
    destination_port: int = 0
    authority: str = ""
    """The name that the client asked for by SNI."""
    alpn: bytes = b""
    """The protocol that was agreed on with it."""
    unique_id: bytes = b""
    tls: TlsTold | None = None
    """What is said of the client's TLS; None: it did not come over TLS, or nothing is said of it."""


NOBODY = ProxyHeader()


def parse(data: bytes) -> tuple[ProxyHeader, int] | None:
    """The header at the beginning of `data`, and its length; None: it is not whole yet. Raises BadHeader."""
    if data[:6] == b"PROXY "[: len(data)]:
        return _line(data)
    if data[:12] == SIGNATURE[: len(data)]:
        return _block(data)
    raise BadHeader("proxy_header_missing")


# ---------------------------------------------------------------- version 1

_PORT = rb"(0|[1-9][0-9]{0,4})"
_TCP = re.compile(rb"PROXY TCP([46]) ([0-9a-fA-F.:]{2,39}) ([0-9a-fA-F.:]{2,39}) %b %b\Z" % (_PORT, _PORT))
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [ -~]*)?\Z")
"""Section 2.1: whatever stands behind the word is to be ignored."""


def _line(data: bytes) -> tuple[ProxyHeader, int] | None:
    feed = data.find(b"\n", 0, LONGEST_LINE)
    if feed < 0:
        if len(data) >= LONGEST_LINE:
            raise BadHeader("proxy_header_too_long")
        carriage = data.find(b"\r")
        if 0 <= carriage < len(data) - 1:
            raise BadHeader("proxy_header_malformed")
        return None
    line = data[: feed - 1]
    if data[feed - 1] != 0x0D:
        raise BadHeader("proxy_header_malformed")
    if _UNKNOWN.match(line):
        return NOBODY, feed + 1
    match = _TCP.match(line)
    if match is None:
        raise BadHeader("proxy_header_malformed")
    version, source, destination, source_port, destination_port = match.groups()
    ports = int(source_port), int(destination_port)
    if max(ports) > 65535:
        raise BadHeader("proxy_header_malformed")
    try:
        addresses = [_written(version, address.decode("ascii")) for address in (source, destination)]
    except AddressValueError as error:
        raise BadHeader("proxy_header_malformed") from error
    return ProxyHeader(addresses[0], ports[0], addresses[1], ports[1]), feed + 1


def _written(version: bytes, text: str) -> str:
    return str(IPv4Address(text)) if version == b"4" else _plain(IPv6Address(text))


def _plain(address: IPv6Address) -> str:
    """An IPv4 address in IPv6 clothes is that address, as everywhere (filter/addresses.py)."""
    return str(address.ipv4_mapped or address)


# ---------------------------------------------------------------- version 2

_LOCAL, _PROXY = 0x20, 0x21
_STREAMS = {0x11: (4, 12), 0x21: (16, 36), 0x31: (0, 216)}
"""Family and transport: bytes of an address that is one of IP, and of the whole block of addresses."""
_UNSPECIFIED = 0x00
_DATAGRAMS = (0x12, 0x22, 0x32)


def _block(data: bytes) -> tuple[ProxyHeader, int] | None:
    if len(data) < _FIXED:
        if len(data) > 12 and data[12] not in (_LOCAL, _PROXY):
            raise BadHeader("proxy_header_malformed")
        return None
    command, kind, length = data[12], data[13], int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise BadHeader("proxy_header_malformed")
    size = _FIXED + length
    if size > MOST:
        raise BadHeader("proxy_header_too_long")
    if command == _PROXY:  # section 2.2: of a LOCAL one everything else is to be discarded
        _check_kind(kind, length)
    if len(data) < size:
        return None
    if command == _LOCAL or kind == _UNSPECIFIED:
        return NOBODY, size
    return _addressed(data[:size], *_STREAMS[kind]), size


def _check_kind(kind: int, length: int) -> None:
    if kind in _DATAGRAMS:
        raise BadHeader("proxy_header_datagram")  # nobody's connection over TCP came by UDP
    if kind != _UNSPECIFIED and (kind not in _STREAMS or length < _STREAMS[kind][1]):
        raise BadHeader("proxy_header_malformed")


def _addressed(header: bytes, width: int, addresses: int) -> ProxyHeader:
    told: Told = tlvs.read(header, _FIXED + addresses)
    if not width:  # a Unix socket's client has no address that anybody could be held to
        return ProxyHeader("", 0, "", 0, *told)
    at = _FIXED + 2 * width
    source, destination = header[_FIXED : _FIXED + width], header[_FIXED + width : at]
    ports = int.from_bytes(header[at : at + 2], "big"), int.from_bytes(header[at + 2 : at + 4], "big")
    return ProxyHeader(_packed(source), ports[0], _packed(destination), ports[1], *told)


def _packed(address: bytes) -> str:
    return str(IPv4Address(address)) if len(address) == 4 else _plain(IPv6Address(address))
