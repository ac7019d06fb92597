"""Affinity: where a request belongs by what it says, its source (hashed) or the cookie that its client was given.

A pool may have both: who comes without a cookie is placed by its source, and then stays by its cookie.
"""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.balance.selection import Preference
from lbproxy.balance.source_hash import HashRing, number_of
from lbproxy.balance.sticky import Words
from lbproxy.http import fields
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.message import RequestHead
from lbproxy.proxy.retry import repeatable


class Source(NamedTuple):
    """The part of a request that is hashed to place it."""

    kind: str  # "address" | "header" | "cookie"
    name: bytes = b""
    """Of the header (lower case) or cookie."""

    def of(self, head: RequestHead, forwarder: Forwarder) -> bytes:
        """b"" when the request does not say it: then the pool's requests are placed by load."""
        if self.kind == "address":
            return forwarder.client(head).encode()
        if self.kind == "header":
            return next(fields.values(head, self.name), b"")
        return fields.cookie(head, self.name)


class StickyCookie:
    """The settings of a pool's sticky cookie, and its words."""

    def __init__(self, name: str, words: Words, same_site: str, max_age: int) -> None:
        """`max_age`: seconds; 0 for as long as the browser runs."""
        self._name = name.encode()
        self._words = words
        age = f"; Max-Age={max_age}" if max_age else ""
        self._attributes = f"; Path=/{age}; HttpOnly; SameSite={same_site.capitalize()}".encode()
        self._none = same_site == "none"

    def index(self, head: RequestHead) -> int:
        """The backend that the request's cookie names; -1 for none."""
        return self._words.index(fields.cookie(head, self._name))

    def line(self, index: int, *, secure: bool) -> bytes:
        """The field that gives the client the backend's word.

        `secure`: it came over TLS, and the cookie is to be sent no other way; a client of a plain listener would never send such a
        cookie back.
        """
        end = b"; Secure" if secure or self._none else b""  # browsers drop SameSite=None without Secure
        return b"\r\nSet-Cookie: %b=%b%b%b" % (self._name, self._words.of(index), self._attributes, end)


class Affinity:
    """Tells where a request belongs among the backends of one pool."""

    def __init__(self, source: Source | None = None, ring: HashRing | None = None, sticky: StickyCookie | None = None) -> None:
        self._source = source
        self.ring = ring
        """Of the backends; None where no source is hashed."""
        self._sticky = sticky

    def preference(self, head: RequestHead, forwarder: Forwarder) -> Preference:
        """What the request wants."""
        first = -1 if self._sticky is None else self._sticky.index(head)
        if self._source is not None:
            source = self._source.of(head, forwarder)
            if source:
                return Preference(first, number_of(source), self.ring, repeatable(head))
        return Preference(first, repeatable=repeatable(head))

    def of_client(self, client: str) -> Preference:
        """What a client wants of whose requests nothing can be read."""
        if self._source is None or self._source.kind != "address":
            return Preference(repeatable=False)
        return Preference(-1, number_of(client.encode()), self.ring, repeatable=False)

    def lines(self, wanted: Preference, index: int, *, secure: bool) -> bytes:
        """What to add to the response of the backend that it got; b"" when its client knows already."""
        if self._sticky is None or wanted.first == index:
            return b""
        return self._sticky.line(index, secure=secure)
