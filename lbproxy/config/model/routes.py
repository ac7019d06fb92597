"""The client's side: [[route]]."""

from __future__ import annotations

from dataclasses import dataclass

from lbproxy.config import values
from lbproxy.config.key import key, part, table
from lbproxy.config.kinds import BOOLEAN, TEXT, Kind, choice, text_schema
from lbproxy.config.model.filters import RouteFilters
from lbproxy.config.model.headers import Headers
from lbproxy.config.model.timeouts import NearTimeouts

_HOST = Kind("host", values.route_host, {"type": "string", "minLength": 1}, examples=("example.com", "*.example.com"))
_PATH = Kind("path", values.route_path, text_schema("^/[!-~]*$"), examples=("/api/", "/app/"))


@dataclass(frozen=True, slots=True)
class Route:
    """[[route]]; the first match wins."""

    pool: str = key(TEXT, "", "where its requests go: the name of a [pool.NAME]", example="api")
    host: str | None = key(
        _HOST, None, 'exact, or "*.example.com" for exactly one label more. Default: every host', example="example.com"
    )
    path: str = key(_PATH, "/", 'a prefix of whole segments: "/api" is not "/apis". Matched is the path in normal form')
    line: int = 0
    encoded_slash: str = key(choice("pass", "refuse"), "pass", '"%2F" in a path; "refuse": 400')
    merge_slashes: bool = key(BOOLEAN, False, 'true: "//" is matched and forwarded as "/"')
    raw_path: bool = key(BOOLEAN, False, "true: forwarded as the client wrote it, not in normal form. Matched is the normal form")
    headers: Headers = part(Headers)
    filters: RouteFilters = part(RouteFilters)
    timeouts: NearTimeouts = table(
        NearTimeouts,
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
