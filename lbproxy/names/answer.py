"""The answer to a question for a name, made fit for use: no address that no backend can have, in an order that does not rotate, and
not too many.

Answers are foreign bytes. An address that means "this host", "everybody" or "nobody" is left out, whoever says it; an IPv4 address
in IPv6 clothes counts as what it is. Private and loopback addresses pass: that is where backends are.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from typing import NamedTuple

from lbproxy.errors import Unresolved

MOST_ADDRESSES = 64
"""Of one name: each takes a slot of the ledger in every pool that has the name."""
NEVER = float("inf")
"""The time to live of what no name server said."""

_THIS_NETWORK = IPv4Network("0.0.0.0/8")  # RFC 1122 3.2.1.3


class NameAnswer(NamedTuple):
    """The addresses of a name."""

    addresses: tuple[str, ...]
    """Canonical text, each once, IPv4 first, by number; never empty."""
    ttl: float
    """Seconds."""
    note: str = ""
    """What was left out, and why."""
    unasked: int = 0
    """4 or 6: the addresses of that family could not be learned this time; 0: all were."""


def usable(ip: IPv4Address | IPv6Address) -> bool:
    """Whether a backend can have this address."""
    if ip.is_unspecified or ip.is_multicast:
        return False
    if ip.version == 6:
        return not ip.is_link_local and ip.scope_id is None  # "fe80::1%eth0": means nothing elsewhere, and could be any text
    return not (ip.is_reserved or ip in _THIS_NETWORK)  # 240.0.0.0/4, of which 255.255.255.255 is one


def sift(found: Iterable[str], ttl: float, unasked: int = 0) -> NameAnswer:
    """An answer of these literal addresses. Raises Unresolved when none of them is of use."""
    good: set[IPv4Address | IPv6Address] = set()
    bad = []
    for text in found:
        ip = ip_address(text)
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if usable(ip):
            good.add(ip)
        else:
            bad.append(str(ip))
    if not good:
        raise Unresolved(f"no usable address: {', '.join(sorted(set(bad))[:4])}" if bad else "no address")
    ordered = [str(ip) for ip in sorted(good, key=lambda ip: (ip.version, ip))]
    notes = [f"no backend can have {', '.join(sorted(set(bad))[:4])}"] if bad else []
    if len(ordered) > MOST_ADDRESSES:
        notes.append(f"{len(ordered)} addresses, the first {MOST_ADDRESSES} are used")
    return NameAnswer(tuple(ordered[:MOST_ADDRESSES]), ttl, "; ".join(notes), unasked)


def literal_addresses(text: str) -> tuple[str, ...]:
    """Addresses as one process tells them another ("10.0.0.1,10.0.0.2"). Raises ValueError for anything `sift` would not give."""
    addresses = tuple(text.split(","))
    try:
        same = sift(addresses, NEVER).addresses == addresses
    except Unresolved:
        same = False
    if not same:
        raise ValueError(f"wanted usable addresses in canonical form and order, came {text!r:.80}")
    return addresses
