"""The word of trusted proxies about a request: who sent it, by which scheme, to which port.

A chain of proxies is read from the nearest one outwards: the first address that is no trusted proxy's is the client's.
X-Forwarded-For tells it, else Forwarded (RFC 7239), else X-Real-IP, and its members are read as gateways really write them: with a
port, in quotes, IPv6 with and without brackets or a zone, IPv4 in IPv6 clothes, empty ones in between, over several fields.

What is no address ("unknown", "_hidden", nonsense) ends the chain, for whoever wrote it is the last one we know of. He is not taken
for the client, though: that the client is unknown is told as well, since a rule about addresses must not be passed by writing none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from lbproxy.config.model import Network
from lbproxy.http.message import RequestHead

Said = dict[bytes, list[bytes]]
"""The values of the fields in which proxies tell these things, by lower-case name; empty ones are left out."""

UNKNOWN = b"unknown"
"""RFC 7239 6.2: somebody, but who is not told."""

_SAID = re.compile(rb"(?i)\r\n(x-forwarded-(?:for|proto|host|port)|x-real-ip|forwarded):[ \t]*+([^\r]*+)")
_BRACKETS = re.compile(rb"\[([^\]]*+)\](?::(?:[0-9]{0,5}|_[0-9A-Za-z._-]++))?\Z")  # RFC 7239 6: a port may be hidden, too
_WITH_PORT = re.compile(rb"(.*):(?:[0-9]{0,5}|_[0-9A-Za-z._-]++)\Z")
_ZONE = re.compile(rb"%[0-9A-Za-z._~-]{1,64}\Z")
_PORT = re.compile(rb"[0-9]{1,5}\Z")
_SCHEMES = {b"http": False, b"https": True, b"ws": False, b"wss": True}
"""Some gateways call the scheme of a WebSocket by its own name."""


class ClientFacts(NamedTuple):
    """What is known of one request."""

    client: bytes
    """The address of the client; when that is unknown, of the last one on the way to it who is known."""
    unread: bytes
    """What stands where an address should: the client is unknown. b"" when it is known."""
    chain: bytes
    """X-Forwarded-For as it came, or put together from what came instead."""
    https: bool | None
    """The client's scheme; None: nobody told."""
    port: int
    """The port that the client used; 0: nobody told."""


def fields_said(head: RequestHead) -> Said:
    """What a peer says about where the request came from."""
    said: Said = {}
    for name, value in _SAID.findall(head.block):  # not head.specials: those are in lower case, and some values mind
        if value := value.rstrip(b" \t"):
            said.setdefault(name.lower(), []).append(value)
    return said


def client_facts(said: Said, peer: str, networks: tuple[Network, ...]) -> ClientFacts:
    """`peer`: the trusted proxy that sent the request; `networks`: those of all trusted proxies."""
    scheme = b""
    if b"x-forwarded-for" in said:
        chain = b", ".join(said[b"x-forwarded-for"])
        members = list(_members(chain)) or [chain]
        client, at = _walk(members, peer, networks)
    elif b"forwarded" in said:
        elements = list(_elements(b", ".join(said[b"forwarded"])))
        members = [node for node, _ in elements] if any(node for node, _ in elements) else []
        client, at = _walk(members, peer, networks)
        chain = b", ".join(_plain(member) for member in members)
        scheme = elements[at][1] if at < len(elements) else b""
    else:
        members = [b", ".join(said[b"x-real-ip"])] if b"x-real-ip" in said else []
        client, at = _walk(members, peer, networks)
        chain = b", ".join(members)
    unread = members[at] or UNKNOWN if at < len(members) and read_node(members[at]) is None else b""
    if b"x-forwarded-proto" in said:
        scheme = next(_members(said[b"x-forwarded-proto"][0]), b"")
    port = next(_members(said[b"x-forwarded-port"][0]), b"") if b"x-forwarded-port" in said else b""
    number = int(port) if _PORT.match(port) else 0
    return ClientFacts(client, unread, chain, _SCHEMES.get(scheme.lower()), number if number <= 65535 else 0)


def _members(value: bytes) -> Iterator[bytes]:
    """Of a list, the empty ones left out (RFC 9110 5.6.1.2)."""
    return filter(None, (member.strip(b" \t") for member in value.split(b",")))


def _walk(members: list[bytes], peer: str, networks: tuple[Network, ...]) -> tuple[bytes, int]:
    """(the last address on the way to the client, the index of the member that the way ends at; 0 when there is none)."""
    client = peer.encode()
    at = len(members)
    for member in reversed(members):
        at -= 1
        address = read_node(member)
        if address is None:
            break
        client = str(address).encode()
        if not among(address, networks):
            break
    return client, at


def read_node(member: bytes) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it, without port and zone; None when it is none."""
    text = member.strip(b" \t")
    if len(text) > 1 and text[:1] == text[-1:] == b'"':
        text = text[1:-1].strip(b" \t")
    brackets = _BRACKETS.match(text)
    if brackets is not None:
        return _address(brackets[1])
    found = _address(text)
    if found is None and (behind := _WITH_PORT.match(text)) is not None:
        found = _address(behind[1])
    return found


def _address(text: bytes) -> IPv4Address | IPv6Address | None:
    at = text.find(b"%")
    if at >= 0:  # "::1%anything at all" is an address for ip_address
        if b":" not in text[:at] or _ZONE.match(text, at) is None:
            return None
        text = text[:at]
    try:
        return plain_address(ip_address(text.decode("ascii")))
    except ValueError:
        return None


def plain_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address in IPv6 clothes as what it is: a network is named in one spelling and must be found in both."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def among(address: IPv4Address | IPv6Address, networks: tuple[Network, ...]) -> bool:
    """Whether one of the networks has it."""
    return any(address.version == network.version and address in network for network in networks)


def _elements(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(for, proto) of each element of Forwarded, b"" for what it does not say.

    Of two of a kind none is believed, nor one without a value, and what is no pair at all was meant to say who it is for.
    """
    for element in _members(_unquoted(value)):
        said: dict[bytes, bytes] = {}
        for pair in element.split(b";"):
            name, equals, text = pair.partition(b"=")
            name = name.strip(b" \t").lower() if equals or not name.strip(b" \t") else b"for"
            said[name] = (text.strip(b" \t") or UNKNOWN) if equals and name not in said else UNKNOWN
        yield said.get(b"for", b""), said.get(b"proto", b"")


def _unquoted(value: bytes) -> bytes:
    """Without quotes; what would separate outside of them (RFC 9110 5.6.4) separates nothing inside, and fits into no address."""
    parts = value.replace(b'\\"', b"?").split(b'"')
    if len(parts) % 2 == 0:
        return b"for=" + UNKNOWN  # a quote that does not end
    for index in range(1, len(parts), 2):
        parts[index] = parts[index].translate(_HARMLESS)
    return b"".join(parts)


_HARMLESS = bytes.maketrans(b",;=", b"???")


def _plain(member: bytes) -> bytes:
    """A member of Forwarded as one of X-Forwarded-For."""
    address = read_node(member)
    return UNKNOWN if address is None else str(address).encode()
