"""The outcomes of a probe, named by the layer that failed."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class ProbeOutcome(Enum):
    """The value is the word for logs and metrics."""

    PASSED = "passed"
    UNKNOWN_NAME = "the name is not known"
    REFUSED = "connection refused"
    CONNECT_TIMEOUT = "connect timed out"
    UNREACHABLE = "unreachable"
    TLS_FAILURE = "TLS failure"
    RESPONSE_TIMEOUT = "response timed out"
    BAD_STATUS = "bad status"
    BAD_BODY = "bad body"
    BAD_RESPONSE = "bad response"
    NOT_SERVING = "not serving"


class ProbeFinding(NamedTuple):
    """The result of one probe, and what it says about it."""

    outcome: ProbeOutcome
    detail: str = ""
    """What came, where the outcome's word leaves something open: "503", "certificate has expired"."""

    @property
    def passed(self) -> bool:
        return self.outcome is ProbeOutcome.PASSED

    @property
    def reached(self) -> bool:
        """It answers in HTTP, whatever it says: in need, requests may be sent there."""
        return self.outcome in (ProbeOutcome.PASSED, ProbeOutcome.BAD_STATUS, ProbeOutcome.BAD_BODY, ProbeOutcome.NOT_SERVING)

    def __str__(self) -> str:
        return f"{self.outcome.value}: {self.detail}" if self.detail else self.outcome.value


PASSED = ProbeFinding(ProbeOutcome.PASSED)
BODY_MISSES = ProbeFinding(ProbeOutcome.BAD_BODY, "not the text that was wanted")

_BY_NUMBER = tuple(ProbeOutcome)


def number_of(finding: ProbeFinding) -> int:
    """As a cell of the ledger: which outcome, and the status that came where there was one; 0 for a check that passed."""
    if finding.passed:
        return 0
    status = int(finding.detail) if finding.outcome is ProbeOutcome.BAD_STATUS and finding.detail.isdecimal() else 0
    return _BY_NUMBER.index(finding.outcome) * 1000 + min(status, 999)


def words_of(number: int) -> str:
    """What such a cell tells; "" for nothing, or what is none."""
    kind, status = divmod(number, 1000)
    if not 0 < kind < len(_BY_NUMBER):
        return ""
    return str(ProbeFinding(_BY_NUMBER[kind], str(status) if status else ""))
