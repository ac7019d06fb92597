"""Dangers on the clients' side: each check finds its own, and nothing where there is none."""

from __future__ import annotations

import pytest

from lbproxy.audit.checks.clients import CHECKS
from tests.unit.audit.site import found, site


@pytest.mark.parametrize(("name", "changes", "expected"), [
    ("tls-old", {"listen": 'tls = { profile = "old" }'}, [("profile", "old")]),
    ("tls-weak-ciphers", {"listen": 'tls = { ciphers = "ECDHE+AESGCM:DES-CBC3-SHA" }'}, [("ciphers", "ECDHE+AESGCM:DES-CBC3-SHA")]),
    ("plain-beside-https", {"instead": "redirect_to_https = true -> "}, [("address", "0.0.0.0:80")]),
    ("hsts-missing", {"instead": 'hsts = "365d" -> '}, [("hsts", "not sent")]),
    ("hsts-missing", {"route": 'hsts = "off"'}, [("hsts", "not sent")]),
    ("trusted-proxies-wide", {"instead": '[limits] -> trusted_proxies = ["8.0.0.0/8", "10.0.0.0/8"]\n[limits]'},
     [("trusted_proxies", "8.0.0.0/8")]),
    ("trusted-proxies-wide", {"instead": '[limits] -> trusted_proxies = ["::/0"]\n[limits]'}, [("trusted_proxies", "::/0")]),
    ("proxy-protocol-wide", {"listen": 'proxy_protocol = ["0.0.0.0/0"]'}, [("proxy_protocol", "0.0.0.0/0")]),
    ("telling-headers", {"pool": 'response_headers = { keep = ["Server"] }'}, [("keep", "Server")]),
    ("telling-headers", {"route": 'response_headers = { keep = ["X-Powered-By"] }'}, [("keep", "X-Powered-By")]),
])  # fmt: skip
def test_each_way(name: str, changes: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert found(CHECKS, name, site(**changes)) == expected
    assert found(CHECKS, name, site()) == []


@pytest.mark.parametrize("listed", ["ECDHE+AESGCM:!DES:!RC4", "ECDHE+AESGCM:-MD5"])
def test_what_a_list_takes_out_is_no_danger(listed: str) -> None:
    assert found(CHECKS, "tls-weak-ciphers", site(listen=f'tls = {{ ciphers = "{listed}" }}')) == []


def test_plain_http_alone_is_no_surprise() -> None:
    """Where TLS ends elsewhere, or nothing is public yet: as what init writes."""
    config = site(instead='certificates = [{ cert = "a.crt", key = "a.key" }] -> ')
    assert found(CHECKS, "plain-beside-https", config) == []
