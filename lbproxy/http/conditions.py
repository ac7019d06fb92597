"""Conditions of a route beyond its host and path: [route.match].

A condition is met if any reading of the request meets it. A field that stands there twice, or whose values somebody joined to a
list, has all of these values; a name that stands in the query several times has each of its values (query.py). So a route that is
there to hold something up is not passed by saying a thing twice, once for the router and once for the backend. The path is looked
at in its normal form (target.py), the one that is forwarded; a field's name and values without regard to case, the query with it.

The work is bounded by the request's size times the conditions that look at it: a star is one search (globs.py), a regular
expression is RE2's (regex.py), and more values of one name than MOST_VALUES are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from lbproxy.config.model import MatchConfig
from lbproxy.errors import RequestError
from lbproxy.globs import Glob
from lbproxy.http.fields import values
from lbproxy.http.message import RequestHead
from lbproxy.http.query import values_by_name
from lbproxy.regex import searcher

MOST_VALUES = 256
"""Of one field, lists taken apart, or of one name in the query. Each is compared with each pattern of each condition."""


class ConditionRequest:
    """A request as conditions look at it: what they need of it is worked out once, when the first one asks."""

    __slots__ = ("_fields", "_query", "head", "twins")

    def __init__(self, head: RequestHead, twins: bool = False) -> None:
        """`twins`: fields with "_" in their names are passed on by some route, and are read as those with "-" in place of it."""
        self.head = head
        self.twins = twins
        self._fields: dict[bytes, Collection[bytes]] = {}
        self._query: dict[bytes, set[bytes]] | None = None

    def field(self, name: bytes) -> Collection[bytes]:
        """All values of that name (lower case), in lower case, lists also taken apart. Raises RequestError(400)."""
        found = self._fields.get(name)
        if found is None:
            found = self._fields[name] = self._values(name)
        return found

    def query(self, name: bytes) -> Collection[bytes]:
        """All values of that name in the query. Raises RequestError(400)."""
        if self._query is None:
            self._query = values_by_name(self.head.target.partition(b"?")[2])
        return _few(self._query.get(name, ()), "query_values")

    def _values(self, name: bytes) -> Collection[bytes]:
        found = set()
        names = {name}
        if self.twins:
            names |= {line.partition(b":")[0] for line in self.head.lowered.split(b"\r\n") if _alike(line, name)}
        for each in names:
            for value in values(self.head, each):
                lowered = value.lower()
                found.add(lowered)
                if b"," in lowered:
                    found.update(member.strip(b" \t") for member in lowered.split(b","))
        return _few(found, "field_values")


def _alike(line: bytes, name: bytes) -> bool:
    """Whether CGI takes a field line for one of that name."""
    return line.partition(b":")[0].replace(b"_", b"-") == name


def _few(found: Collection[bytes], reason: str) -> Collection[bytes]:
    if len(found) > MOST_VALUES:
        raise RequestError(400, reason, f"more than {MOST_VALUES} values where a route looks at them")
    return found


class _Patterns:
    """What one name must say: one of some texts, with or without stars."""

    __slots__ = ("_globs", "_texts", "name")

    def __init__(self, name: bytes, patterns: Collection[bytes]) -> None:
        self.name = name
        self._texts = frozenset(pattern for pattern in patterns if b"*" not in pattern)
        self._globs = [Glob(pattern) for pattern in patterns if b"*" in pattern]

    def fit(self, found: Collection[bytes]) -> bool:
        """Whether one of the values fits one of the texts."""
        if not self._texts.isdisjoint(found):
            return True
        return any(glob.matches(value) for glob in self._globs for value in found)


class Conditions:
    """The conditions of one route, all of which a request must meet."""

    __slots__ = ("_fields", "_glob", "_methods", "_query", "_regex")

    def __init__(self, match: MatchConfig) -> None:
        """But for `exact`, which is the router's to look up. Raises regex.Unavailable, regex.Malformed."""
        self._methods = frozenset(method.encode() for method in match.all_methods)
        self._glob = None if match.glob is None else Glob(match.glob.encode())
        self._regex: Callable[[bytes], bool] | None = None if match.regex is None else searcher(match.regex)
        self._fields = [
            _Patterns(name.lower().encode(), [text.encode("latin-1").lower() for text in texts]) for name, texts in match.headers
        ]
        self._query = [_Patterns(name.encode(), [text.encode() for text in texts]) for name, texts in match.query]

    def met(self, asked: ConditionRequest) -> bool:
        """Whether the request meets all of them. Raises RequestError(400) where that cannot be told."""
        head = asked.head
        if self._methods and head.method not in self._methods:
            return False
        if self._glob is not None and not (head.path != b"*" and self._glob.matches(head.path)):
            return False
        if self._regex is not None and not (head.path != b"*" and self._regex(head.path)):
            return False
        return all(each.fit(asked.field(each.name)) for each in self._fields) and all(
            each.fit(asked.query(each.name)) for each in self._query
        )


def conditions_of(match: MatchConfig) -> Conditions | None:
    """None where host, path and `exact` are all there is."""
    return None if match == MatchConfig(exact=match.exact) else Conditions(match)
