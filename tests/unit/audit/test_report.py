"""Findings in their three forms."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from lbproxy.audit.audit import CHECKS, audit
from lbproxy.audit.finding import Evidence, key_of
from lbproxy.audit.report import as_json, sarif, text
from lbproxy.config.model import Accepted
from tests.unit.audit.site import site

FINDINGS = audit(
    site(instead='tls = { ca = "ca.pem" } -> tls = { verify = false }', pool='tolerate = ["bare_lf"]'),
    (),
    [Accepted("backend-tolerated", "printers")],
    today=date(2026, 12, 1),
)


def test_keys_are_those_of_complaints() -> None:
    assert key_of(Evidence(("listen", 0, "tls", "profile"), "old")) == "listen[0].tls.profile"


def test_text() -> None:
    first, danger, _, second, accepted = text("a.toml", FINDINGS)
    assert first == "high: backend-unverified: a.toml:15: pool.app.tls.verify: false"
    assert danger.startswith("    Whoever stands on the way")
    assert second.startswith("low: backend-tolerated: a.toml:15: pool.app.tolerate: bare_lf")
    assert accepted == "    accepted: printers"


def test_json() -> None:
    answer: Any = json.loads(json.dumps(as_json("a.toml", FINDINGS)))
    assert [(each["id"], each["severity"], each["line"], each["accepted"]) for each in answer["findings"]] == [
        ("backend-unverified", "high", 15, ""), ("backend-tolerated", "low", 15, "printers")
    ]  # fmt: skip


def test_sarif() -> None:
    """What the specification wants of every log (3.13, 3.14, 3.19, 3.27, 3.49), by its structure."""
    log: Any = json.loads(json.dumps(sarif("a.toml", FINDINGS)))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [check.id for check in CHECKS]
    for rule in rules:
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
        assert 0.0 <= float(rule["properties"]["security-severity"]) <= 10.0
        assert rule["shortDescription"]["text"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        [location] = result["locations"]
        assert location["physicalLocation"]["artifactLocation"] == {"uri": "a.toml"}
        assert location["physicalLocation"]["region"]["startLine"] >= 1
    assert [result.get("suppressions") for result in run["results"]] == [
        None, [{"kind": "external", "justification": "printers"}]
    ]  # fmt: skip


def test_a_finding_keeps_its_fingerprint_when_lines_move() -> None:
    """So that a code host knows it again."""
    moved = [finding._replace(evidence=finding.evidence._replace(line=99)) for finding in FINDINGS]
    prints: list[Any] = [sarif("a.toml", found)["runs"] for found in (FINDINGS, moved)]
    first, second = ([result["partialFingerprints"] for result in runs[0]["results"]] for runs in prints)
    assert first == second
