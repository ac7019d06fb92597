"""Dangers of taps."""

from __future__ import annotations

import stat
from datetime import date
from pathlib import Path

import pytest

from lbproxy.audit.audit import audit
from lbproxy.audit.checks.taps import CHECKS, of_files
from lbproxy.audit.finding import Severity
from lbproxy.config.model import TapConfig
from tests.unit.audit.site import found, site

FIFO, FOLDER = stat.S_IFIFO, stat.S_IFDIR
TAP = TapConfig(name="ids", folder=Path("/tap"), fifo=Path("/run/tap"))


@pytest.mark.parametrize(("address", "allow", "severities"), [
    (":57012", "0.0.0.0/0", []), ("[::1]:57012", "::/0", []), ("10.0.0.9:57012", "10.0.0.0/8", [Severity.HIGH]),
    ("0.0.0.0:57012", "10.0.0.0/8", [Severity.HIGH]), ("0.0.0.0:57012", "0.0.0.0/0", [Severity.CRITICAL] * 2),
    ("10.0.0.9:57012", "8.0.0.0/8", [Severity.HIGH] * 2),
])  # fmt: skip
def test_who_can_read_what_was_decrypted(address: str, allow: str, severities: list[Severity]) -> None:
    """This machine's programs may; others are told of, and the more there may be, the louder."""
    tap = f'[tap.ids]\nlisten = "{address}"\nallow = ["{allow}"]\n'
    findings = audit(site(more=tap), today=date(2026, 12, 1))
    assert [finding.severity for finding in findings if finding.check.id == "tap-public"] == severities


@pytest.mark.parametrize(("name", "tap", "expected"), [
    ("tap-public", 'listen = "10.0.0.9:57012"\nallow = ["10.0.0.8"]', [("listen", "10.0.0.9:57012")]),
    ("tap-secrets", "blank = []", [("blank", "without Authorization, Proxy-Authorization, Cookie, Set-Cookie")]),
    ("tap-secrets", 'blank = ["cookie", "Set-Cookie", "AUTHORIZATION"]', [("blank", "without Proxy-Authorization")]),
    ("tap-bodies", "", [("max_body", "65536 bytes")]),
    ("tap-public", 'listen = ":57012"', []),
    ("tap-secrets", "", []),
    ("tap-secrets", 'blank = ["Cookie", "Set_Cookie", "Authorization", "Proxy.Authorization", "X-Key"]', []),
    ("tap-bodies", "max_body = 0", []),
])  # fmt: skip
def test_each_way(name: str, tap: str, expected: list[tuple[str, str]]) -> None:
    assert found(CHECKS, name, site(more=f'[tap.ids]\nfolder = "/tap"\n{tap}\n')) == expected
    assert found(CHECKS, name, site()) == []


@pytest.mark.parametrize(("folder", "fifo", "expected"), [
    (FOLDER | 0o700, FIFO | 0o600, []), (FOLDER | 0o755, FIFO | 0o640, []), (None, None, []),
    (FOLDER | 0o770, None, [("folder", "/tap is 0770", Severity.MEDIUM)]),
    (FOLDER | 0o1777, None, [("folder", "/tap is 1777", None)]),
    (None, FIFO | 0o644, [("fifo", "/run/tap is 0644", None)]),
    (None, FIFO | 0o602, [("fifo", "/run/tap is 0602", None)]),
])  # fmt: skip
def test_modes_of_files(folder: int | None, fifo: int | None, expected: list[tuple[str, str, Severity | None]]) -> None:
    """A group that reads a pipe is whom it was made for."""
    told = [(evidence.path[-1], evidence.value, evidence.severity) for _, evidence in of_files(TAP, folder, fifo)]
    assert told == expected
