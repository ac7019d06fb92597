"""Severities."""

from __future__ import annotations

from lbproxy.audit.audit import CHECKS
from lbproxy.audit.finding import Evidence, Finding, Severity


def test_severities_have_an_order() -> None:
    assert [severity.word for severity in sorted(Severity)] == ["info", "low", "medium", "high", "critical"]
    assert Severity.INFO < Severity.CRITICAL


def test_evidence_may_be_worse_than_its_check() -> None:
    finding = Finding(CHECKS[0], Evidence(("a",), "b", 0, Severity.CRITICAL))
    assert finding.severity is Severity.CRITICAL
    assert Finding(CHECKS[0], Evidence(("a",), "b")).severity is CHECKS[0].severity
