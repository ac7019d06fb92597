"""A route whose requests are shared out over several pools.

Each pool is a destination of its own, with all that the route and the pool say. A request is given one by turns; or by a header
that it has, hashed; or by a cookie that names, in a word that tells nobody anything, the pool that its client was given before. A
word of a pool that is gone, or that gets nothing any more, means nothing, and the client is given another pool, and its word.

A connection on which a backend knows its client (NTLM) stays with the pool of that backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lbproxy.balance.split import Lots, Rounds
from lbproxy.balance.sticky import Words
from lbproxy.http import fields
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.message import RequestHead
from lbproxy.proxy.destination import Destination


class Share(NamedTuple):
    """One pool of a split, and what it gets."""

    name: str
    weight: int
    destination: Destination
    told: tuple[Destination, Destination]
    """The same, but its answers give the client its cookie: over plain HTTP, and over TLS."""


def cookie_line(name: str, word: bytes, *, secure: bool) -> bytes:
    """The field that gives a client a pool's word. `secure`: it came over TLS, and the cookie is to be sent no other way."""
    return b"\r\nSet-Cookie: %b=%b; Path=/; HttpOnly; SameSite=Lax%b" % (name.encode(), word, b"; Secure" if secure else b"")


class Split:
    """The pools of one route, and whose turn it is in this worker."""

    def __init__(
        self, shares: Sequence[Share], begin: int, cookie: str = "", words: Words | None = None, header: str = ""
    ) -> None:
        """`begin`: a number of this worker's own (see Rounds); `cookie`: its name, with `words` of the pools in order; `header`:
        whose value is hashed."""
        self._shares = list(shares)
        weights = [share.weight for share in shares]
        self._rounds = Rounds(weights, begin)
        self._lots = Lots([share.name for share in shares], weights)
        self._cookie = cookie.encode()
        self._words = words
        self._header = header.lower().encode()

    def choose(self, head: RequestHead, forwarder: Forwarder, before: Destination | None) -> Destination:
        """`before`: where the connection belongs, if it belongs to a backend."""
        if before is not None:
            for share in self._shares:
                if before is share.destination or before in share.told:
                    return share.destination
        if self._words is not None:
            index = self._words.index(fields.cookie(head, self._cookie))
            if index >= 0 and self._shares[index].weight:
                return self._shares[index].destination
            return self._shares[self._rounds.next()].told[forwarder.secure(head)]
        if self._header:
            said = b",".join(fields.values(head, self._header))
            if said:
                return self._shares[self._lots.of(said)].destination
        return self._shares[self._rounds.next()].destination
