"""lbproxy cache: what people read of stored answers."""

from __future__ import annotations

from typing import Any

import pytest

from lbproxy.cli.cache import _row, _understood
from lbproxy.http.caching.lifetime import Lifetime
from lbproxy.http.caching.stored import StoredAnswer
from lbproxy.http.caching.storing import StorableAnswer

NOW = 5_000.0
"""Monotonic: since the machine began, and never since 1970."""
HEAD = b"HTTP/1.1 200 OK\r\nETag: x\r\n\r\n"


def entry(meta: bytes) -> dict[str, Any]:
    return {"meta": meta.decode("latin-1"), "size": 8, "where": "memory", "ring": "main", "uses": 2}


@pytest.mark.parametrize(("fresh", "says"), [(60.0, "for 60s"), (-3.0, "until 3s ago")])
def test_how_long_an_answer_lasts(fresh: float, says: str) -> None:
    """By the clock of workers."""
    kept = StorableAnswer(Lifetime(NOW - 40.0, NOW + fresh, NOW + fresh + 10.0, NOW + fresh + 600.0), (), True, False)
    told = _understood(entry(StoredAnswer(kept, HEAD).written()), NOW)
    assert (told["age"], told["head"]) == (40, HEAD.decode())
    assert told["lasts"] == {"fresh": fresh, "stale_while_revalidate": fresh + 10.0, "stale_if_error": fresh + 600.0}
    assert _row(told) == ["8B", "memory", "main", "2", says, "HTTP/1.1 200 OK"]


def test_what_is_no_answer() -> None:
    """A fork of variants has none of that."""
    assert _row(_understood(entry(b"nonsense"), NOW)) == ["8B", "memory", "main", "2", "-", "-"]
