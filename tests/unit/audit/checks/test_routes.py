"""Dangers of routes: each check finds its own, and nothing where there is none."""

from __future__ import annotations

import pytest

from lbproxy.audit.checks.routes import CHECKS
from tests.unit.audit.site import found, site

PLAIN = "redirect_to_https = true -> "
FETCHED = 'jwks_url = "%s://idp.test/k", algorithms = ["ES256"]'
ICAP = 'icap = { pool = "av", respmod = "/s", '
ANTIVIRUS = '[pool.av]\nbackends = ["10.0.0.9:1344"]\n'
ANY = "WebSockets from pages of any origin"
CACHED = 'authorize = { pool = "app", cache = "10s", cache_by = [%s] }'
PASSWORDS = 'basic_auth = { file = "users" }'


@pytest.mark.parametrize(("name", "changes", "expected"), [
    ("compressed-secrets", {"route": 'compress = { types = ["text/css", "text/html"] }'}, [("types", "text/html")]),
    ("compressed-secrets", {"route": 'compress = { types = ["text/*"] }'}, [("types", "text/*")]),
    ("passwords-in-the-clear", {"instead": PLAIN, "route": PASSWORDS}, [("basic_auth", "also on 0.0.0.0:80")]),
    ("icap-unseen", {"route": ICAP + 'over_cap = "pass" }', "more": ANTIVIRUS}, [("over_cap", "pass")]),
    ("websocket-origins", {"route": PASSWORDS}, [("basic_auth", ANY)]),
    ("websocket-origins", {"route": f"jwt = {{ {FETCHED % 'https'}, cookie = \"t\" }}"}, [("jwt", ANY)]),
    ("websocket-origins", {"route": 'authorize = { pool = "app" }'}, [("authorize", ANY)]),
    ("authorization-open", {"route": 'authorize = { pool = "app", on_failure = "pass" }'}, [("on_failure", "pass")]),
    ("waf-unseen", {"route": 'waf = { mode = "block", over_cap = "pass" }'}, [("over_cap", "pass")]),
    ("waf-unseen", {"route": 'waf = { mode = "detect" }'}, [("mode", "detect, whatever over_cap says")]),
    ("verdicts-shared", {"route": CACHED % '"Cookie"'}, [("cache_by", "without Authorization")]),
    ("verdicts-shared", {"route": CACHED % '"authorization"'}, [("cache_by", "without Cookie")]),
    ("verdicts-shared", {"route": CACHED % '"X-Api-Key"'}, [("cache_by", "without Cookie and Authorization")]),
    ("authorization-open", {"route": 'waf = { mode = "block", on_failure = "pass" }'}, [("on_failure", "pass")]),
    ("keys-of-anybody", {"route": f"jwt = {{ {FETCHED % 'http'} }}"}, [("jwks_url", "http://idp.test/k")]),
    ("keys-of-anybody", {"route": f"jwt = {{ {FETCHED % 'https'}, jwks_verify = false }}"}, [("jwks_verify", "false")]),
])  # fmt: skip
def test_each_way(name: str, changes: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert found(CHECKS, name, site(**changes)) == expected
    assert found(CHECKS, name, site()) == []


@pytest.mark.parametrize(("name", "lines"), [
    ("verdicts-shared", CACHED % '"cookie", "AUTHORIZATION"'), ("verdicts-shared", 'authorize = { pool = "app" }'),
    ("compressed-secrets", "compress = {}"), ("compressed-secrets", 'compress = { types = ["image/*", "text/css"] }'),
    ("passwords-in-the-clear", PASSWORDS), ("authorization-open", 'authorize = { pool = "app" }'),
    ("authorization-open", 'waf = { mode = "block" }'), ("authorization-open", 'waf = { on_failure = "pass" }'),
    ("keys-of-anybody", f"jwt = {{ {FETCHED % 'https'} }}"),
    ("websocket-origins", f"jwt = {{ {FETCHED % 'https'} }}"),
    ("websocket-origins", PASSWORDS + '\nmatch = { headers = { origin = "https://a.test" } }'),
])  # fmt: skip
def test_what_is_as_it_should_be(name: str, lines: str) -> None:
    assert found(CHECKS, name, site(route=lines)) == []
