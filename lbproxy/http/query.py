"""The parameters of a query, for routes that look at it. Nothing here changes a message.

There is no standard for queries, only habits, and the habits differ: some take "+" for a blank, some take ";" for "&", some the
first value of a name, some the last. Whoever looks is therefore given every value that some reader may see, so that no spelling
hides one from the router that a backend then finds.
"""

from __future__ import annotations

import re

_SEPARATORS = re.compile(rb"[&;]")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def unescaped(text: bytes) -> bytes:
    """Percent-decoded; what is no escape stays as it is."""
    return _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), text) if b"%" in text else text


def values_by_name(query: bytes) -> dict[bytes, set[bytes]]:
    """Every value of every name, decoded; a name without "=" has the value b""."""
    found: dict[bytes, set[bytes]] = {}
    pieces = set(query.split(b"&"))
    if b";" in query:
        pieces.update(_SEPARATORS.split(query))
    for piece in pieces:
        name, _, value = piece.partition(b"=")
        names, values = {unescaped(name)}, {unescaped(value)}
        if b"+" in piece:
            names.add(unescaped(name.replace(b"+", b" ")))
            values.add(unescaped(value.replace(b"+", b" ")))
        for each in names:
            found.setdefault(each, set()).update(values)
    found.pop(b"", None)
    return found
