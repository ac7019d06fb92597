"""Fields behind a body: which of them are passed on, in either version and either direction.

RFC 9110 6.5.1: a trailer must not say what is decided before the body: where the message ends, whom it is for, who sent it,
how the body is to be read. Somewhere a recipient merges trailers into the head, and one that "Host", "Content-Length" or
"X-Forwarded-For" could be slipped into that way would be served past every rule about them. So the names that may not stand
there are listed, and all that rules about a head list as well; what is left is the application's (`grpc-status`, digests,
`server-timing`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lbproxy.http.grammar import HOP_BY_HOP, SAID_BY_PROXIES

Field = tuple[bytes, bytes]

_NEVER = (
    # where the message ends, and whom it is for
    b"content-length",
    b"host",
    *HOP_BY_HOP,
    # how the body is to be read
    b"content-encoding",
    b"content-location",
    b"content-range",
    b"content-type",
    # what is asked for, and on which condition
    b"cache-control",
    b"expect",
    b"if-*",
    b"max-forwards",
    b"pragma",
    b"range",
    # who asks, and for whom
    b"authorization",
    b"cookie",
    b"forwarded",
    b"proxy",
    b"set-cookie",
    b"via",
    b"www-authenticate",
    b"x-forwarded-*",
    b"x-real-ip",
    *SAID_BY_PROXIES,
    # what the response is
    b"accept-ranges",
    b"age",
    b"date",
    b"expires",
    b"location",
    b"retry-after",
    b"vary",
    b"warning",
)
_FORBIDDEN = re.compile(rb"(?:" + rb"|".join(re.escape(name).replace(rb"\*", rb".*") for name in sorted(_NEVER)) + rb")\Z")


def passable(name: bytes) -> bool:
    """Whether a field of that name (in lower case) may stand behind a body. Names that CGI takes for others may not."""
    return name[:1] != b":" and name.find(b"_") < 0 and _FORBIDDEN.match(name) is None


def passed_on(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Those that may stand there, in order; names in lower case."""
    return tuple(field for field in fields if passable(field[0]))
