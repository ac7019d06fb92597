"""Routes found by their paths: the same one that a search through all of them finds, at a cost that does not grow."""

from __future__ import annotations

import sys
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.model import ANYTHING, MatchConfig, RouteConfig
from lbproxy.http.conditions import ConditionRequest
from lbproxy.proxy.route_index import LAST, RouteEntry, RouteIndex
from tests.unit.http.heads import asking


class Wish(NamedTuple):
    """What a route is for."""

    path: str = "/"
    match: MatchConfig = ANYTHING


def index(*wishes: Wish) -> RouteIndex[int]:
    """Each route leads to its place."""
    made: RouteIndex[int] = RouteIndex()
    for order, wish in enumerate(wishes):
        made.add(entry_of(order, wish))
    return made


def entry_of(order: int, wish: Wish) -> RouteEntry[int]:
    return RouteEntry(order, RouteConfig("p", path=wish.path, match=wish.match), order)


def found(made: RouteIndex[int], target: bytes, *lines: bytes) -> int | None:
    """The place of the route that a request gets."""
    head = asking(b"h", target, *lines)
    entry = made.find(head.path, ConditionRequest(head), None)
    return None if entry is None else entry.target


def in_turn(wishes: tuple[Wish, ...], target: bytes, *lines: bytes) -> int | None:
    """The same by asking one route after the other, as the configuration is read."""
    head = asking(b"h", target, *lines)
    for order, wish in enumerate(wishes):
        prefix, path = wish.path.encode(), head.path
        below = path.startswith(prefix) and (prefix.endswith(b"/") or path[len(prefix) : len(prefix) + 1] in (b"", b"/"))
        exact = wish.match.exact is None or wish.match.exact.encode() == path
        conditions = entry_of(order, wish).conditions
        if (prefix == b"/" or below) and exact and (conditions is None or conditions.met(ConditionRequest(head))):
            return order
    return None


SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", ""]), max_size=4)
PATHS = SEGMENTS.map(lambda segments: "/" + "/".join(segments))
MATCHES = st.one_of(
    st.just(MatchConfig()),
    PATHS.map(lambda path: MatchConfig(exact=path)),
    st.tuples(PATHS, st.sampled_from(["*", "*b", "/*", "*/a"])).map(lambda both: MatchConfig(glob=both[0] + both[1])),
    st.just(MatchConfig(headers=(("X-Beta", ("1",)),))),
    st.just(MatchConfig(methods=("POST",))),
)
ROUTE = st.builds(lambda path, match: Wish("/" if match.exact else path, match), PATHS, MATCHES)
ROUTES = st.lists(ROUTE, max_size=12)


@given(ROUTES, st.one_of(PATHS.map(str.encode), st.just(b"*")), st.sampled_from([(), (b"X-Beta: 1",)]))
def test_the_first_match_wins(routes: list[Wish], target: bytes, lines: tuple[bytes, ...]) -> None:
    """Whatever is nested in whatever, in any order."""
    assert found(index(*routes), target, *lines) == in_turn(tuple(routes), target, *lines)


def test_what_comes_before_wins() -> None:
    """What another index found is kept if its place is before, and given up if it is behind."""
    made = index(Wish("/a"), Wish())
    head = asking(b"h", b"/x")
    before, behind = entry_of(0, Wish()), entry_of(9, Wish())
    assert made.find(head.path, None, before) is before
    assert getattr(made.find(head.path, None, behind), "target", None) == 1
    assert (made.first, RouteIndex[int]().first) == (0, LAST)


def steps(made: RouteIndex[int], target: bytes) -> int:
    """Lines of Python that it takes to find a route."""
    head = asking(b"h", target)
    asked = ConditionRequest(head)
    counted = 0

    def trace(frame: object, event: str, _: object) -> object:
        nonlocal counted
        counted += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]  # any callable will do
    try:
        made.find(head.path, asked, None)
    finally:
        sys.settrace(before)
    return counted


def test_many_routes_cost_what_one_does() -> None:
    """Prefixes, whole paths, and texts with stars that begin otherwise."""
    one = index(Wish("/p7"), Wish(match=MatchConfig(exact="/e7")), Wish("/g7", MatchConfig(glob="/g7/*.png")))
    many = index(
        *(Wish(f"/p{number}") for number in range(2000)),
        *(Wish(match=MatchConfig(exact=f"/e{number}")) for number in range(2000)),
        *(Wish(match=MatchConfig(glob=f"/g{number}/*.png")) for number in range(2000)),
    )
    for target in (b"/p7/x", b"/e7", b"/g7/a.png", b"/nowhere"):
        assert steps(many, target) <= steps(one, target) + 2, target


def test_a_deep_path_costs_what_the_deepest_route_does() -> None:
    """A path of thousands of segments is not walked where no route is so deep."""
    made = index(Wish("/a/b"), Wish())
    assert steps(made, b"/a/b" + b"/c" * 2000) < 60
