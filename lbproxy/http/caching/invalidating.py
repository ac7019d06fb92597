"""Targets that an unsafe request makes stale (RFC 9111 4.4): its own, and those that its answer names on the same origin."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lbproxy.errors import RequestError
from lbproxy.http.fields import values
from lbproxy.http.message import ResponseHead
from lbproxy.http.target import split_target

_ABSOLUTE = re.compile(rb"(?:(https?):)?//([^/?#]*)([^#]*)", re.IGNORECASE)
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*+:")
_PORTS = {b"http": b":80", b"https": b":443"}


def succeeded(answer: ResponseHead) -> bool:
    """RFC 9111 4.4: an error changes nothing."""
    return 200 <= answer.status < 400


def targets(answer: ResponseHead, scheme: bytes, hosts: tuple[bytes, ...], target: bytes) -> Iterator[bytes]:
    """Targets as a backend gets them, in origin-form; `hosts`: what the origin is called, in lower case; `target`: of the request.

    Somebody else's targets are his: an answer of one origin cannot empty another's."""
    yield target
    for name in (b"location", b"content-location"):
        for said in values(answer, name):
            found = _of_origin(said, scheme, hosts, target)
            if found is not None:
                yield found


def _of_origin(said: bytes, scheme: bytes, hosts: tuple[bytes, ...], target: bytes) -> bytes | None:
    match = _ABSOLUTE.match(said)
    if match is not None:
        if (match[1] or scheme).lower() != scheme or _named(match[2], scheme) not in {_named(host, scheme) for host in hosts}:
            return None
        rest = match[3]
        path = rest if rest.startswith(b"/") else b"/" + rest
    elif _SCHEME.match(said):
        return None
    else:
        path = said.partition(b"#")[0]
        if path.startswith(b"?"):
            path = target.partition(b"?")[0] + path
        elif not path.startswith(b"/"):
            path = target.partition(b"?")[0].rpartition(b"/")[0] + b"/" + path
    try:
        return split_target(path)[1]
    except RequestError:
        return None


def _named(host: bytes, scheme: bytes) -> bytes:
    return host.lower().removesuffix(_PORTS[scheme])
