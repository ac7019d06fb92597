"""Addresses of clients as numbers, and sets of networks to look them up in.

An IPv4 address in IPv6 clothes (::ffff:192.0.2.1, as a dual-stack socket or a careless proxy writes it) is that IPv4 address, in
clients and in networks alike: else "deny 192.0.2.0/24" would be passed by spelling the address differently.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from lbproxy.config.model import AddressListConfig, Network

_MAPPED = 0xFFFF << 32
"""Where ::ffff:0:0/96 begins."""
_IPV4 = 1 << 32
_SITE = 64
"""Bits of an IPv6 address that tell one client from another: whoever has one address has the /64 around it (RFC 6177)."""


class Client(NamedTuple):
    """The IP address of a client: its family, and the address as a number."""

    version: int  # 4 | 6
    number: int

    def site(self) -> bytes:
        """What rates and counts take for one client: an IPv4 address, or an IPv6 /64. The two differ in length."""
        return self.number.to_bytes(4, "big") if self.version == 4 else (self.number >> _SITE).to_bytes(8, "big")


def parse_client(text: str) -> Client:
    """The address of a peer, or out of a checked X-Forwarded-For; "fe80::1%eth0" as well. Raises ValueError."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return Client(6, int(address)) if mapped is None else Client(4, int(mapped))
    return Client(4, int(address))


class NetworkSet:
    """Whether an address is in one of many networks: sorted ranges that do not touch, so that a bisection tells."""

    __slots__ = ("_begins", "_ends")

    def __init__(self, networks: Iterable[Network]) -> None:
        ranges: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for network in networks:
            version, first, last = _range(network)
            ranges[version].append((first, last))
        self._begins: dict[int, list[int]] = {}
        self._ends: dict[int, list[int]] = {}
        for version, found in ranges.items():
            merged = _merge(found)
            self._begins[version] = [first for first, _ in merged]
            self._ends[version] = [last for _, last in merged]

    def __contains__(self, client: Client) -> bool:
        at = bisect_right(self._begins[client.version], client.number)
        return at > 0 and client.number <= self._ends[client.version][at - 1]

    def __len__(self) -> int:
        """Ranges, after merging."""
        return sum(map(len, self._begins.values()))


def _range(network: Network) -> tuple[int, int, int]:
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 6 and first >= _MAPPED and last < _MAPPED + _IPV4:
        return 4, first - _MAPPED, last - _MAPPED
    return network.version, first, last


def _merge(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


class AddressRule:
    """Allow and deny together: what is denied stays out, and if anything is allowed, only that comes in. Order means nothing."""

    __slots__ = ("_allow", "_deny")

    def __init__(self, allow: Iterable[Network], deny: Iterable[Network]) -> None:
        """`allow` empty: everybody who is not denied."""
        self._allow = NetworkSet(allow)
        self._deny = NetworkSet(deny)

    @classmethod
    def of(cls, lists: AddressListConfig) -> AddressRule:
        """What a listener or a route says, its files included."""
        return cls((*lists.allow, *lists.allow_listed), (*lists.deny, *lists.deny_listed))

    def admits(self, client: Client) -> bool:
        """Whether this client may come in."""
        return client not in self._deny and (not self._allow or client in self._allow)
