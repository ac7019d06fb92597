# cython: boundscheck=False, wraparound=False
"""One normal form of a request's path, which both decides the route and is what is forwarded.

RFC 3986 6.2.2: percent-encoded unreserved characters are decoded, hex digits written in upper case, dot segments removed, encoded
dots included. If matcher and backend read different paths, an access rule on "/admin" is passed by "/x/%2e%2e/admin". "%2F" is
data, not a separator, and passes unchanged (package registries and GitLab need it). "%00", "%5C", raw backslashes and paths that
climb above the root are refused: somewhere behind us is a parser that truncates at NUL or takes a backslash for a slash. So are
dots that only some take for a dot segment: "/..;x/" (Java servers cut parameters off first) and "%2F..%2F" (decoded first).

A path is read a byte at a time, into a buffer of its own length, which no normal form exceeds. (A match for each escape, and a
piece for each segment, cost 160 and 30 us for a KiB of nothing else.)

Routes may let "%5C" pass, for backends that know it as data (object stores). Dots beside it are refused even then.
"""

from __future__ import annotations

import re

from lbproxy.errors import RequestError

# Nothing to normalise, unless a dot follows a slash: no percent sign in the path, no backslash, no fragment.
_PLAIN = re.compile(rb"[^%?#\\]++(\?[^#]*+)?\Z")
BACKSLASH = b"%5C"
"""As a normal path has it."""
_SLASHES = re.compile(rb"//++")
# Looked for when plain dot segments are gone: what it finds has an encoded slash or a parameter beside it.
_HIDDEN_DOTS = re.compile(rb"(?:/|%2F|%5C)\.\.?(?:[/;]|%2F|%3B|%5C|\Z)")

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"  # RFC 3986 2.3
_DIGITS = b"0123456789ABCDEF"
_NO_DIGIT = 16


def _after_escape(byte: int) -> int:
    """What becomes of an escaped byte."""
    if byte == 0x00:
        return _REFUSED
    return _DECODED if byte in _UNRESERVED else _KEPT


_KEPT, _DECODED, _REFUSED = range(3)
_BECOMES = bytes(map(_after_escape, range(256)))
_VALUES = bytes(_DIGITS.find(bytes([byte]).upper()) % (_NO_DIGIT + 1) for byte in range(256))  # -1 is _NO_DIGIT


def split_target(target: bytes, backslash: bool = False) -> tuple[bytes, bytes]:
    """Origin-form -> (normal path, target to forward). Raises RequestError(400).

    `backslash`: an encoded one is left in the path, for its route to refuse.
    """
    dot = target.find(b".")  # ten times as fast as both bytes; `in` raises and forgets an exception inside
    match = _PLAIN.match(target) if dot < 0 or target.find(b"/.", dot - 1 if dot else 0) < 0 else None
    if match is not None:
        end = match.start(1)
        return (target, target) if end < 0 else (target[:end], target)
    if b"#" in target:
        raise RequestError(400, "target_fragment", "a fragment does not belong into a request target")
    path, question, query = target.partition(b"?")
    normal = _normalise(path, backslash)
    return normal, normal + question + query


def _normalise(path: bytes, backslash: bool) -> bytes:
    if b"\\" in path:
        raise RequestError(400, "target_backslash", "a raw backslash in the path")
    escape = path.find(b"%")
    normal = path if escape < 0 else _unescaped(path, escape)
    if not backslash and escape >= 0 and normal.find(b"%") >= 0 and normal.find(BACKSLASH) >= 0:
        raise RequestError(400, "target_escape", "an encoded backslash in the path")  # one that dots would take away, too
    if normal.find(b"/.") >= 0:
        normal = _without_dots(normal)
    if normal.find(b".") >= 0 and _HIDDEN_DOTS.search(normal) is not None:
        raise RequestError(400, "target_dots", "dots that some take for a dot segment")
    return normal


def merge_slashes(path: bytes) -> bytes:
    """`path` with every run of slashes as one."""
    return _SLASHES.sub(b"/", path)


def _unescaped(path: bytes, at: int) -> bytes:
    """With unreserved characters as they are, and the digits of all other escapes in upper case. `at`: the first percent sign."""
    values, becomes, digits = _VALUES, _BECOMES, _DIGITS
    size = len(path)
    out = bytearray(path)
    end = at
    while at < size:
        byte = path[at]
        at += 1
        if byte == 0x25:
            high = values[path[at]] if at < size else _NO_DIGIT
            low = values[path[at + 1]] if at + 1 < size else _NO_DIGIT
            if high == _NO_DIGIT or low == _NO_DIGIT:
                raise RequestError(400, "target_escape", "a percent sign without two hex digits")
            at += 2
            byte = high * 16 + low
            fate = becomes[byte]
            if fate == _REFUSED:
                raise RequestError(400, "target_escape", "an encoded NUL in the path")
            if fate == _KEPT:
                out[end] = 0x25
                out[end + 1] = digits[high]
                out[end + 2] = digits[low]
                end += 3
                continue
        out[end] = byte
        end += 1
    return bytes(out[:end])


def _without_dots(path: bytes) -> bytes:
    """RFC 3986 5.2.4, but a climb above the root is refused instead of being swallowed."""
    size = len(path)
    out = bytearray(path)
    at = end = 0
    while at < size:  # at the slash in front of a segment
        begin = at
        at += 1
        while at < size and path[at] != 0x2F:
            at += 1
        length = at - begin
        if length > 3 or length == 1 or path[begin + 1] != 0x2E or (length == 3 and path[begin + 2] != 0x2E):
            while begin < at:
                out[end] = path[begin]
                begin += 1
                end += 1
            continue
        if length == 3:
            if not end:
                raise RequestError(400, "target_above_root", "the path climbs above the root")
            end -= 1
            while out[end] != 0x2F:
                end -= 1
        if at == size:  # what a last segment of dots names is a folder
            out[end] = 0x2F
            end += 1
    return bytes(out[:end])
