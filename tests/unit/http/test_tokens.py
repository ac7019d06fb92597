"""Tokens: each published attack on what a library believes of a token's own header is a test here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from lbproxy.http.tokens import LONGEST, MOST_KEYS, BadKeys, TokenKeys, TokenRules, Untrusted, texts

jwt = pytest.importorskip("jwt", reason="PyJWT is not installed")
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402

RSA, OTHER_RSA = (rsa.generate_private_key(65537, 2048) for _ in range(2))
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
SECRET = b"0123456789abcdef0123456789abcdef"
NOW = int(time.time())
DAY = 86_400
"""Seconds; the tests may come that late after this line."""
GOOD = {"sub": "alice", "exp": NOW + DAY, "iss": "idp", "aud": "shop"}


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """The public half, as a set has it."""
    kinds = {"RSA": jwt.algorithms.RSAAlgorithm, "EC": jwt.algorithms.ECAlgorithm, "OKP": jwt.algorithms.OKPAlgorithm}
    kind = "RSA" if isinstance(key, rsa.RSAPrivateKey) else "EC" if isinstance(key, ec.EllipticCurvePrivateKey) else "OKP"
    return {**json.loads(kinds[kind].to_jwk(key.public_key())), "kid": kid, **more}


def keys(*listed: dict[str, Any]) -> TokenKeys:
    return TokenKeys.parse(json.dumps({"keys": listed}).encode())


RING = keys(jwk(RSA, "r"), jwk(EC, "e"), jwk(ED, "d"), {"kty": "oct", "k": encoded(SECRET), "kid": "h"})
WANTED = TokenRules(("RS256", "ES256", "EdDSA", "HS256"), ("shop",), "idp", 0.0, ("exp",))


def signed(
    key: Any = RSA, algorithm: str = "RS256", kid: str | None = "r", said: dict[str, Any] | None = None, **header: Any
) -> str:
    found = {**header} | ({} if kid is None else {"kid": kid})
    return str(jwt.encode(GOOD if said is None else said, key, algorithm=algorithm, headers=found))


def by_hand(header: dict[str, Any], said: dict[str, Any] = GOOD, signature: bytes = b"", secret: bytes = b"") -> str:
    """A token that no library would make."""
    text = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(said).encode())}"
    made = hmac.digest(secret, text.encode(), hashlib.sha256) if secret else signature
    return f"{text}.{encoded(made)}"


def refused(token: str, wanted: TokenRules = WANTED, ring: TokenKeys = RING) -> str:
    with pytest.raises(Untrusted) as error:
        wanted.claims(token, ring)
    return str(error.value)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA, "RS256", "r"), (EC, "ES256", "e"), (ED, "EdDSA", "d"), (SECRET, "HS256", "h")]
)
def test_a_good_one_by_each_kind_of_key(key: Any, algorithm: str, kid: str) -> None:
    """With all that it says."""
    assert WANTED.claims(signed(key, algorithm, kid), RING) == GOOD


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_none_is_no_algorithm(algorithm: str) -> None:
    """In no spelling, with a signature or without one (CVE-2015-9235)."""
    header = {"alg": algorithm, "typ": "JWT", "kid": "r"}
    assert refused(by_hand(header, signature=b"x")) == "algorithm"
    assert refused(by_hand(header)) == "malformed"
    assert refused(by_hand(header), WANTED._replace(algorithms=("none",))) == "malformed"


@pytest.mark.parametrize("form", ["pem", "der", "spki"])
def test_a_public_key_is_no_secret_of_an_hmac(form: str) -> None:
    """Key confusion (CVE-2016-10555): everybody has the public key, and could sign with it."""
    public = RSA.public_key()
    kind = serialization.Encoding.DER if form == "der" else serialization.Encoding.PEM
    shape = serialization.PublicFormat.PKCS1 if form == "pem" else serialization.PublicFormat.SubjectPublicKeyInfo
    secret = public.public_bytes(kind, shape)
    for kid in ("r", "h", "x"):
        assert refused(by_hand({"alg": "HS256", "kid": kid}, secret=secret)) in ("unknown_key", "signature")
    assert refused(by_hand({"alg": "HS256"}, secret=secret), ring=keys(jwk(RSA, "r"))) == "unknown_key"


def test_an_algorithm_that_was_not_named() -> None:
    """Though there is a key for it."""
    assert refused(signed(SECRET, "HS256", "h"), WANTED._replace(algorithms=("RS256",))) == "algorithm"
    assert refused(signed(RSA, "PS256"), WANTED) == "algorithm"
    only = keys(jwk(RSA, "r", alg="RS256"))
    assert refused(signed(RSA, "RS512", "r"), WANTED._replace(algorithms=("RS512",)), only) == "unknown_key"


@pytest.mark.parametrize(
    "kid", ["x", "", "../../../../dev/null", "r\0", "' OR 1=1 --", "/etc/passwd", "http://evil/key", "R", "r" * 9999]
)
def test_a_kid_is_only_looked_up(kid: str) -> None:
    """It is no path, no query and no address; nor is one of several keys guessed where there is none."""
    assert refused(signed(kid=kid)) in ("unknown_key", "too_long")
    assert refused(signed(OTHER_RSA)) == "signature"
    assert refused(signed(kid=None), ring=keys(jwk(RSA, "a"), jwk(OTHER_RSA, "b"))) == "unknown_key"
    assert WANTED.claims(signed(kid=None), RING) == GOOD, "the only one of its kind"


@pytest.mark.parametrize("kid", [1, None, ["r"], {"a": 1}, True])
def test_a_kid_that_is_no_text(kid: Any) -> None:
    """It is refused, and does not become a traceback."""
    token = by_hand({"alg": "RS256", "kid": kid}, signature=b"x" * 256)
    assert refused(token) in ("header", "malformed", "signature")


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_in_the_header_is_not_looked_at(name: str) -> None:
    """Whoever signs would bring his own (CVE-2018-0114)."""
    told: Any = {"jwk": jwk(OTHER_RSA, "r"), "jku": "https://evil/keys", "x5u": "https://evil/cert", "x5c": ["MII"]}[name]
    assert refused(signed(OTHER_RSA, **{name: told})) == "signature"
    assert refused(signed(OTHER_RSA, kid="mine", **{name: told})) == "unknown_key"


def test_what_a_header_must_not_say() -> None:
    """RFC 7515 4.1.11: extensions that have to be understood; RFC 7797: a payload that is not encoded."""
    assert refused(signed(crit=["b64"], b64=False)) in ("header", "malformed")
    assert refused(signed(crit=["exp"])) in ("header", "malformed")
    assert refused(signed(b64=False)) in ("header", "malformed")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({**GOOD, "exp": NOW - 5}, "expired"), ({**GOOD, "nbf": NOW + DAY}, "not_yet"), ({**GOOD, "iat": NOW + DAY}, "not_yet"),
        ({**GOOD, "aud": "bank"}, "audience"), ({**GOOD, "aud": ["bank", "x"]}, "audience"), ({**GOOD, "iss": "evil"}, "issuer"),
        ({**GOOD, "exp": "tomorrow"}, "malformed"), ({**GOOD, "exp": -1}, "expired"),
        ({"sub": "alice", "iss": "idp", "aud": "shop"}, "missing_claim"), ({"exp": NOW + DAY, "aud": "shop"}, "missing_claim"),
        ({"exp": NOW + DAY, "iss": "idp"}, "missing_claim"),
    ],
)  # fmt: skip
def test_what_a_token_says(said: dict[str, Any], why: str) -> None:
    """Times, for whom, by whom, and what has to be there."""
    found = refused(signed(said=said))
    assert found == why or (why == "malformed" and found in ("claims", "expired"))


def test_clocks_may_be_apart() -> None:
    """By so much; and a token for somebody is none for nobody in particular."""
    late = signed(said={**GOOD, "exp": NOW - 20})
    assert WANTED._replace(leeway=float(DAY)).claims(late, RING)["sub"] == "alice"
    assert refused(signed(), WANTED._replace(audience=())) == "audience"
    assert refused(signed(), WANTED._replace(require=("exp", "email"))) == "missing_claim"


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "a.b", "a.b.c", "a.b.c.d", "a" * LONGEST + ".b.c", "\x00.b.c", "e30.e30.", ".e30.e30", "e30.e30.e30",
        "[].[].[]",
        encoded(b"[" * 3000) + ".e30.e30", encoded(b'{"alg": "RS256"}') + "." + encoded(b"[]") + ".e30", "W10.W10.W10",
        encoded(b'{"alg": ["RS256"]}') + ".e30.e30", encoded(b'{"alg": "RS256", "alg": "none"}') + ".e30.e30",
        "bnVsbA.bnVsbA.bnVsbA",
        encoded(b"\xff\xfe") + ".e30.e30",
    ],
)  # fmt: skip
def test_what_is_no_token(token: str) -> None:
    """It is refused with a word, and never a traceback."""
    assert refused(token) in ("malformed", "too_long", "algorithm", "unknown_key", "signature")


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_token_of_which_something_was_changed(at: int) -> None:
    """Any part of it."""
    parts = signed().split(".")
    parts[at] = parts[at][:-5] + ("AAAAA" if not parts[at].endswith("AAAAA") else "BBBBB")
    refused(".".join(parts))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"nonsense", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [1, "a", null, {}]}', b"[" * 100_000,
        b'{"keys": [{"kty": "RSA", "n": "!", "e": "AQAB"}]}', b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}',
        json.dumps({"keys": [jwk(RSA, "r")] * (MOST_KEYS + 1)}).encode(), json.dumps({"keys": [jwk(RSA, "r", use="enc")]}).encode(),
        json.dumps({"keys": [jwk(RSA, "r", key_ops=["encrypt"])]}).encode(),
        json.dumps({"keys": [jwk(RSA, "r", alg="HS256")]}).encode(),
    ],
)  # fmt: skip
def test_what_is_no_set_of_keys(content: bytes) -> None:
    """Hostile bytes are refused, however deep."""
    with pytest.raises(BadKeys):
        TokenKeys.parse(content)


def test_keys_that_are_not_for_this_are_left_out() -> None:
    """Beside good ones."""
    assert len(keys(jwk(RSA, "r"), jwk(OTHER_RSA, "x", use="enc"), {"kty": "unknown"}, jwk(EC, "e"))) == 2


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("alice", ["alice"]), (7, ["7"]), (True, ["true"]), (["a", "b", 3], ["a", "b", "3"]), ("a\r\nX-Admin: 1", []), ("\xe9", []),
        ("", []), (None, []), ({"a": 1}, []), (1.5, []), ([["a"]], []), ("x" * 300, []), (["a\n", "b"], ["b"]),
    ],
)  # fmt: skip
def test_claims_as_values_of_fields(claim: object, expected: list[str]) -> None:
    """One value stays one value."""
    assert texts(claim) == expected
