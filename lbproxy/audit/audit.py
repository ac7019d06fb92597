"""The audit of a configuration: all checks, and what somebody has decided to live with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lbproxy.audit.checks import backends, clients, process, routes
from lbproxy.audit.finding import Check, Evidence, Finding, Severity
from lbproxy.config.model import Config
from lbproxy.errors import Complaint

CERTIFICATE = Check(
    "certificate",
    Severity.MEDIUM,
    "Clients refuse a certificate that is shown here, or soon will, or it is never shown.",
    "See what `lbproxy check` says of it.",
    lambda config: (),
)
"""What a look at the files has found, which is not this floor's."""
CHECKS: tuple[Check, ...] = (*clients.CHECKS, *routes.CHECKS, *backends.CHECKS, *process.CHECKS, CERTIFICATE)


def audit(config: Config, remarks: Sequence[Complaint] = (), accepted: Mapping[str, str] | None = None) -> list[Finding]:
    """The worst first. `remarks`: about certificates and the like; `accepted`: why, by the id of the check."""
    accepted = accepted or {}
    found = [
        Finding(check, evidence, accepted.get(check.id, "")) for check in CHECKS for evidence in check.find(config)
    ]  # fmt: skip
    found += [Finding(CERTIFICATE, _remark(each), accepted.get(CERTIFICATE.id, "")) for each in remarks]
    return sorted(found, key=lambda finding: -finding.severity)


def _remark(complaint: Complaint) -> Evidence:
    return Evidence((complaint.key,) if complaint.key else (), complaint.message, complaint.line)


def worst(findings: Iterable[Finding]) -> Severity | None:
    """Of those that nobody lives with; None: there are none."""
    return max((finding.severity for finding in findings if not finding.accepted), default=None)
