"""Host and path to pool: the first match wins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.model import MatchConfig, RouteConfig
from lbproxy.errors import RequestError
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h1.request import LastFields, parse_request
from lbproxy.http.target import split_target
from lbproxy.proxy.router import Router
from tests.unit.http.heads import asking, request


def router(*routes: tuple[str | None, str]) -> Router[int]:
    """Each route's target is its destination."""
    return Router([(RouteConfig("pool", host, path), destination) for destination, (host, path) in enumerate(routes)])


EXAMPLE = router(
    ("example.com", "/api/"),
    ("example.com", "/static"),
    ("*.example.com", "/"),
    (None, "/health"),
    ("example.com", "/"),
    ("[::1]", "/"),
)


@pytest.mark.parametrize(("host", "path", "destination"), [
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
def test_first_match(host: bytes, path: bytes, destination: int | None) -> None:
    """Exact hosts, one label for a star, whole segments of a path; asked twice, since hosts are remembered."""
    assert EXAMPLE.match(asking(host, path)) == destination
    assert EXAMPLE.match(asking(host, path)) == destination


def test_no_routes() -> None:
    """Nothing matches."""
    assert router().match(asking(b"example.com", b"/")) is None


def test_the_order_decides() -> None:
    """Not the longer prefix, nor the more exact host."""
    assert router((None, "/"), ("example.com", "/a")).match(asking(b"example.com", b"/a")) == 0


def test_invented_hosts_are_told_apart() -> None:
    """However many there are; nothing is remembered of them."""
    some = router(("*.example.com", "/"), ("h7.example.org", "/"))
    for number in range(2000):
        assert some.match(asking(b"h%d.example.com" % number, b"/")) == 0
        assert some.match(asking(b"h%d.example.org" % number, b"/")) == (1 if number == 7 else None)


@given(st.lists(st.sampled_from([b"admin", b"a", b".", b"..", b"%2e%2e", b"%61dmin", b""]), max_size=6))
def test_no_way_round_a_prefix(segments: list[bytes]) -> None:
    """What is below /admin for the router is below /admin in the target that is forwarded, and the other way round."""
    guard = router((None, "/admin"), (None, "/"))
    try:
        path, forwarded = split_target(b"/" + b"/".join(segments))
    except RequestError:
        return
    first = forwarded.split(b"/")[1]
    assert guard.match(asking(b"h", path)) == (0 if first == b"admin" else 1)


# ---------------------------------------------------------------- rules of a route's own


def follow(routes: list[RouteConfig], target: bytes) -> tuple[int | None, bytes, bytes]:
    """(the route's destination, the path that was matched last, the target that is forwarded)"""
    careful = Router([(route, destination) for destination, route in enumerate(routes)])
    assert careful.has_rules
    destination, head = careful.match_as_forwarded(request(line=b"GET " + target + b" HTTP/1.1"))
    return destination, head.path, head.target


def test_no_rules() -> None:
    """Nobody has any: nothing to follow."""
    assert not EXAMPLE.has_rules


@pytest.mark.parametrize(("target", "forwarded"), [
    (b"/a//b", b"/a/b"), (b"//", b"/"), (b"////a///", b"/a/"), (b"//a?b=//c", b"/a?b=//c"), (b"/a", b"/a"),
    (b"/a%2F/b//c", b"/a%2F/b/c"), (b"/a//../b", b"/a/b"), (b"//%61", b"/a"),
])  # fmt: skip
def test_merged_slashes(target: bytes, forwarded: bytes) -> None:
    """In the path, never in the query."""
    assert follow([RouteConfig("app", merge_slashes=True)], target) == (0, forwarded.partition(b"?")[0], forwarded)


def test_merged_slashes_are_no_way_round_a_route() -> None:
    """What is forwarded as /admin is what the route for /admin decides on."""
    routes = [RouteConfig("strict", path="/admin"), RouteConfig("app", merge_slashes=True)]
    assert follow(routes, b"//admin") == (0, b"/admin", b"/admin")
    assert follow(routes, b"/x//admin") == (1, b"/x/admin", b"/x/admin")
    assert follow([RouteConfig("strict", path="/admin", encoded_slash="refuse"), RouteConfig("app")], b"//admin") == (
        1,
        b"//admin",
        b"//admin",
    )
    with pytest.raises(RequestError, match="encoded slash"):
        follow(
            [RouteConfig("strict", path="/admin", encoded_slash="refuse"), RouteConfig("app", merge_slashes=True)], b"//admin/a%2fb"
        )


def test_encoded_slashes() -> None:
    """Refused where the route says so; in the query they are nobody's business."""
    routes = [RouteConfig("strict", path="/strict", encoded_slash="refuse"), RouteConfig("app")]
    with pytest.raises(RequestError) as caught:
        follow(routes, b"/strict/a%2fb")
    assert (caught.value.status, caught.value.reason) == (400, "target_encoded_slash")
    assert follow(routes, b"/strict/a?b=%2f") == (0, b"/strict/a", b"/strict/a?b=%2f")
    assert follow(routes, b"/a%2fb") == (1, b"/a%2Fb", b"/a%2Fb")


@pytest.mark.parametrize(
    "target", [b"/raw/%61", b"/raw/x/../y", b"/raw/a%2fb?c=%2f", b"/raw/%7e/", b"/raw/a", b"/raw//", b"/x/%2e%2e/raw/y"]
)
def test_raw_path(target: bytes) -> None:
    """Matched is the normal form, forwarded are the client's bytes."""
    routes = [RouteConfig("raw", path="/raw", raw_path=True), RouteConfig("app")]
    destination, path, forwarded = follow(routes, target)
    assert (destination, forwarded) == (0, target)
    assert path.startswith(b"/raw/")
    assert follow(routes, b"/raw/../a%41") == (1, b"/aA", b"/aA")


@pytest.mark.parametrize(
    "target", [b"/raw/%00", b"/raw\\x", b"/raw/%5c", b"/raw/../../x", b"/raw/..;/x", b"/raw/%2f../x", b"/raw/%zz"]
)
def test_raw_path_refuses_the_same(target: bytes) -> None:
    """What is refused has no normal form to match."""
    with pytest.raises(RequestError):
        follow([RouteConfig("raw", path="/raw", raw_path=True)], target)


def test_raw_path_of_an_absolute_form() -> None:
    """It is the path of it, not the URL."""
    assert follow([RouteConfig("raw", raw_path=True)], b"http://example.com/%61?b") == (0, b"/a", b"/%61?b")


@given(st.lists(st.sampled_from([b"/", b"//", b"a", b"admin", b"%2f", b"%61", b".", b"x"]), max_size=8))
def test_route_and_forwarded_path_agree(parts: list[bytes]) -> None:
    """Whatever the rules: asked for what was forwarded, the router gives the same route and forwards it the same."""
    routes = [
        RouteConfig("a", path="/admin"),
        RouteConfig("b", path="/a", merge_slashes=True),
        RouteConfig("c", path="/x"),
        RouteConfig("d", merge_slashes=True),
    ]
    try:
        destination, _, forwarded = follow(routes, b"/" + b"".join(parts))
    except RequestError:
        return
    assert follow(routes, forwarded)[::2] == (destination, forwarded)


@pytest.mark.parametrize(("rules", "target", "forwarded"), [
    ({"encoded_backslash": "pass"}, b"/a%5cb", b"/a%5Cb"),
    ({"raw_path": True}, b"/a%5cb/./c?d", b"/a%5cb/./c?d"),
    ({"encoded_backslash": "pass"}, b"/x/../a%5Cb", b"/a%5Cb"),
])  # fmt: skip
def test_encoded_backslashes_pass(rules: dict[str, Any], target: bytes, forwarded: bytes) -> None:
    """Object stores know them as a part of a name."""
    careful = Router([(RouteConfig("app", **rules), 0)])
    assert careful.backslash
    raw = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    destination, head = careful.match_as_forwarded(parse_request(raw, 8192, 100, None, careful.backslash))
    assert (destination, head.target) == (0, forwarded)


def test_encoded_backslashes_are_refused_elsewhere() -> None:
    """By the parser where no route wants them, else by each route that does not, and where none matches."""
    assert not Router([(RouteConfig("app"), 0)]).backslash
    careful = Router([(RouteConfig("app", path="/a"), 0), (RouteConfig("app", path="/b", encoded_backslash="pass"), 1)])
    for target in (b"/a/%5C", b"/c%5C"):
        head = parse_request(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n", 8192, 100, None, True)
        with pytest.raises(RequestError) as caught:
            careful.match_as_forwarded(head)
        assert (caught.value.status, caught.value.reason) == (400, "target_escape")


@pytest.mark.parametrize("target", [b"/a%5C..%5Cb", b"/..%5Cb", b"/a%5C..", b"/a%5C.;x", b"/a\\b", b"/a%5C../b", b"/a%5C%2e%2e/b"])
def test_backslashes_lead_nowhere_else(target: bytes) -> None:
    """Dots beside them are refused even where they pass, and so is a raw one."""
    with pytest.raises(RequestError):
        parse_request(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n", 8192, 100, None, True)


def test_underscores_pass_where_a_route_wants_them() -> None:
    """But for names that CGI reads as those of fields that are ours to say, or frame the message; other routes drop them all."""
    careful = Router([(RouteConfig("app", path="/u", underscores="pass"), 0), (RouteConfig("app"), 1)])
    assert careful.has_rules
    fields = (
        b"X_Api_Key: 1\r\n_: 2\r\nX_Real_IP: 3\r\nx-forwarded_FOR: 4\r\nContent_Length: 5\r\nSSL_Client_Verify: 6\r\nA: b_c\r\n"
    )
    forwarder, last = Forwarder("192.0.2.9", "https", 443, ()), LastFields()
    for path, kept in [(b"/u", [b"1", b"2"]), (b"/", []), (b"/u", [b"1", b"2"]), (b"/", []), (b"/x", [])]:
        raw = b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"
        _, head = careful.match_as_forwarded(parse_request(raw, 8192, 100, last))
        out = forwarder.request(head)
        block = out[: out.index(b"\r\nX-Real-IP")]
        assert [line.partition(b": ")[2] for line in block.split(b"\r\n")[2:] if b"_" in line.partition(b":")[0]] == kept
        assert b"\r\nA: b_c" in block


# ---------------------------------------------------------------- no way round what a route asks for

GUARD = Router(
    [
        (RouteConfig("strict", "example.com", match=MatchConfig(exact="/admin")), "path"),
        (RouteConfig("strict", "example.com", match=MatchConfig(glob="/files/*.key")), "glob"),
        (RouteConfig("strict", match=MatchConfig(headers=(("X-Role", ("root",)),))), "field"),
        (RouteConfig("strict", match=MatchConfig(query=(("as", ("root",)),))), "query"),
        (RouteConfig("strict", match=MatchConfig(methods=("GET",)), path="/get"), "method"),
        (RouteConfig("open"), "open"),
    ]
)


@pytest.mark.parametrize(("host", "target", "lines", "found"), [
    (b"example.com", b"/admin", (), "path"), (b"EXAMPLE.com", b"/admin", (), "path"), (b"example.com.", b"/admin", (), "path"),
    (b"example.com:8443", b"/admin", (), "path"), (b"example.com", b"/x/%2e%2e/admin", (), "path"),
    (b"example.com", b"/./admin", (), "path"), (b"example.com", b"/%61dmin", (), "path"),
    (b"example.com", b"/%61%64min?x", (), "path"),
    (b"example.com", b"http://example.com/admin", (), "path"), (b"example.com", b"/files/a.%6bey", (), "glob"),
    (b"example.com", b"/files/x/../a.key?.png", (), "glob"), (b"h", b"/", (b"x-ROLE:ROOT",), "field"),
    (b"h", b"/", (b"X-Role: user", b"X-Role: root"), "field"), (b"h", b"/", (b"X-Role: root", b"X-Role: user"), "field"),
    (b"h", b"/", (b"X-Role: user,root",), "field"), (b"h", b"/?as=user&as=root", (), "query"),
    (b"h", b"/?as=root&as=user", (), "query"),
    (b"h", b"/?%61s=%72oot", (), "query"), (b"h", b"/?x=1;as=root", (), "query"), (b"h", b"/?&&as=root", (), "query"),
    (b"h", b"/get", (), "method"), (b"h", b"/", (), "open"), (b"h", b"/admin", (), "open"), (b"h", b"/?as=user", (), "open"),
    # As with prefixes: what is not the same path is not the same path, unless a route merges slashes.
    (b"example.com", b"//admin", (), "open"), (b"example.com", b"/admin/", (), "open"), (b"example.com", b"/Admin", (), "open"),
])  # fmt: skip
def test_no_spelling_passes_a_condition(host: bytes, target: bytes, lines: tuple[bytes, ...], found: str) -> None:
    """Each way to say what a backend would understand as well."""
    assert GUARD.match(asking(host, target, *lines)) == found


def test_head_goes_where_get_goes() -> None:
    """A route for GET is one for HEAD."""
    assert GUARD.match(request(line=b"HEAD /get HTTP/1.1")) == "method"
    assert GUARD.match(request(line=b"POST /get HTTP/1.1")) == "open"


def test_merged_slashes_meet_conditions() -> None:
    """The path that is forwarded is the one that is asked for."""
    routes = [RouteConfig("strict", match=MatchConfig(exact="/admin")), RouteConfig("app", merge_slashes=True)]
    assert follow(routes, b"//admin") == (0, b"/admin", b"/admin")


def test_underscores_meet_conditions_where_they_are_passed() -> None:
    """A backend that reads X_Role as X-Role finds it where the router did."""
    strict = RouteConfig("strict", match=MatchConfig(headers=(("X-Role", ("root",)),)))
    passing = Router([(strict, 0), (RouteConfig("app", underscores="pass"), 1)])
    assert passing.match_as_forwarded(request(b"X_Role: root"))[0] == 0
    assert Router([(strict, 0), (RouteConfig("app"), 1)]).match(request(b"X_Role: root")) == 1
