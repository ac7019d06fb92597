"""lbproxy.proxy.caching.at_hand: a stored answer is laid out once, and what changes of it once a second."""

from __future__ import annotations

from lbproxy.cache.watch import HeldEntry
from lbproxy.http.heads import ResponseHeads
from lbproxy.proxy.caching.at_hand import AtHand, fork_at_hand
from tests.unit.http.heads import values

HELD = HeldEntry(0, 0, 0, 0, 0, 0, 0, 0)
RAW = b"HTTP/1.1 200 OK\r\nETag: 1\r\nContent-Length: 4\r\n\r\n"


def answer() -> AtHand:
    return AtHand(HELD, None, RAW, b"body", 100.5, 160.5)


def test_it_is_laid_out_once_a_second() -> None:
    found, heads = answer(), ResponseHeads(100)
    known = found.known(heads)
    first = found.out(known, 101.0)
    assert found.known(heads) is known
    assert found.out(known, 101.2) is first
    assert (values(first, "age"), values(first, "etag"), values(first, "via")) == ([b"0"], [b"1"], [b"1.1 lbproxy"])
    assert values(first, "cache-status") == [b"lbproxy; hit; ttl=59"]
    later = found.out(known, 102.5)
    assert (values(later, "age"), values(later, "cache-status")) == ([b"2"], [b"lbproxy; hit; ttl=58"])
    assert later.endswith(b"\r\n\r\n")


def test_each_route_has_rules_of_its_own() -> None:
    """Whoever has others gets it by those."""
    found, ours = answer(), ResponseHeads(100)
    for heads, via in ((ours, b"1.1 lbproxy"), (ours.over_http_2(), b"2 lbproxy"), (ours, b"1.1 lbproxy")):
        assert values(found.out(found.known(heads), 101.0), "via") == [via]


def test_it_is_reckoned_with_all_that_it_holds() -> None:
    assert answer().size > len(RAW) + 4
    fork = fork_at_hand(HELD, b"mark", (b"cookie",))
    assert (fork.mark, fork.names, fork.held) == (b"mark", (b"cookie",), HELD)
    assert fork.fresh_until == 0
