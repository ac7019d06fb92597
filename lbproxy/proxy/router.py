"""Host and path -> pool: the first route of the configuration that matches wins.

A host is exact, "*.example.com" (one label in place of the star, as in certificates), or absent (every host). A path is a prefix in
whole segments: "/api" matches "/api" and "/api/x", not "/apiary"; "/api/" matches what is below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from lbproxy.config.model import Route

Target = TypeVar("Target")

_REMEMBERED = 1024
"""Hosts whose routes are remembered; beyond that the memory starts anew, so that invented hosts cannot fill it."""


class _Entry(NamedTuple, Generic[Target]):
    prefix: bytes
    target: Target


class Router(Generic[Target]):
    """Immutable; a reload makes a new one."""

    def __init__(self, routes: Sequence[tuple[Route, Target]]) -> None:
        """In the order of the configuration."""
        self._routes = [(route.host.encode() if route.host else None, route.path.encode(), target) for route, target in routes]
        self._by_host: dict[bytes, list[_Entry[Target]]] = {}

    def match(self, host: bytes, path: bytes) -> Target | None:
        """`host`: lower case, without port; `path`: normalised, or "*"."""
        entries = self._by_host.get(host)
        if entries is None:
            entries = self._remember(host)
        for prefix, target in entries:
            if prefix == b"/" or (
                path.startswith(prefix) and (prefix.endswith(b"/") or path[len(prefix) : len(prefix) + 1] in (b"", b"/"))
            ):
                return target
        return None

    def _remember(self, host: bytes) -> list[_Entry[Target]]:
        wildcard = b"*." + host.partition(b".")[2]
        if len(self._by_host) >= _REMEMBERED:
            self._by_host.clear()
        entries = [_Entry(path, target) for wanted, path, target in self._routes if wanted in (None, host, wildcard)]
        self._by_host[host] = entries
        return entries
