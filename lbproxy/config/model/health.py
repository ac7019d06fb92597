"""The tables about backends' health: [pool.NAME.health] checks them, [pool.NAME.outlier] looks at what requests meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lbproxy.config import values
from lbproxy.config.header_values import probe_name, probe_value
from lbproxy.config.key import key
from lbproxy.config.kinds import BOOLEAN, VARIABLE, Kind, Pairs, choice, duration, text_schema, text_within, whole

LONGEST_BODY = 1024
"""Characters of a wanted body; more is a file that somebody pasted."""
LONGEST_SERVICE = 255
TYPES = ("tcp", "tls", "http", "grpc", "off")

_PATH = Kind("path", values.url_path, text_schema("^/[!-~]*$"), examples=("/healthz", "/up"))
_HOST = Kind("host", values.host_field, text_schema("^[^ ]+$"), examples=("api.internal", "app.internal:8080"))
_STATUS = r"[1-5][0-9]{2}"
_EXPECT = Kind(
    "status or range",
    values.status_range,
    {
        "anyOf": [
            {"type": "string", "pattern": f"^{_STATUS}(-{_STATUS})?$"},
            {"type": "integer", "minimum": 100, "maximum": 599},
            VARIABLE,
        ]
    },
    examples=("200-399", "200-299"),
    write=lambda expect: f"{expect[0]}-{expect[1]}",
)
_HTTP = {"type": "http"}


_GRPC = {"type": "grpc"}


def _http(health: Any) -> bool:
    return bool(health.type == "http")


def _grpc(health: Any) -> bool:
    return bool(health.type == "grpc")


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """[pool.NAME.health]; on by default as a TCP check, or a TLS check where the pool re-encrypts."""

    type: str = key(
        choice(*TYPES),
        "tcp",
        '"tcp": it accepts a connection; "tls": and shakes hands, verified as for requests (default with the pool\'s tls); '
        '"http": and answers, over TLS when the pool re-encrypts; "grpc": and says SERVING (grpc.health.v1), over HTTP/2 whatever '
        'the pool\'s protocol; "off"',
        example="http",
    )
    interval: float = key(duration(), 2.0, "between two checks of a backend")
    timeout: float = key(duration(), 1.5, "of the whole check", example="1s")
    rise: int = key(whole(1, 1000), 2, "passed checks in a row until it is up", example=3)
    fall: int = key(whole(1, 1000), 3, "failed checks in a row until it is down", example=5)
    method: str = key(choice("GET", "HEAD", "OPTIONS"), "GET", 'of the check; only with type = "http"', needs=_HTTP, when=_http)
    path: str = key(_PATH, "/", 'of the check; only with type = "http"', needs=_HTTP, when=_http)
    host: str | None = key(
        _HOST, None, 'Host of the check; only with type = "http". Default: the backend\'s address', needs=_HTTP, when=_http
    )
    expect: tuple[int, int] = key(
        _EXPECT, (200, 399), 'a status or a range; only with type = "http"', needs=_HTTP, when=_http, example="200"
    )
    fast_interval: float = key(duration(), 1.0, "while it may be changing. Default: half of interval, at most 1s")
    down_interval: float = key(duration(), 5.0, "while it is down. Default: 2.5 times interval, at most 5s, but not below interval")
    body: str | None = key(
        text_within(LONGEST_BODY),
        None,
        'must stand in the body\'s first 64 KiB; only with type = "http". Default: any body will do',
        needs=_HTTP,
        when=_http,
        example="ok",
    )
    port: int = key(whole(1, 65535), 0, "where to check instead of where requests go", example=8081)
    headers: tuple[tuple[str, str], ...] = key(
        Pairs(probe_name, probe_value),
        (),
        'more fields of the check\'s request; only with type = "http"',
        needs=_HTTP,
        when=_http,
        example={"X-Probe": "lbproxy"},
    )
    service: str | None = key(
        text_within(LONGEST_SERVICE),
        None,
        'whose health is asked; only with type = "grpc". Default: the server\'s as a whole',
        needs=_GRPC,
        when=_grpc,
        example="shop.Orders",
    )


@dataclass(frozen=True, slots=True)
class OutlierConfig:
    """[pool.NAME.outlier]: backends where requests fail are left out for a while. See health/outlier.py."""

    enabled: bool = key(BOOLEAN, True, "false: what requests meet says nothing")
    consecutive: int = key(
        whole(0, 1_000_000), 5, "failures in a row: no answer, a broken one, 502, 503, 504; 0: this is no reason"
    )
    rate: int = key(whole(0, 100), 50, "or so many percent of its answers, 500 and the others above included; 0: this is no reason")
    requests: int = key(whole(1, 1_000_000), 20, "of at least so many answers")
    window: float = key(duration(3600.0), 10.0, "within so long")
    ejection: float = key(duration(86400.0), 30.0, "left out for so long the first time, twice as long the second")
    longest: float = key(duration(86400.0), 300.0, "but not longer")
    share: int = key(whole(1, 100), 50, "percent of the pool that may be left out at once; never the last one")
