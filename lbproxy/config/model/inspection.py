"""Keys of a [[route]]: who and what is asked whether a request may pass, before any backend of the route is."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from lbproxy.config import header_values as said
from lbproxy.config import route_values, values
from lbproxy.config.atoms import KIB, MIB, Rate
from lbproxy.config.key import key
from lbproxy.config.kinds import BOOLEAN, FILE, RATE, TEXT, Kind, ListOf, Pairs, choice, duration, size, text_schema
from lbproxy.config.units import ValueRefused, show

_FIELD = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"
_COPIED = Kind("header", said.copied, text_schema(_FIELD), examples=("Remote-User", "Remote-Groups"))
_ASKED = Kind("header", values.field_name, text_schema(_FIELD), examples=("Cookie", "Authorization"))
_PATH = Kind("path", values.url_path, text_schema("^/[!-~]*$"), examples=("/verify", "/auth"))
_HOST = Kind("host", values.host_field, {"type": "string", "minLength": 1}, examples=("auth.internal", "auth.internal:8080"))
_REALM = Kind("text", said.realm, text_schema("^[ !#-\\[\\]-~]{1,128}$"), examples=("staff only", "the shop's back office"))
_COOKIE = Kind("name of a cookie", route_values.cookie_name, text_schema(_FIELD), examples=("token", "session"))
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
)  # fmt: skip
LONGEST_CACHE = 3600.0
DAY = 86_400.0


class KeySet(NamedTuple):
    """A set of keys that control fetches (control/key_sets.py). Routes that say the same of one share it."""

    url: str
    ca: Path | None
    verify: bool
    refresh: float
    timeout: float

    @property
    def name(self) -> str:
        """Short, and another one for each, for messages between processes."""
        return hashlib.sha256(repr(tuple(self)).encode()).hexdigest()[:16]

    @property
    def parts(self) -> SplitResult:
        """Of its address."""
        return urlsplit(self.url)

    @property
    def port(self) -> int:
        """Where it is asked for."""
        return self.parts.port or (443 if self.parts.scheme == "https" else 80)


class Document(NamedTuple):
    """A file that workers go by while they run: the master reads it, and reads it again when it changes."""

    kind: str
    """htpasswd | jwks"""
    file: Path


@dataclass(frozen=True, slots=True)
class AuthorizeConfig:
    """[route.authorize]: a server that is asked about each request, by a GET of its own (nginx: auth_request)."""

    pool: str = key(TEXT, "", "who is asked: the name of a [pool.NAME]. It must be there", example="api")
    path: str = key(_PATH, "/", "asked for there, by GET and without a body. 2xx lets the request pass; all below 500 else is the "
                    "client's answer, with its body and its cookies")  # fmt: skip
    host: str = key(_HOST, "", "Host of what is asked. Default: that of the request, which X-Forwarded-Host tells in any case")
    copy: tuple[str, ...] = key(
        ListOf(_COPIED, 'a list of names such as ["Remote-User"]'),
        (),
        "fields of a 2xx answer that the backend gets, with all their values. A client's own are taken off in any case",
        example=["Remote-User", "Remote-Groups"],
    )
    user: str = key(_ASKED, "", "field of a 2xx answer that names the user, for the access log and {user}", example="Remote-User")
    timeout: float = key(duration(60.0), 2.0, "all of it: connection, further tries, answer")
    on_failure: str = key(
        choice("refuse", "pass"),
        "refuse",
        'no answer in time, or one of 500 and above: 503; "pass": as if it were not asked, without the fields of copy',
    )
    max_answer: int = key(size(KIB, 16 * MIB), 256 * KIB, "of its body; a longer one is no answer")
    cache: float = key(
        duration(LONGEST_CACHE, zero=True),
        0.0,
        "how long an answer holds, in each process, for requests that say the same: fields of cache_by, host, method, path, "
        "query, scheme, client's address, certificate and user. Never one of 500 and above, one with Set-Cookie, or one to a "
        "request that has no field of cache_by",
        needs={"cache_by": ["Cookie", "Authorization"]},
        example="10s",
    )
    cache_by: tuple[str, ...] = key(
        ListOf(_ASKED, 'a list of names such as ["Cookie", "Authorization"]', empty=("field", "leave the key out")),
        (),
        "all that tells users apart, and all else that the answer depends on",
        needs={"cache": "10s"},
        example=["Cookie", "Authorization"],
    )


@dataclass(frozen=True, slots=True)
class BasicAuthConfig:
    """[route.basic_auth]: names and passwords, from a file that htpasswd writes."""

    file: Path | None = key(
        FILE,
        None,
        "a user a line, name:hash, the hash by bcrypt (htpasswd -B) or argon2; weaker ones are refused. Read anew when it changes. "
        "It must be there. Needs what checks them: pip install 'lbproxy[auth]'",
        example="users",
    )
    realm: str = key(_REALM, "restricted", "what browsers ask for a password for")
    header: str = key(_COPIED, "", "the backend is told the user's name in it; a client's own is taken off", example="Remote-User")
    pass_on: bool = key(BOOLEAN, False, "true: the backend gets Authorization as well")
    remember: float = key(
        duration(LONGEST_CACHE, zero=True),
        60.0,
        "how long a password that fitted need not be checked again by the process that did: a check costs a tenth of a second. A "
        'file that changes counts at once. "0": each request is checked',
    )
    rate: Rate = key(RATE, Rate(20, 60), "checks of each client's address that do not fit, over all workers; more get 429")
    user_rate: Rate = key(
        RATE, Rate(60, 60), "checks of each user's password that do not fit, from wherever; more get 429, but who is remembered"
    )


def _fetches(jwt: Any) -> bool:
    return bool(jwt.jwks_url)


def _url(value: object) -> str:
    hint = f'such as "{_JWKS_URL}"'
    parts = urlsplit("")
    if isinstance(value, str) and len(value) <= 500 and re.fullmatch("[!-~]+", value):
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme in ("https", "http") and parts.hostname and parts.username is None and not parts.fragment and port != 0:
            return value
    raise ValueRefused(f"wanted an address with https and a host, of at most 500 plain characters, got {show(value)}", hint)


_JWKS_URL = "https://idp.example.com/jwks"
_URL = Kind("address", _url, text_schema("^https?://[!-~]{1,492}$"), examples=(_JWKS_URL,))
_ALGORITHM = Kind("algorithm", values.choice(*ALGORITHMS), {"enum": list(ALGORITHMS)}, examples=("RS256", "ES256"))
_CLAIM = Kind("claim", values.claim, {"type": "string", "minLength": 1, "maxLength": 128}, examples=("sub", "scope"))


@dataclass(frozen=True, slots=True)
class JwtConfig:
    """[route.jwt]: tokens that somebody else has signed, checked here."""

    jwks_file: Path | None = key(
        FILE,
        None,
        "a set of keys (RFC 7517). Read anew when it changes. It must be there. Needs PyJWT: pip install 'lbproxy[auth]'",
        example="jwks.json",
    )
    algorithms: tuple[str, ...] = key(
        ListOf(_ALGORITHM, 'a list of algorithms such as ["RS256"]', empty=("algorithm", "a token may not choose")),
        (),
        "those that may have signed; what a token says of itself is not enough. They must be there",
        example=["ES256"],
    )
    audience: tuple[str, ...] = key(
        ListOf(TEXT, 'a list of texts such as ["shop"]'),
        (),
        "for whom a token has to be, one of these. Default: for nobody: one that says for whom it is, is refused",
    )
    issuer: str = key(TEXT, "", "by whom. Default: by anybody who has one of the keys", example="https://idp.example.com/")
    leeway: float = key(duration(600.0, zero=True), 0.0, "how far clocks may be apart", example="30s")
    require: tuple[str, ...] = key(
        ListOf(_CLAIM, 'a list of claims such as ["exp", "sub"]'), ("exp",), "claims that have to be there", example=["exp", "sub"]
    )
    claims: tuple[tuple[str, str], ...] = key(
        Pairs(said.copied, values.claims),
        (),
        "fields for the backend, and the claim that each tells: a text, a number, or all texts of a list, in visible ASCII. A "
        "client's own are taken off in any case",
        example={"X-User": "sub"},
    )
    user: str = key(_CLAIM, "sub", "the claim that names the user, for the access log and {user}", example="preferred_username")
    cookie: str = key(_COOKIE, "", "a cookie in which the token may come as well. In the query it is refused", example="token")
    pass_on: bool = key(BOOLEAN, False, "true: the backend gets Authorization as well")
    realm: str = key(_REALM, "restricted", "in the challenge to whoever has no token")
    on_failure: str = key(
        choice("refuse", "pass"), "refuse", 'as long as there are no keys: 503; "pass": as if no token were asked for'
    )
    jwks_url: str = key(
        _URL,
        "",
        "instead of jwks_file: where the set of keys is fetched, again and again, by lbproxy itself (the jwks_uri of an identity "
        "provider). While it cannot be had the last good one stays",
        never_with=("jwks_file",),
    )
    jwks_ca: Path | None = key(
        FILE, None, "the authorities whose certificate its server may have. Default: those of the system",
        needs={"jwks_url": _JWKS_URL}, never_with=("jwks_file",), when=_fetches, example="internal-ca.pem",
    )  # fmt: skip
    jwks_verify: bool = key(
        BOOLEAN, True, "false: whoever answers there is believed, and with him everybody who may come in",
        needs={"jwks_url": _JWKS_URL}, never_with=("jwks_file",), when=_fetches,
    )  # fmt: skip
    jwks_refresh: float = key(
        duration(DAY), 300.0,
        "how often it is fetched; also, but not more often than every tenth of this, when a token names a key that is not in it",
        needs={"jwks_url": _JWKS_URL}, never_with=("jwks_file",), when=_fetches,
    )  # fmt: skip
    jwks_timeout: float = key(
        duration(60.0), 5.0, "all of it: name, connection, answer",
        needs={"jwks_url": _JWKS_URL}, never_with=("jwks_file",), when=_fetches,
    )  # fmt: skip

    @property
    def key_set(self) -> KeySet | None:
        """What is fetched; None: nothing."""
        if not self.jwks_url:
            return None
        return KeySet(self.jwks_url, self.jwks_ca, self.jwks_verify, self.jwks_refresh, self.jwks_timeout)
