"""Words that configurations may use inside values; imports nothing."""

from __future__ import annotations

from typing import NamedTuple


class PolicyFile(NamedTuple):
    """One policy of BALANCE, by name."""

    module: str
    """In lbproxy/balance; it has a function `make`, see balance/policy.py there."""
    about: str


BALANCE = {
    "least_conn": PolicyFile("least_connections", "the fewest requests in progress, measured by weight"),
    "round_robin": PolicyFile("round_robin", "everybody in turn, by weight"),
    "random_two": PolicyFile("random_two", "the idler of two that chance picks"),
    "source_hash": PolicyFile("source_hash", "the same source to the same backend, see hash"),
    "least_time": PolicyFile("least_time", "the smallest product of requests in progress and mean time to a head, by weight"),
}
"""The words of a pool's `balance`, each with the file that it stands for."""

TOLERABLE = {
    "bare_lf": "lines that end with LF alone: in the head, around chunks, in trailers",
    "field_lines": "lines of the head that are no fields are dropped, and blanks in front of a colon",
    "obs_fold": "a line that begins with a blank belongs to the field above it",
    "repeated_length": "Content-Length said more than once, always the same",
    "identity_coding": "Transfer-Encoding: identity, as if it were not there",
    "high_status": "statuses from 600 to 999, which RFC 9110 does not know; clients get them as they are",
}
"""What a pool's `tolerate` may say: how its backends' answers may break the grammar, and how they are read then."""

PLACEHOLDERS = {
    "host": "the host asked for, in lower case, without port",
    "path": "the path in normal form, as strip_prefix and its kind leave it",
    "query": "what stands behind the question mark",
    "scheme": "https or http, as the client used it",
}
"""What may stand in braces in a route's `redirect`."""

SPOKEN = {"http/1.1": ["http/1.1"], "h2": ["h2"], "auto": ["h2", "http/1.1"]}
"""The words of a pool's `protocol`, and what its backends are offered by ALPN, best first."""

FAILURES = {
    "connect": "no connection: refused, late, TLS failed; or (HTTP/2) a request refused on one; nothing was done",
    "closed": "the connection ended before the answer's head was whole",
    "timeout": "no answer in the time of response_head",
    "refused": "an answer that is refused for its form",
}
"""Kinds of failure at a backend, which are also the words of a pool's `retry_on`."""

VARIABLES = {
    "client_ip": "the client's address; behind trusted_proxies the one they speak for",
    "client_cert": "the verified certificate of the client as RFC 9440 writes it",
    "client_fingerprint": "the SHA-256 of that certificate, in hexadecimal digits",
    "client_issuer": "who signed it, as RFC 4514 writes names",
    "client_san_dns": "its alternative names that are DNS names, with commas between them",
    "client_san_email": "those that are mailboxes",
    "client_san_uri": "those that are URIs, SPIFFE IDs among them",
    "client_serial": "its number, in hexadecimal digits",
    "client_subject": "whose it is, as RFC 4514 writes names",
    "client_verify": "SUCCESS for a client with a verified certificate, NONE for one without",
    "host": "the host asked for, in lower case, without port",
    "method": "GET and so on",
    "path": "the path, without the query",
    "port": "the port that the client used",
    "query": "what stands behind the question mark",
    "request_id": "see request_id",
    "scheme": "https or http, as the client used it",
    "tls_cipher": "the cipher suite",
    "tls_version": "TLSv1.3 or TLSv1.2",
    "trace_id": "see trace",
    "user": "who the client is, as steps of the route found out: authorize, basic_auth, jwt",
    "backend": "of responses only: the backend that answered",
}
"""What may stand in braces in a header's value. One that has nothing to say is empty; a header that comes out empty is left out."""

SEVERITIES = ("info", "low", "medium", "high", "critical")
"""How bad a finding of `lbproxy audit` may be."""
AUDIT_CHECKS = (
    "tls-old", "tls-weak-ciphers", "plain-beside-https", "hsts-missing", "trusted-proxies-wide", "proxy-protocol-wide",
    "telling-headers", "compressed-secrets", "passwords-in-the-clear", "authorization-open", "keys-of-anybody", "icap-unseen",
    "websocket-origins", "waf-unseen", "verdicts-shared", "cache-default-cookies", "cache-behind-login", "cache-respects-strangers",
    "cache-default-long", "backend-unverified", "backend-one-pin", "backend-plain-text", "backend-old-tls", "backend-tolerated",
    "backend-unchecked", "retry-unsafe", "retry-storm", "walls-off", "user-root", "metrics-public", "limits-lifted",
    "long-fields", "timeouts-long", "buffers-large", "body-unlimited", "tap-public", "tap-secrets", "tap-readable", "tap-bodies",
    "key-readable", "certificate", "live-root", "live-privileges", "live-memory", "live-walls", "live-tls-old", "live-certificate",
    "live-plain-content", "live-hsts-missing", "live-metrics-public", "live-differs", "live-tls-failures", "live-unseen",
)  # fmt: skip
"""The ids of its checks (audit/)."""
