"""Fields behind a body: which of them are passed on, in either version and either direction.

RFC 9110 6.5.1: a trailer must not say what is decided before the body: where the message ends, whom it is for, who sent it,
how the body is to be read. Somewhere a recipient merges trailers into the head, and one that "Host", "Content-Length" or
"X-Forwarded-For" could be slipped into that way would be served past every rule about them. So the names that may not stand
there are listed, and all that rules about a head list as well; what is left is the application's (`grpc-status`, digests,
`server-timing`). What such a field announces (`Trailer`) is of one hop, and is not passed on: it may name what does not arrive.

Some recipients do not read trailers at all and take them for the next message (CVE-2025-53643, CVE-2025-58068). A line of the
grammar is no request line to anybody strict; what looks like one all the same is not passed on either.

Both versions of HTTP bring them as pairs, names in lower case. They are passed to whatever speaks HTTP/1.1 or 2, `TE: trailers` or
not: RFC 9110 6.5.1 leaves it to their author what he says to whom, and everybody who reads chunks reads what is behind them
(RFC 9112 7.1.2). HTTP/1.0, and a body of HTTP/1.1 that has a length, have no place for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lbproxy.http.grammar import FIELD_BYTES, HOP_BY_HOP, SAID_BY_PROXIES, TCHAR

Field = tuple[bytes, bytes]
Trailers = tuple[Field, ...]
"""In order; names in lower case. As a rule there are none."""

NONE: Trailers = ()

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
    # what we or others on the way say ourselves
    b"traceparent",
    b"tracestate",
    b"x-request-id",
)
_FORBIDDEN = re.compile(
    rb"(?:" + rb"|".join(re.escape(name).replace(rb"\*", rb".*").replace(rb"\-", rb"[-.]") for name in sorted(_NEVER)) + rb")\Z"
)
"""Also with dots, which some take for the same."""

_NAME = re.compile(rb"[" + TCHAR.replace(b"A-Z", b"") + rb"]++\Z")
_VALUE = re.compile(rb"(?:[" + FIELD_BYTES.replace(rb"\t ", rb"!") + rb"](?:[" + FIELD_BYTES + rb"]*+(?<![\t ]))?)?\Z")
_KEPT, _LONGEST_KEPT = 256, 512
_everyday: set[Trailers] = set()
"""Trailers of answers, all of which were found to pass."""
_LIKE_A_REQUEST_LINE = re.compile(rb"(?i)(?:.*[\t ])?https?/[0-9.]++\Z", re.DOTALL)


def read(section: bytes) -> Trailers:
    """What stands behind the last chunk, in the grammar of http/h1/chunks.py: lines, of which the last is empty."""
    fields = []
    for line in section.split(b"\n"):
        name, colon, value = line.rstrip(b"\r").partition(b":")
        if colon:
            fields.append((name.lower(), value.strip(b" \t")))
    return tuple(fields)


def written(fields: Trailers) -> bytes:
    """As lines of HTTP/1, each with its CRLF behind it. `fields`: sound ones."""
    return b"".join([b"%b: %b\r\n" % (name, value) for name, value in fields])


def size(fields: Trailers) -> int:
    """Bytes of them as lines."""
    size = 0
    for name, value in fields:
        size += len(name) + len(value) + 4
    return size


def sound(fields: Trailers) -> bool:
    """Whether they keep to the grammar: what came over HTTP/2 may end in lines of HTTP/1, where CRLF in a value would be two."""
    return all(_NAME.match(name) is not None and _VALUE.match(value) is not None for name, value in fields)


def wanted(specials: Iterable[Field]) -> bool:
    """Whether a request with these fields, in lower case, says that trailers of its answer are kept (RFC 9110 10.1.4). TE is of one
    hop, and counts only where Connection says so; over HTTP/2 both are said with `te` alone."""
    said: dict[bytes, list[bytes]] = {b"te": [], b"connection": []}
    for name, value in specials:
        if name in said:
            said[name] += [member.strip(b" \t") for member in value.split(b",")]
    return b"trailers" in said[b"te"] and b"te" in said[b"connection"]


def passable(name: bytes) -> bool:
    """Whether a field of that name (in lower case) may stand behind a body. Names that CGI takes for others may not."""
    return name[:1] != b":" and name.find(b"_") < 0 and _FORBIDDEN.match(name) is None


def passed_on(fields: Iterable[Field]) -> Trailers:
    """Those that may stand there, in order; names in lower case."""
    return tuple([field for field in fields if passable(field[0]) and _LIKE_A_REQUEST_LINE.match(field[1]) is None])


def passing(fields: Trailers) -> Trailers | None:
    """The same of any that came; None: they do not keep to the grammar. Backends repeat themselves ("grpc-status: 0")."""
    if fields in _everyday:
        return fields  # not those that were remembered: which of them may go into a table of compression is theirs alone
    if not sound(fields):
        return None
    found = passed_on(fields)
    if len(found) == len(fields) and size(fields) <= _LONGEST_KEPT:
        if len(_everyday) >= _KEPT:
            _everyday.clear()
        _everyday.add(fields)
    return found
