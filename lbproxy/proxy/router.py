"""Host and path -> pool: the first route of the configuration that matches wins.

A host is exact, "*.example.com" (one label in place of the star, as in certificates), or absent (every host). A path is a prefix in
whole segments: "/api" matches "/api" and "/api/x", not "/apiary"; "/api/" matches what is below it.

What is matched is the path's normal form (http/target.py), and so is what is forwarded, unless the route has rules of its own. A
route that merges slashes is asked again with the merged path: else "//admin", which "/admin" does not match, would come through
such a route as "/admin", past whatever the route for "/admin" is there for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from lbproxy.config.model import Route
from lbproxy.errors import RequestError
from lbproxy.http.message import RequestHead
from lbproxy.http.target import BACKSLASH, merge_slashes

Target = TypeVar("Target")

_REMEMBERED = 1024
"""Hosts whose routes are remembered; beyond that the memory starts anew, so that invented hosts cannot fill it."""


def _passes_backslash(route: Route) -> bool:
    return route.encoded_backslash == "pass" or route.raw_path


class _Entry(NamedTuple, Generic[Target]):
    prefix: bytes
    target: Target
    route: Route


class Router(Generic[Target]):
    """Immutable; a reload makes a new one."""

    def __init__(self, routes: Sequence[tuple[Route, Target]]) -> None:
        """In the order of the configuration."""
        self._routes = [
            (route.host.encode() if route.host else None, _Entry(route.path.encode(), target, route)) for route, target in routes
        ]
        self._by_host: dict[bytes, list[_Entry[Target]]] = {}
        self.backslash = any(_passes_backslash(route) for route, _ in routes)
        """Whether any route wants a path with an encoded backslash: `follow` refuses it for the others."""
        self.has_rules = self.backslash or any(
            route.encoded_slash != "pass" or route.merge_slashes or route.raw_path or route.underscores == "pass"
            for route, _ in routes
        )
        """Whether `follow` says anything that `match` does not; few configurations have that, and `match` is the cheaper."""

    def match(self, host: bytes, path: bytes) -> Target | None:
        """`host`: lower case, without port; `path`: normalised, or "*"."""
        entry = self._find(host, path)
        return None if entry is None else entry.target

    def follow(self, head: RequestHead) -> tuple[Target | None, RequestHead]:
        """(the target, the head as its route wants it forwarded). Raises RequestError(400) for what the route refuses."""
        entry = self._find(head.host, head.path)
        if entry is not None and entry.route.merge_slashes and b"//" in head.path:
            path = merge_slashes(head.path)
            head = head.elsewhere(head.method, path + head.target[len(head.path) :], path, head.raw)
            entry = self._find(head.host, path)
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

    def _find(self, host: bytes, path: bytes) -> _Entry[Target] | None:
        entries = self._by_host.get(host)
        if entries is None:
            entries = self._remember(host)
        for entry in entries:
            prefix = entry.prefix
            if prefix == b"/" or (
                path.startswith(prefix) and (prefix.endswith(b"/") or path[len(prefix) : len(prefix) + 1] in (b"", b"/"))
            ):
                return entry
        return None

    def _remember(self, host: bytes) -> list[_Entry[Target]]:
        wildcard = b"*." + host.partition(b".")[2]
        if len(self._by_host) >= _REMEMBERED:
            self._by_host.clear()
        entries = [entry for wanted, entry in self._routes if wanted in (None, host, wildcard)]
        self._by_host[host] = entries
        return entries
