"""The text of resolv.conf(5), read as the C library reads it: what it passes over is passed over, what it bounds is bounded.

The file is written by DHCP clients, VPNs, container runtimes and people, in whatever encoding. A line that makes no sense to the
system (`nameserver 127.0.0.1#5353`) is no reason to refuse what every other program on the machine accepts.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

MOST_SERVERS = 3  # MAXNS
MOST_NDOTS = 15  # RES_MAXNDOTS
MOST_SEARCH = 256  # names; the C library has had no bound since 2.26

_BLANK = re.compile(r"[ \t]+")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,8}\Z|0[0-7]{0,11}\Z|[1-9][0-9]{0,9}\Z")


class ResolvConf(NamedTuple):
    """What the file says, in the terms of a question."""

    servers: tuple[str, ...] = ()
    """Literal addresses, "fe80::1%eth0" among them. None: the system has ways of its own."""
    search: tuple[str, ...] = ()
    """Without dots at the end; "" is the root."""
    ndots: int = 1
    timeout: int = 0
    """Seconds for one question to one server; 0: not said."""
    rotate: bool = False
    edns0: bool = False
    tcp: bool = False
    ipv6: bool = True
    """False: nobody is to be asked for IPv6 addresses (`no-aaaa`)."""

    def candidates(self, host: str) -> list[str]:
        """What to ask for, one after the other until somebody knows it; absolute, without the last dot.

        As res_nsearch does: a name with a dot at its end is meant as it stands; one with `ndots` dots is tried as it stands first,
        and any other last.
        """
        if host.endswith("."):
            return [host[:-1]]
        with_domain = [f"{host}.{domain}" if domain else host for domain in self.search]
        first = host.count(".") >= self.ndots
        return list(dict.fromkeys([host, *with_domain] if first else [*with_domain, host]))


def parse(text: str, hostname: str = "") -> ResolvConf:
    """`hostname`: of this machine; behind its first dot stands what is searched when the file does not say."""
    servers: list[str] = []
    search: tuple[str, ...] | None = None
    options: list[str] = []
    for line in text.split("\n"):
        keyword, *words = _BLANK.split(line.rstrip(" \t\r")) if line[:1] not in ("#", ";", " ", "\t") else ("",)
        if not words:
            continue
        if keyword == "nameserver":
            server = _server(words[0])
            if server is not None and len(servers) < MOST_SERVERS:
                servers.append(server)
        elif keyword == "domain":
            search = _domains(words[:1])
        elif keyword == "search":
            search = _domains(words)
        elif keyword == "options":
            options += words
    if search is None:
        search = _domains([hostname.partition(".")[2]]) if "." in hostname else ()
    return _with(ResolvConf(tuple(servers), search), options)


def _server(word: str) -> str | None:
    """A literal address as inet_aton and inet_pton have it, and nothing behind it; else None."""
    address, percent, scope = word.partition("%")
    try:
        if ":" in address:
            return f"{IPv6Address(address)}{percent}{scope}"
        return None if percent else _ipv4(address)
    except ValueError:
        return None


def _ipv4(word: str) -> str | None:
    """inet_aton(3): one to four numbers, decimal, octal or hexadecimal, of which the last fills what is left ("127.1")."""
    parts = word.split(".")
    if not 1 <= len(parts) <= 4 or not all(map(_NUMBER.match, parts)):
        return None
    *heads, last = (int(part, 16 if part[:2] in ("0x", "0X") else 8 if part.startswith("0") else 10) for part in parts)
    room = 8 * (4 - len(heads))
    if any(head > 255 for head in heads) or last >= 1 << room:
        return None
    value = 0
    for head in heads:
        value = value << 8 | head
    return str(IPv4Address(value << room | last))


def _domains(words: list[str]) -> tuple[str, ...]:
    """Those that can stand behind a name; the others could not even be asked about. (glibc ends the search at such a one: where it
    finds a name we find the same, unless the bare name exists as well.)"""
    bare = (word.removesuffix(".") for word in words[:MOST_SEARCH])
    return tuple(word for word in bare if not word or (word.isascii() and all(0 < len(label) < 64 for label in word.split("."))))


def _with(conf: ResolvConf, options: list[str]) -> ResolvConf:
    for option in options:
        key, colon, value = option.partition(":")
        number = int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else None
        if colon and number is not None and key == "ndots":
            conf = conf._replace(ndots=min(number, MOST_NDOTS))
        elif colon and number is not None and key == "timeout":
            conf = conf._replace(timeout=number)
    given = set(options)
    return conf._replace(rotate="rotate" in given, edns0="edns0" in given, tcp="use-vc" in given, ipv6="no-aaaa" not in given)
