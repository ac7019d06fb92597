"""The place that a request is for beyond its target, in the form that its backend gets: fields of proxies, and capitals in Host."""

from __future__ import annotations

import re

from lbproxy.http.grammar import SAID_OF_PLACES, line_finder
from lbproxy.http.message import NO_BODY, RequestHead

_PLACES = line_finder((
    b"forwarded", b"x-forwarded-host", b"x-forwarded-path", b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-proto",
    b"x-forwarded-protocol", b"x-forwarded-scheme", b"x-forwarded-server", b"x-forwarded-ssl", b"x-forwarded-uri", *SAID_OF_PLACES,
))  # fmt: skip
_WHO = re.compile(rb'(?i)\b(?:for|by)="?[\w.:\[\]-]*"?')
"""In Forwarded (RFC 7239 4): whose request it is, and not where it goes."""


def places(sent: bytes) -> list[bytes]:
    """The lines by which a trusted proxy may have told the backend of another host, scheme or path: each makes another answer. A
    proxy passes on what it does not know, so that they may be its client's."""
    found = [sent[match.start() : match.end()] for match in _PLACES.finditer(sent.lower())]
    return [_WHO.sub(b"", line) if line[2:11].lower() == b"forwarded" else line for line in found]


def host_of(sent: bytes) -> bytes:
    """What the backend gets as Host."""
    at = sent.lower().find(b"\r\nhost:")
    return b"" if at < 0 else sent[at + 7 : sent.index(b"\r\n", at + 7)].strip(b" \t")


def in_lower_case(head: RequestHead) -> RequestHead | None:
    """A request without a body whose Host has capitals, with the host as keys name it; None: it has none.

    Names of hosts mean the same in any case (RFC 9110 4.2.3), and who asks with capitals shares what is stored. A backend that
    minds them would answer him something else, which would be stored for all, so that it is not told of them."""
    at = head.lowered.find(b"\r\nhost:")
    end = head.lowered.find(b"\r\n", at + 7)
    end = len(head.lowered) if end < 0 else end
    said = head.lowered[at:end]
    if at < 0 or head.block[at + 7 : end] == said[7:]:
        return None
    return head.taken_in(b"%b\r\nHost:%b%b" % (head.block[:at], said[7:], head.block[end:]), NO_BODY)
