"""One normal form of a request's path, which both decides the route and is what is forwarded.

RFC 3986 6.2.2: percent-encoded unreserved characters are decoded, hex digits written in upper case, dot segments removed, encoded
dots included. If matcher and backend read different paths, an access rule on "/admin" is passed by "/x/%2e%2e/admin". "%2F" is
data, not a separator, and passes unchanged (package registries and GitLab need it). "%00", "%5C", raw backslashes and paths that
climb above the root are refused: somewhere behind us is a parser that truncates at NUL or takes a backslash for a slash. So are
dots that only some take for a dot segment: "/..;x/" (Java servers cut parameters off first) and "%2F..%2F" (decoded first).
"""

from __future__ import annotations

import re

from lbproxy.errors import RequestError

# Nothing to normalise, unless a dot follows a slash: no percent sign in the path, no backslash, no fragment.
_PLAIN = re.compile(rb"[^%?#\\]++(\?[^#]*+)?\Z")
_SLASHES = re.compile(rb"//++")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
# Looked for when plain dot segments are gone: what it finds has an encoded slash or a parameter beside it.
_HIDDEN_DOTS = re.compile(rb"(?:/|%2F)\.\.?(?:[/;]|%2F|%3B|\Z)")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986 2.3


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Origin-form -> (normal path, target to forward). Raises RequestError(400)."""
    match = _PLAIN.match(target)
    if match is not None and target.find(b"/.") < 0:  # `in` raises and forgets an exception inside
        end = match.start(1)
        return (target, target) if end < 0 else (target[:end], target)
    if b"#" in target:
        raise RequestError(400, "target_fragment", "a fragment does not belong into a request target")
    path, question, query = target.partition(b"?")
    normal = _normalise(path)
    return normal, normal + question + query


def _normalise(path: bytes) -> bytes:
    if b"\\" in path:
        raise RequestError(400, "target_backslash", "a raw backslash in the path")
    normal = _remove_dots(_ESCAPE.sub(_normal_escape, path))
    if _HIDDEN_DOTS.search(normal) is not None:
        raise RequestError(400, "target_dots", "dots that some take for a dot segment")
    return normal


def merge_slashes(path: bytes) -> bytes:
    """`path` with every run of slashes as one."""
    return _SLASHES.sub(b"/", path)


def _normal_escape(match: re.Match[bytes]) -> bytes:
    digits = match[1]
    if digits is None:
        raise RequestError(400, "target_escape", "a percent sign without two hex digits")
    byte = int(digits, 16)  # two hex digits, matched above
    if byte == 0 or byte == 0x5C:
        raise RequestError(400, "target_escape", "an encoded NUL or backslash in the path")
    if byte in _UNRESERVED:
        return bytes((byte,))
    return b"%" + digits.upper()


def _remove_dots(path: bytes) -> bytes:
    """RFC 3986 5.2.4, but a climb above the root is refused instead of being swallowed."""
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if not kept:
                raise RequestError(400, "target_above_root", "the path climbs above the root")
            kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)
