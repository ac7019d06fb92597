"""Host and path -> destination: the first route of the configuration that matches wins.

A host is exact, "*.example.com" (one label in place of the star, as in certificates), or absent (every host). A path is a prefix in
whole segments: "/api" matches "/api" and "/api/x", not "/apiary"; "/api/" matches what is below it. What a route asks for beyond
that is in http/conditions.py, and how thousands of routes are searched at the price of one in route_index.py.

What is matched is the path's normal form (http/target.py), and so is what is forwarded, unless the route has rules of its own. A
route that merges slashes is asked again with the merged path: else "//admin", which "/admin" does not match, would come through
such a route as "/admin", past whatever the route for "/admin" is there for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from lbproxy.config.model import RouteConfig
from lbproxy.errors import RequestError
from lbproxy.http.conditions import ConditionRequest
from lbproxy.http.message import RequestHead
from lbproxy.http.target import BACKSLASH, merge_slashes
from lbproxy.proxy.route_index import RouteEntry, RouteIndex

Target = TypeVar("Target")


def _passes_backslash(route: RouteConfig) -> bool:
    return route.encoded_backslash == "pass" or route.raw_path


class Router(Generic[Target]):
    """Immutable; a reload makes a new one. Nothing is remembered of what clients ask for."""

    def __init__(self, routes: Sequence[tuple[RouteConfig, Target]]) -> None:
        """In the order of the configuration. Raises regex.Unavailable, which the configuration's reader has seen before."""
        self._by_host: dict[bytes, RouteIndex[Target]] = {}
        self._by_domain: dict[bytes, RouteIndex[Target]] = {}
        """Of hosts with a star, by what is behind it."""
        self._for_all: RouteIndex[Target] = RouteIndex()
        self._conditional = False
        for order, (route, target) in enumerate(routes):
            entry = RouteEntry(order, route, target)
            self._index(route.host).add(entry)
            self._conditional = self._conditional or entry.conditions is not None
        self._twins = any(route.underscores == "pass" for route, _ in routes)
        self.backslash = any(_passes_backslash(route) for route, _ in routes)
        """Whether any route wants a path with an encoded backslash: it is refused for the others."""
        self.has_rules = (
            self.backslash
            or self._twins
            or any(route.encoded_slash != "pass" or route.merge_slashes or route.raw_path for route, _ in routes)
        )
        """Whether `match_as_forwarded` says more than `match`, which is cheaper; few configurations have that."""

    def _index(self, host: str | None) -> RouteIndex[Target]:
        if host is None:
            return self._for_all
        if host.startswith("*."):
            return self._by_domain.setdefault(host[2:].encode(), RouteIndex())
        return self._by_host.setdefault(host.encode(), RouteIndex())

    def match(self, head: RequestHead) -> Target | None:
        """Where a request goes, by its host, normal path and the rest of its head. Raises RequestError(400)."""
        entry = self._find(head)
        return None if entry is None else entry.target

    def match_as_forwarded(self, head: RequestHead) -> tuple[Target | None, RequestHead]:
        """(the target, the head as its route wants it forwarded). Raises RequestError(400) for what the route refuses."""
        entry = self._find(head)
        if entry is not None and entry.route.merge_slashes and b"//" in head.path:
            path = merge_slashes(head.path)
            head = head.elsewhere(head.method, path + head.target[len(head.path) :], path, head.raw)
            entry = self._find(head)
        if BACKSLASH in head.path and (entry is None or not _passes_backslash(entry.route)):
            raise RequestError(400, "target_escape", "an encoded backslash in the path, which this route refuses")
        if entry is None:
            return None, head
        if entry.route.underscores == "pass" and b"_" in head.block:
            head = head.with_underscores()
        if entry.route.encoded_slash == "refuse" and b"%2F" in head.path:
            raise RequestError(400, "target_encoded_slash", "an encoded slash in the path, which this route refuses")
        if entry.route.raw_path and head.raw:
            head = head.elsewhere(head.method, head.raw, head.path, head.raw)
        return entry.target, head

    def _find(self, head: RequestHead) -> RouteEntry[Target] | None:
        path = head.path
        asked = ConditionRequest(head, self._twins) if self._conditional else None
        best: RouteEntry[Target] | None = None
        if self._by_host and (index := self._by_host.get(head.host)) is not None:
            best = index.find(path, asked, None)
        if self._by_domain and (index := self._by_domain.get(head.host.partition(b".")[2])) is not None:
            best = index.find(path, asked, best)
        index = self._for_all
        return best if best is not None and best.order < index.first else index.find(path, asked, best)
