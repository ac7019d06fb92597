"""Keys of stored answers: of a target, and among its variants of the one that fits the request (RFC 9111 2, 4.1).

The key is a digest of all that decides what a backend answers: the route, scheme, host, and the bytes of the target that the
backend gets. It is never made of what a path looks like. Parts have their lengths in front, so that no two requests make up the
same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from lbproxy.http.fields import values
from lbproxy.http.message import ResponseHead

KEY_BYTES = 16
MOST_VARIANTS = 8
"""Of one key. The oldest makes room."""
CODING = b":coding"
"""What stands among the request fields that an answer depends on where it is stored compressed; no field has such a name."""
CODINGS = 4
"""Variants that are one but for that: as it came, gzip, zstd, br."""
MOST_NAMES = 8
"""That one answer may depend on."""
MOST_VALUE = 4096
"""Bytes of what a request says in these fields."""


def key_of(secret: bytes, *parts: bytes) -> bytes:
    """The key of a target; `secret`: without it nobody can tell where an answer comes to lie."""
    return _digest(secret, b"key", parts)


def names_of(answer: ResponseHead) -> tuple[bytes, ...] | None:
    """The request fields that Vary names, in lower case and in order; None: on everything, or on too many."""
    if b"\r\nvary:" not in answer.lowered:
        return ()
    said = b",".join(values(answer, b"vary")).lower().split(b",")
    names = {name.strip(b" \t") for name in said} - {b""}
    return None if b"*" in names or len(names) > MOST_NAMES else tuple(sorted(names))


def variant_of(secret: bytes, key: bytes, sent: bytes, names: Iterable[bytes]) -> bytes | None:
    """The key of the answer for this request among those that depend on `names`; None: it says too much in them.

    `sent`: the request's head as the backend gets it, since that is what the backend's answer depends on: it has what the client
    did not say, such as its address or, when somebody has logged in, his name."""
    parts, size, lowered = [key], 0, sent.lower()
    for name in names:
        said = [b" ".join(value.split()) for value in _values(sent, lowered, name)]
        text = b", ".join(said)
        size += len(text)
        # One that is not there is another one than one that is empty.
        parts += [name, b"-" if not said else b"+" + (_in_order(text) if name == b"accept-encoding" else text)]
    return None if size > MOST_VALUE else _digest(secret, b"variant", parts)


def _values(sent: bytes, lowered: bytes, name: bytes) -> Iterator[bytes]:
    mark = b"\r\n" + name + b":"
    at = lowered.find(mark)
    while at >= 0:
        end = sent.index(b"\r\n", at + 2)
        yield sent[at + len(mark) : end]
        at = lowered.find(mark, end)


def _in_order(text: bytes) -> bytes:
    """Codings mean the same in any order (RFC 9110 12.5.3), and programs write them in many."""
    return b",".join(sorted(part.replace(b" ", b"") for part in text.lower().split(b",")))


def _digest(secret: bytes, kind: bytes, parts: Iterable[bytes]) -> bytes:
    made = blake2b(digest_size=KEY_BYTES, key=secret, person=kind)
    for part in parts:
        made.update(b"%d:" % len(part))
        made.update(part)
    return made.digest()
