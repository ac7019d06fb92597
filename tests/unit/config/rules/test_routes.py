"""[[route]]: what holds between its keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbproxy.config.model import MatchConfig, PathRulesConfig, RespondConfig, RouteConfig, SplitStickyConfig
from tests.unit.config.text import LEAST, complaint, read, refused


def test_routes() -> None:
    """Host and path are optional."""
    text = LEAST.replace('pool = "app"', 'host = "*.Example.com"\npath = "/api/"\npool = "app"\n[[route]]\npool = "app"')
    assert read(text).routes == (RouteConfig("app", "*.example.com", "/api/", 4), RouteConfig("app", None, "/", 8))


def test_rules_for_paths() -> None:
    """Off unless asked for; two of them contradict each other."""
    text = LEAST.replace('pool = "app"', 'encoded_slash = "refuse"\nmerge_slashes = true\npool = "app"')
    [route] = read(text).routes
    assert (route.encoded_slash, route.merge_slashes, route.raw_path) == ("refuse", True, False)
    found = complaint(LEAST.replace('pool = "app"', 'merge_slashes = true\nraw_path = true\npool = "app"'))
    assert (found.key, found.hint) == ("route[0].raw_path", "take one of them out")
    assert complaint(LEAST.replace('pool = "app"', 'encoded_slash = "decode"\npool = "app"')).key == "route[0].encoded_slash"


def test_routes_to_nowhere() -> None:
    """A pool that does not exist: the nearest one, or all there are."""
    assert complaint(LEAST.replace('pool = "app"', 'pool = "aps"')).hint == 'did you mean "app"?'
    assert complaint(LEAST.replace('pool = "app"', 'pool = "zzz"')).hint == "there are: app"
    found = complaint(LEAST.replace('pool = "app"', 'path = "/"'))
    assert (found.key, found.message) == ("route[0]", '"pool" is missing')
    assert found.hint == 'add pool = "app"; or split, redirect, respond or close'


def test_half_a_route_breeds_no_more_complaints() -> None:
    """A route whose host is refused is not taken for one that matches every host."""
    text = LEAST.replace("[[route]]", '[[route]]\nhost = "a:1"\npool = "app"\n[[route]]')
    assert [found.key for found in refused(text)] == ["route[0].host"]


# ---------------------------------------------------------------- destinations, conditions, prefixes


def routed(lines: str) -> str:
    """The least configuration with these lines instead of its route's pool, and a second pool."""
    return LEAST.replace('pool = "app"', lines, 1) + '[pool.blue]\nbackends = ["10.0.0.2:80"]\n'


@pytest.mark.parametrize(("lines", "route"), [
    ('split = { app = 95, blue = 5 }', RouteConfig(split=(("app", 95), ("blue", 5)))),
    ('split = { app = 1, blue = 0 }\nsticky = { cookie = "c" }',
        RouteConfig(split=(("app", 1), ("blue", 0)), sticky=SplitStickyConfig("c"))),
    ('split = { app = 1, blue = 1 }\nsticky = { header = "X-U" }',
     RouteConfig(split=(("app", 1), ("blue", 1)), sticky=SplitStickyConfig(header="X-U"))),
    ('redirect = "https://new.example{path}"', RouteConfig(redirect="https://new.example{path}")),
    ('redirect = "/x"\nstatus = 302', RouteConfig(redirect="/x", status=302)),
    ('respond = { status = 204 }', RouteConfig(respond=RespondConfig(204))), ('respond = {}', RouteConfig(respond=RespondConfig())),
    ('respond = { status = 503, body = "soon", type = "text/html" }', RouteConfig(respond=RespondConfig(503, "soon", "text/html"))),
    ('close = true', RouteConfig(close=True)), ('close = false\npool = "app"', RouteConfig("app")),
    ('pool = "app"\nmatch = { exact = "/x", methods = ["GET"] }',
        RouteConfig("app", match=MatchConfig(exact="/x", methods=("GET",)))),
    ('pool = "app"\nmatch = { glob = "*.png", headers = { "X-A" = ["1", "2"] }, query = { b = "c" } }',
     RouteConfig("app", match=MatchConfig(glob="*.png", headers=(("X-A", ("1", "2")),), query=(("b", ("c",)),)))),
    ('pool = "app"\npath = "/a/"\nstrip_prefix = "/a/"', RouteConfig("app", path="/a/", paths=PathRulesConfig("/a"))),
    ('pool = "app"\nadd_prefix = "/v1"', RouteConfig("app", paths=PathRulesConfig(add="/v1"))),
    ('pool = "app"\npath = "/a/b"\nstrip_prefix = "/a"\nadd_prefix = "/c"',
        RouteConfig("app", path="/a/b", paths=PathRulesConfig("/a", "/c"))),
    ('pool = "app"\npath = "/a"\nreplace_prefix = { from = "/a", to = "/b" }', RouteConfig("app", path="/a",
     paths=PathRulesConfig(replace=("/a", "/b")))),
    ('pool = "app"\nstrip_prefix = "/a"\nmatch = { glob = "/a/*" }',
        RouteConfig("app", match=MatchConfig(glob="/a/*"), paths=PathRulesConfig("/a"))),
    ('redirect = "https://n{path}"\npath = "/a"\nstrip_prefix = "/a"', RouteConfig(redirect="https://n{path}", path="/a",
     paths=PathRulesConfig("/a"))),
])  # fmt: skip
def test_what_a_route_can_say(lines: str, route: RouteConfig) -> None:
    """Each destination, each condition, each prefix."""
    [found] = read(routed(lines)).routes
    assert replace(found, line=0) == route


@pytest.mark.parametrize(("lines", "key", "message", "hint"), [
    ('pool = "app"\nredirect = "/x"', "redirect", "a route leads to one place, and pool says which", "take one of them out"),
    ('redirect = "/x"\nclose = true', "close", "a route leads to one place, and redirect says which", "take one of them out"),
    ('split = { app = 1, bleu = 1 }', "split", 'there is no pool "bleu"', 'did you mean "blue"?'),
    ('split = { app = 0, blue = 0 }', "split", "nobody gets anything: every weight is 0", "give one of them 1"),
    ('split = {}', "split", "wanted a table of 1 to 16 pools such as { blue = 95, green = 5 }, got a table", ""),
    ('split = { app = -1, blue = 1 }', "split.app", "wanted a whole number from 0 to 1000, got the number -1", ""),
    ('split = { app = "95" }', "split.app", 'wanted a whole number from 0 to 1000, got "95"', "write it without quotes"),
    ('pool = "app"\nsticky = { cookie = "c" }', "sticky", "means nothing without split",
     "a client is kept with its backend by [pool.NAME.sticky]"),
    ('split = { app = 1 }\nsticky = {}', "sticky", "wanted either cookie or header",
     'write sticky = { cookie = "shop" } or { header = "X-User" }'),
    ('split = { app = 1 }\nsticky = { cookie = "c", header = "X-U" }', "sticky", "wanted either cookie or header",
     'write sticky = { cookie = "shop" } or { header = "X-User" }'),
    ('split = { app = 1 }\nsticky = { cookie = "c d" }', "sticky.cookie",
     'wanted the name of a cookie, such as "shop", got "c d"', ""),
    ('pool = "app"\nstatus = 301', "status", "means nothing without redirect",
     "an answer's own status stands in respond = { status = ... }"),
    ('redirect = "{path}"', "redirect", '"{path}" begins with {path}: "//evil.example/" is a path, too, and browsers take it for '
     "another host", 'write "{scheme}://{host}{path}"'),
    ('respond = { status = 204, body = "x" }', "respond.body",
     "an answer of 204 has no body (RFC 9110 15)", "take it out, or answer 200"),
    ('respond = { status = 101 }', "respond.status", "wanted a whole number from 200 to 599, got the number 101", ""),
    ('respond = { type = "text/html" }', "respond.type", "there is no body that it could be of", 'add body = "..."'),
    ('respond = { staus = 200 }', "respond.staus", "unknown key", 'did you mean "status"?'),
    ('pool = "app"\npath = "/x"\nmatch = { exact = "/x" }', "path", "match.exact says the whole path already",
     "take one of them out"),
    ('pool = "app"\nmatch = { exact = "/x", glob = "/x*" }', "match.glob", "exact says the whole path already",
     "take one of them out"),
    ('pool = "app"\npath = "/img"\nmatch = { glob = "/pics/*.png" }', "path", "no path is below /img and fits /pics/*.png",
     'a text with stars is of the whole path: write glob = "/img/*"'),
    ('pool = "app"\npath = "/img/"\nmatch = { glob = "/imgs/*" }', "path", "no path is below /img/ and fits /imgs/*",
     'a text with stars is of the whole path: write glob = "/img/*"'),
    ('pool = "app"\nmatch = { headers = { "X-A" = "1", "x-a" = "2" } }', "match.headers.x-a", "stands here twice, in two spellings",
     "names of headers know no upper and lower case"),
    ('pool = "app"\nmatch = { methods = ["get"] }', "match.methods[0]", 'wanted a method such as "GET", got "get"', 'write "GET"'),
    ('pool = "app"\nmatch = { methods = [] }', "match.methods", "wanted at least one method, got an empty list",
     "leave the key out for all of them"),
    ('pool = "app"\nmatch = { exakt = "/x" }', "match.exakt", "unknown key", 'did you mean "exact"?'),
    ('pool = "app"\nmatch = "/x"', "match", 'wanted a table such as { methods = ["GET"] }, got "/x"', ""),
    ('pool = "app"\nmerge_slashes = true\nmatch = { exact = "/a//b" }', "merge_slashes",
     "a path with merged slashes never has two in a row, as match asks for", "take one out"),
    ('pool = "app"\nstrip_prefix = "/a"', "strip_prefix", "this route is also for paths that do not begin with /a",
     'add path = "/a"'),
    ('pool = "app"\npath = "/ab"\nstrip_prefix = "/a"', "strip_prefix", "this route is also for paths that do not begin with /a",
     'add path = "/a"'),
    ('pool = "app"\npath = "/a"\nstrip_prefix = "/a"\nreplace_prefix = { from = "/a", to = "/b" }', "replace_prefix",
     "says what strip_prefix says as well", "take one of them out"),
    ('pool = "app"\npath = "/a"\nraw_path = true\nstrip_prefix = "/a"', "strip_prefix",
     "a path that is forwarded as it came keeps its prefix", "take one of them out"),
    ('close = true\nadd_prefix = "/a"', "add_prefix", "no path is forwarded from here", "take it out"),
    ('pool = "app"\npath = "/%61"', "path", 'wanted a path in normal form, got "/%61"',
     "escapes in upper case; letters, digits, - . _ ~ without; no dot segments"),
])  # fmt: skip
def test_what_a_route_cannot_say(lines: str, key: str, message: str, hint: str) -> None:
    """Each with one complaint, at its place, with what to do."""
    found = complaint(routed(lines))
    assert (found.key, found.message, found.hint) == (f"route[0].{key}", message, hint)


def test_a_route_that_leads_nowhere_or_everywhere() -> None:
    """Every destination but the first is one too many."""
    found = refused(routed('pool = "app"\nsplit = { app = 1 }\nredirect = "/x"\nrespond = {}\nclose = true'))
    assert [each.key for each in found] == [f"route[0].{key}" for key in ("split", "redirect", "respond", "close")]


def test_conditions_have_their_place_in_the_order() -> None:
    """A route that takes all that another one asks for hides it; one that asks for more does not."""
    two = '[[route]]\npool = "app"\nmatch = {{ {} }}\n[[route]]\npool = "app"\nmatch = {{ {} }}'
    text = LEAST.replace('[[route]]\npool = "app"', two)
    read(text.format('methods = ["POST"]', 'methods = ["GET"]'))
    found = complaint(text.format('methods = ["GET"]', 'methods = ["HEAD"], query = { a = "1" }'))
    assert found.message == "this route is never reached: the one on line 4 matches first"
    assert found.hint == "move this one above it"
    assert complaint(text.format('exact = "/x"', 'exact = "/x"')).hint == "take one of them out"
