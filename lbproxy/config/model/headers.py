"""Header fields: what a pool, a route or [proxy] wants of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lbproxy.config import header_values as said
from lbproxy.config.atoms import Hsts
from lbproxy.config.key import Changed, key, table
from lbproxy.config.kinds import Kind, ListOf, Pairs, Place, as_table, choice, text_schema, twice
from lbproxy.config.units import Parse, ValueRefused, show
from lbproxy.config.vocabulary import VARIABLES

_HOST_WANTED = 'wanted a host such as "app.internal" or "app.internal:8080"'


def _one_host(name: str, values: tuple[str, ...]) -> None:
    if name.lower() == "host" and not said.HOST.match(values[0]):
        raise ValueRefused(f"{_HOST_WANTED}, got {show(values[0])}", "variables do not stand in Host")


class Replacements(Kind[tuple[tuple[str, str, str], ...]]):
    """A table of names of headers and what the beginning of their values becomes."""

    def __init__(self, name: Parse[str], swap: Parse[tuple[str, str]]) -> None:
        text = {"type": "string"}
        pair = {
            "type": "object",
            "properties": {"from": text, "to": text},
            "required": ["from", "to"],
            "additionalProperties": False,
        }
        examples = tuple({"Destination": {"from": old, "to": "http:"}} for old in ("https:", "wss:"))
        schema: dict[str, object] = {"type": "object", "additionalProperties": pair}
        super().__init__("table of headers", lambda value: (), schema, examples=examples)
        self._name = name
        self._swap = swap

    def read(self, value: object, place: Place) -> tuple[tuple[str, str, str], ...] | None:
        """What has complaints is left out."""
        found: list[tuple[str, str, str]] = []
        for written, raw in as_table(value, f"a table such as {said.REPLACEMENT}", place).items():
            here = place.inside(written)
            name, pair = here.parse(written, self._name), here.parse(raw, self._swap)
            if name is not None:
                twice(name, (earlier for earlier, _, _ in found), here)
            if name is not None and pair is not None:
                found.append((name, *pair))
        return tuple(sorted(found))  # each of another field: their order means nothing

    def write(self, value: Any) -> object:
        """A table of tables."""
        return {name: {"from": old, "to": new} for name, old, new in value}

    def tell(self, value: Any) -> object:
        """Old and new beginnings."""
        return {name: f"{old} -> {new}" for name, old, new in value}


def _names(verb: str, *, of_requests: bool, examples: tuple[str, str] = ("X-Debug", "X-Internal-*")) -> ListOf[str]:
    name = Kind("header", said.name_for(of_requests, verb), text_schema(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"), examples=examples)
    return ListOf(name, 'a list of names such as ["X-Debug"]')


def _set(*, of_requests: bool) -> Pairs:
    return Pairs(said.name_for(of_requests, "set"), said.value_for(of_requests), whole=_one_host)


def _add(*, of_requests: bool) -> Pairs:
    return Pairs(said.name_for(of_requests, "add"), said.values_for(of_requests), several=True)


def _replace(*, of_requests: bool) -> Replacements:
    return Replacements(said.name_for(of_requests, "replace"), said.swap_for(of_requests))


_KEPT = ListOf(
    Kind("header", said.telltale, text_schema("^[A-Za-z-]+$"), examples=("Server", "X-Powered-By")),
    f'a list of names such as ["{said.TELLTALES[0]}"]',
)


@dataclass(frozen=True, slots=True)
class HeaderRulesConfig:
    """The tables request_headers and response_headers: what comes loses the names of `remove` and `set`, what is left has the
    beginning of its values replaced by `replace`, then `set` and `add` are put on."""

    set: tuple[tuple[str, str], ...] = key(
        _set(of_requests=False),
        (),
        f"in place of what came. Variables: {', '.join(sorted(VARIABLES))}; backend only in responses. Comes out empty: left out",
        example={"X-Served-By": "{backend}"},
    )
    add: tuple[tuple[str, str], ...] = key(
        _add(of_requests=False), (), 'beside what came. Several at once: ["a", "b"]', example={"X-Seen-By": "lbproxy"}
    )
    remove: tuple[str, ...] = key(
        _names("remove", of_requests=False),
        (),
        'taken off; "X-Internal-*" is all that begin so. "Via" as well, for nginx backends, which else compress only with '
        "gzip_proxied any; loops through here are not noticed then",
        example=["X-Debug", "X-Internal-*"],
    )
    keep: tuple[str, ...] = key(
        _KEPT, (), f"of {', '.join(said.TELLTALES)}, which are removed else, those that stay", example=["Server"]
    )
    replace: tuple[tuple[str, str, str], ...] = key(
        _replace(of_requests=False),
        (),
        "of values that begin with `from`, the beginning (WebDAV behind TLS needs it for Destination); in responses without "
        "variables",
        example={"Location": {"from": "http://", "to": "https://"}},
    )


_OF_REQUESTS = {
    "set": Changed(kind=_set(of_requests=True), example={"X-Team": "blue", "X-TLS": "{tls_version}"}, secret=True),
    "add": Changed(kind=_add(of_requests=True), secret=True),
    "remove": Changed(kind=_names("remove", of_requests=True)),
    "replace": Changed(
        kind=_replace(of_requests=True), example={"Destination": {"from": "https://", "to": "http://"}}, secret=True
    ),
}
"""What a rule of requests may name is other than what one of responses may. Values that backends get are told by their names alone:
some are passwords."""

PRESETS = ("off", "basic", "strict")
MARKS = ("off", "make", "pass")
"""For request_id and trace: none; of our making unless a trusted proxy sent one; or any client's, when it is well-formed."""

_HSTS = Kind(
    "hsts",
    said.parse_hsts,
    text_schema("^(off|[0-9][0-9.a-z]*( (subdomains|preload)){0,2})$"),
    examples=("365d subdomains", "1y"),
    write=said.format_hsts,
)
_SUCH_AS = 'a table such as { set = { "X-Team" = "blue" } }'


def _about_requests(headers: Any) -> bool:
    return bool(headers.request != HeaderRulesConfig())


def _about_responses(headers: Any) -> bool:
    return bool(headers.response != HeaderRulesConfig())


@dataclass(frozen=True, slots=True)
class HeadersConfig:
    """What a route, a pool or [proxy] (which has no rules) wants of header fields. None: as the next wider table says."""

    request: HeaderRulesConfig = table(
        HeaderRulesConfig,
        "what is taken off a request, and what is put on, X-Forwarded-* and its kind included; a route's rules follow "
        "those of its pool",
        _SUCH_AS,
        called="request_headers",
        changed=_OF_REQUESTS,
        without=("keep",),
        when=_about_requests,
    )
    response: HeaderRulesConfig = table(
        HeaderRulesConfig,
        "the same for the backends' answers; lbproxy's own errors are not touched",
        _SUCH_AS,
        called="response_headers",
        when=_about_responses,
    )
    security_headers: str | None = key(
        choice(*PRESETS),
        None,
        '"basic": X-Content-Type-Options, X-Frame-Options = SAMEORIGIN, Referrer-Policy, where the backend\'s answer has none; '
        '"strict": no frames at all, no referrer, and five more (http/presets.py). Default: as the next wider table says, route, '
        "pool, [proxy]",
        example="strict",
    )
    hsts: Hsts | None = key(
        _HSTS,
        None,
        'Strict-Transport-Security, over TLS only: "365d", "1y subdomains", "1y subdomains preload"; "0": forget it; "off". '
        "Default: as the next wider table says",
    )
    request_id: str | None = key(
        choice(*MARKS),
        None,
        'X-Request-Id to backend, client and log. "make": a new one, or the one of a trusted proxy; "pass": anybody\'s; "off". '
        "Default: as the next wider table says",
        example="make",
    )
    trace: str | None = key(
        choice(*MARKS),
        None,
        'traceparent. "off": as it comes. "make", "pass": a span of the trace that came (from whom: as request_id), or a new one. '
        "Default: as the next wider table says",
        example="make",
    )

    def over(self, wider: HeadersConfig) -> HeadersConfig:
        """These, and where they say nothing the words of a wider table; the rules stay these."""
        words = {key: getattr(wider, key) for key in HEADER_WORDS if getattr(self, key) is None}
        return replace(self, **words)


HEADER_WORDS = ("security_headers", "hsts", "request_id", "trace")
"""Keys about header fields that a nearer table overrides."""
