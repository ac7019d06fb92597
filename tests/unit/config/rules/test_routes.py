"""[[route]]: what holds between its keys."""

from __future__ import annotations

from lbproxy.config.model import Route
from tests.unit.config.text import LEAST, complaint, read, refused


def test_routes() -> None:
    """Host and path are optional."""
    text = LEAST.replace('pool = "app"', 'host = "*.Example.com"\npath = "/api/"\npool = "app"\n[[route]]\npool = "app"')
    assert read(text).routes == (Route("app", "*.example.com", "/api/", 4), Route("app", None, "/", 8))


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
    assert (found.key, found.message, found.hint) == ("route[0]", '"pool" is missing', 'add pool = "app"')


def test_half_a_route_breeds_no_more_complaints() -> None:
    """A route whose host is refused is not taken for one that matches every host."""
    text = LEAST.replace("[[route]]", '[[route]]\nhost = "a:1"\npool = "app"\n[[route]]')
    assert [found.key for found in refused(text)] == ["route[0].host"]
