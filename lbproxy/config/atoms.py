"""Values of single keys that are more than a number or a text: addresses, networks, rates. Imports nothing of ours."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

Network = IPv4Network | IPv6Network

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


UNIX = "unix:"
"""What the host of a Unix socket's address begins with; no name and no IP address does."""


class Address(NamedTuple):
    """Host and port as written; the host is a literal IP ("::1" without brackets) or a DNS name (backends only). A Unix socket is
    its path behind UNIX, and has no port (0)."""

    host: str
    port: int

    @property
    def path(self) -> str:
        """Of the Unix socket's file; "" for an address of the network."""
        return self.host[len(UNIX) :] if self.host.startswith(UNIX) else ""

    def __str__(self) -> str:
        if self.host.startswith(UNIX):
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Rate(NamedTuple):
    """So many in so many seconds: "20/s", "5/m", "100/h"."""

    amount: int
    period: int  # 1 | 60 | 3600

    def __str__(self) -> str:
        return f"{self.amount}/{({1: 's', 60: 'm', 3600: 'h'})[self.period]}"


class Hsts(NamedTuple):
    """The value of Strict-Transport-Security (RFC 6797); times are in seconds."""

    max_age: int = -1  # seconds; 0 makes browsers forget; -1: the field is not sent
    subdomains: bool = False
    preload: bool = False


class Hash(NamedTuple):
    """What balance = "source_hash" goes by: "address", "header NAME" or "cookie NAME"."""

    kind: str = "address"  # address | header | cookie
    name: str = ""  # of a header, in lower case, or of a cookie

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else self.kind


class Passphrase(NamedTuple):
    """Where the passphrase of a key comes from, never itself."""

    way: str  # fd | credential | file | command
    words: tuple[str, ...]  # a number, a name, a file, or a program and its arguments

    def __str__(self) -> str:
        return f"{self.way} {' '.join(self.words)}"
