"""Routes of one host, found by their paths: what a request costs does not grow with their number.

Theory of operation. "The first match wins" is a search through a list, and a thousand routes would be a thousand comparisons. So
prefixes stand in a tree, a node for each segment. A path is walked down it, and only what lies on its way can match: a list for
each node. The first of each list that matches is weighed by its place in the configuration, and the least place wins, so the
answer is the one that a search through the whole list would give. Whole paths ("exact") are looked up beside the tree; a text with
stars stands where the part before its first star leads to. What else a route asks for (conditions.py) is tried on the few that are
left. A list ends at the first route that asks for nothing else: those behind it there are never reached.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from lbproxy.config.model import RouteConfig
from lbproxy.http.conditions import ConditionRequest, Conditions, conditions_of

Target = TypeVar("Target")

LAST = 2**62
"""Behind every route."""


class RouteEntry(Generic[Target]):
    """One route as the index has it."""

    __slots__ = ("conditions", "exact", "order", "prefix", "route", "target")

    def __init__(self, order: int, route: RouteConfig, target: Target) -> None:
        """`order`: its place in the configuration."""
        match = route.match
        self.order = order
        self.route = route
        self.target = target
        self.exact = None if match.exact is None else match.exact.encode()
        self.prefix = prefix_of(route.path.encode(), match.glob)
        self.conditions: Conditions | None = conditions_of(match)


class _Node(Generic[Target]):
    """The point in a tree of paths where some prefix ends."""

    __slots__ = ("below", "children", "here")

    def __init__(self) -> None:
        self.here: list[RouteEntry[Target]] = []
        """Prefixes written without a slash at their end: the path itself, and what is below it."""
        self.below: list[RouteEntry[Target]] = []
        """Those with one: only what is below."""
        self.children: dict[bytes, _Node[Target]] = {}


def _append(entries: list[RouteEntry[Target]], entry: RouteEntry[Target]) -> None:
    if not entries or entries[-1].conditions is not None:
        entries.append(entry)


def _first(
    entries: list[RouteEntry[Target]], asked: ConditionRequest | None, best: RouteEntry[Target] | None
) -> RouteEntry[Target] | None:
    """The first of them that matches, or `best` if that comes before it."""
    for entry in entries:
        if best is not None and best.order < entry.order:
            break
        if entry.conditions is None or (asked is not None and entry.conditions.met(asked)):
            return entry
    return best


def prefix_of(path: bytes, glob: str | None) -> bytes:
    """What all paths of a route begin with, in whole segments: its path, or what its text with stars tells beyond that."""
    if glob is not None:
        front = glob.encode().partition(b"*")[0]
        front = front[: front.rfind(b"/") + 1]
        if front.startswith(path if path.endswith(b"/") else path + b"/"):
            return front
    return path


class RouteIndex(Generic[Target]):
    """The routes of one host, or of all hosts. Filled once, in the order of the configuration."""

    __slots__ = ("_exact", "_root", "first")

    def __init__(self) -> None:
        self._root: _Node[Target] = _Node()
        self._exact: dict[bytes, list[RouteEntry[Target]]] = {}
        self.first = LAST
        """The place of its first route."""

    def add(self, entry: RouteEntry[Target]) -> None:
        """Behind all that were added before."""
        self.first = min(self.first, entry.order)
        if entry.exact is not None:
            _append(self._exact.setdefault(entry.exact, []), entry)
            return
        segments = entry.prefix[1:].split(b"/")
        last = segments.pop()
        node = self._root
        for segment in segments:
            node = node.children.setdefault(segment, _Node())
        if last:
            node = node.children.setdefault(last, _Node())
        _append(node.here if last or not segments else node.below, entry)

    def find(self, path: bytes, asked: ConditionRequest | None, best: RouteEntry[Target] | None) -> RouteEntry[Target] | None:
        """The first route that matches, or `best` if that comes before it. `path`: in normal form, or "*"; `asked`: None where no
        route has conditions. Raises RequestError(400)."""
        node = self._root
        if node.here:
            best = _first(node.here, asked, best)
        if self._exact and (found := self._exact.get(path)) is not None:
            best = _first(found, asked, best)
        at = 0
        while node.children:
            end = path.find(b"/", at + 1)
            child = node.children.get(path[at + 1 :] if end < 0 else path[at + 1 : end])
            if child is None:
                break
            node = child
            if node.here:
                best = _first(node.here, asked, best)
            if end < 0:
                break
            if node.below:
                best = _first(node.below, asked, best)
            at = end
        return best
