"""The audit as a whole."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from lbproxy.audit.audit import CHECKS, audit, worst
from lbproxy.audit.finding import Severity
from lbproxy.config.load import load_text, locate_text
from lbproxy.config.model import AcceptedConfig, AuditConfig
from lbproxy.config.starter import STARTER
from lbproxy.config.vocabulary import AUDIT_CHECKS, SEVERITIES
from lbproxy.errors import Complaint
from tests.unit.audit.site import site

PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "audit.md"
TODAY = date(2026, 12, 1)


def test_a_good_site_has_no_finding() -> None:
    assert audit(site(), today=TODAY) == []
    assert worst([]) is None


def test_what_init_writes_is_clean() -> None:
    """But for a word about bodies, which is for whoever knows the application."""
    findings = audit(load_text(STARTER, "lbproxy.toml", Path("/etc/lbproxy")), today=TODAY)
    assert [(finding.check.id, finding.severity) for finding in findings] == [("body-unlimited", Severity.INFO)]


def test_what_a_check_tells_itself_is_no_fault_of_a_certificate() -> None:
    """Backends that are not verified, and single pins, are told once, by their own checks."""
    said = [Complaint("x.toml", 7, f"pool.app.tls.{key}", "something", "") for key in ("verify", "pins", "cert")]
    found = [finding for finding in audit(site(), said, today=TODAY) if finding.check.id == "certificate"]
    assert [finding.evidence.path for finding in found] == [("pool.app.tls.cert",)]


def test_the_worst_comes_first_and_what_is_accepted_does_not_count() -> None:
    config = site(instead='[limits] -> walls = false\nuser = "root"\n[limits]', pool='tolerate = ["bare_lf"]')
    findings = audit(config, (), [AcceptedConfig("user-root", "a container"), AcceptedConfig("walls-off", "gVisor")], today=TODAY)
    assert [finding.check.id for finding in findings] == ["user-root", "walls-off", "backend-tolerated"]
    assert [finding.accepted for finding in findings] == ["a container", "gVisor", ""]
    assert worst(findings) is Severity.LOW


def test_what_was_seen_of_certificates_is_a_finding() -> None:
    [finding] = audit(site(), [Complaint("lbproxy.toml", 7, "listen[0].certificates[0].cert", "expired on Monday")], today=TODAY)
    assert (finding.check.id, finding.evidence.line, finding.evidence.value) == ("certificate", 7, "expired on Monday")


def test_every_check_is_told_of() -> None:
    """Ids are unique, sentences are sentences, and the page in docs has them all, with their severities."""
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids)
    for check in CHECKS:
        assert check.danger.endswith(".")
        assert check.mend.endswith(".")
    told = re.findall(r"^\| `([a-z-]+)` \| ([a-z]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert told == [(check.id, check.severity.word) for check in CHECKS]


def test_the_vocabulary_of_configurations_has_all_checks() -> None:
    assert tuple(check.id for check in CHECKS) == AUDIT_CHECKS
    assert tuple(severity.word for severity in Severity) == SEVERITIES


@pytest.mark.parametrize(("at", "until", "counts"), [
    (None, None, True), ("pool.app", None, True), ("pool.app.backends", None, True), ("pool.app.backends[0]", None, True),
    ("pool.ap", None, False), ("pool.other", None, False), (None, TODAY, True), (None, TODAY - timedelta(days=1), False),
])  # fmt: skip
def test_where_and_until_when_somebody_lives_with_it(at: str | None, until: date | None, counts: bool) -> None:
    """A key stands for all inside it; a day for itself as well."""
    config = site(instead='tls = { ca = "ca.pem" } -> retries = 1')
    accepted = AcceptedConfig("backend-plain-text", "a cable", at, until)
    for found in (
        audit(config, (), [accepted], today=TODAY),
        audit(replace(config, audit=AuditConfig(accept=(accepted,))), today=TODAY),
    ):
        assert [finding.accepted for finding in found] == ["a cable" if counts else ""]


def test_lines_are_those_of_keys() -> None:
    """Of included files, too, which is config/parts.py's to know; of what nobody wrote the nearest thing around it."""
    text = '[[listen]]\naddress = ":443"\n[[route]]\npool = "app"\n[pool.app]\nbackends = [\n"10.0.0.1:80",\n"10.0.0.2:80"]\n'
    text += 'retries = 1\nretry_budget = 90\n'
    found = locate_text(text, "lbproxy.toml", Path("/"))
    told = {(finding.check.id, int(finding.evidence.line)) for finding in audit(found.config, today=TODAY, line_of=found.line_of)}
    assert told == {("backend-plain-text", 7), ("backend-plain-text", 8), ("retry-storm", 10), ("body-unlimited", 1)}
