"""Which requests a route is for; and that no spelling of a request passes by what another spelling of it meets."""

from __future__ import annotations

import pytest

from lbproxy.config.model import MatchConfig
from lbproxy.errors import RequestError
from lbproxy.http.conditions import MOST_VALUES, ConditionRequest, conditions_of
from lbproxy.http.h1.request import parse_request
from lbproxy.http.message import RequestHead
from tests.unit.http.heads import asking, request
from tests.unit.http.work import growth


def met(match: MatchConfig, head: RequestHead, twins: bool = False) -> bool:
    conditions = conditions_of(match)
    assert conditions is not None
    return conditions.met(ConditionRequest(head, twins))


def test_nothing_is_asked_for() -> None:
    """A whole path is the router's to look up."""
    assert conditions_of(MatchConfig()) is None
    assert conditions_of(MatchConfig(exact="/x")) is None
    assert conditions_of(MatchConfig(exact="/x", methods=("GET",))) is not None


@pytest.mark.parametrize(("methods", "method", "is_met"), [
    (("GET",), b"GET", True), (("GET",), b"HEAD", True), (("GET",), b"POST", False), (("POST", "PUT"), b"PUT", True),
    (("HEAD",), b"GET", False),
])  # fmt: skip
def test_methods(methods: tuple[str, ...], method: bytes, is_met: bool) -> None:
    """GET stands for HEAD, too, and not the other way round."""
    assert met(MatchConfig(methods=methods), request(line=method + b" / HTTP/1.1")) is is_met


@pytest.mark.parametrize(("glob", "target", "is_met"), [
    ("/img/*.png", b"/img/a/b.png", True), ("/img/*.png", b"/img/a.PNG", False), ("/img/*.png", b"/img/a.png?x=.jpg", True),
    ("/img/*.png", b"/img/a.%70ng", True), ("/img/*.png", b"/x/%2e%2e/img/a.png", True), ("/img/*.png", b"/img/a.png/", False),
    ("/img/*.png", b"/%69mg/a.png", True), ("*", b"*", False), ("*", b"/", True),
])  # fmt: skip
def test_globs(glob: str, target: bytes, is_met: bool) -> None:
    """Of the whole path in normal form; a star is any text, slashes included; what is asked of the server has no path."""
    assert met(MatchConfig(glob=glob), asking(b"h", target)) is is_met


@pytest.mark.parametrize(("regex", "target", "is_met"), [
    ("^/v[0-9]+/", b"/v12/x", True), ("^/v[0-9]+/", b"/x/v12/", False), ("/v[0-9]+/", b"/x/v12/", True),
    ("^/v[0-9]+$", b"/%76%31", True), ("^/v[0-9]+$", b"/v1?/x", True), ("(?i)^/ADMIN", b"/admin", True), (".", b"*", False),
])  # fmt: skip
def test_regular_expressions(regex: str, target: bytes, is_met: bool) -> None:
    """Found somewhere in the path in normal form, unless they say where."""
    pytest.importorskip("re2")
    assert met(MatchConfig(regex=regex), asking(b"h", target)) is is_met


BETA = MatchConfig(headers=(("X-Beta", ("1", "y*s")),))


@pytest.mark.parametrize(("lines", "is_met"), [
    ((b"X-Beta: 1",), True), ((b"x-BETA:1 ",), True), ((b"X-Beta: YES",), True), ((b"X-Beta: 2",), False), ((), False),
    ((b"X-Beta: 0", b"X-Beta: 1"), True), ((b"X-Beta: 1", b"X-Beta: 0"), True),
    ((b"X-Beta: 0, 1",), True), ((b"X-Beta: 0,\t1 ,2",), True), ((b"X-Beta: 10",), False), ((b"X-Beta: ",), False),
    ((b"X_Beta: 1",), False),
])  # fmt: skip
def test_headers(lines: tuple[bytes, ...], is_met: bool) -> None:
    """Any value, of fields that are repeated and of lists; capitals mean nothing."""
    assert met(BETA, request(*lines)) is is_met


def test_underscores_are_read_as_cgi_reads_them() -> None:
    """Where some route passes them on; where none does they are dropped, and mean nothing."""
    head = request(b"X_beta: 1", b"X_Bet: 1")
    assert met(BETA, head, twins=True)
    assert not met(BETA, head)
    assert not met(MatchConfig(headers=(("X-Be", ("1",)),)), head, twins=True)


def test_a_header_that_is_there_at_all() -> None:
    """A star alone fits an empty value, too."""
    there = MatchConfig(headers=(("X-Beta", ("*",)),))
    assert met(there, request(b"X-Beta:"))
    assert not met(there, request(b"X-Bet: 1"))


def test_a_list_is_also_one_text() -> None:
    """What looks like a list may be none."""
    assert met(MatchConfig(headers=(("User-Agent", ("*html, like gecko*",)),)), request(b"User-Agent: A (KHTML, like Gecko)"))


DEBUG = MatchConfig(query=(("debug", ("1", "t*")),))


@pytest.mark.parametrize(("target", "is_met"), [
    (b"/?debug=1", True), (b"/?a=b&debug=1", True), (b"/?debug=0&debug=1", True), (b"/?debug=1&debug=0", True),
    (b"/?%64ebug=%31", True), (b"/?a;debug=1", True), (b"/?debug=true", True), (b"/?debug=0", False), (b"/?debug", False),
    (b"/debug=1", False), (b"/", False), (b"/?Debug=1", False), (b"/?xdebug=1", False), (b"/?a=debug=1", False),
    (b"/??debug=1", False),
])  # fmt: skip
def test_queries(target: bytes, is_met: bool) -> None:
    """Any value of a name, in any spelling; capitals count."""
    assert met(DEBUG, asking(b"h", target)) is is_met


def test_all_of_it() -> None:
    """Every condition, not one of them."""
    match = MatchConfig(methods=("GET",), headers=(("A", ("1",)), ("B", ("1",))), query=(("c", ("1",)), ("d", ("1",))))
    assert met(match, asking(b"h", b"/?c=1&d=1", b"A: 1", b"B: 1"))
    assert not met(match, asking(b"h", b"/?c=1&d=1", b"A: 1"))
    assert not met(match, asking(b"h", b"/?c=1", b"A: 1", b"B: 1"))


def test_more_values_than_can_be_looked_at() -> None:
    """Refused rather than passed by, and only where somebody looks at them."""
    many = b"X-Beta: " + b",".join(b"%d" % number for number in range(2, 3 + MOST_VALUES))
    with pytest.raises(RequestError) as caught:
        met(BETA, request(many))
    assert (caught.value.status, caught.value.reason) == (400, "field_values")
    query = b"/?" + b"&".join(b"debug=%d" % number for number in range(2, 3 + MOST_VALUES))
    with pytest.raises(RequestError) as caught:
        met(DEBUG, asking(b"h", query))
    assert (caught.value.status, caught.value.reason) == (400, "query_values")
    assert met(MatchConfig(query=(("a", ("*",)),)), asking(b"h", query + b"&a", many))


@pytest.mark.parametrize(("name", "begin", "piece", "small"), [
    ("list", b"X-Beta: ", b"ab,", 60), ("lines", b"", b"X-Beta: ab\r\n", 60), ("no such field", b"", b"A: b\r\n", 400),
])  # fmt: skip
def test_the_work_on_fields_is_linear(name: str, begin: bytes, piece: bytes, small: int) -> None:
    """Eight times as much takes about eight times as long."""
    assert growth(lambda lines: met(BETA, parse(begin + lines)), piece * small, piece * small * 8) < 24, name


@pytest.mark.parametrize("piece", [b"debug=0&", b"a=b&", b"a;", b"%64ebug=%32&", b"&", b"a+b=c+d&"])
def test_the_work_on_queries_is_linear(piece: bytes) -> None:
    """So does a query of anything."""
    assert growth(lambda query: met(DEBUG, asking(b"h", b"/?" + query)), piece * 80, piece * 640) < 24


def parse(lines: bytes) -> RequestHead:
    """A head of any size."""
    return parse_request(b"GET / HTTP/1.1\r\nHost: h\r\n" + lines.rstrip(b"\r\n") + b"\r\n\r\n", 8192, 10_000)
