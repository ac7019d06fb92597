"""What people know a route by, and where it leads, in a few words."""

from __future__ import annotations

import pytest

from lbproxy.config.model import Match, Respond, Route


@pytest.mark.parametrize(("route", "name"), [
    (Route("app"), "/"), (Route("app", "a.example", "/x/"), "a.example/x/"),
    (Route("app", match=Match(exact="/x")), "/ {exact /x}"),
    (Route("app", "h", match=Match(glob="/*.png", regex="^/[a-z]", methods=("GET", "PUT"))),
     "h/ {glob /*.png, regex ^/[a-z], GET/PUT}"),
    (Route("app", match=Match(headers=(("X-Beta", ("1", "2")),), query=(("a", ("b",)),))), "/ {X-Beta: 1 | 2, ?a=b}"),
])  # fmt: skip
def test_names(route: Route, name: str) -> None:
    """Host, path, and what else it asks for: a plan of a reload tells one from the other by them."""
    assert route.name == name


@pytest.mark.parametrize(("route", "words", "pools"), [
    (Route("app"), "pool app", ("app",)), (Route(split=(("a", 95), ("b", 5))), "split a 95, b 5", ("a", "b")),
    (Route(redirect="/x"), "redirect /x", ()), (Route(respond=Respond(503)), "respond 503", ()), (Route(close=True), "close", ()),
])  # fmt: skip
def test_destinations(route: Route, words: str, pools: tuple[str, ...]) -> None:
    """Of which there is one."""
    assert (route.leads_to, route.pools) == (words, pools)
