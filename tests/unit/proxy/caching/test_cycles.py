"""What a request leaves behind: nothing that waits for the collector of cycles, which comes after thousands of them."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable

import pytest

from lbproxy.config import model
from tests.unit.proxy.caching.stores import CHUNKED, FRESH, LAST, Caching, chunk
from tests.unit.proxy.fake_stream import EOF
from tests.unit.proxy.world import get, ok

SMALL, LARGE = b"hello" * 20, b"x" * 200_000
STALE = "Cache-Control: max-age=0, stale-while-revalidate=600", 'ETag: "a"'
GZIP = "Accept-Encoding: gzip"


def each(number: int) -> bytes:
    return get(f"/{number}")


def same(*fields: str) -> Callable[[int], bytes]:
    return lambda number: get("/a", *fields)


CASES: dict[str, tuple[Callable[[int], bytes], bytes, int]] = {
    # what is asked, what a backend answers, the bytes of that which come behind the rest
    "a miss": (each, ok(SMALL, FRESH), 0),
    "a miss in pieces": (each, ok(SMALL, FRESH), 10),
    "a miss into a file": (each, ok(LARGE, FRESH), 100_000),
    "chunks": (each, CHUNKED + chunk(b"abc") + LAST, len(LAST)),
    "unstorable": (each, ok(SMALL, "Cache-Control: no-store"), 0),
    "a hit": (same(), ok(SMALL, FRESH), 0),
    "a hit out of a file": (same(), ok(LARGE, FRESH), 0),
    "a part": (lambda number: get("/a", f"Range: bytes={number}-") if number else get("/a"), ok(SMALL, FRESH), 0),
    "a condition": (same('If-None-Match: "b"'), ok(SMALL, FRESH, 'ETag: "a"'), 0),
    "HEAD": (lambda number: get("/a", method="HEAD" if number else "GET"), ok(SMALL, FRESH), 0),
    "a variant": (lambda number: get("/a", f"A: {number}"), ok(SMALL, FRESH, "Vary: A"), 0),
    "compressed": (lambda number: get(f"/{number}", GZIP), ok(SMALL * 50, FRESH, "Content-Type: text/css"), 10),
    "stale": (same(), ok(SMALL, *STALE), 0),
    "stale for its client": (same(), ok(SMALL, "Cache-Control: max-age=0"), 0),
    "POST": (lambda number: get("/a", "Content-Length: 0", method="POST"), ok(), 0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("compress", [True, False])
def test_nothing_waits_for_the_collector(case: str, compress: bool) -> None:
    """A miss that did kept its body, and all that belongs to it, for as long as 700 more."""
    asked, answer, late = CASES[case]
    caching = Caching(compress=model.CompressConfig(("gzip",)) if compress else None)

    def ask(number: int) -> None:
        client = caching.world.connect()
        client.feed(asked(number))
        upstream = caching.world.upstream if caching.world.upstreams else None
        if upstream is not None and upstream.is_open() and upstream.take():
            upstream.feed(answer[: len(answer) - late])
            if late:
                upstream.feed(answer[len(answer) - late :])
        caching.world.settle()
        client.take()
        client.feed(EOF)
        caching.world.settle()

    for number in range(5):
        ask(number)
    gc.collect()
    gc.disable()
    try:
        for number in range(5, 15):
            ask(number)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = Counter(type(each).__qualname__ for each in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    ours = {name: count for name, count in left.items() if name in WATCHED}
    assert not ours


WATCHED = {
    "Exchange", "Fetch", "Refresh", "Fill", "Tee", "OwnClient", "StandIn", "LookedUp", "bytearray", "Intake", "Fed", "Subrequest",
    "FoundAnswer", "StoredAnswer", "_Served", "FileBody",
}  # fmt: skip
