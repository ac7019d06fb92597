"""Keys of a [[route]]: which requests it is for beyond host and path, where they go, and what becomes of their paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lbproxy.config import route_values as said
from lbproxy.config import values
from lbproxy.config.key import key
from lbproxy.config.kinds import Kind, ListOf, Place, as_table, text_schema, twice, whole
from lbproxy.config.units import Parse, show

Patterns = tuple[tuple[str, tuple[str, ...]], ...]
"""(name, texts with stars, one of which has to fit), in the order of the file."""

MOST_SHARES = 16
_FIELD_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"


class PatternTable(Kind[Patterns]):
    """A table of names and what they have to say: a text with stars, or several of which one has to fit."""

    def __init__(self, what: str, name: Parse[str], patterns: Parse[tuple[str, ...]], any_case: bool, example: str) -> None:
        one: dict[str, object] = {"type": "string"}
        several: dict[str, object] = {"type": "array", "items": one, "minItems": 1, "maxItems": 64}
        schema: dict[str, object] = {"type": "object", "additionalProperties": {"anyOf": [one, several]}}
        super().__init__(f"table of {what}", lambda value: (), schema, examples=({example: "1"}, {example: ["2", "v*"]}))
        self._name = name
        self._patterns = patterns
        self._any_case = any_case
        self._wanted = f'a table such as {{ "{example}" = "1" }}'

    def read(self, value: object, place: Place) -> Patterns | None:
        """What has complaints is left out."""
        found: list[tuple[str, tuple[str, ...]]] = []
        for written, raw in as_table(value, self._wanted, place).items():
            here = place.inside(written)
            name, patterns = here.parse(written, self._name), here.parse(raw, self._patterns)
            if name is not None and self._any_case:
                twice(name, (earlier for earlier, _ in found), here)
            if name is not None and patterns is not None:
                found.append((name, patterns))
        return tuple(found)

    def write(self, value: Any) -> object:
        """A list where there are several."""
        return {name: texts[0] if len(texts) == 1 else list(texts) for name, texts in value}

    def tell(self, value: Any) -> object:
        """A word for each name."""
        return {name: " | ".join(texts) for name, texts in value}


class Shares(Kind[tuple[tuple[str, int], ...]]):
    """A table of pools and what each gets of the requests."""

    def __init__(self) -> None:
        schema: dict[str, object] = {
            "type": "object",
            "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 1000},
            "minProperties": 1,
            "maxProperties": MOST_SHARES,
        }
        examples = ({"app": 95, "api": 5}, {"app": 1, "api": 1})
        super().__init__("table of pools and weights", lambda value: (), schema, examples=examples)

    def read(self, value: object, place: Place) -> tuple[tuple[str, int], ...] | None:
        """What has complaints is left out."""
        if not isinstance(value, dict) or not 1 <= len(value) <= MOST_SHARES:
            place.complain(f"wanted a table of 1 to {MOST_SHARES} pools such as {{ blue = 95, green = 5 }}, got {show(value)}")
            return None
        weight = values.whole(0, 1000)
        found = [(name, place.inside(name).parse(raw, weight)) for name, raw in value.items()]
        if not any(value.values()):
            place.complain("nobody gets anything: every weight is 0", "give one of them 1")
        return tuple((name, share) for name, share in found if share is not None)

    def write(self, value: Any) -> object:
        """A table."""
        return dict(value)


class _PrefixPair(Kind[tuple[str, str]]):
    def __init__(self) -> None:
        path = text_schema("^/[!-~]*$")
        schema: dict[str, object] = {
            "type": "object", "properties": {"from": path, "to": path}, "required": ["from", "to"], "additionalProperties": False,
        }  # fmt: skip
        examples = ({"from": "/api", "to": "/v2"}, {"from": "/api", "to": "/v3"})
        super().__init__("table of two prefixes", said.prefix_pair, schema, examples=examples)

    def write(self, value: Any) -> object:
        return {"from": value[0] or "/", "to": value[1] or "/"}

    def tell(self, value: Any) -> object:
        return f"{value[0] or '/'} -> {value[1] or '/'}"


_EXACT = Kind("path", said.exact, text_schema("^/[!-~]*$"), examples=("/login", "/status"))
_GLOB = Kind("path with stars", said.glob, text_schema("^[/*][!-~]*$"), examples=("/api/*.png", "/api/*/edit"))
_REGEX = Kind("regular expression", said.regular_expression, {"type": "string", "minLength": 1, "maxLength": 1024},
              examples=("^/api/v[0-9]+/", "^/api/[a-z]+$"))  # fmt: skip
_METHODS = ListOf(
    Kind("method", values.method, text_schema("^[A-Z][A-Z-]{0,31}$"), examples=("GET", "POST")),
    'a list of methods such as ["GET"]',
    empty=("method", "leave the key out for all of them"),
)
_HEADERS = PatternTable("headers", said.asked_field, said.field_patterns, True, "X-Beta")
_QUERY = PatternTable("names in the query", said.asked_name, said.query_patterns, False, "debug")


@dataclass(frozen=True, slots=True)
class MatchConfig:
    """[route.match]: what a request must meet beyond host and path; all that is said, and by default nothing is."""

    glob: str | None = key(_GLOB, None, 'the whole path, in normal form; "*" stands for any text, slashes included')
    regex: str | None = key(
        _REGEX, None, "found somewhere in the path, in normal form. Needs google-re2, which takes time linear in the path: "
        "pip install 'lbproxy[regex]'",
    )  # fmt: skip
    exact: str | None = key(
        _EXACT, None, "the whole path, in normal form; stands alone, without path", example="/login", never_with=("glob", "regex")
    )
    methods: tuple[str, ...] = key(
        _METHODS,
        (),
        "one of these; GET stands for HEAD, too. Others go on to the next routes, where a route's own `methods` refuses them",
    )
    headers: Patterns = key(
        _HEADERS,
        (),
        'each is there with such a value: "*" stands for any text, a list is one of them; any field of that name and any member of '
        "a list counts, capitals mean nothing",
    )
    query: Patterns = key(
        _QUERY, (), "the same of names in the query, decoded; any value of a name counts, and so do capitals"
    )  # fmt: skip

    @property
    def all_methods(self) -> frozenset[str]:
        """`methods`, and HEAD where GET is among them; empty: any."""
        return frozenset((*self.methods, *(("HEAD",) if "GET" in self.methods else ())))

    def __str__(self) -> str:
        """In a few words: people know a route by them."""
        words = [f"{name} {value}" for name in ("exact", "glob", "regex") if (value := getattr(self, name)) is not None]
        words += ["/".join(self.methods)] if self.methods else []
        words += [f"{name}: {' | '.join(texts)}" for name, texts in self.headers]
        words += [f"?{name}={' | '.join(texts)}" for name, texts in self.query]
        return ", ".join(words)


ANYTHING = MatchConfig()


_COOKIE = Kind("name of a cookie", said.cookie_name, text_schema(_FIELD_NAME), examples=("shop", "site"))
_HEADER = Kind("header", said.asked_field, text_schema(_FIELD_NAME), examples=("X-User", "X-Tenant"))


@dataclass(frozen=True, slots=True)
class SplitStickyConfig:
    """[route.sticky]: what keeps a client with the pool that a split gave it."""

    cookie: str = key(_COOKIE, "", "a cookie of ours with that name, which tells nobody which pool it is", example="shop")
    header: str = key(
        _HEADER,
        "",
        "a header that the client sends: the same value goes to the same pool. One of the two",
        example="X-User",
        never_with=("cookie",),
    )


_TYPE = Kind("type of a body", said.media_type, {"type": "string", "minLength": 3}, examples=("application/json", "text/html"))


def _has_body(respond: Any) -> bool:
    return bool(respond.body)


@dataclass(frozen=True, slots=True)
class RespondConfig:
    """A [route.respond] is a fixed answer."""

    status: int = key(whole(200, 599), 200, "of the answer", example=503)
    body: str = key(Kind("text", said.body, {"type": "string"}, examples=("back soon\n", "no")), "", "up to 64 KiB")
    type: str = key(_TYPE, "text/plain; charset=utf-8", "of the body", needs={"body": "no"}, when=_has_body)


_PREFIX = Kind("prefix", said.some_prefix, text_schema("^/[!-~]*$"), examples=("/api", "/api/v1"))


@dataclass(frozen=True, slots=True)
class PathRulesConfig:
    """One prefix of a route's paths in place of another: without a slash at their end, "" where nothing is said."""

    strip: str = key(
        _PREFIX, "", 'taken off the path that is forwarded; X-Forwarded-Prefix tells it. What answers say in Location, '
        "Content-Location, Refresh and cookies gets it back", called="strip_prefix",
        example="/api", needs={"path": "/api/"},
    )  # fmt: skip
    add: str = key(_PREFIX, "", "put in front of the path that is forwarded, and taken off again in answers", called="add_prefix")
    replace: tuple[str, str] | None = key(
        _PrefixPair(),
        None,
        "both in one: { from, to }; answers are led back the same way",
        called="replace_prefix",
        needs={"path": "/api/"},
        never_with=("strip_prefix", "add_prefix"),
    )

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


AS_THEY_ARE = PathRulesConfig()


DESTINATIONS = ("pool", "split", "redirect", "respond", "close")
"""Keys of which a route has exactly one."""
SHARES = Shares()
REDIRECT = Kind("target", said.redirect, {"type": "string", "minLength": 1, "maxLength": said.LONGEST_TARGET},
                examples=("https://new.example{path}", "/new{path}"))  # fmt: skip
REDIRECT_STATUS = Kind("status", said.redirect_status, {"enum": list(said.REDIRECTS)}, examples=(301, 302))
