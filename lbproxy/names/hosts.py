"""The text of a hosts file (hosts(5)): who stands in it needs no name server."""

from __future__ import annotations

import re
from ipaddress import ip_address

_BLANK = re.compile(r"[ \t\r\v\f]+")
"""C's isspace. Whatever else Unicode takes for a blank or a line's end may stand in a comment of any encoding."""


def addresses_in(text: str, name: str) -> list[str]:
    """The addresses of `name` in the order of the file, each once; lines that make no sense are passed over. A dot at the end of a
    name, here or there, means nothing."""
    wanted = name.lower().removesuffix(".")
    found: dict[str, None] = {}
    for line in text.split("\n"):
        words = _BLANK.split(line.partition("#")[0].strip(" \t\r\v\f"))
        if wanted not in (word.lower().removesuffix(".") for word in words[1:]):
            continue
        try:
            found[str(ip_address(words[0].partition("%")[0]))] = None  # "fe80::1%lo0": an address of that link alone
        except ValueError:
            continue
    return list(found)


def has_ipv6(interfaces: str, *, loopback: bool = False) -> bool:
    """Whether this machine can reach others over IPv6, or itself when `loopback`.

    `interfaces`: the text of /proc/net/if_inet6: per address a line of address, index, prefix length, scope, flags, name. An
    address of global scope (which private ones have, too) is what getaddrinfo's AI_ADDRCONFIG looks for.
    """
    wanted = "10" if loopback else "00"
    return any(len(words) == 6 and words[3] == wanted for words in map(str.split, interfaces.splitlines()))
