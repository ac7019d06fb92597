"""The way to an authority: signed requests by the `acme` library, over TLS alone, bounded in time and in bytes, followed nowhere.

What an authority says is from outside. The worst it can do is to refuse, or to keep this process waiting until it is replaced.
"""

from __future__ import annotations

import logging
import ssl
from typing import Any

import requests
from acme import errors, messages
from acme.client import ClientNetwork
from josepy.jwa import ES256
from josepy.jwk import JWK
from requests.adapters import HTTPAdapter

from lbproxy import __version__
from lbproxy.acme.schedule import retry_after

LARGEST = 256 * 1024
TIMEOUT = 20
"""Seconds for a connection, and for each piece of an answer."""
ATTEMPTS = 3
PIECE = 16 * 1024

logging.getLogger("acme").disabled = True  # it would tell what is signed
logging.getLogger("urllib3").disabled = True

Json = dict[str, Any]


class AuthorityRefused(Exception):
    """The authority says no, or nothing that we understand; the text is for people. `wait`: seconds that it asked for; `lost`:
    nobody was there to say anything."""

    def __init__(self, why: str, wait: float = 0.0, *, lost: bool = False) -> None:
        super().__init__(why)
        self.wait = wait
        self.lost = lost


class Payload:
    """What is signed, for the library."""

    def __init__(self, values: Json) -> None:
        self._values = values

    def json_dumps(self, indent: int | None = None) -> str:
        """See josepy.JSONDeSerializable."""
        import json

        return json.dumps(self._values, indent=indent)


class _Adapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """By our context alone: requests would have it trust everybody whom browsers trust as well."""
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = None


class Network(ClientNetwork):
    """The connections to one authority, for one order."""

    def __init__(self, key: JWK, context: ssl.SSLContext) -> None:
        super().__init__(key, alg=ES256, user_agent=f"lbproxy/{__version__}", timeout=TIMEOUT)
        self.session.adapters.clear()
        self.session.trust_env = False
        self.session.mount("https://", _Adapter(context))
        self.wait = 0.0
        """What the last answer's Retry-After asked for."""

    def _send_request(self, method: str, url: str, *args: Any, **more: Any) -> requests.Response:
        if not isinstance(url, str) or not url.startswith("https://"):
            raise errors.ClientError(f"no https address: {url!r:.100}")
        headers = {"User-Agent": self.user_agent, **more.get("headers", {})}
        response = self.session.request(
            method, url, data=more.get("data"), headers=headers, timeout=TIMEOUT, stream=True, allow_redirects=False
        )
        with response:
            body = bytearray()
            for piece in response.iter_content(PIECE):
                body += piece
                if len(body) > LARGEST:
                    raise errors.ClientError(f"an answer of more than {LARGEST} bytes")
        response._content = bytes(body)
        response._content_consumed = True
        response.encoding = "utf-8"
        self.wait = retry_after(response.headers.get("Retry-After"))
        return response


def explained(error: Exception, wait: float = 0.0) -> AuthorityRefused:
    """An error of the library's in one line for people; whatever it is, it is the authority's."""
    if isinstance(error, AuthorityRefused):
        return error
    if isinstance(error, messages.Error):
        kind = str(error.typ or "").rpartition(":")[2]
        said = " ".join(part for part in (kind and f"{kind}:", str(error.detail or error.title or "")) if part)
        return AuthorityRefused(said[:400] or "refused without a reason", wait)
    if isinstance(error, requests.exceptions.Timeout):
        return AuthorityRefused("does not answer in time", wait, lost=True)
    if isinstance(error, requests.exceptions.SSLError):
        return AuthorityRefused(f"its server cannot be trusted: {_innermost(error)}", wait)
    if isinstance(error, requests.exceptions.RequestException):
        return AuthorityRefused(f"cannot be reached: {_innermost(error)}", wait, lost=True)
    return AuthorityRefused(f"{type(error).__name__}: {error}"[:300], wait)


def _innermost(error: BaseException) -> str:
    """What the system said, below the layers of libraries."""
    seen = error
    for _ in range(10):
        deeper = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__
        if not isinstance(deeper, BaseException):
            break
        seen = deeper
    said = seen.strerror if isinstance(seen, OSError) and seen.strerror else str(seen)
    return said[:300] or type(seen).__name__
