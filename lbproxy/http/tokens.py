"""Tokens (RFC 7519) in the compact form that clients send: signature, times, issuer, audience, and the keys that may have signed.

PyJWT checks signatures; what it is asked to check is decided here, since the published attacks are all on what a library believes
of a token's own header. A key is found by `kid` among those that were configured, and nowhere else: `jku`, `jwk`, `x5u` and `x5c`
are not looked at. An algorithm has to be named in the configuration, and fit the key's kind: a public key is never the secret of an
HMAC. A token that says `crit` is refused (RFC 7515 4.1.11).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lbproxy.errors import LbproxyError

LONGEST = 8 * 1024
"""Characters of a token."""
MOST_KEYS = 100
LONGEST_KID = 256
KINDS = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA", "ES256": "EC", "ES384": "EC",
    "ES512": "EC", "EdDSA": "OKP", "HS256": "oct", "HS384": "oct", "HS512": "oct",
}  # fmt: skip
"""Algorithms, and the kind of key (RFC 7517 `kty`) that each needs. "none" is not among them."""
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_NAME = re.compile(r"[ -~]{0,256}\Z")


UNKNOWN_KEY = "unknown_key"
"""Why: the token names a key that is not among those that were configured."""


class Untrusted(LbproxyError):
    """A token that lets nobody in; the text says why, in a word."""


class BadKeys(LbproxyError):
    """What should be a set of keys (RFC 7517) is none."""


class _Key(NamedTuple):
    kid: str
    kind: str
    curve: str
    algorithm: str
    """The only one that it is for; "": any of its kind."""
    key: Any


class TokenKeys:
    """The keys that may have signed tokens."""

    def __init__(self, keys: Sequence[_Key] = ()) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def parse(cls, content: bytes) -> TokenKeys:
        """A set of keys in JSON. Those of kinds that are not known, or not for signatures, are left out. Raises BadKeys."""
        found = [key for each in _listed(content) if (key := _key(each)) is not None]
        if not found:
            raise BadKeys("there is no key in it that could verify a signature")
        return cls(found)

    def fitting(self, algorithm: str, kid: object) -> list[_Key]:
        """Those that may have signed a token that says so."""
        kind, curve = KINDS[algorithm], _CURVES.get(algorithm, "")
        fitting = [each for each in self._keys if each.kind == kind and each.algorithm in ("", algorithm) and each.curve == curve]
        if kid is None:
            return fitting if len(fitting) == 1 else []  # which of several it is nobody guesses
        return [each for each in fitting if each.kid == kid]


def _listed(content: bytes) -> list[dict[str, Any]]:
    """What a set of keys (RFC 7517 5) has in it, whatever that is. Raises BadKeys."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadKeys("is no JSON") from error
    listed = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise BadKeys(f'wanted {{"keys": [...]}} with at most {MOST_KEYS} of them')
    return [each for each in listed if isinstance(each, dict)]


def _key(told: Mapping[str, Any]) -> _Key | None:
    import jwt

    kind, kid, algorithm = told.get("kty"), told.get("kid", ""), told.get("alg", "")
    if told.get("use", "sig") != "sig" or not isinstance(kid, str) or len(kid) > LONGEST_KID or not isinstance(algorithm, str):
        return None
    operations = told.get("key_ops", ["verify"])
    usual = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA", "oct": "HS256"}.get(str(kind))
    if usual is None or not isinstance(operations, list) or "verify" not in operations:
        return None
    curve = str(told.get("crv", "")) if kind == "EC" else ""
    if kind == "EC":
        usual = next((name for name, of in _CURVES.items() if of == curve), "")
    if not usual or (algorithm and KINDS.get(algorithm) != kind):
        return None
    try:
        return _Key(kid, str(kind), curve, algorithm, jwt.PyJWK(dict(told), usual).key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None


_PUBLIC = ("kty", "kid", "use", "key_ops", "alg", "crv", "n", "e", "x", "y")


def public(content: bytes) -> bytes:
    """A set of keys with the usable public ones alone, and of each what is needed: no chains of certificates, nothing that is
    secret. Whatever somebody publishes, no secret of an HMAC is made of it. Raises BadKeys."""
    short = [{name: each[name] for name in _PUBLIC if name in each} for each in _listed(content)]
    found = [each for each in short if each.get("kty") != "oct" and _key(each) is not None]
    if not found:
        raise BadKeys("there is no public key in it that could verify a signature")
    return json.dumps({"keys": found}, separators=(",", ":")).encode("ascii")


class TokenRules(NamedTuple):
    """What a token has to be."""

    algorithms: tuple[str, ...]
    audience: tuple[str, ...]
    issuer: str
    leeway: float
    require: tuple[str, ...]

    def claims(self, token: str, keys: TokenKeys) -> dict[str, Any]:
        """What it says, all of it verified. Raises Untrusted."""
        import jwt

        if len(token) > LONGEST:
            raise Untrusted("too_long")
        if not _COMPACT.match(token):
            raise Untrusted("malformed")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Untrusted("malformed") from error
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self.algorithms or algorithm not in KINDS:
            raise Untrusted("algorithm")
        if "crit" in header or not isinstance(kid, str | None) or header.get("b64", True) is not True:
            raise Untrusted("header")
        fitting = keys.fitting(algorithm, kid)
        if not fitting:
            raise Untrusted(UNKNOWN_KEY)
        return self._verified(token, algorithm, fitting)

    def _verified(self, token: str, algorithm: str, fitting: Sequence[_Key]) -> dict[str, Any]:
        import jwt

        options: Any = {"require": list(self.require), "verify_iss": bool(self.issuer)}
        why = "signature"
        for key in fitting:
            try:
                return dict(jwt.decode(
                    token, key.key, algorithms=[algorithm], audience=list(self.audience) or None, issuer=self.issuer or None,
                    leeway=self.leeway, options=options,
                ))  # fmt: skip
            except jwt.InvalidSignatureError:
                continue
            except jwt.PyJWTError as error:
                raise Untrusted(_WHY.get(type(error).__name__, "claims")) from error
            except (ValueError, TypeError, RecursionError, OverflowError) as error:
                raise Untrusted("malformed") from error
        raise Untrusted(why)


_WHY = {
    "ExpiredSignatureError": "expired", "ImmatureSignatureError": "not_yet", "InvalidAudienceError": "audience",
    "InvalidIssuerError": "issuer", "MissingRequiredClaimError": "missing_claim", "DecodeError": "malformed",
}  # fmt: skip


def texts(claim: object) -> list[str]:
    """A claim as values of fields: a text, a number, true or false; of a list each. What does not fit into a line is no value."""
    if isinstance(claim, bool):
        return ["true" if claim else "false"]
    if isinstance(claim, int):
        return [str(claim)]
    if isinstance(claim, str):
        return [claim] if claim.strip() and _NAME.match(claim) else []
    if isinstance(claim, list):
        return [text for each in claim[:100] if not isinstance(each, list) for text in texts(each)]
    return []
