"""Routes that are never reached are told, and no others."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbproxy.config.model import MatchConfig, RouteConfig
from lbproxy.config.reach import MOST_COMPARED, begin, covers, never_reached
from lbproxy.http.message import RequestHead
from lbproxy.proxy.router import Router
from tests.unit.http.heads import asking


def route(path: str = "/", host: str | None = None, **match: object) -> RouteConfig:
    return RouteConfig("app", host, path, match=MatchConfig(**match))  # type: ignore[arg-type]


@pytest.mark.parametrize(("earlier", "later", "wanted"), [
    (route(), route("/a", "h"), True), (route("/a"), route(), False), (route("/api/"), route("/api"), False),
    (route("/api"), route("/api/"), True), (route("/api"), route("/apis"), False), (route("/", "*.h.x"), route("/", "a.h.x"), True),
    (route("/", "*.h.x"), route("/", "a.b.h.x"), False), (route("/", "h"), route(), False),
    (route(), route(exact="/x"), True), (route("/x"), route(exact="/x/y"), True), (route("/x/"), route(exact="/x"), False),
    (route(exact="/x"), route("/x"), False), (route(exact="/x"), route(exact="/x", methods=("GET",)), True),
    (route(glob="/*.png"), route(exact="/a/b.png"), True), (route(glob="/*.png"), route(exact="/a.gif"), False),
    (route(glob="/img/*"), route(glob="/img/*.png"), True), (route(glob="/img/*.png"), route(glob="/img/*"), False),
    (route("/img"), route(glob="/img/*.png"), True), (route("/img/"), route(glob="/img*"), False),
    (route(glob="/img/*"), route("/img/"), False), (route(methods=("GET",)), route(methods=("HEAD",)), True),
    (route(methods=("GET",)), route(), False), (route(methods=("POST", "GET")), route(methods=("POST",)), True),
    (route(), route(headers=(("X-A", ("1",)),)), True), (route(headers=(("X-A", ("1",)),)), route(), False),
    (route(headers=(("X-A", ("1", "2")),)), route(headers=(("x-a", ("1",)),)), True),
    (route(headers=(("X-A", ("1",)),)), route(headers=(("x-a", ("1", "2")),)), False),
    (route(headers=(("X-A", ("*",)),)), route(headers=(("X-A", ("b*",)), ("X-B", ("1",)))), True),
    (route(headers=(("X-A", ("UP*",)),)), route(headers=(("X-A", ("upper",)),)), True),
    (route(query=(("a", ("*",)),)), route(query=(("a", ("1",)),)), True),
    (route(query=(("A", ("1",)),)), route(query=(("a", ("1",)),)), False),
    (route(query=(("a", ("X",)),)), route(query=(("a", ("x",)),)), False),
])  # fmt: skip
def test_covers(earlier: RouteConfig, later: RouteConfig, wanted: bool) -> None:
    """Host, path, methods, fields and query, each as narrow or narrower."""
    assert covers(earlier, later) is wanted
    assert bool(list(never_reached([earlier, later]))) is wanted


def test_regular_expressions() -> None:
    """The same one, or a single path that can be tried; more would be guessing."""
    pytest.importorskip("re2")
    versions = route(regex="^/v[0-9]+/")
    assert covers(versions, versions)
    assert covers(versions, route(exact="/v1/x"))
    assert not covers(versions, route(exact="/v/x"))
    assert not covers(versions, route(regex="^/v1/"))
    assert not covers(versions, route("/v1/"))


PATHS = ["/", "/a", "/a/", "/a/b", "/ab"]
GLOBS = [None, "/a*", "/a/*", "*b", "/*/b"]
METHODS: list[tuple[str, ...]] = [(), ("GET",), ("GET", "POST")]
PATTERNS: list[tuple[tuple[str, tuple[str, ...]], ...]] = [(), (("A", ("1",)),), (("a", ("1*", "2")),)]
ROUTES = st.one_of(
    st.builds(lambda path, host, glob, methods, headers: route(path, host, glob=glob, methods=methods, headers=headers),
              st.sampled_from(PATHS), st.sampled_from([None, "h.x", "*.x"]), st.sampled_from(GLOBS), st.sampled_from(METHODS),
              st.sampled_from(PATTERNS)),
    st.builds(lambda exact, methods: route(exact=exact, methods=methods), st.sampled_from(PATHS), st.sampled_from(METHODS)),
)  # fmt: skip
REQUESTS: list[RequestHead] = [
    asking(host, path, *lines)
    for host, path, lines in product(
        (b"h.x", b"i.x", b"y"), (b"/", b"/a", b"/a/", b"/a/b", b"/ab", b"/b", b"/a/c/b", b"/axb"), ((), (b"A: 1",),
        (b"A: 2", b"B: 12"))
    )
]


@given(st.lists(ROUTES, min_size=2, max_size=5))
@example([route("/", glob="/a/*"), route("/ab", glob="/a/*")])
def test_a_complaint_is_never_wrong(routes: list[RouteConfig]) -> None:
    """No request gets to a route that is told not to be reached; and what is told is what single routes cover."""
    told = [later for later, _ in never_reached(routes)]
    router = Router([(each, index) for index, each in enumerate(routes)])
    for head in REQUESTS:
        found = router.match(head)
        assert found is None or not any(routes[found] is each for each in told)
    wanted = [later for index, later in enumerate(routes) if any(covers(earlier, later) for earlier in routes[:index])]
    assert [id(each) for each in told] == [id(each) for each in wanted]


def test_the_first_that_covers_is_named() -> None:
    """Not one behind it that is covered as well."""
    routes = [route("/a"), route("/a/b"), route("/a/b/c")]
    assert [(routes.index(later), routes.index(earlier)) for later, earlier in never_reached(routes)] == [(1, 0), (2, 0)]


def test_thousands_are_weighed_at_once() -> None:
    """Of those that stand at the same place some are compared, and one that takes all is not forgotten."""
    many = [route(headers=(("X-A", (str(number),)),)) for number in range(3 * MOST_COMPARED)]
    assert list(never_reached(many)) == []
    again = route(headers=(("X-A", ("1",)),))
    assert list(never_reached([*many, route(), again])) == [(again, many[1])]
    assert list(never_reached([*many, route(), route("/x")])) == [(route("/x"), route())]
    apart = [route(f"/p{number}", f"h{number % 7}.x") for number in range(5000)]
    assert list(never_reached(apart)) == []


def test_where_paths_begin() -> None:
    """In whole segments, as far as it can be told."""
    routes = [route(exact="/x/y"), route(glob="/img/a*"), route("/img", glob="/*"), route("/a", glob="/a/b/*")]
    assert [begin(each) for each in routes] == ["/x/y", "/img/", "/img", "/a/b/"]
