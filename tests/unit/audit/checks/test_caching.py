"""Dangers of routes that store answers: each check finds its own, and nothing where there is none."""

from __future__ import annotations

import pytest

from lbproxy.audit.checks.caching import CHECKS
from tests.unit.audit.site import found, site

STORE = '[cache]\nmemory = "8MiB"\n'


@pytest.mark.parametrize(("name", "lines", "expected"), [
    ("cache-default-cookies", 'cache = { default_ttl = "1m" }', [("default_ttl", "60s")]),
    ("cache-default-cookies", 'cache = { default_ttl = "1m", bypass = { headers = { X-A = "1" } } }', [("default_ttl", "60s")]),
    ("cache-behind-login", 'cache = {}\nbasic_auth = { file = "users" }', [("cache", "behind basic_auth")]),
    ("cache-behind-login", 'cache = {}\nauthorize = { pool = "app" }', [("cache", "behind authorize")]),
    ("cache-respects-strangers", "cache = { respect_client = true }", [("respect_client", "true")]),
    ("cache-default-long", 'cache = { default_ttl = "2d" }', [("default_ttl", "172800s")]),
])  # fmt: skip
def test_each_way(name: str, lines: str, expected: list[tuple[str, str]]) -> None:
    assert found(CHECKS, name, site(route=lines, more=STORE)) == expected
    assert found(CHECKS, name, site()) == []


@pytest.mark.parametrize("lines", [
    "cache = {}",
    'cache = { default_ttl = "1m", bypass = { headers = { cookie = "*sid=*" } } }',
    'cache = { stale_if_error = "2d" }',
])  # fmt: skip
def test_what_is_as_it_should_be(lines: str) -> None:
    for check in CHECKS:
        assert found(CHECKS, check.id, site(route=lines, more=STORE)) == []
