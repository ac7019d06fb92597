"""The typed values of a route: which requests it is for, where these go, and what becomes of their paths.

A part of the configuration (model.py), apart from it because routes say so much more than anything else. Every value is immutable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Patterns = tuple[tuple[str, tuple[str, ...]], ...]
"""(name, texts with stars, one of which has to fit), in the order of the file."""

DEFAULT_REDIRECT = 308
"""Keeps method and body (RFC 9110 15.4.9), where 301 and 302 turn a POST into a GET."""
DEFAULT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Match:
    """[route.match]: what a request must meet beyond host and path; all that is said, and by default nothing is."""

    exact: str | None = None  # the whole path
    glob: str | None = None  # the whole path, as a text with stars
    regex: str | None = None  # found somewhere in the path
    methods: tuple[str, ...] = ()  # one of these; GET stands for HEAD, too
    headers: Patterns = ()
    query: Patterns = ()

    @property
    def all_methods(self) -> frozenset[str]:
        """`methods`, and HEAD where GET is among them; empty: any."""
        return frozenset((*self.methods, *(("HEAD",) if "GET" in self.methods else ())))


ANYTHING = Match()


class SplitSticky(NamedTuple):
    """What keeps a client with the pool it was given: a cookie of ours, or a header that it sends."""

    cookie: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """Several pools, each for its share of the requests."""

    shares: tuple[tuple[str, int], ...]  # (pool, weight), in the order of the file; a weight of 0: nobody goes there
    sticky: SplitSticky | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """The client is sent elsewhere."""

    to: str  # with placeholders: "https://new.example{path}"
    status: int = DEFAULT_REDIRECT


@dataclass(frozen=True, slots=True)
class Respond:
    """The fixed answer of a route, without any backend."""

    status: int = 200
    body: str = ""
    type: str = DEFAULT_TYPE  # of the body; without a body nothing is said of it


@dataclass(frozen=True, slots=True)
class PathRules:
    """The keys strip_prefix, add_prefix and replace_prefix; paths without a slash at their end, "" where nothing is said."""

    strip: str = ""
    add: str = ""
    replace: tuple[str, str] | None = None

    @property
    def front(self) -> str:
        """What paths begin with on the clients' side; "": anything."""
        return self.strip if self.replace is None else self.replace[0]

    @property
    def back(self) -> str:
        """What they begin with on the backends' side instead."""
        return self.add if self.replace is None else self.replace[1]

    def __bool__(self) -> bool:
        return self.front != self.back


AS_THEY_ARE = PathRules()
