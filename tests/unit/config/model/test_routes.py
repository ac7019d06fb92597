"""What people know a route by, and where it leads, in a few words."""

from __future__ import annotations

import pytest

from lbproxy.config.model import MatchConfig, RespondConfig, RouteConfig


@pytest.mark.parametrize(("route", "name"), [
    (RouteConfig("app"), "/"), (RouteConfig("app", "a.example", "/x/"), "a.example/x/"),
    (RouteConfig("app", match=MatchConfig(exact="/x")), "/ {exact /x}"),
    (RouteConfig("app", "h", match=MatchConfig(glob="/*.png", regex="^/[a-z]", methods=("GET", "PUT"))),
     "h/ {glob /*.png, regex ^/[a-z], GET/PUT}"),
    (RouteConfig("app", match=MatchConfig(headers=(("X-Beta", ("1", "2")),), query=(("a", ("b",)),))), "/ {X-Beta: 1 | 2, ?a=b}"),
])  # fmt: skip
def test_names(route: RouteConfig, name: str) -> None:
    """Host, path, and what else it asks for: a plan of a reload tells one from the other by them."""
    assert route.name == name


@pytest.mark.parametrize(("route", "words", "pools"), [
    (RouteConfig("app"), "pool app", ("app",)), (RouteConfig(split=(("a", 95), ("b", 5))), "split a 95, b 5", ("a", "b")),
    (RouteConfig(redirect="/x"), "redirect /x", ()), (RouteConfig(respond=RespondConfig(503)), "respond 503", ()),
    (RouteConfig(close=True), "close", ()),
])  # fmt: skip
def test_destinations(route: RouteConfig, words: str, pools: tuple[str, ...]) -> None:
    """Of which there is one."""
    assert (route.leads_to, route.pools) == (words, pools)
