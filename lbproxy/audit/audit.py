"""The audit of a configuration: all checks, and what somebody has decided to live with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from lbproxy.audit.checks import backends, caching, clients, keys, live, process, routes, taps
from lbproxy.audit.finding import Check, Evidence, Finding, Path, Severity, key_of
from lbproxy.config.model import AcceptedConfig, Config
from lbproxy.errors import Complaint

CERTIFICATE = Check(
    "certificate",
    Severity.MEDIUM,
    "A certificate or a list of revoked ones is refused, by clients, by backends or here, or soon will be, or it is never shown.",
    "See what `lbproxy check` says of it.",
    lambda config: (),
)
"""What a look at the files has found, which is not this floor's."""
CHECKS: tuple[Check, ...] = (
    *clients.CHECKS, *routes.CHECKS, *caching.CHECKS, *backends.CHECKS, *process.CHECKS, *taps.CHECKS,
    *keys.CHECKS, CERTIFICATE, *live.CHECKS
)  # fmt: skip


def audit(
    config: Config,
    remarks: Sequence[Complaint] = (),
    accepted: Sequence[AcceptedConfig] = (),
    *,
    today: date,
    line_of: Callable[[Path], int] | None = None,
    seen: Iterable[tuple[Check, Evidence]] = (),
) -> list[Finding]:
    """The worst first. `remarks`: about certificates and the like; `accepted`: beside what the configuration says; `line_of`: where
    it says what, as finely as that is known; `seen`: of files, and of what runs."""
    found = [(check, evidence) for check in CHECKS for evidence in check.find(config)]
    found += [(CERTIFICATE, _remark(each)) for each in remarks if not each.key.endswith((".verify", ".pins"))]  # told already
    found += seen
    return judged(found, (*config.audit.accept, *accepted), today, line_of)


def judged(
    found: Iterable[tuple[Check, Evidence]],
    accepted: Sequence[AcceptedConfig],
    today: date,
    line_of: Callable[[Path], int] | None = None,
) -> list[Finding]:
    """With what somebody lives with, and with lines; the worst first."""
    findings = []
    for check, evidence in found:
        if line_of is not None and not (check is CERTIFICATE and evidence.line):
            evidence = evidence._replace(line=line_of(evidence.path))
        why = next((one.reason for one in accepted if one.id == check.id and _counts(one, evidence, today)), "")
        findings.append(Finding(check, evidence, why))
    return sorted(findings, key=lambda finding: -finding.severity)


def _counts(accepted: AcceptedConfig, evidence: Evidence, today: date) -> bool:
    if accepted.until is not None and today > accepted.until:
        return False
    key = key_of(evidence)
    return accepted.at is None or key == accepted.at or key.startswith((f"{accepted.at}.", f"{accepted.at}["))


def _remark(complaint: Complaint) -> Evidence:
    return Evidence((complaint.key,) if complaint.key else (), complaint.message, complaint.line)


WARNED_OF = frozenset({"compressed-secrets", "cache-default-cookies", "long-fields"})
"""What `lbproxy check` warns of, too: what somebody writes who did not know."""


def warnings(config: Config, today: date, line_of: Callable[[Path], int]) -> list[Complaint]:
    """What is as dangerous as it is easily overlooked, but for what the configuration says that somebody lives with; `line_of`: a
    key's, or that of the nearest thing around it."""
    found = [(check, evidence) for check in CHECKS if check.id in WARNED_OF for evidence in check.find(config)]
    told = []
    for check, evidence, why in judged(found, config.audit.accept, today, line_of):
        if not why:
            message = f"{check.danger} Here: {evidence.value}"
            told.append(Complaint(config.source, evidence.line, key_of(evidence), message, check.mend))
    return told


def worst(findings: Iterable[Finding]) -> Severity | None:
    """Of those that nobody lives with; None: there are none."""
    return max((finding.severity for finding in findings if not finding.accepted), default=None)
