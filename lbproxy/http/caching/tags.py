"""Tags by which an answer can be purged: Cache-Tag, with commas between, and Surrogate-Key, with spaces between."""

from __future__ import annotations

from lbproxy.http.fields import values
from lbproxy.http.message import ResponseHead


def tags_of(answer: ResponseHead, most: int) -> tuple[bytes, ...]:
    """The first `most` of them, each once, as they are written."""
    found = [tag.strip(b" \t") for each in values(answer, b"cache-tag") for tag in each.split(b",")]
    found += [tag for each in values(answer, b"surrogate-key") for tag in each.split()]
    return tuple(dict.fromkeys(tag for tag in found if tag))[:most]
