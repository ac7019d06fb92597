"""The time-outs: [timeouts], and the nearer ones of pools and routes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from lbproxy.config.key import key
from lbproxy.config.kinds import duration

_LIMITED = duration()
_OR_NONE = duration(zero=True)
"""Only the whole of a request may go without a limit: each of its parts has one."""

_BODY_IDLE = "the next piece of a body, either way"
_CONNECT = "to a backend"
_RESPONSE_HEAD = "a backend's status and headers"
_WRITE_STALL = "a peer that takes nothing"
_TUNNEL = "an upgraded connection, or a stream of events (text/event-stream, multipart/x-mixed-replace), without a byte"
_REQUEST = (
    'the whole of a request: head, body, tries, answer; tunnels and streams of events aside. "0": its parts are limited, it is not'
)


@dataclass(frozen=True, slots=True)
class NearTimeoutsConfig:
    """[pool.NAME.timeouts] or [route.timeouts], seconds; None: as the next wider table says. See Timeouts."""

    connect: float | None = key(_LIMITED, None, _CONNECT)
    response_head: float | None = key(_LIMITED, None, _RESPONSE_HEAD, example="5m")
    body_idle: float | None = key(_LIMITED, None, _BODY_IDLE)
    write_stall: float | None = key(_LIMITED, None, _WRITE_STALL)
    tunnel: float | None = key(_LIMITED, None, _TUNNEL, example="6h")
    request: float | None = key(_OR_NONE, None, _REQUEST, example="10m")


@dataclass(frozen=True, slots=True)
class TimeoutsConfig:
    """[timeouts], seconds. The precedents are nginx's and HAProxy's documented examples; nothing waits without a limit."""

    handshake: float = key(_LIMITED, 5.0, "a client's TLS")
    request_head: float = key(_LIMITED, 10.0, "a client's request line and headers, first byte to last")
    body_idle: float = key(_LIMITED, 30.0, _BODY_IDLE)
    keepalive: float = key(_LIMITED, 60.0, "the next request on a connection")
    connect: float = key(_LIMITED, 4.0, _CONNECT)
    response_head: float = key(_LIMITED, 60.0, _RESPONSE_HEAD)
    # nginx's send_timeout: a reader that pauses (a player, a tab in the background, a shell that was stopped) gets a minute.
    write_stall: float = key(_LIMITED, 60.0, _WRITE_STALL)
    tunnel: float = key(_LIMITED, 3600.0, _TUNNEL)  # proxy/relay.py knows streams of events
    request: float = key(_OR_NONE, 0.0, _REQUEST)
    proxy_header: float = key(_LIMITED, 3.0, "the PROXY header of a connection, where a listener has proxy_protocol")

    def nearer(self, near: NearTimeoutsConfig) -> TimeoutsConfig:
        """These, and what a nearer table says in place of them."""
        said = {name: seconds for name in NEAR_TIMEOUTS if (seconds := getattr(near, name)) is not None}
        return replace(self, **said)


NEAR_TIMEOUTS = tuple(each.name for each in fields(NearTimeoutsConfig))
"""Those that pools and routes may have of their own: the others are over before a request has a route."""
