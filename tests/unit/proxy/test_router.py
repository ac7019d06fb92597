"""Host and path to pool: the first match wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.model import Route
from lbproxy.errors import RequestError
from lbproxy.http.target import split_target
from lbproxy.proxy import router as module
from lbproxy.proxy.router import Router


def router(*routes: tuple[str | None, str]) -> Router[int]:
    """Each route's target is its place."""
    return Router([(Route("pool", host, path), place) for place, (host, path) in enumerate(routes)])


EXAMPLE = router(
    ("example.com", "/api/"),
    ("example.com", "/static"),
    ("*.example.com", "/"),
    (None, "/health"),
    ("example.com", "/"),
    ("[::1]", "/"),
)


@pytest.mark.parametrize(("host", "path", "place"), [
    (b"example.com", b"/api/", 0),
    (b"example.com", b"/api/x", 0),
    (b"example.com", b"/api", 4),
    (b"example.com", b"/apis/", 4),
    (b"example.com", b"/static", 1),
    (b"example.com", b"/static/", 1),
    (b"example.com", b"/static/x", 1),
    (b"example.com", b"/statics", 4),
    (b"example.com", b"/static.css", 4),
    (b"example.com", b"/Static", 4),
    (b"example.com", b"/health", 3),
    (b"example.com", b"*", 4),
    (b"www.example.com", b"/api/", 2),
    (b"www.example.com", b"*", 2),
    (b"a.b.example.com", b"/", None),
    (b"a.b.example.com", b"/health/x", 3),
    (b"xexample.com", b"/", None),
    (b"example.com.evil", b"/", None),
    (b"com", b"/", None),
    (b"com", b"/health", 3),
    (b"com", b"*", None),
    (b"[::1]", b"/", 5),
])  # fmt: skip
def test_first_match(host: bytes, path: bytes, place: int | None) -> None:
    """Exact hosts, one label for a star, whole segments of a path; asked twice, since hosts are remembered."""
    assert EXAMPLE.match(host, path) == place
    assert EXAMPLE.match(host, path) == place


def test_no_routes() -> None:
    """Nothing matches."""
    assert router().match(b"example.com", b"/") is None


def test_the_order_decides() -> None:
    """Not the longer prefix, nor the more exact host."""
    assert router((None, "/"), ("example.com", "/a")).match(b"example.com", b"/a") == 0


def test_memory_is_bounded() -> None:
    """Invented hosts push each other out, and are told apart all the while."""
    some = router(("*.example.com", "/"), ("h7.example.org", "/"))
    for number in range(3 * module._REMEMBERED):
        assert some.match(b"h%d.example.com" % number, b"/") == 0
        assert some.match(b"h%d.example.org" % number, b"/") == (1 if number == 7 else None)
    assert len(some._by_host) <= module._REMEMBERED


@given(st.lists(st.sampled_from([b"admin", b"a", b".", b"..", b"%2e%2e", b"%61dmin", b""]), max_size=6))
def test_no_way_round_a_prefix(segments: list[bytes]) -> None:
    """What is below /admin for the router is below /admin in the target that is forwarded, and the other way round."""
    guard = router((None, "/admin"), (None, "/"))
    try:
        path, forwarded = split_target(b"/" + b"/".join(segments))
    except RequestError:
        return
    first = forwarded.split(b"/")[1]
    assert guard.match(b"h", path) == (0 if first == b"admin" else 1)
