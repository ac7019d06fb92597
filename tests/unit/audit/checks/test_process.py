"""Dangers of processes, of what they show, and of lifted limits: each way."""

from __future__ import annotations

from datetime import date

import pytest

from lbproxy.audit.audit import audit
from lbproxy.audit.checks.process import CHECKS
from lbproxy.audit.finding import Severity
from tests.unit.audit.site import found, site


@pytest.mark.parametrize(("name", "changes", "expected"), [
    ("walls-off", {"instead": "[limits] -> walls = false\n[limits]"}, [("walls", "false")]),
    ("user-root", {"instead": '[limits] -> user = "root"\n[limits]'}, [("user", "root")]),
    ("metrics-public", {"more": '[metrics]\naddress = "10.0.0.9:9180"\n'}, [("address", "10.0.0.9:9180")]),
    ("limits-lifted", {"instead": '[limits] -> [limits]\nhead = "1MiB"\nfields = 5000\nstreams = 5000'},
     [("head", "1048576 bytes"), ("fields", "5000"), ("streams", "5000")]),
    ("long-fields", {"instead": '[limits] -> [limits]\nhead = "65KiB"'}, [("head", "66560 bytes")]),
    ("timeouts-long", {"more": '[timeouts]\nrequest_head = "5m"\n'}, [("request_head", "300 s")]),
    ("buffers-large", {"pool": 'buffer_requests = "64MiB"'}, [("buffer_requests", "67108864 bytes")]),
    ("body-unlimited", {"instead": 'body = "64MiB" -> '}, [("body", "no limit")]),
])  # fmt: skip
def test_each_way(name: str, changes: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert found(CHECKS, name, site(**changes)) == expected
    assert found(CHECKS, name, site()) == []


@pytest.mark.parametrize(("address", "severity"), [
    ("127.0.0.1:9180", None), ("[::1]:9180", None), ("10.0.0.9:9180", Severity.MEDIUM), ("0.0.0.0:9180", Severity.HIGH),
    ("8.8.8.8:9180", Severity.HIGH),
])  # fmt: skip
def test_who_can_read_the_status(address: str, severity: Severity | None) -> None:
    findings = audit(site(more=f'[metrics]\naddress = "{address}"\n'), today=date(2026, 12, 1))
    told = [finding.severity for finding in findings if finding.check.id == "metrics-public"]
    assert told == ([] if severity is None else [severity])


def test_long_fields_where_nobody_speaks_http_2() -> None:
    """They may be as long as limits.head allows."""
    config = site(instead='[limits] -> [limits]\nhead = "1MiB"', listen='protocols = ["http/1.1"]')
    assert found(CHECKS, "long-fields", config) == []


def test_routes_with_limits_of_their_own() -> None:
    """Where all of them say how large a body may be."""
    config = site(instead='body = "64MiB" -> ', route='max_body = "1MiB"')
    assert found(CHECKS, "body-unlimited", config) == []
