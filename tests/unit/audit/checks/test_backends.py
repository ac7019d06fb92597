"""Dangers on the way to backends: each check finds its own, and nothing where there is none."""

from __future__ import annotations

import pytest

from lbproxy.audit.checks.backends import CHECKS
from tests.unit.audit.site import found, site

TLS = 'tls = { ca = "ca.pem" }'
PIN = "n5dNxwJIGyG2lBkxGcOVW0XqOmJ1ZQvT9gvhuCmOzh8="


@pytest.mark.parametrize(("name", "changes", "expected"), [
    ("backend-unverified", {"instead": f"{TLS} -> tls = {{ verify = false }}"}, [("verify", "false")]),
    ("backend-one-pin", {"instead": f'{TLS} -> tls = {{ pins = ["{PIN}"] }}'}, [("pins", PIN)]),
    ("backend-plain-text", {"instead": f"{TLS} -> "}, [("backends", "10.0.0.1:443")]),
    ("backend-old-tls", {"instead": f'{TLS} -> tls = {{ ca = "ca.pem", min_version = "1.1" }}'}, [("min_version", "1.1")]),
    ("backend-tolerated", {"pool": 'tolerate = ["bare_lf"]'}, [("tolerate", "bare_lf")]),
    ("backend-unchecked", {"pool": 'health = { type = "off" }'}, [("type", "off")]),
    ("retry-unsafe", {"pool": 'retry_on = ["connect", "timeout"]'}, [("retry_on", "timeout")]),
    ("retry-storm", {"pool": "retry_budget = 100"}, [("retry_budget", "100")]),
])  # fmt: skip
def test_each_way(name: str, changes: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert found(CHECKS, name, site(**changes)) == expected
    assert found(CHECKS, name, site()) == []


@pytest.mark.parametrize("near", ["127.0.0.1:80", "[::1]:80", "localhost:80", "unix:/run/app.sock"])
def test_what_stays_on_this_machine_needs_no_tls(near: str) -> None:
    config = site(instead=f'backends = ["10.0.0.1:443"]\n{TLS} -> backends = ["{near}"]')
    assert found(CHECKS, "backend-plain-text", config) == []


def test_no_retry_is_no_danger() -> None:
    config = site(pool='retries = 0\nretry_on = ["timeout"]\nretry_budget = 100')
    assert found(CHECKS, "retry-unsafe", config) == found(CHECKS, "retry-storm", config) == []
