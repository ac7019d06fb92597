"""Findings for people, for programs, and as SARIF 2.1.0 for what shows them beside the lines of a repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from lbproxy import __version__
from lbproxy.audit.audit import CHECKS
from lbproxy.audit.finding import Finding, Severity, key_of

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    Severity.INFO: "note",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}
_SCORES = {
    Severity.INFO: "0.0",
    Severity.LOW: "3.0",
    Severity.MEDIUM: "5.5",
    Severity.HIGH: "8.0",
    Severity.CRITICAL: "9.5",
}
"""Where code hosts sort by numbers: the middles of CVSS's ranges."""


def text(source: str, findings: Sequence[Finding]) -> list[str]:
    """Lines for a terminal."""
    lines: list[str] = []
    for finding in findings:
        evidence, check = finding.evidence, finding.check
        place = f"{source}:{evidence.line:d}" if evidence.line else source
        lines.append(f"{finding.severity.word}: {check.id}: {place}: {key_of(evidence)}: {evidence.value}")
        if finding.accepted:
            lines.append(f"    accepted: {finding.accepted}")
        else:
            lines += [f"    {check.danger}", f"    {check.mend}"]
    return lines


def as_json(source: str, findings: Sequence[Finding]) -> dict[str, object]:
    """Everything that is known of each."""
    return {
        "file": source,
        "findings": [
            {
                "id": finding.check.id,
                "severity": finding.severity.word,
                "file": source,
                "line": int(finding.evidence.line),
                "key": key_of(finding.evidence),
                "value": finding.evidence.value,
                "danger": finding.check.danger,
                "mend": finding.check.mend,
                "accepted": finding.accepted,
            }
            for finding in findings
        ],
    }


def sarif(source: str, findings: Sequence[Finding], fault: str = "") -> dict[str, object]:
    """A log of one run; `fault`: why a part of it could not be done. All checks are its rules, found or not: what is no longer
    found is mended then."""
    rules = [
        {
            "id": check.id,
            "shortDescription": {"text": check.danger},
            "help": {"text": check.mend},
            "defaultConfiguration": {"level": _LEVELS[check.severity]},
            "properties": {"security-severity": _SCORES[check.severity], "tags": ["security"]},
        }
        for check in CHECKS
    ]
    driver = {"name": "lbproxy audit", "version": __version__, "rules": rules}
    results = [_result(source, finding) for finding in findings]
    run: dict[str, object] = {"tool": {"driver": driver}, "results": results}
    if fault:
        notes = [{"level": "error", "message": {"text": fault}}]
        run["invocations"] = [{"executionSuccessful": False, "toolExecutionNotifications": notes}]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(source: str, finding: Finding) -> dict[str, object]:
    evidence = finding.evidence
    place = {"artifactLocation": {"uri": _uri(source)}, "region": {"startLine": max(1, int(evidence.line))}}
    result: dict[str, object] = {
        "ruleId": finding.check.id,
        "ruleIndex": CHECKS.index(finding.check),
        "level": _LEVELS[finding.severity],
        "message": {"text": _plain(f"{key_of(evidence)}: {evidence.value}. {finding.check.danger} {finding.check.mend}")},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"lbproxy/v1": f"{finding.check.id}:{key_of(evidence)}:{evidence.value}"},
    }
    if finding.accepted:
        result["suppressions"] = [{"kind": "external", "justification": finding.accepted}]
    return result


def _uri(path: str) -> str:
    """As RFC 3986 wants it (3.4.3); one that is relative stays so, for a code host to find it in its repository."""
    whole = PurePosixPath(path)
    return whole.as_uri() if whole.is_absolute() else quote(path, errors="surrogateescape")


def _plain(words: str) -> str:
    """Braces would be places for arguments (3.11.5); a regular expression has them."""
    return words.replace("{", "{{").replace("}", "}}")
