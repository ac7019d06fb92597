"""The audit as a whole."""

from __future__ import annotations

import re
from pathlib import Path

from lbproxy.audit.audit import CHECKS, audit, worst
from lbproxy.audit.finding import Severity
from lbproxy.config.load import load_text
from lbproxy.config.starter import STARTER
from lbproxy.errors import Complaint
from tests.unit.audit.site import site

PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "audit.md"


def test_a_good_site_has_no_finding() -> None:
    assert audit(site()) == []
    assert worst([]) is None


def test_what_init_writes_is_clean() -> None:
    """But for a word about bodies, which is for whoever knows the application."""
    findings = audit(load_text(STARTER, "lbproxy.toml", Path("/etc/lbproxy")))
    assert [(finding.check.id, finding.severity) for finding in findings] == [("body-unlimited", Severity.INFO)]


def test_the_worst_comes_first_and_what_is_accepted_does_not_count() -> None:
    config = site(instead='[limits] -> walls = false\nuser = "root"\n[limits]', pool='tolerate = ["bare_lf"]')
    findings = audit(config, accepted={"user-root": "a container", "walls-off": "gVisor"})
    assert [finding.check.id for finding in findings] == ["user-root", "walls-off", "backend-tolerated"]
    assert [finding.accepted for finding in findings] == ["a container", "gVisor", ""]
    assert worst(findings) is Severity.LOW


def test_what_was_seen_of_certificates_is_a_finding() -> None:
    [finding] = audit(site(), [Complaint("lbproxy.toml", 7, "listen[0].certificates[0].cert", "expired on Monday")])
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
