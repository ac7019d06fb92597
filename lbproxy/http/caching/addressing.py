"""The place that a request is for beyond its target, in the form that its backend gets: fields of proxies, and capitals in Host."""

from __future__ import annotations

import re

from lbproxy.http.grammar import SAID_OF_PLACES, line_finder

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


def has_capitals(authority: bytes, sent: bytes) -> bool:
    """The backend gets the host with capitals, `authority`, which is a key's part, has none: one that minds them answers something
    that is for nobody else."""
    if b"\r\nHost: %b\r\n" % authority in sent:
        return False
    host = host_of(sent)
    return host != authority and host.lower() == authority
