"""Requests for another host than the one that a connection was opened for, where clients are asked for certificates.

What a client was asked for went by the name in its handshake (SNI). Whoever then asks for another host, as HTTP/2 invites to do
with one connection for many (RFC 9113 9.1.1), would get what that host's clients have to prove something for: 421 (RFC 9110
15.5.20), and a client that means well comes again with a connection of its own.
"""

from __future__ import annotations

from collections.abc import Callable


class Agreement:
    """What was agreed on with one client."""

    __slots__ = ("_asked", "_asks", "_closed", "_number")

    def __init__(self, name: str, asks: Callable[[str], tuple[bool, int]]) -> None:
        """`name`: that the client asked for, "" for none; `asks`: whether clients who ask for a name are asked for certificates,
        and the number of the policy."""
        self._asked = _plain(name)
        self._asks = asks
        self._closed, self._number = asks(self._asked)

    def holds_for(self, host: bytes) -> bool:
        """Whether a request for that host, in lower case and without port, may come over the connection."""
        name = _plain(host.decode("latin-1"))
        if name == self._asked and name:
            return True
        closed, number = self._asks(name)
        if not self._asked:  # by an address, or without SNI: it was asked what everybody is
            return number == self._number
        return not closed and not self._closed


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")
