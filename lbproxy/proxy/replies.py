"""Responses that lbproxy itself authors: the right status, a short body, and a reason that also stands in the access log.

`Proxy-Status` (RFC 9209) tells the same to programs; reasons that the RFC has a name for use it.
"""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from lbproxy.http.forwarding import Forwarder
from lbproxy.http.heads import ResponseHeads
from lbproxy.http.message import RequestHead

_RFC_9209 = {
    "connection_refused": "connection_refused",
    "connection_reset": "connection_terminated",
    "connect_timeout": "connection_timeout",
    "tls_failure": "tls_protocol_error",
    "tls_not_spoken": "tls_protocol_error",
    "tls_no_common_version": "tls_protocol_error",
    "tls_no_common_cipher": "tls_protocol_error",
    "tls_client_certificate": "tls_alert_received",
    "tls_expired": "tls_certificate_error",
    "tls_not_yet_valid": "tls_certificate_error",
    "tls_wrong_name": "tls_certificate_error",
    "tls_unknown_authority": "tls_certificate_error",
    "tls_self_signed": "tls_certificate_error",
    "tls_revoked": "tls_certificate_error",
    "tls_revocation_unknown": "tls_certificate_error",
    "tls_wrong_pin": "tls_certificate_error",
    "tls_unverified": "tls_certificate_error",
    "host_unreachable": "destination_ip_unroutable",
    "network_unreachable": "destination_ip_unroutable",
    "no_backend": "destination_unavailable",
    "pool_full": "connection_limit_reached",
    "queue_full": "connection_limit_reached",
    "queue_timeout": "connection_limit_reached",
    "response_timeout": "http_response_timeout",
    "request_timeout": "http_response_timeout",
    "response_closed": "http_response_incomplete",
    "response_malformed": "http_protocol_error",
    "response_unexpected_101": "http_upgrade_failed",
    "response_other_101": "http_upgrade_failed",
    "response_forged_101": "http_upgrade_failed",
    "websocket_not_opened": "http_upgrade_failed",
    "head_timeout": "http_request_error",
    "no_route": "destination_not_found",
    "internal_error": "proxy_internal_error",
    "address_denied": "http_request_denied",
    "address_unknown": "http_request_denied",
    "denied": "http_request_denied",
    "method_not_allowed": "http_request_denied",
    "client_certificate_missing": "http_request_denied",
    "client_certificate_denied": "http_request_denied",
    "misdirected_request": "http_request_denied",
    "client_rate": "http_request_denied",
    "client_concurrency": "http_request_denied",
    "auth_unavailable": "destination_unavailable",
    "icap_unavailable": "destination_unavailable",
}
_ALLOW = b"\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
"""RFC 9110 15.5.6: a 405 has to name what is allowed. Others are too, but nobody asks for them after a 405."""
RETRY_AFTER = 1
"""Seconds that 503 asks a client to wait: health is known anew by then (fast probes run every second)."""
NOT_OPENED = "websocket_not_opened"
"""A client would take an answer for the beginning of what it asks for."""
CLOSED = 444
"""In the log alone, of a connection that was closed without a word; nginx's number for it."""


class OwnAnswer(NamedTuple):
    """An answer of lbproxy's own, whatever protocol it leaves in."""

    status: int
    lines: bytes
    """Its fields, each with its CRLF in front, but for those that say how a connection goes on."""
    text: bytes


def refusal(status: int, reason: str, lines: bytes = b"") -> OwnAnswer:
    """Why a request gets nothing else; `lines` are added to its fields."""
    ready, text = _ready(status, reason)
    if status == 405 and b"\r\nAllow: " not in lines:  # a route may allow less
        lines = _ALLOW + lines
    return OwnAnswer(status, ready + lines, text)


def laid_out(own: OwnAnswer, *, close: bool, body: bool = True, extra: bytes = b"") -> bytes:
    """A whole answer of HTTP/1. `body` False for HEAD; `extra`: field lines, each with its CRLF in front."""
    last = b"\r\nConnection: close" if close else b""
    return b"".join((_status_line(own.status), own.lines, last, extra, b"\r\n\r\n", own.text if body else b""))


def ruled(own: OwnAnswer, heads: ResponseHeads) -> tuple[OwnAnswer, bool]:
    """(what becomes of a route's own answer when its rules for backends' answers are applied, whether it has no Date yet).

    Read as an answer to HEAD, which nobody remembers: a redirect's Location is the client's to choose.
    """
    known = heads.read(laid_out(own, close=False, body=False), b"HEAD")
    return own._replace(lines=known.out[known.out.index(b"\r\n") : -4]), known.head.undated


def reply(status: int, reason: str, *, close: bool, body: bool = True, extra: bytes = b"") -> bytes:
    """Both in one, where no request was understood."""
    return laid_out(refusal(status, reason), close=close, body=body, extra=extra)


@lru_cache(maxsize=256)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:  # a route's own answer may have any
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()


@lru_cache(maxsize=256)
def _ready(status: int, reason: str) -> tuple[bytes, bytes]:
    """The fields that are the same each time, and the text: reasons are words of ours, of which there are few."""
    text = f"{status} {HTTPStatus(status).phrase}: {reason}\n".encode()
    error = _RFC_9209.get(reason) or ("http_request_error" if status < 500 else "http_protocol_error")
    lines = (
        f"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(text)}"
        f'\r\nCache-Control: no-store\r\nProxy-Status: lbproxy; error={error}; details="{reason}"\r\nVia: 1.1 lbproxy'
    ).encode()
    if status == 503:
        lines += b"\r\nRetry-After: %d" % RETRY_AFTER
    return lines, text


def https_location(head: RequestHead, forwarder: Forwarder, wanted: int, listening: int) -> bytes:
    """The same place on https. `wanted`: the port that the configuration names, 0 for none; `listening`: where we speak TLS.

    Who names our own port has reached us as we listen, and finds TLS there as well. From everybody else ports are hidden behind
    others (containers, balancers): then https is where it is for everybody.
    """
    direct = forwarder.port != 80 and head.authority.endswith(b":%d" % forwarder.port)
    port = wanted or (listening if direct else 443)
    host = head.host or forwarder.here().encode("ascii")
    target = head.target if head.target != b"*" else b"/"
    return b"https://%b%b%b" % (host, b"" if port == 443 else b":%d" % port, target)


CHALLENGE_PATH = b"/.well-known/acme-challenge/"


def challenge_answer(authorization: bytes) -> OwnAnswer:
    """To an authority that looks whether a name is ours (RFC 8555 8.3)."""
    lines = b"\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\nCache-Control: no-store" % len(authorization)
    return OwnAnswer(200, lines, authorization)


def redirect(location: bytes) -> OwnAnswer:
    """308 keeps method and body (RFC 9110 15.4.9), where 301 turns a POST into a GET."""
    text = b"308 Permanent Redirect\n"
    kind = b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nVia: 1.1 lbproxy" % len(text)
    return OwnAnswer(308, b"\r\nLocation: " + location + kind, text)
