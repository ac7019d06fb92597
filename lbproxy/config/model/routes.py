"""The client's side: [[route]]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lbproxy.config import values
from lbproxy.config.key import key, part, table, table_or_none
from lbproxy.config.kinds import BOOLEAN, TEXT, Kind, choice, text_schema
from lbproxy.config.model.caching import CacheConfig
from lbproxy.config.model.compress import CompressConfig
from lbproxy.config.model.filters import RouteFiltersConfig
from lbproxy.config.model.headers import HeadersConfig
from lbproxy.config.model.icap import IcapConfig
from lbproxy.config.model.inspection import AuthorizeConfig, BasicAuthConfig, Document, JwtConfig
from lbproxy.config.model.mirroring import MirrorConfig
from lbproxy.config.model.routing import (
    REDIRECT,
    REDIRECT_STATUS,
    SHARES,
    MatchConfig,
    PathRulesConfig,
    RespondConfig,
    SplitStickyConfig,
)
from lbproxy.config.model.timeouts import NearTimeoutsConfig
from lbproxy.config.model.waf import WafConfig
from lbproxy.config.route_values import prefix

_HOST = Kind("host", values.route_host, {"type": "string", "minLength": 1}, examples=("example.com", "*.example.com"))
_PATH = Kind("path", prefix, text_schema("^/[!-~]*$"), examples=("/api/", "/app/"))


def _redirects(route: Any) -> bool:
    return bool(route.redirect)


def _closes(route: Any) -> bool:
    return bool(route.close)


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """[[route]]; the first match wins."""

    pool: str = key(
        TEXT, "", "where its requests go: the name of a [pool.NAME]. Or split, redirect, respond or close instead", example="api"
    )
    host: str | None = key(
        _HOST, None, 'exact, or "*.example.com" for exactly one label more. Default: every host', example="example.com"
    )
    path: str = key(_PATH, "/", 'a prefix of whole segments: "/api" is not "/apis". Matched is the path in normal form')
    line: int = 0
    encoded_slash: str = key(choice("pass", "refuse"), "pass", '"%2F" in a path; "refuse": 400')
    merge_slashes: bool = key(BOOLEAN, False, 'true: "//" is matched and forwarded as "/"')
    raw_path: bool = key(BOOLEAN, False, "true: forwarded as the client wrote it, not in normal form. Matched is the normal form")
    headers: HeadersConfig = part(HeadersConfig)
    filters: RouteFiltersConfig = part(RouteFiltersConfig)
    timeouts: NearTimeoutsConfig = table(
        NearTimeoutsConfig,
        "of [timeouts]: those that may differ from route to route, and win over those of the pool",
        'a table such as { response_head = "5m" }',
    )
    encoded_backslash: str = key(
        choice("refuse", "pass"),
        "refuse",
        '"%5C" in a path: 400; "pass": for backends that know it as a part of a name. raw_path passes it, too',
    )
    underscores: str = key(
        choice("drop", "pass"),
        "drop",
        'fields with "_" in their names; "pass": but for those that CGI takes for others (X_Real_IP)',
    )
    client_close: str = key(
        choice("abort", "answer"),
        "abort",
        'a client that ends its side while it waits has gone, and its request is cancelled; "answer": it may be reading still (nc, '
        "some old tools); whether it is gone is seen late then",
    )
    match: MatchConfig = table(
        MatchConfig, "what a request must meet beyond host and path: all of it", 'a table such as { methods = ["GET"] }'
    )
    split: tuple[tuple[str, int], ...] = key(
        SHARES,
        (),
        "several pools, each for its share of the requests, by turns, exact in each process: { blue = 95, green = 5 }; 0: nobody",
        never_with=("pool",),
    )
    sticky: SplitStickyConfig | None = table_or_none(
        SplitStickyConfig,
        "with split: who keeps the pool that he was given; one that is gone, or at 0, is given anew",
        'a table such as { cookie = "shop" } or { header = "X-User" }',
        needs={"split": {"app": 95, "api": 5}},
        never_with=("pool",),
    )
    redirect: str = key(
        REDIRECT,
        "",
        "clients are sent there. {path}, {host}, {query} and {scheme} are filled in; the client's query goes along unless it has a "
        '"?" of its own',
        never_with=("pool", "split"),
    )
    status: int = key(
        REDIRECT_STATUS,
        308,
        "of redirect: 308 and 307 keep method and body, 301, 302 and 303 turn a POST into a GET; 308 and 301 are kept by browsers",
        needs={"redirect": "https://new.example{path}"},
        never_with=("pool", "split"),
        when=_redirects,
    )
    respond: RespondConfig | None = table_or_none(
        RespondConfig,
        "without this table: none. With it: a fixed answer, to which response_headers apply",
        'a table such as { status = 503, body = "back soon" }',
        never_with=("pool", "split", "redirect"),
    )
    close: bool = key(
        BOOLEAN,
        False,
        "true: the connection is closed without a word; 444 and closed_by_route in the access log",
        never_with=("pool", "split", "redirect", "respond"),
        when=_closes,
    )
    paths: PathRulesConfig = part(PathRulesConfig)
    authorize: AuthorizeConfig | None = table_or_none(
        AuthorizeConfig,
        "without this table: nobody. With it: who is asked whether a request may pass, before WebSockets, 100 Continue and bodies",
        'a table such as { pool = "auth", path = "/verify", copy = ["Remote-User"] }',
    )
    basic_auth: BasicAuthConfig | None = table_or_none(
        BasicAuthConfig,
        "without this table: nobody is asked for a password",
        'a table such as { file = "users", realm = "staff only" }',
    )

    jwt: JwtConfig | None = table_or_none(
        JwtConfig,
        "without this table: nobody is asked for a token",
        'a table such as { jwks_file = "jwks.json", algorithms = ["ES256"], audience = ["shop"] }',
    )
    mirror: MirrorConfig | None = table_or_none(
        MirrorConfig,
        "without this table: nobody. With it: a second pool that gets requests as well, and for whose answers nobody waits",
        'a table such as { pool = "next", percent = 10 }',
    )
    compress: CompressConfig | None = table_or_none(
        CompressConfig,
        "without this table: answers are passed on as they are",
        "a table headed [route.compress]",
        never_with=("redirect", "respond", "close"),
    )
    icap: IcapConfig | None = table_or_none(
        IcapConfig,
        "without this table: nobody. With it: ICAP servers that look at requests and answers before anybody gets them",
        'a table such as { pool = "antivirus", reqmod = "/avscan", respmod = "/avscan" }',
        never_with=("redirect", "respond", "close"),
    )
    cache: CacheConfig | None = table_or_none(
        CacheConfig,
        "without this table: nothing is stored. With it: answers are given out again, as they allow it themselves",
        "a table headed [route.cache]",
        never_with=("redirect", "respond", "close", "icap"),
    )

    tap: str = key(TEXT, "", "who is told of its conversations: the name of a [tap.NAME]. Default: nobody", example="ids")

    waf: WafConfig | None = table_or_none(
        WafConfig,
        "without this table: nobody looks. With it: libmodsecurity does, by the Core Rule Set or rules of your own",
        'a table such as { mode = "block" }',
    )

    @property
    def pools(self) -> tuple[str, ...]:
        """The names of those that its requests may go to."""
        return (self.pool,) if self.pool else tuple(name for name, _ in self.split)

    @property
    def asks(self) -> tuple[str, ...]:
        """The names of pools that get requests of our own about its requests."""
        return tuple(table.pool for table in (self.authorize, self.mirror, self.icap) if table is not None)

    @property
    def inspects(self) -> bool:
        """Whether steps find out something about its requests that the backend or the log is told."""
        return any(table is not None for table in (self.authorize, self.basic_auth, self.jwt, self.icap, self.waf))

    @property
    def claims(self) -> tuple[str, ...]:
        """Names of fields that steps say to the backend, and nobody else: a client's own are taken off."""
        found = [] if self.authorize is None else [*self.authorize.copy]
        found += [] if self.basic_auth is None or not self.basic_auth.header else [self.basic_auth.header]
        return (*found, *(() if self.jwt is None else (name for name, _ in self.jwt.claims)))

    @property
    def documents(self) -> tuple[Document, ...]:
        """Files that its steps go by."""
        named = (
            ("htpasswd", None if self.basic_auth is None else self.basic_auth.file),
            ("jwks", None if self.jwt is None else self.jwt.jwks_file),
        )
        return tuple(Document(kind, file) for kind, file in named if file is not None)

    @property
    def name(self) -> str:
        """What people know it by: host, path, and in braces what else it asks for; no two routes of a file have the same."""
        more = str(self.match)
        return f"{self.host or ''}{self.path}" + (f" {{{more}}}" if more else "")

    @property
    def leads_to(self) -> str:
        """Its destination in a few words."""
        if self.split:
            return "split " + ", ".join(f"{name} {weight}" for name, weight in self.split)
        if self.redirect:
            return f"redirect {self.redirect}"
        if self.respond is not None:
            return f"respond {self.respond.status}"
        return "close" if self.close else f"pool {self.pool}"
